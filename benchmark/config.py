"""A run's configuration: from what a user asks for to every number that defines the run, and its id.

Resolving opens the data set, so that the content it will train on is part of the id: a run can be told from another by
its folder's name alone, and nothing that changes results can change unseen.
"""

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ..datasets.catalog import find_dataset, find_task, load
from ..datasets.errors import UserError, choose
from ..datasets.fractions import take_fraction
from .hyperparameters import DEFAULT_LANGUAGE_MODEL, Budget, budget_for, overrides_for
from .methods import find_method

PRECISIONS = ["float32", "bfloat16"]


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
    profile: str = "cpu"
    lm: str = ""  # language model of the LaMo family: a name or a folder
    precision: str = "float32"  # of matrix products: "float32", or "bfloat16" autocast
    budget: dict[str, Any] = field(default_factory=dict)  # fields of Budget to change, e.g. {"steps": 100}
    settings: dict[str, Any] = field(default_factory=dict)  # fields of the method's config to change


@dataclass(frozen=True)
class RunConfig:
    """Every number that defines a run; `config.json` in its folder."""

    dataset: str
    task: str
    source: str
    dataset_hash: str
    fraction: float
    data_seed: int
    subset_hash: str
    episodes_in_subset: int
    env_id: str
    target_returns: list[float]  # the first is ranked
    method: str
    lm: str
    lm_hash: str
    profile: str
    seed: int
    precision: str
    steps: int
    batch_size: int
    evaluate_every: int
    evaluation_episodes: int
    headline_evaluations: int
    policy: dict[str, Any]  # the method's config
    version: str  # of lamobench

    @property
    def id(self) -> str:
        """A readable name that ends in a hash of the whole configuration."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.dataset}-{self.fraction:g}-{self.method}-s{self.seed}-{digest[:10]}"


def resolve(request: RunRequest) -> RunConfig:
    """Fill in what the profile, the catalog and the data decide; a `UserError` names whatever does not fit."""
    from .build import policy_config  # torch, only once a run is really asked for
    from .language_models import model_hash

    method, dataset = find_method(request.method), find_dataset(request.dataset)
    task = find_task(dataset.task)
    choose("precision", request.precision, PRECISIONS)
    if request.seed < 0:
        raise UserError(f"seed {request.seed} is negative; give 0 or more")
    data_seed = request.seed if request.data_seed is None else request.data_seed
    budget = changed(budget_for(request.profile, task.name, method.name), request.budget, "budget")
    _check_budget(budget)
    overrides = overrides_for(request.profile, task.name, method.name)
    policy = changed(policy_config(method.name, overrides), request.settings, f"setting of {method.name}")
    trajectories = load(dataset.name, request.source)
    subset = take_fraction(trajectories, request.fraction, data_seed)
    lm = (request.lm or DEFAULT_LANGUAGE_MODEL[request.profile]) if method.weights else ""
    return RunConfig(
        dataset=dataset.name,
        task=task.name,
        source=trajectories.provenance.source,
        dataset_hash=trajectories.content_hash,
        fraction=float(request.fraction),
        data_seed=data_seed,
        subset_hash=subset.hash,
        episodes_in_subset=len(subset.episodes),
        env_id=task.env_id,
        target_returns=list(task.target_returns[:1]),
        method=method.name,
        lm=lm,
        lm_hash=model_hash(lm, method.weights, request.seed) if lm else "",
        profile=request.profile,
        seed=request.seed,
        precision=request.precision,
        **asdict(budget),
        policy=json.loads(json.dumps(asdict(policy))),  # as it will read in config.json: tuples become lists
        version=importlib.metadata.version("lamobench"),
    )


def changed(config: Any, changes: dict[str, Any], kind: str) -> Any:
    """A copy of a config dataclass with some fields changed; values become the type of the field they replace."""
    names = [f.name for f in fields(config)]
    typed = {choose(kind, name, names): _convert(name, value, getattr(config, name)) for name, value in changes.items()}
    return replace(config, **typed)


def _convert(name: str, value: Any, current: Any) -> Any:
    if isinstance(value, str) and not isinstance(current, str):
        try:
            value = json.loads(value)
        except json.JSONDecodeError:
            raise UserError(f"'{value}' is no value for {name}; give one like {json.dumps(current)}") from None
    if isinstance(current, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(current, float) and type(value) is int:
        return float(value)
    if current is not None and type(value) is not type(current):
        raise UserError(f"{value!r} is no value for {name}; give one like {json.dumps(current)}")
    return value


def _check_budget(budget: Budget) -> None:
    for name, value in vars(budget).items():
        if value < 1:
            raise UserError(f"{name} is {value}; give 1 or more")
    evaluations = budget.steps // budget.evaluate_every
    if budget.steps % budget.evaluate_every or evaluations < budget.headline_evaluations:
        raise UserError(
            f"steps {budget.steps} must be a multiple of evaluate_every {budget.evaluate_every}, with at least "
            f"headline_evaluations {budget.headline_evaluations} of them"
        )
