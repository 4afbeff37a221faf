"""A run's configuration: from what a user asks for to every number that defines the run, and its id.

Resolving opens the data set, so that the content it will train on is part of the id: a run can be told from another by
its folder's name alone, and no choice that changes results can change unseen. Device, threads and library versions are
not part of it: they change rounding, and `done.json` records them.
"""

import hashlib
import importlib.metadata
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ...baselines.fields import Bounds
from ...datasets.catalog import find_dataset, find_task, load
from ...datasets.errors import UserError, choose
from ...datasets.fractions import SELECTIONS
from ..offline.faults import FAULTS, check_legacy
from ..offline.hyperparameters import DEFAULT_CORPUS, DEFAULT_LANGUAGE_MODEL, budget_for, overrides_for
from ..offline.settings import SEQUENCE_METHODS, Budget
from .methods import METHODS, find_method

if TYPE_CHECKING:
    from ...datasets.tasks import Task
    from ...datasets.trajectories import Trajectories

PRECISIONS = ["float32", "bfloat16"]
MOST = 10**15  # steps, episodes, evaluations of a run: what floats count exactly
Number = Annotated[int, Bounds(1, MOST)]

ID_END = r"-s\d{1,10}-[0-9a-f]{10}"  # of `RunConfig.id`
RUN_ID_END = re.compile(rf"{ID_END}$")  # by which a folder is known as a run's
BROKEN_END = re.compile(rf"{ID_END}\.broken-\d+$")  # of a damaged run that was set aside
RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}{ID_END}")  # the whole of it, for names from elsewhere

# Fields that runs did not always have, and what they stand for where they are missing; then those of a method.
LATER_FIELDS: dict[str, Any] = {
    "legacy": [],
    "selection": "uniform",
    "accumulation": 1,
    "compiled": False,
    "cached_context": False,
    "unit_actions": False,
}
LATER_SETTINGS: dict[str, Any] = {
    "measure_language": False,  # of LaMo
    "lora_targets": "qkv",
    "norm_before_time": True,
    "return_scale": None,
    "best_share": 1.0,  # of BC
    "automatic_entropy": True,  # from here on of CQL
    "target_gap": None,
    "importance_sampling": True,
    "soft_maximum_temperature": 1.0,
    "max_backup": False,
    "scale_rewards": False,
}


@dataclass(frozen=True)
class RunRequest:
    """What a user asks for; empty values mean the profile's choice."""

    dataset: str  # a name of `lamobench data list`
    method: str = "lamo"
    fraction: float = 1.0  # share of whole trajectories to train on, in (0, 1]
    seed: int = 0  # of weights, batches, dropout and evaluation starts
    data_seed: int | None = (
        None  # of the subset; None: the same as seed, so that intervals include the luck of the draw
    )
    source: str = "auto"  # where the data comes from
    selection: str = "uniform"  # how a fraction's episodes are drawn: a name of `fractions.SELECTIONS`
    profile: str = "cpu"
    lm: str = ""  # language model of the LaMo family, and whose shape dt-matched has: a name or a folder
    precision: str = "float32"  # of matrix products: "float32", or "bfloat16" autocast
    compiled: bool = False  # whether training steps go through torch.compile, which draws dropout otherwise
    cached_context: bool = False  # whether evaluations read a context step by step (`baselines/acting.py`)
    budget: dict[str, Any] = field(default_factory=dict)  # fields of Budget to change, e.g. {"steps": 100}
    settings: dict[str, Any] = field(default_factory=dict)  # fields of the method's config to change
    legacy: tuple[str, ...] = ()  # faults of the published code to reproduce, names of `legacy.FAULTS`


@dataclass(frozen=True)
class RunConfig:
    """Every number that defines a run; `config.json` in its folder, where `records.py` checks it against this."""

    dataset: str
    task: str
    source: str
    dataset_hash: str
    fraction: Annotated[float, Bounds(math.ulp(0.0), 1.0)]
    data_seed: int
    subset_hash: str
    episodes_in_subset: Number
    env_id: str
    target_returns: list[float]  # that evaluations play: the ranked one, or all where legacy has "best-target"
    method: str
    lm: str
    lm_hash: str
    corpus_hash: str  # of the English in the language model's tokens; "" where the language loss is off
    profile: str
    seed: Annotated[int, Bounds(0, 2**32 - 1)]
    precision: str
    steps: Number
    batch_size: Number
    evaluate_every: Number
    evaluation_episodes: Number
    headline_evaluations: Number
    policy: dict[str, Any]  # the method's config
    version: str  # of lamobench
    legacy: list[str] = field(default_factory=list)  # faults of the published code that it reproduces
    selection: str = "uniform"  # how the fraction's episodes were drawn
    accumulation: Number = 1  # parts that a batch was computed in
    compiled: bool = False  # whether its training steps went through torch.compile
    cached_context: bool = False  # whether its evaluations read a context step by step
    unit_actions: bool = False  # whether its trajectory model sees actions mapped from another box to [-1, 1]

    @cached_property
    def id(self) -> str:
        """A readable name that ends in a hash of the whole configuration."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__} | {"policy": dict(self.policy)}
        for fields, later in ((values, LATER_FIELDS), (values["policy"], LATER_SETTINGS)):
            for name, default in later.items():  # runs from before there was the choice keep their ids
                if name in fields and fields[name] == default:
                    del fields[name]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return f"{self.dataset}-{self.fraction:g}-{self.method}-s{self.seed}-{digest[:10]}"


def resolve(request: RunRequest) -> RunConfig:
    """Fill in what the profile, the catalog and the data decide; a `UserError` names whatever does not fit."""
    return resolve_each(request, [(request.fraction, request.seed)])[0]


def resolve_each(request: RunRequest, choices: Sequence[tuple[float, int]]) -> list[RunConfig]:
    """`resolve` for each of several (fraction, seed). What they share is looked up once: ten thousand take a second."""
    from ..lm.checkpoints import control_hash  # PyTorch, only once a run is really asked for
    from ..offline.faulty_data import faulty_subset

    for _, seed in choices:
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is out of range; give 0 to {2**32 - 1}")
    shared, trajectories, lm_files = _shared(request)
    weights, task = METHODS[shared.method].weights, find_task(shared.task)
    runs = []
    for fraction, seed in choices:
        data_seed = seed if request.data_seed is None else request.data_seed
        drawn = SELECTIONS[request.selection](trajectories, fraction, data_seed)
        subset = faulty_subset(drawn, task, shared.legacy)
        own: dict[str, Any] = {
            "fraction": float(fraction),
            "data_seed": data_seed,
            "subset_hash": subset.hash,
            "episodes_in_subset": len(subset.episodes),
            "lm_hash": control_hash(lm_files, weights, seed) if lm_files else "",
            "seed": seed,
        }
        runs.append(replace(shared, **own))
    return runs


def _shared(request: RunRequest) -> tuple[RunConfig, "Trajectories", str]:
    """What doesn't depend on fraction and seed: a config in which they are still open, data, the model's hash."""
    from ..lm.checkpoints import files_hash, model_shape
    from ..offline.build import check_language_model, corpus_hash, language_corpus, policy_config

    method, dataset = find_method(request.method), find_dataset(request.dataset)
    task = find_task(dataset.task)
    choose("precision", request.precision, PRECISIONS)
    choose("selection", request.selection, list(SELECTIONS))
    budget = changed(budget_for(request.profile, task.name, method.name), request.budget, "budget")
    _check_budget(budget)
    overrides = overrides_for(request.profile, task.name, method.name)
    language_model = request.lm or DEFAULT_LANGUAGE_MODEL[request.profile]
    if method.matched:
        overrides = overrides | model_shape(language_model)
    policy = changed(policy_config(method.name, overrides), request.settings, f"setting of {method.name}")
    policy = _with_corpus(policy, request)
    trajectories = load(dataset.name, request.source)
    legacy = check_legacy(request.legacy, task, method.name, discrete=trajectories.discrete)
    _check_actions(request, trajectories, task)
    lm = language_model if method.weights else ""
    check_language_model(policy, lm)
    config = RunConfig(
        dataset=dataset.name,
        task=task.name,
        source=trajectories.provenance.source,
        dataset_hash=trajectories.content_hash,
        fraction=1.0,
        data_seed=0,
        subset_hash="",
        episodes_in_subset=0,
        env_id=task.env_id,
        target_returns=list(task.target_returns if "best-target" in legacy else task.target_returns[:1]),
        method=method.name,
        lm=lm,
        lm_hash="",
        corpus_hash=corpus_hash(language_corpus(policy, lm)),
        profile=_named_profile(request),
        seed=0,
        precision=request.precision,
        **asdict(budget),
        policy=json.loads(json.dumps(asdict(policy))),  # as it will read in config.json: tuples become lists
        version=importlib.metadata.version("lamobench"),
        legacy=legacy,
        selection=request.selection,
        compiled=request.compiled,
        cached_context=request.cached_context,
        unit_actions=_unit_actions(trajectories, task, method.name),
    )
    return config, trajectories, files_hash(lm) if lm else ""


def _with_corpus(policy: Any, request: RunRequest) -> Any:
    """The settings, with the profile's corpus if English is read and none was named.

    Where none is read the field stays as it is: it says nothing of the run, whose id it is a part of.
    """
    if "corpus" in request.settings or not getattr(policy, "needs_english", False):
        return policy
    return replace(policy, corpus=DEFAULT_CORPUS[request.profile])


def _check_actions(request: RunRequest, trajectories: "Trajectories", task: "Task") -> None:
    """A `UserError` unless the method can learn from such actions and observations."""
    method, name = find_method(request.method), find_dataset(request.dataset).name
    if not method.plays(discrete=trajectories.discrete):
        able = ", ".join(other.name for other in METHODS.values() if other.plays(discrete=trajectories.discrete))
        kind = "discrete" if trajectories.discrete else "continuous"
        raise UserError(f"method '{method.name}' has no {kind} actions, but '{name}' has; choose from: {able}")
    if request.compiled and not method.compiles:
        raise UserError(f"steps of '{method.name}' differ from one to the next and can't be compiled; drop --compiled")
    check_cached_context(method.name, request.cached_context)
    if trajectories.observations.ndim > 2 and not task.frame_stack:
        shape = " x ".join(map(str, trajectories.observations.shape[1:]))
        raise UserError(f"no method learns from images of {shape}, as '{name}' has them; expected 84 x 84")


def _unit_actions(trajectories: "Trajectories", task: "Task", method: str) -> bool:
    """Whether a trajectory model is to map actions to [-1, 1] and back, which is the box of every catalog task.

    A `UserError` for imported data whose actions have no such form.
    """
    if task.env_options is None:
        return False
    from ...datasets.environments import space_of_actions

    space: Any = space_of_actions(trajectories, task)
    return method in SEQUENCE_METHODS and hasattr(space, "low") and not ((space.low == -1) & (space.high == 1)).all()


def check_cached_context(method: str, cached_context: bool) -> None:
    """A `UserError` if a method without a context is asked to keep it."""
    if cached_context and method not in SEQUENCE_METHODS:
        raise UserError(f"method '{method}' chooses from the newest step alone; drop --cached-context")


def _named_profile(request: RunRequest) -> str:
    """The profile's name, and whether anything of it was changed: such runs are rows of their own."""
    changes = [request.precision] if request.precision != "float32" else []
    changes += ["compiled"] if request.compiled else []
    changes += ["cached context"] if request.cached_context else []
    changes += ["changed"] if request.budget or request.settings else []
    changes += [f"legacy {name}" for name in FAULTS if name in request.legacy]
    return f"{request.profile} ({', '.join(changes)})" if changes else request.profile


def changed(config: Any, changes: dict[str, Any], kind: str) -> Any:
    """A copy of a config dataclass with some fields changed; `UserError` for a name or a value that does not fit.

    A value may be text, as the command line has it. What fits is what the field's type says (`baselines/fields.py`).
    """
    types = get_type_hints(type(config), include_extras=True)
    typed = {}
    for name, value in changes.items():
        field_type = types[choose(kind, name, list(types))]
        given = value if field_type is str else _parsed(value)
        try:
            typed[name] = _fitted(name, given, field_type)
        except TypeError:
            example = json.dumps(getattr(config, name))
            raise UserError(f"{value!r} is no value for {name}; give one like {example}") from None
    return replace(config, **typed)


def _parsed(value: Any) -> Any:
    """Text that is JSON as what it stands for; anything else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value


def _fitted(name: str, value: Any, field_type: Any) -> Any:
    """`value` as `field_type`; a `TypeError` if it is of another kind, a `UserError` if it is out of bounds."""
    match get_origin(field_type), get_args(field_type):
        case (origin, (inner, *rest)) if origin is Annotated:
            return _bounded(name, _fitted(name, value, inner), rest[0])
        case (origin, choices) if origin is Literal:
            return choose(name, str(value), list(choices))
        case (origin, kinds) if origin in (UnionType, Union):
            (inner,) = (kind for kind in kinds if kind is not NoneType)
            return None if value is None else _fitted(name, value, inner)
        case (origin, (inner, *_)) if origin is tuple and isinstance(value, list | tuple):
            return tuple(_fitted(name, part, inner) for part in value)
    if field_type is float and type(value) is int:
        value = float(value)
    if type(value) is not field_type or (field_type is float and not math.isfinite(value)):
        raise TypeError
    return value


def _bounded(name: str, value: Any, bounds: Bounds) -> Any:
    if not bounds.low <= value <= bounds.high:
        wanted = f"{bounds.low:g} or more" if bounds.high == math.inf else f"{bounds.low:g} to {bounds.high:g}"
        raise UserError(f"{name} is {value}; give {wanted}")
    return value


def _check_budget(budget: Budget) -> None:
    for name, value in vars(budget).items():
        if not 1 <= value <= MOST:
            raise UserError(f"{name} is {value}; give 1 to {MOST}")
    if budget.batch_size % budget.accumulation:
        raise UserError(f"batch_size {budget.batch_size} can't be computed in {budget.accumulation} equal parts")
    evaluations = budget.steps // budget.evaluate_every
    if budget.steps % budget.evaluate_every or evaluations < budget.headline_evaluations:
        raise UserError(
            f"steps {budget.steps} must be a multiple of evaluate_every {budget.evaluate_every}, with at least "
            f"headline_evaluations {budget.headline_evaluations} of them"
        )
