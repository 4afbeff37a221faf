"""Filling in every number of a fine-tuning run, from what a user asks for.

Resolving makes the policies pi* that are not there yet, since their hashes are part of a run's id. A plan makes none.
"""

import importlib.metadata
import json
from dataclasses import asdict, replace
from typing import Any

from ...baselines.online.retention import RETENTIONS
from ...baselines.online.sac import SAC
from ...datasets.environments.staged_tasks import find_staged_task
from ...datasets.errors import UserError, choose
from ..runs.changes import changed
from ..runs.methods import methods_of
from ..runs.requests import asked_budget, by_prefix, check_wanted, named_profile, prefixed
from ..runs.tracks import Wanted
from .build import AGENTS, build_agent, build_environment, build_retention, pretraining_of, retention_name, spec_of
from .config import CONTROL, ENVIRONMENT, PRETRAINING, RETENTION, FinetuneConfig
from .pretrained import path_of, pretrained
from .settings import SETTINGS, Budget, PretrainingConfig, RecordedPretrainingConfig

LONGEST = 1_000_000  # steps of an episode
MOST_COLLECTED = 1_000_000  # steps of a round, or of an expert
# The only form of the Fisher information that there is of continuous actions, and of a policy that remembers.
ESTIMATES = {"sac": "exact", "recurrent-ppo": "batch"}


def resolve(wanted: Wanted) -> list[FinetuneConfig]:
    """Every method with every seed, each with the policy pi* of that seed; a `UserError` for what does not fit."""
    task = find_staged_task(wanted.subject)
    choose("profile", wanted.profile, [SETTINGS[task.name].profile], "tasks in stages have one")
    check_wanted(wanted)
    known = methods_for(task.name)
    runs = []
    for method in wanted.methods or known:
        choose(f"method of {task.name}", method, known)
        open_ended = _without_seed(wanted, method)
        own = pretraining_of(open_ended).seed
        for seed in wanted.seeds:
            begun = replace(open_ended, seed=seed, pretraining_seed=seed if own is None else own)
            runs.append(begun if wanted.plan and not path_of(begun).exists() else _with_pretrained(begun))
    return runs


def _with_pretrained(begun: FinetuneConfig) -> FinetuneConfig:
    """The configuration with the hashes of its pi*, which is made if it is not there yet."""
    found = pretrained(begun)
    return replace(begun, pretrained_hash=found.hash, data_hash=found.data_hash)


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
    budget = asked_budget(wanted, settings.budget)
    _check_round(budget)
    given = by_prefix(wanted.settings, (RETENTION, ENVIRONMENT, PRETRAINING))
    agent = changed(AGENTS[settings.agent](), settings.policy, "setting")
    agent = changed(agent, given[""], f"setting of {settings.agent}")
    policy = asdict(agent)
    environment = changed(task.options, given[ENVIRONMENT], "setting of the environment")
    pretraining = changed(settings.pretraining, given[PRETRAINING], "setting of pre-training")
    policy |= prefixed(ENVIRONMENT, asdict(environment)) | prefixed(PRETRAINING, asdict(pretraining))
    config = FinetuneConfig(
        task=task.name,
        method=method,
        profile=named_profile(wanted),
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
    retention = build_retention(replace(config, policy=prefixed(RETENTION, settings.retention.get(method, {}))))
    own = changed(retention.config, given[RETENTION], f"setting of {method}")
    policy |= prefixed(RETENTION, asdict(own))
    if method == "warm-up":
        policy[f"{CONTROL}.rounds"] = round(settings.warm_up * budget.steps)
    config = replace(config, policy=json.loads(json.dumps(policy)))  # as it will read in config.json
    _check_fit(config)
    return config


def _check_fit(config: FinetuneConfig) -> None:
    """Refuse settings that do not fit together before pi* is made, which may take hours."""
    environment = build_environment(config)
    agent = build_agent(config, spec_of(environment), 0)
    if isinstance(agent, SAC):
        _check_room(config, agent.config.capacity)
    if environment.longest > LONGEST:
        raise UserError(
            f"an episode may have {environment.longest} steps; give a smaller environment.horizon: {LONGEST} steps in "
            "all stages together are the most"
        )
    _check_parts(config)


def _check_parts(config: FinetuneConfig) -> None:
    """Refuse ways to make pi*, and to retain it, that are not for the agent."""
    pretraining = pretraining_of(config)
    if isinstance(pretraining, RecordedPretrainingConfig) and not pretraining.noise:
        raise UserError("pretraining.noise is empty; give a strength or more, e.g. [0.0, 0.1, 0.2]")
    if isinstance(pretraining, PretrainingConfig):
        _check_cloning(pretraining, config.agent)
    if pretraining.kind == "learning" and config.agent != "reinforce":
        raise UserError(f"pretraining.kind is 'learning', and {config.agent} has only been cloned; give cloning")
    estimate = config.settings_of(RETENTION).get("estimate")
    wanted = ESTIMATES.get(config.agent, estimate)
    if estimate != wanted and estimate is not None:
        raise UserError(f"retention.estimate is '{estimate}', which {config.agent} does not have; give {wanted}")


def _check_cloning(pretraining: PretrainingConfig, agent: str) -> None:
    """Refuse a critic's warm-up where there is no critic, and more of an expert's steps than fit into memory."""
    if pretraining.critic_warm_up and agent == "reinforce":
        raise UserError(
            f"pretraining.critic_warm_up is {pretraining.critic_warm_up}, and {agent} has no critic; leave it out"
        )
    if pretraining.transitions > MOST_COLLECTED:
        raise UserError(f"pretraining.transitions is {pretraining.transitions}; give at most {MOST_COLLECTED}")


def _check_room(config: FinetuneConfig, capacity: int) -> None:
    """Refuse a replay buffer without room for a step of each environment beside what it keeps for good."""
    share = float(config.settings_of(RETENTION).get("share", 0.0))
    if capacity - int(share * capacity) < config.environments:
        raise UserError(
            f"a replay buffer of {capacity} steps, {share:g} of it memory, has no room for those of "
            f"{config.environments} environments; give a larger capacity or a smaller retention.share"
        )


def _check_round(budget: Budget) -> None:
    """Refuse rounds whose steps would not fit into memory."""
    if (collected := budget.environments * budget.rollout_steps) > MOST_COLLECTED:
        raise UserError(
            f"{budget.environments} environments and rollout_steps {budget.rollout_steps} make rounds of {collected} "
            f"steps; give at most {MOST_COLLECTED} together"
        )


def _counts(budget: Budget) -> dict[str, Any]:
    """The fields of the configuration that the budget has, and the environment steps of a round."""
    return asdict(budget) | {"batch_size": budget.environments * budget.rollout_steps}
