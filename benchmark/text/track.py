"""The text track as the harness sees it: `tracks.Work`, whose docstrings say what each function has to do."""

from pathlib import Path

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.methods import look_up
from ..runs.tracks import Job, Note, Tell
from ..training.devices import choose_device
from ..training.plain_track import card, check_published, groups, publish, train_each
from .build import encoder_hash
from .config import text_config
from .loop import make_life
from .resolve import resolve
from .watched import play

__all__ = ["card", "check_published", "draw", "groups", "missing", "play", "publish", "resolve", "train"]


def train(job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    """Train one run after the other, on the processor: what is trained is small, or read a sentence at a time."""
    choose_device(device)
    return train_each(map(text_config, job), root, tell, note, make_life)


def draw(config: RunConfig, observations: Array) -> Array:
    """Raise a `UserError`: nothing here draws words."""
    raise UserError(f"'{config.task}' is made of words, and nothing here draws them")


def missing(config: RunConfig) -> str:
    """Name the language model, or word vectors, that a policy reads with and that are not here."""
    known = text_config(config)
    try:
        encoder_hash(known.encoder, known.lm, look_up(known.method).weights, known.seed)
    except UserError as error:
        return str(error)
    return ""
