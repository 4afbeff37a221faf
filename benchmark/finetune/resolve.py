"""Filling in every number of a fine-tuning run, from what a user asks for.

Resolving makes the policies pi* that are not there yet, since their hashes are part of a run's id.
"""

import importlib.metadata
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from ...baselines.online.retention import RETENTIONS
from ...baselines.online.sac import SAC
from ...datasets.environments.staged_tasks import find_staged_task
from ...datasets.environments.stages import StagedEnvironment
from ...datasets.errors import UserError, choose
from ..runs.changes import changed
from ..runs.config import MOST
from ..runs.methods import methods_of
from ..runs.tracks import Wanted
from .build import (
    AGENTS,
    build_agent,
    build_environment,
    build_retention,
    prefixed,
    pretraining_of,
    retention_name,
    spec_of,
)
from .config import CONTROL, ENVIRONMENT, PRETRAINING, RETENTION, FinetuneConfig
from .pretrained import pretrained
from .settings import SETTINGS, Budget, RecordedPretrainingConfig

PREFIXES = (RETENTION, ENVIRONMENT, PRETRAINING)
LONGEST = 1_000_000  # steps of an episode
MOST_COLLECTED = 1_000_000  # steps of a round
# The only form of the Fisher information that there is of continuous actions, and of a policy that remembers.
ESTIMATES = {"sac": "exact", "recurrent-ppo": "batch"}


def resolve(wanted: Wanted) -> list[FinetuneConfig]:
    """Every method with every seed, each with the policy pi* of that seed; a `UserError` for what does not fit."""
    task = find_staged_task(wanted.subject)
    choose("profile", wanted.profile, [SETTINGS[task.name].profile], "tasks in stages have one")
    if wanted.choices:
        raise UserError(f"'{task.name}' is no data set: it has no choice of {', '.join(sorted(wanted.choices))}")
    for seed in wanted.seeds:
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is out of range; give 0 to {2**32 - 1}")
    known = methods_for(task.name)
    runs = []
    for method in wanted.methods or known:
        choose(f"method of {task.name}", method, known)
        open_ended = _without_seed(wanted, method)
        own = pretraining_of(open_ended).seed
        for seed in wanted.seeds:
            begun = replace(open_ended, seed=seed, pretraining_seed=seed if own is None else own)
            found = pretrained(begun)
            runs.append(replace(begun, pretrained_hash=found.hash, data_hash=found.data_hash))
    return runs


def methods_for(task: str) -> list[str]:
    """The names of the methods in a table of the task: those that its agent has the parts for.

    Warming up needs a critic, and episodic memory a replay buffer.
    """
    agent = SETTINGS[task].agent
    lacking = {"warm-up"} if agent == "reinforce" else set()
    if agent != "sac":
        lacking |= {name for name in methods_of("finetune") if RETENTIONS[retention_name(name)].replay}
    if agent == "recurrent-ppo":
        lacking.add("rewind")  # which plays many games for each share that it tries
    return [name for name in methods_of("finetune") if name not in lacking]


def _without_seed(wanted: Wanted, method: str) -> FinetuneConfig:
    """A configuration in which the seed, and what follows from it, is still open."""
    task = find_staged_task(wanted.subject)
    settings = SETTINGS[wanted.subject]
    budget = changed(settings.budget, _budget(wanted, settings.budget), "budget")
    _check_budget(budget)
    given = _by_prefix(wanted.settings)
    agent = changed(AGENTS[settings.agent](), settings.policy, "setting")
    agent = changed(agent, given[""], f"setting of {settings.agent}")
    policy = asdict(agent)
    policy |= prefixed(ENVIRONMENT, changed(task.options, given[ENVIRONMENT], "setting of the environment"))
    policy |= prefixed(PRETRAINING, changed(settings.pretraining, given[PRETRAINING], "setting of pre-training"))
    config = FinetuneConfig(
        task=task.name,
        method=method,
        profile=f"{wanted.profile} (changed)" if wanted.budget or wanted.settings or wanted.steps else wanted.profile,
        seed=0,
        precision="float32",
        **_counts(budget),
        headline_evaluations=budget.steps // budget.evaluate_every + 1,  # the area under all of them
        policy={},
        version=importlib.metadata.version("lamobench"),
        agent=settings.agent,
        pretraining_seed=0,
        pretrained_hash="",
        data_hash="",
    )
    retention = build_retention(replace(config, policy=prefixed_values(RETENTION, settings.retention.get(method, {}))))
    own = changed(retention.config, given[RETENTION], f"setting of {method}")
    policy |= prefixed(RETENTION, own)
    if method == "warm-up":
        policy[f"{CONTROL}.rounds"] = round(settings.warm_up * budget.steps)
    config = replace(config, policy=json.loads(json.dumps(policy)))  # as it will read in config.json
    environment = build_environment(config)  # whatever does not fit is found here
    built = build_agent(config, spec_of(environment), 0)
    if isinstance(built, SAC):
        _check_room(config, built.config.capacity)
    _check_length(environment)
    _check_parts(config)
    return config


def _check_length(environment: StagedEnvironment) -> None:
    """Refuse episodes whose steps would not fit into memory."""
    if environment.longest > LONGEST:
        raise UserError(
            f"an episode may have {environment.longest} steps; give a smaller environment.horizon: {LONGEST} steps in "
            "all stages together are the most"
        )


def _check_parts(config: FinetuneConfig) -> None:
    """Refuse ways to make pi*, and to retain it, that are not for the agent: they would fail after minutes or hours."""
    pretraining = pretraining_of(config)
    if isinstance(pretraining, RecordedPretrainingConfig) and not pretraining.noise:
        raise UserError("pretraining.noise is empty; give a strength or more, e.g. [0.0, 0.1, 0.2]")
    if pretraining.kind == "learning" and config.agent != "reinforce":
        raise UserError(f"pretraining.kind is 'learning', and {config.agent} has only been cloned; give cloning")
    estimate = config.settings_of(RETENTION).get("estimate")
    wanted = ESTIMATES.get(config.agent, estimate)
    if estimate != wanted and estimate is not None:
        raise UserError(f"retention.estimate is '{estimate}', which {config.agent} does not have; give {wanted}")


def _check_room(config: FinetuneConfig, capacity: int) -> None:
    """Refuse a replay buffer without room for a step of each environment beside what it keeps for good."""
    share = float(config.settings_of(RETENTION).get("share", 0.0))
    if capacity - int(share * capacity) < config.environments:
        raise UserError(
            f"a replay buffer of {capacity} steps, {share:g} of it memory, has no room for those of "
            f"{config.environments} environments; give a larger capacity or a smaller retention.share"
        )


def prefixed_values(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, their names behind "PREFIX."."""
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _by_prefix(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by prefix, "" for the agent; a `UserError` for a prefix that does not exist."""
    found: dict[str, dict[str, Any]] = {"": {}, **{prefix: {} for prefix in PREFIXES}}
    for name, value in settings.items():
        prefix, dot, rest = name.rpartition(".")
        if dot:
            choose("kind of setting", prefix, list(PREFIXES), "settings of the agent have no prefix")
        found[prefix][rest] = value
    return found


def _budget(wanted: Wanted, budget: Budget) -> dict[str, Any]:
    """The fields of the budget that were asked for; other steps have as many evaluations."""
    if not wanted.steps:
        return dict(wanted.budget)
    evaluations = budget.steps // budget.evaluate_every
    if wanted.steps < 1 or wanted.steps % evaluations:
        raise UserError(
            f"--steps {wanted.steps} can't be spread over {evaluations} evaluations; give a multiple of {evaluations}, "
            "or --budget steps=... with --budget evaluate_every=..."
        )
    return {"steps": wanted.steps, "evaluate_every": wanted.steps // evaluations} | dict(wanted.budget)


def _check_budget(budget: Budget) -> None:
    for name, value in vars(budget).items():
        if not 1 <= value <= MOST:
            raise UserError(f"{name} is {value}; give 1 to {MOST}")
    if (collected := budget.environments * budget.rollout_steps) > MOST_COLLECTED:
        raise UserError(
            f"{budget.environments} environments and rollout_steps {budget.rollout_steps} make rounds of {collected} "
            f"steps; give at most {MOST_COLLECTED} together"
        )
    if budget.steps % budget.evaluate_every:
        raise UserError(f"steps {budget.steps} must be a multiple of evaluate_every {budget.evaluate_every}")


def _counts(budget: Budget) -> dict[str, Any]:
    """The fields of the configuration that the budget has, and the environment steps of a round."""
    return asdict(budget) | {"batch_size": budget.environments * budget.rollout_steps}
