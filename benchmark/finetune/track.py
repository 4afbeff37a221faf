"""The fine-tuning track as the harness sees it: a `tracks.Work`, whose docstrings explain each function."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.tracks import Job, Note, Tell
from ..training import plain_track
from ..training.devices import choose_device
from ..training.plain_track import card, check_published, missing, train_each
from . import together
from .config import finetune_config
from .loop import Finetuning
from .resolve import resolve
from .watched import play

__all__ = ["card", "check_published", "draw", "groups", "missing", "play", "publish", "resolve", "train"]


def train(job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    """Train seeds in one pass, or one run after the other; networks are small, and a GPU is of no use to them."""
    choose_device(device)
    if len(job) > 1:
        return together.train_together([finetune_config(run) for run in job], root, tell, note)
    return train_each(map(finetune_config, job), root, tell, note, Finetuning)


def groups(runs: Sequence[RunConfig], device: str | None) -> Iterable[Job]:
    """Runs that differ in their seeds alone, and can share a pass."""
    return together.groups(map(finetune_config, runs))


def draw(config: RunConfig, observations: Array) -> Array:
    """Raise a `UserError`: nothing here draws these tasks."""
    raise UserError(f"nothing here draws '{config.task}'")


def publish(folder: Path, target: Path, config: RunConfig) -> None:
    """Write what any plain track does. A `UserError` for a policy that isn't in its checkpoint."""
    if config.method == "rewind":
        raise UserError("the weights of 'rewind' are chosen in each evaluation, and no checkpoint has them")
    plain_track.publish(folder, target, config)
