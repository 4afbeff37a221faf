"""Build policies that are ready to train from configurations: the one place that knows every method's class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...baselines.policy import Policy, Spec
from ...datasets.catalog import find_task, load
from ...datasets.environments.simulators import make_environment
from ...datasets.errors import UserError
from ...datasets.fractions import SELECTIONS, Subset
from ...datasets.trajectories import Array
from ...datasets.windows import View, reward_rates
from ..runs.changes import changed
from ..runs.methods import METHODS
from ..runs.plugins import imported
from .config import OfflineConfig
from .faulty_data import faulty_subset, training_view
from .faulty_policy import faulty_policy


def config_class_of(method: str) -> type[Any]:
    """The dataclass of a method's settings."""
    found: type[Any] = imported(METHODS[method].config)
    return found


def policy_config(method: str, overrides: dict[str, Any]) -> Any:
    """The method's config dataclass with some fields changed."""
    config_class = config_class_of(method)
    return changed(config_class(), overrides, f"setting of {method}")


def drawn_subset(config: OfflineConfig) -> Subset:
    """The episodes that were drawn for a run from the data at hand."""
    return SELECTIONS[config.selection](load(config.dataset, config.source), config.fraction, config.data_seed)


def training_subset(config: OfflineConfig) -> Subset:
    """The episodes a run trains on; a `UserError` if the data at hand is no longer what the run was configured for."""
    subset = faulty_subset(drawn_subset(config), find_task(config.task), config.legacy)
    if subset.hash != config.subset_hash:
        raise UserError(
            f"data set '{config.dataset}' ({config.source}) has changed since this run was configured; "
            "start the run anew, or bring the former data back"
        )
    return subset


@dataclass(frozen=True)
class DataFacts:
    """The facts of its training data that a policy needs to be built again without them."""

    observation_mean: Array  # (S,) over the training subset; (0,) where observations are images
    observation_std: Array  # (S,)
    horizon: int  # most steps an episode can have: demonstrations may run over the task's limit
    reward_rates: tuple[float, float]  # of `windows.reward_rates`
    background: float = 0.0  # of images: the commonest grey


def data_facts(config: OfflineConfig, subset: Subset) -> DataFacts:
    """The facts of its training subset that the policy of a run needs."""
    task = find_task(config.task)
    view = _view(config)
    nothing = np.zeros(0, np.float32)
    mean, std = (nothing, nothing) if task.frame_stack else subset.observation_moments()
    horizon = max(task.horizon, int(subset.trajectories.lengths.max()) + view.padding_steps)
    rates = reward_rates(subset, horizon, view)
    return DataFacts(mean, std, horizon, rates, subset.background() if task.frame_stack else 0.0)


def make_spec(config: OfflineConfig, facts: DataFacts) -> Spec:
    """The facts of task and data that the policy needs."""
    task = find_task(config.task)
    environment = make_environment(task)
    space: Any = environment.action_space
    environment.close()
    discrete = hasattr(space, "n")
    nothing = np.zeros(0, np.float32)
    return Spec(
        observation_dim=len(facts.observation_mean),
        action_dim=int(space.n) if discrete else len(space.low),
        action_low=nothing if discrete else space.low,
        action_high=nothing if discrete else space.high,
        observation_mean=facts.observation_mean,
        observation_std=facts.observation_std,
        horizon=facts.horizon,
        return_scale=task.return_scale,
        discrete=discrete,
        unit_actions=config.unit_actions,
        view=_view(config),
        sub_goals=task.sub_goals,
        background=facts.background,
        reward_rates=facts.reward_rates,
    )


def _view(config: OfflineConfig) -> View:
    """The view of the task's steps in the run's training."""
    task = find_task(config.task)
    return training_view(View(task.frame_stack, task.clip_rewards), config.legacy)


def build_policy(config: OfflineConfig, subset: Subset, device: torch.device) -> Policy:
    """A freshly initialised policy; PyTorch's generator is seeded with the run's seed first."""
    return _build(config, data_facts(config, subset), device, plays_only=False)


def build_player(config: OfflineConfig, facts: DataFacts, device: torch.device) -> Policy:
    """The same, from what is known of the data and without English: a policy that can play, but not learn."""
    return _build(config, facts, device, plays_only=True)


def _build(config: OfflineConfig, facts: DataFacts, device: torch.device, *, plays_only: bool) -> Policy:
    torch.manual_seed(config.seed)
    spec = make_spec(config, facts)
    settings = policy_config(config.method, config.policy)
    if METHODS[config.method].weights:
        from .language import build_lamo  # Transformers take seconds to import, and most methods need none

        policy: Policy = build_lamo(config, settings, spec, device, plays_only=plays_only)
    else:
        policy = imported(METHODS[config.method].policy)(settings, spec)
    return faulty_policy(policy, config.legacy).to(device)
