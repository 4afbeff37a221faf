"""A rewind curve: the score, and what is left of language, as a language model's updates are scaled from 0 to 1.

`lamobench rewind` measures it on a finished run, without training (`offline/rewind.py`), and keeps it beside the run.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from ...baselines.fields import Bounds, Count
from ...datasets.errors import UserError
from ...datasets.storage import write_json
from ...datasets.trajectories import Array
from ..runs.kinds import checked
from ..runs.layout import REWIND
from ..runs.records import read_object

MOST_POINTS = 101
Loss = Annotated[float, Bounds(0.0, 1e6)]
POINT_KINDS: dict[str, Any] = {
    "alpha": Annotated[float, Bounds(0.0, 1.0)],
    "score": float,
    "nats_per_token": Loss,
    "bits_per_byte": Loss,
}
KINDS: dict[str, Any] = {
    **dict.fromkeys(("text", "text_sha256"), str),
    **dict.fromkeys(("bytes", "tokens", "episodes"), Count),
    "seed": int,
    "target_return": float,
    **dict.fromkeys(("nats_before", "bits_before"), Loss),
    "points": list[Any],
}


@dataclass(frozen=True)
class Point:
    """A language model whose updates are scaled by `alpha`, with everything else as trained."""

    alpha: float
    score: float  # mean over episodes
    nats_per_token: float  # cross entropy on the text
    bits_per_byte: float


@dataclass(frozen=True)
class Rewind:
    """The curve of one run."""

    text: str  # the name of what cross entropy is measured on
    text_sha256: str
    bytes: int
    tokens: int
    episodes: int  # played at each point, from the same starts
    seed: int  # of the starts
    target_return: float
    nats_before: float  # of the language model before anything was added to it or trained
    bits_before: float
    points: tuple[Point, ...]  # by alpha

    @property
    def alphas(self) -> Array:
        """The alpha (P,) of each point."""
        return self._values("alpha")

    @property
    def scores(self) -> Array:
        """The score (P,) at each point."""
        return self._values("score")

    @property
    def nats_change(self) -> Array:
        """Cross entropy (P,) in nats a token, less that before training; above 0 language was forgotten."""
        return self._values("nats_per_token") - self.nats_before

    @property
    def bits_change(self) -> Array:
        """The same change (P,) in bits a byte, which compares models with different tokenizers."""
        return self._values("bits_per_byte") - self.bits_before

    def area(self, values: Array) -> float:
        """The area under `values` (P,) over alpha by the trapezoidal rule, divided by its range: their mean level."""
        return float(np.trapezoid(values, self.alphas) / (self.alphas[-1] - self.alphas[0]))

    def _values(self, name: str) -> Array:
        return np.asarray([getattr(point, name) for point in self.points])


def check_alphas(alphas: Sequence[float]) -> tuple[float, ...]:
    """The alphas in order, each once; a `UserError` unless there are at least two, from 0 to 1."""
    found = tuple(sorted(set(alphas)))
    if not 2 <= len(found) <= MOST_POINTS or not all(0 <= alpha <= 1 for alpha in found):
        given = " ".join(f"{alpha:g}" for alpha in alphas) or "none"
        raise UserError(f"alphas {given}: give 2 to {MOST_POINTS} numbers from 0 to 1, e.g. --alphas 0 0.5 1")
    return found


def write_rewind(folder: Path, rewind: Rewind) -> None:
    """Keep the curve beside its run."""
    write_json(folder / REWIND, asdict(rewind))


def read_rewind(folder: Path) -> Rewind | None:
    """The curve of a run; None if none was measured. A `UserError` that says what to do if it can't be read."""
    if not (folder / REWIND).exists():
        return None
    try:
        fields = read_object(folder, REWIND, KINDS)
        points = [checked(_object(point), POINT_KINDS, {}, REWIND) for point in fields["points"][: MOST_POINTS + 1]]
        check_alphas([point["alpha"] for point in points])
    except (OSError, UserError) as error:
        raise UserError(f"the curve in '{folder}' can't be read ({error}); type: lamobench rewind {folder}") from error
    return Rewind(**fields | {"points": tuple(Point(**point) for point in sorted(points, key=lambda p: p["alpha"]))})


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UserError(f"{REWIND}: a point is {value!r:.40}; expected an object")
    return value
