"""An evaluation: episodes of a run's task, played by its policy as the run's configuration says."""

from collections.abc import Callable, Sequence
from typing import Any

from ...baselines.policy import Policy
from ...datasets.catalog import find_task
from ...datasets.environments.simulators import make_environment
from ..runs.episodes import Episode
from ..training.learner import autocast
from .config import OfflineConfig
from .faulty_data import evaluation_view
from .rollout import ENVIRONMENTS, rollout


def evaluate(
    policy: Policy,
    config: OfflineConfig,
    seeds: Sequence[int],
    target_returns: Sequence[float],
    *,
    step: int = 0,
    make: Callable[[], Any] | None = None,
    environments: int = ENVIRONMENTS,
) -> list[Episode]:
    """Play every (target, seed) pair once, in the run's precision, with its faults and its kind of context.

    `make` makes an environment, None: the task's own; at most `environments` of them step side by side (`rollout`).
    """
    task = find_task(config.task)
    with autocast(config, next(policy.parameters()).device):
        return rollout(
            policy,
            make or (lambda: make_environment(task)),
            seeds,
            target_returns,
            step=step,
            environments=environments,
            view=evaluation_view(policy.view, config.legacy),
            cached_context=config.cached_context,
        )
