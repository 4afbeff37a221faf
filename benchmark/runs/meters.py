"""Meters of what training makes of a run's encoder, and `meters.csv`, which holds them all."""

from collections.abc import Mapping

from ...datasets.trajectories import Array
from .episodes import read_numbers
from .layout import FORMER_METERS

STEP = "step"


def meters_csv(step: int, meters: Mapping[str, float], *, header: bool) -> str:
    """A row of `meters.csv` with finite numbers, behind the names of its columns if it is the first."""
    row = ",".join(map(repr, (step, *meters.values()))) + "\n"
    return f"{','.join((STEP, *meters))}\n{row}" if header else row


def read_meters(content: bytes) -> tuple[Array, dict[str, Array]]:
    """The training steps (V,) of the evaluations, and each meter's values (V,); the errors of `read_numbers`."""
    first = content.partition(b"\n")[0].decode("utf-8", "replace")
    table = read_numbers("meters.csv", first if first.startswith(f"{STEP},") else STEP, content)
    names = [FORMER_METERS.get(name, name) for name in first.split(",")[1:]]
    return table[:, 0], {name: table[:, place] for place, name in enumerate(names, start=1)}
