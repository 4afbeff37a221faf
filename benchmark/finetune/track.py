"""The fine-tuning track as the harness sees it: a `tracks.Work`, whose docstrings explain each function."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.methods import look_up
from ..runs.records import read_config
from ..runs.tracks import Job, Note, Tell
from ..training.devices import choose_device
from ..training.life import opened
from .config import FinetuneConfig, finetune_config
from .loop import Finetuning
from .resolve import resolve
from .watched import play

__all__ = ["card", "check_published", "draw", "groups", "missing", "play", "publish", "resolve", "train"]


def train(job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    """Train one run after the other; networks are small, and a GPU is of no use to them."""
    choose_device(device)
    failed = {}
    for run in job:
        config = finetune_config(run)

        def make(folder: Path, config: FinetuneConfig = config) -> Finetuning:
            return Finetuning(config, folder, lambda done, total: tell(config.id, done, total))

        try:
            with opened(config, root, make, True, note) as training:
                if training is not None:
                    training.live()
        except UserError as error:
            failed[run.id] = str(error)
    return failed


def groups(runs: Sequence[RunConfig], device: str | None) -> Iterable[Job]:
    """A job for each run."""
    return [(run,) for run in runs]


def draw(config: RunConfig, observations: Array) -> Array:
    """Raise a `UserError`: nothing here draws these tasks."""
    raise UserError(f"nothing here draws '{config.task}'")


def publish(folder: Path, target: Path, config: RunConfig) -> None:
    """Write nothing: the checkpoint is all that the policy needs. A `UserError` for a policy that isn't in it."""
    if config.method == "rewind":
        raise UserError("the weights of 'rewind' are chosen in each evaluation, and no checkpoint has them")


def check_published(folder: Path, config: RunConfig) -> None:
    """Refuse nothing."""


def missing(config: RunConfig) -> str:
    """Name nothing: a policy needs nothing else."""
    return ""


def card(folder: Path, repository: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    """A few lines: what the run is, and how to get it."""
    config = read_config(folder)
    title = f"{look_up(config.method).title} on {config.task}, seed {config.seed}"
    return f"# {repository}\n\n{title}: the policy of run `{folder.name}`.\n\n    lamobench hub pull {repository}\n"
