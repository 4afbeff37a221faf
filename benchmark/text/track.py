"""The text track as the harness sees it: `tracks.Work`, whose docstrings say what each function has to do."""

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
from .build import encoder_hash
from .config import text_config
from .loop import Playing, make_life
from .resolve import resolve
from .watched import play

__all__ = ["card", "check_published", "draw", "groups", "missing", "play", "publish", "resolve", "train"]


def train(job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    """Train one run after the other, on the processor: what is trained is small, or read a sentence at a time."""
    choose_device(device)
    failed = {}
    for run in job:
        config = text_config(run)

        def make(folder: Path, run: RunConfig = run) -> Playing:
            return make_life(text_config(run), folder, lambda done, total: tell(run.id, done, total))

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
    """Raise a `UserError`: nothing here draws words."""
    raise UserError(f"'{config.task}' is made of words, and nothing here draws them")


def publish(folder: Path, target: Path, config: RunConfig) -> None:
    """Write nothing: the checkpoint has all that was trained."""


def check_published(folder: Path, config: RunConfig) -> None:
    """Refuse nothing."""


def missing(config: RunConfig) -> str:
    """Name the language model, or word vectors, that a policy reads with and that are not here."""
    known = text_config(config)
    try:
        encoder_hash(known.encoder, known.lm, look_up(known.method).weights, known.seed)
    except UserError as error:
        return str(error)
    return ""


def card(folder: Path, repository: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    """A few lines: what the run is, and how to get it."""
    config = read_config(folder)
    title = f"{look_up(config.method).title} on {config.task}, seed {config.seed}"
    return f"# {repository}\n\n{title}: the policy of run `{folder.name}`.\n\n    lamobench hub pull {repository}\n"
