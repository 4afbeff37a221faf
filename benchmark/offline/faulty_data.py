"""Faults of the published code in what is trained on and in how evaluation counts: see `faults.py`.

Shapes: T steps, N episodes.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ...datasets.counts import count
from ...datasets.errors import UserError
from ...datasets.fractions import Subset
from ...datasets.kitchen import satisfied
from ...datasets.tasks import Task
from ...datasets.trajectories import Array, Trajectories, combine_hashes
from ...datasets.windows import View


def faulty_subset(subset: Subset, task: Task, legacy: Sequence[str]) -> Subset:
    """The subset as the faults named in `legacy` leave it; the subset itself if none is of the data.

    The episodes were drawn beforehand: a run with a fault and one without train on the same draw, and compare in pairs.
    """
    for name, fault in _SUBSET_FAULTS.items():
        if name in legacy:
            digest = combine_hashes({"subset": subset.hash, "legacy": name})
            subset = replace(fault(subset, task), hash=digest)
    return subset


def training_view(view: View, legacy: Sequence[str]) -> View:
    """The view of steps in training: under `padding-steps` with the rows for stacking before an episode's first one."""
    return replace(view, padding_steps=view.earlier_frames) if "padding-steps" in legacy else view


def evaluation_view(view: View, legacy: Sequence[str]) -> View:
    """The view of rewards in evaluation: that of training, but for `unclipped-evaluation`."""
    return replace(view, clip_rewards=False) if "unclipped-evaluation" in legacy else view


def drop_best(subset: Subset, task: Task) -> Subset:
    """Remove the episode of the highest return, the first of several; a `UserError` if it is the only one."""
    if len(subset.episodes) < 2:
        raise UserError("legacy 'drop-best' would leave nothing of 1 episode; give a larger fraction")
    best = int(subset.trajectories.returns[subset.episodes].argmax())
    return replace(subset, episodes=np.delete(subset.episodes, best))


def count_sub_goals(subset: Subset, task: Task) -> Subset:
    """Put in the rewards of D4RL's kitchen files: how many sub-goals each step's observation satisfies."""
    data = subset.trajectories
    if data.provenance.source == "d4rl-legacy":
        raise UserError("source 'd4rl-legacy' has counts for rewards already; leave out --legacy")
    counts = satisfied(data.observations, task.sub_goals).sum(axis=1).astype(np.float32)
    return replace(subset, trajectories=replace(data, rewards=counts, known_hash=""))


def delay_returns(subset: Subset, task: Task) -> Subset:
    """Move each reward one step back, and lose an episode's first: returns-to-go without the step's own."""
    data = subset.trajectories
    rewards = np.append(data.rewards[1:], np.float32(0.0))
    rewards[data.offsets[1:] - 1] = 0.0
    return replace(subset, trajectories=replace(data, rewards=rewards, known_hash=""))


def shift_subset(subset: Subset, task: Task) -> Subset:
    """The episodes that `shift_episodes` makes of the whole data set, those that begin inside the subset's episodes."""
    # Demonstrations in kitchen files all end with a terminal, and the published counter is longer than any of them.
    shifted, origins = shift_episodes(subset.trajectories, None if task.sub_goals else task.horizon)
    episodes = np.flatnonzero(np.isin(origins, subset.episodes))
    if not len(episodes):
        raise UserError(
            f"legacy 'shifted-episodes' leaves none of {count(len(subset.episodes), 'episode')}; give more of them"
        )
    return replace(subset, trajectories=shifted, episodes=episodes)


def shift_episodes(data: Trajectories, horizon: int | None) -> tuple[Trajectories, Array]:
    """The data set as the published code cuts it into episodes, and which of its episodes each of those begins in.

    D4RL's `qlearning_dataset` leaves out the steps that end by time-out and the last step of all. What is left is cut
    after each terminal and wherever a counter of steps reaches `horizon - 1`. The counter starts at 0, but at 1 after
    a cut, since it is raised right after it was reset: it fits episodes of `horizon - 1` steps, as those that timed out
    have now, and all but the first one. So if the first episode times out, the cut comes a step late, and every later
    one as well until an episode terminates: each episode ends with the first step of the next one. What no cut closes
    is lost. With a `horizon` of None, as for kitchen data, every episode ends with a terminal and there is no counter:
    the last episode is lost. (A demonstration longer than the task's 280 steps also loses a step there, and not here.)
    """
    ends = np.asarray(data.terminals) | (np.asarray(data.timeouts) if horizon is None else False)
    kept = np.arange(data.num_steps - 1)
    kept = kept if horizon is None else kept[~np.asarray(data.timeouts)[:-1]]
    last = _cuts(np.flatnonzero(ends[kept]), len(kept), horizon)
    if not len(last):
        raise UserError(
            f"legacy 'shifted-episodes' leaves nothing of {count(data.num_episodes, 'episode')}; give other data"
        )
    kept = kept[: last[-1] + 1]
    offsets = np.concatenate([[0], last + 1])
    timeouts = np.zeros(len(kept), bool)
    timeouts[last] = ~np.asarray(data.terminals)[kept[last]]
    shifted = replace(
        data,
        **{name: getattr(data, name)[kept] for name in ("observations", "actions", "rewards", "terminals")},
        timeouts=timeouts,
        offsets=offsets,
        last_observations=_next_observations(data, kept[last]),
        known_hash="",
    )
    return shifted.check(), _episode_of(data, kept[offsets[:-1]])


def _cuts(terminals: Array, steps: int, horizon: int | None) -> Array:
    """The steps, of `steps`, that end an episode: all `terminals`, and where the counter reaches `horizon - 1`."""
    cuts = []
    start = 0
    counter = 0
    for end in (*terminals.tolist(), steps):
        if horizon is not None:
            cuts.append(np.arange(start + horizon - 1 - counter, end, horizon - 1))
        start = end + 1
        counter = 1
    return np.sort(np.concatenate([terminals, *cuts]).astype(np.int64))


def _episode_of(data: Trajectories, steps: Array) -> Array:
    episodes: Array = np.searchsorted(data.offsets, steps, side="right") - 1
    return episodes


def _next_observations(data: Trajectories, steps: Array) -> Array:
    """The observations after the actions of `steps`."""
    episodes = _episode_of(data, steps)
    following = np.minimum(steps + 1, data.num_steps - 1)
    inside = (steps + 1 < data.offsets[episodes + 1])[:, None]
    found: Array = np.where(inside, data.observations[following], data.last_observations[episodes])
    return found


# In the order of the published code: files are cut into episodes, those are picked by their stored rewards, and their
# returns-to-go are added up.
_SUBSET_FAULTS: dict[str, Callable[[Subset, Task], Subset]] = {
    "shifted-episodes": shift_subset,
    "kitchen-counts": count_sub_goals,
    "drop-best": drop_best,
    "late-returns": delay_returns,
}
