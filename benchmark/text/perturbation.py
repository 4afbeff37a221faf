"""Move language models as far as training did, in random directions: what of degeneration is the distance alone?

Nothing is trained or played. Each row of each tensor goes from where it began as far as training brought it, and what
low-rank updates add is as large as it became (`lm/adapters.Perturbing`). The directions are the same at every rate.
`perturbed.csv` holds the meters after each of `DRAWS` such moves. Beside them are the correlations of the mechanism
(`mechanism.py`) with the states that the run counted, where there are any: what they come to without any reward. The
weight change is the run's own: a file of another run is found so.

Shapes: R draws.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...datasets.errors import UserError
from ...datasets.storage import write_text
from ...datasets.trajectories import Array
from ..lm.adapters import Perturbing
from ..runs.episodes import read_numbers
from ..runs.layout import PERTURBED
from ..runs.records import content_of
from ..runs.store import hold
from ..scores.run import FinishedRun
from .config import text_config
from .measures import metered
from .mechanism import PULLS, pull
from .meters import Meters, probes_of
from .pairs import read_pairs
from .rewind import tuned_agent
from .watched import load_weights

DRAWS = 10
DRAW = "draw"
SIZE = "weight_change"
RELATIVE = 1e-3  # how far that may be from the run's: sums of float32 in another order


def perturb(run: FinishedRun) -> None:
    """Measure a finished run's language model at random places, and keep that beside the run; what is there stays.

    A `UserError` for a run that trained no language model, or whose checkpoint is damaged; and for a file that is there
    and is not the run's.
    """
    if (run.folder / PERTURBED).exists():
        read_perturbed(run)
        return
    content = _measured(run)
    try:
        _columns(run, content.encode(), metered(run))
    except UserError as error:
        raise UserError(f"run {run.id} is not what it was: {error}; train it again") from None
    with hold(run.folder, wait=True):
        write_text(run.folder / PERTURBED, content)


def _measured(run: FinishedRun) -> str:
    """The content of the file."""
    config = text_config(run.config)
    agent, encoder = tuned_agent(config)
    meters = Meters(encoder, probes_of(config.game_task))
    perturbing = Perturbing(encoder.model)
    load_weights(agent, run.folder)
    pairs = read_pairs(run)
    found: list[dict[str, float]] = []
    for draw in range(DRAWS):
        perturbing.move(np.random.default_rng([config.seed, draw]))
        found.append({DRAW: draw} | meters.measure())
        if pairs is not None:
            moved = replace(pairs, after=meters.cosines(pairs.nouns))
            found[-1] |= {name: pull(moved, beyond_reading=beyond).correlation for name, beyond in PULLS.items()}
    names = [name for name in found[0] if all(math.isfinite(row[name]) for row in found)]
    lines = [",".join(names), *(",".join(repr(row[name]) for name in names) for row in found)]
    return "\n".join(lines) + "\n"


def read_perturbed(run: FinishedRun) -> dict[str, Array]:
    """The columns (R,) of a run's file: meters, and those correlations of the mechanism that every draw has.

    A `UserError` if it can't be read, or is not the run's.
    """
    own = metered(run)
    try:
        return _columns(run, content_of(run.folder, PERTURBED), own)
    except (UserError, FileNotFoundError) as error:
        line = f"{run.folder / PERTURBED} can't be used ({error}); delete it, and it is measured again"
        raise UserError(line) from None


def _columns(run: FinishedRun, content: bytes, own: Mapping[str, Array]) -> dict[str, Array]:
    """The columns of the file; `own` are the run's meters."""
    if not own:
        raise UserError(f"run {run.id} has no meters")
    first = content.partition(b"\n")[0].decode("utf-8", "replace")
    table = read_numbers(PERTURBED, first if first.startswith(f"{DRAW},") else DRAW, content)
    columns = dict(zip(first.split(",")[1:], table[:, 1:].T, strict=True))
    if not np.array_equal(table[:, 0], np.arange(DRAWS)):
        raise UserError(f"its draws are not 0 to {DRAWS - 1}")
    if columns.keys() - PULLS != own.keys():
        raise UserError("its meters are others than those in meters.csv")
    if not np.allclose(columns[SIZE], own[SIZE][-1], rtol=RELATIVE, atol=0.0):
        raise UserError(f"its {SIZE} is not that in meters.csv, {own[SIZE][-1]:.6g}")
    if any((np.abs(columns[name]) > 1.0).any() for name in columns.keys() & PULLS):
        raise UserError("it holds correlations beyond 1")
    return columns
