"""Turn what a user asks for into every number of an offline run.

Resolving opens the data set, so that the content that a run will train on is part of its id.
"""

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from typing import Any

from ...datasets.catalog import find_dataset, find_task, load
from ...datasets.errors import UserError, choose
from ...datasets.fractions import SELECTIONS
from ...datasets.tasks import Task
from ...datasets.trajectories import Trajectories
from ..runs.changes import changed
from ..runs.config import PRECISIONS
from ..runs.method import Method
from ..runs.methods import METHODS, find_method, methods_of
from ..runs.requests import check_counts, check_seeds, spread
from .config import OfflineConfig
from .faults import FAULTS, check_legacy
from .hyperparameters import DEFAULT_CORPUS, DEFAULT_LANGUAGE_MODEL, budget_for, overrides_for
from .settings import SEQUENCE_METHODS, Budget


@dataclass(frozen=True)
class RunRequest:
    """A user's request; empty values mean the profile's choice."""

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


def grid(request: RunRequest, fractions: Sequence[float], seeds: Sequence[int]) -> list[OfflineConfig]:
    """One method at every combination of fractions and seeds, resolved."""
    return resolve_each(request, list(product(fractions, seeds)))


def shorter_budget(data: str, method: str, profile: str, steps: int) -> dict[str, int]:
    """The budget's fields for other optimiser steps: the profile's evaluations are spread over them."""
    budget = budget_for(profile, find_dataset(data).task, method)
    return spread(steps, budget.steps // budget.evaluate_every, method)


def resolve(request: RunRequest) -> OfflineConfig:
    """Fill in what the profile, the catalog and the data decide; a `UserError` names whatever does not fit."""
    return resolve_each(request, [(request.fraction, request.seed)])[0]


def resolve_each(request: RunRequest, choices: Sequence[tuple[float, int]]) -> list[OfflineConfig]:
    """`resolve` for each of several (fraction, seed). What they share is looked up once: ten thousand take a second."""
    from .faulty_data import faulty_subset  # PyTorch, only once a run is really asked for

    check_seeds([seed for _, seed in choices])
    shared, trajectories, lm_files = _shared(request)
    task = find_task(shared.task)
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
            "lm_hash": _control_hash(lm_files, shared.method, seed) if lm_files else "",
            "seed": seed,
        }
        runs.append(replace(shared, **own))
    return runs


def _shared(request: RunRequest) -> tuple[OfflineConfig, "Trajectories", str]:
    """The part that doesn't depend on fraction and seed: a config that leaves them open, data, the model's hash."""
    method = find_method(request.method)
    dataset = find_dataset(request.dataset)
    task = find_task(dataset.task)
    _check_track(method, dataset.name)
    choose("precision", request.precision, PRECISIONS)
    choose("selection", request.selection, list(SELECTIONS))
    budget = changed(budget_for(request.profile, task.name, method.name), request.budget, "budget")
    _check_budget(budget)
    language_model = request.lm or DEFAULT_LANGUAGE_MODEL[request.profile]
    policy = _policy(request, method, task, language_model)
    trajectories = load(dataset.name, request.source)
    legacy = check_legacy(request.legacy, task, method.name, discrete=trajectories.discrete)
    _check_actions(request, trajectories, task)
    lm = language_model if method.weights else ""
    lm_files, english = _language_hashes(policy, lm, legacy) if lm else ("", "")
    config = OfflineConfig(
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
        corpus_hash=english,
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
    return config, trajectories, lm_files


def _language_hashes(policy: Any, lm: str, legacy: Sequence[str]) -> tuple[str, str]:
    """The hashes of a language model's files and of the English that is read; a `UserError` if they can't be had."""
    from ..lm.checkpoints import files_hash  # Transformers, which take seconds to import
    from .language import check_language_model, corpus_hash, language_corpus

    check_language_model(policy, lm, legacy)
    return files_hash(lm), corpus_hash(language_corpus(policy, lm))


def _control_hash(lm_files: str, method: str, seed: int) -> str:
    from ..lm.checkpoints import control_hash

    return control_hash(lm_files, METHODS[method].weights, seed)


def _model_shape(language_model: str) -> dict[str, Any]:
    from ..lm.checkpoints import model_shape

    return model_shape(language_model)


def _check_track(method: Method, dataset: str) -> None:
    """Raise a `UserError` unless the method learns from data sets."""
    if method.track != OfflineConfig.track:
        raise UserError(
            f"method '{method.name}' is of track '{method.track}', and '{dataset}' is a data set; choose from: "
            f"{', '.join(methods_of(OfflineConfig.track))}"
        )


def _policy(request: RunRequest, method: Method, task: Task, language_model: str) -> Any:
    """The settings of the method: its own, the profile's, those that were asked for."""
    from .build import policy_config

    overrides = overrides_for(request.profile, task.name, method.name)
    if method.matched:
        overrides = overrides | _model_shape(language_model)
    given = changed(policy_config(method.name, overrides), request.settings, f"setting of {method.name}")
    return _with_corpus(given, request)


def _with_corpus(policy: Any, request: RunRequest) -> Any:
    """The settings, with the profile's corpus if English is read and none was named.

    Where none is read the field stays as it is: it says nothing of the run, whose id it is a part of.
    """
    if "corpus" in request.settings or not getattr(policy, "needs_english", False):
        return policy
    return replace(policy, corpus=DEFAULT_CORPUS[request.profile])


def _check_actions(request: RunRequest, trajectories: "Trajectories", task: "Task") -> None:
    """Raise a `UserError` unless the method can learn from such actions and observations."""
    method = find_method(request.method)
    name = find_dataset(request.dataset).name
    if not method.plays(discrete=trajectories.discrete):
        able = ", ".join(o for o in methods_of(method.track) if METHODS[o].plays(discrete=trajectories.discrete))
        kind = "discrete" if trajectories.discrete else "continuous"
        raise UserError(f"method '{method.name}' has no {kind} actions, but '{name}' has; choose from: {able}")
    if request.compiled and not method.compiles:
        raise UserError(f"steps of '{method.name}' differ from one to the next and can't be compiled; drop --compiled")
    check_cached_context(method.name, request.cached_context)
    if trajectories.observations.ndim > 2 and not task.frame_stack:
        shape = " x ".join(map(str, trajectories.observations.shape[1:]))
        raise UserError(f"no method learns from images of {shape}, as '{name}' has them; expected 84 x 84")


def _unit_actions(trajectories: "Trajectories", task: "Task", method: str) -> bool:
    """Check whether a trajectory model is to map actions to [-1, 1] and back, which is the box of every catalog task.

    A `UserError` for imported data whose actions have no such form.
    """
    if task.env_options is None:
        return False
    from ...datasets.environments.simulators import space_of_actions

    space: Any = space_of_actions(trajectories, task)
    return method in SEQUENCE_METHODS and hasattr(space, "low") and not ((space.low == -1) & (space.high == 1)).all()


def check_cached_context(method: str, cached_context: bool) -> None:
    """Raise a `UserError` if a method without a context is asked to keep it."""
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


def _check_budget(budget: Budget) -> None:
    check_counts(budget)
    if budget.batch_size % budget.accumulation:
        raise UserError(f"batch_size {budget.batch_size} can't be computed in {budget.accumulation} equal parts")
    evaluations = budget.steps // budget.evaluate_every
    if budget.steps % budget.evaluate_every or evaluations < budget.headline_evaluations:
        raise UserError(
            f"steps {budget.steps} must be a multiple of evaluate_every {budget.evaluate_every}, with at least "
            f"headline_evaluations {budget.headline_evaluations} of them"
        )
