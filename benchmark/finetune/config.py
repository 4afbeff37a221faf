"""The configuration of a fine-tuning run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from ...baselines.fields import Bounds
from ...datasets.environments.staged_tasks import StagedTask, find_staged_task
from ...datasets.errors import UserError
from ..runs.changes import changed
from ..runs.config import Number, RunConfig

# Prefixes of settings in `policy` that are not the agent's own.
RETENTION = "retention"
ENVIRONMENT = "environment"
PRETRAINING = "pretraining"
CONTROL = "control"


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(RunConfig):
    """A run that learns online, from a policy pi* that knows a part of its task already.

    A step of training is a round: collecting `batch_size` environment steps, and learning from them.
    """

    track: ClassVar[str] = "finetune"
    later_settings: ClassVar[Mapping[str, Any]] = {
        "pretraining.seed": None,
        "pretraining.critic_warm_up": 0,
        "retention.heads": False,
    }
    per_seed: ClassVar[tuple[str, ...]] = ("seed", "pretraining_seed", "pretrained_hash", "data_hash")

    agent: str  # a name of `build.AGENTS`
    environments: Number  # side by side
    rollout_steps: Number  # most steps of each in a round
    pretraining_seed: Annotated[int, Bounds(0, 2**32 - 1)]
    pretrained_hash: str  # SHA-256 of the file that holds pi*; "" in a plan, where that was not made yet
    data_hash: str  # of the demonstrations that pi* was cloned from; "" where it learned by itself

    @property
    def episodes_each_time(self) -> float:
        """The episodes of an evaluation: of the whole task, and of each stage by itself."""
        return self.evaluation_episodes * (1 + len(self.staged_task.stages))

    @property
    def unmade(self) -> str:
        """The name of its pi*, if the run was planned without it."""
        return "" if self.pretrained_hash else f"pi* of {self.task}, seed {self.pretraining_seed}"

    @property
    def staged_task(self) -> StagedTask:
        """The task, with the run's options."""
        task = find_staged_task(self.task)
        given = self.settings_of(ENVIRONMENT)
        return task.with_options(changed(task.options, given, "setting of the environment"))


def finetune_config(config: RunConfig) -> FinetuneConfig:
    """The configuration; a `UserError` if it is of another track."""
    if not isinstance(config, FinetuneConfig):
        raise UserError(f"run {config.id} is of track '{config.track}'; this is for runs of track 'finetune'")
    return config
