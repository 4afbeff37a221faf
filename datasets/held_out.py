"""Steps of episodes that a run does not train on, and the windows of history that end at them.

The choice of steps depends on the data set's content and the run's subset alone: all methods that train on one subset
are measured on the same steps, and runs on different subsets share as many as possible.

Shapes: T steps of the data set, W held-out steps, K context.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from . import cache, storage
from .catalog import find_dataset
from .entries import SECOND_RECORDINGS, Recorded
from .fractions import Subset, take_fraction
from .locks import lock
from .sources.recorded import record_dataset
from .trajectories import Array, Trajectories
from .windows import ContextBatch, ContextSampler, View

WINDOWS = 256


@dataclass(frozen=True)
class HeldOutSteps:
    """Steps of a data set by their flat indices."""

    trajectories: Trajectories
    steps: Array  # (W,) int64
    starts: Array  # (W,) int64: the first step of the episode that each is of

    def actions(self) -> Array:
        """The actions (W, A) or (W,) taken in these steps."""
        taken: Array = self.trajectories.actions.take(self.steps, axis=0)
        return taken

    def previous_actions(self, at_first: Array) -> Array:
        """The actions (W, A) or (W,) of the steps before; `at_first` (A,) or () where there is none."""
        is_first = self.steps == self.starts
        before: Array = self.trajectories.actions.take(np.where(is_first, self.steps, self.steps - 1), axis=0)
        before[is_first] = at_first
        return before


def held_out_steps(subset: Subset, limit: int = WINDOWS) -> HeldOutSteps | None:
    """Choose at most `limit` steps of the episodes that `subset`, drawn from a whole data set, leaves out.

    If the subset leaves none out, as all of a recording does, the steps are of a second recording, made now if it is
    not there (`second_recording`). None where there is neither.
    """
    data = subset.trajectories
    left = np.setdiff1d(np.arange(data.num_episodes), subset.episodes)
    if len(left):
        return _first_of(data, left, limit)
    second = second_recording(data)
    return None if second is None else _first_of(second, np.arange(second.num_episodes), limit)


def second_recording(data: Trajectories) -> Trajectories | None:
    """A few episodes by the players that recorded `data`, with other seeds; None if it is no catalog recording.

    They are recorded once, while other processes that want them wait.
    """
    provenance = data.provenance
    second = SECOND_RECORDINGS.get(f"{provenance.dataset}-held-out")
    if second is None or provenance.source != Recorded.name or not _is_catalogs(data):
        return None
    place = cache.folder_of(second.name, Recorded.name)
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / storage.LOCK).open("a") as door:
        lock(door)
        return record_dataset(second.name)


def _is_catalogs(data: Trajectories) -> bool:
    """Return whether the data are what the catalog's players recorded, as their origin says."""
    ids = [s.minari_id for s in find_dataset(data.provenance.dataset).sources if isinstance(s, Recorded)]
    return data.provenance.origin.partition(";")[0] in [f"minari {minari_id}" for minari_id in ids]


def _first_of(data: Trajectories, episodes: Array, limit: int) -> HeldOutSteps:
    """The first steps of some episodes, in an order of all the data's steps that its hash decides.

    The order is that of the words of NumPy's Philox generator, whose stream is fixed for all versions.
    """
    keys = np.random.Philox(key=int(data.content_hash[:32], 16)).random_raw(data.num_steps)
    is_left = np.repeat(np.isin(np.arange(data.num_episodes), episodes), data.lengths)
    steps = np.flatnonzero(is_left)
    chosen = steps[np.argsort(keys[steps], kind="stable")[:limit]]
    starts = data.offsets[np.searchsorted(data.offsets, chosen, side="right") - 1]
    return HeldOutSteps(data, chosen, np.asarray(starts))


class HeldOutWindows:
    """The windows of at most K steps that end at held-out steps: the history of a policy with that context."""

    def __init__(self, held_out: HeldOutSteps, context: int, view: View) -> None:
        self.held_out = held_out
        self.context = context
        self._sampler = ContextSampler(take_fraction(held_out.trajectories, 1.0, seed=0), context, view)

    def batches(self, limit: int) -> Iterator[tuple[Array, ContextBatch]]:
        """The rows (w,) of `held_out`, at most `limit` at a time, and their windows, all of one length.

        Like a policy's history they are shorter than K where an episode has just begun; nothing is padded.
        """
        steps = self.held_out.steps
        starts = self.held_out.starts
        lengths = np.minimum(steps - starts + 1, self.context)
        for length in np.unique(lengths).tolist():
            rows = np.flatnonzero(lengths == length)
            for some in np.split(rows, np.arange(limit, len(rows), limit)):
                ends = steps[some] + 1
                yield some, self._sampler.windows(ends - length, starts[some], ends).first(length)
