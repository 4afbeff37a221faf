"""Describe what a data set holds, for people to read."""

from itertools import pairwise
from typing import Any

import gymnasium
import numpy as np

from .entries import Dataset
from .tasks import Task
from .trajectories import Array, Trajectories

BINS = 10
BAR = 40  # characters of the longest bar


def describe(trajectories: Trajectories) -> dict[str, Any]:
    """Counts, provenance, and the spread of the episodes' returns and lengths; plain values that JSON can hold.

    `returns` and `lengths` have mean, std, min, q25, median, q75, max; the two histograms are lists of lines of text.
    """
    provenance = trajectories.provenance
    return {
        "dataset": provenance.dataset,
        "source": provenance.source,
        "origin": provenance.origin,
        "env_id": provenance.env_id,
        "simulator": provenance.simulator,
        "content_hash": trajectories.content_hash,
        "episodes": trajectories.num_episodes,
        "steps": trajectories.num_steps,
        "terminated_episodes": int(np.count_nonzero(trajectories.terminals)),
        "truncated_episodes": int(np.count_nonzero(trajectories.timeouts)),
        "observation_shape": list(trajectories.observations.shape[1:]),
        "action_shape": list(trajectories.actions.shape[1:]),
        "discrete_actions": trajectories.discrete,
        "returns": _spread(trajectories.returns),
        "lengths": _spread(trajectories.lengths),
        "return_histogram": histogram(trajectories.returns),
        "length_histogram": histogram(trajectories.lengths),
    }


def describe_scores(trajectories: Trajectories, dataset: Dataset, task: Task) -> dict[str, Any]:
    """The values that the catalog fixes for a data set and its task, and the episodes' scores by them; plain values."""
    low, high = task.reference_scores
    return {
        "task": task.name,
        "horizon": task.horizon,
        "reference_scores": {"0 at": low, "100 at": high},
        "score_source": task.score_source,
        "target_returns": list(task.target_returns),
        "published_fractions": list(dataset.published_fractions),
        **({"env_module": task.env_module} if task.env_module else {}),
        "scores": _spread(np.array([task.normalise(value) for value in trajectories.returns])),
    }


def describe_actions(trajectories: Trajectories, space: gymnasium.Space) -> dict[str, Any]:
    """The box of continuous actions that policies stay in, and how much of the data lies outside; plain values.

    `outside_the_box`: the number of steps with an action outside, and the farthest distance in one dimension.
    """
    if trajectories.discrete:
        return {"number_of_actions": int(space.n)}
    low, high = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
    excess = np.maximum(low - trajectories.actions, trajectories.actions - high)  # (T, A)
    outside = {"steps": int((excess > 0).any(1).sum()), "farthest": f"{max(0.0, excess.max()):g}"}
    return {"action_box": {"low": _brief(low), "high": _brief(high)}, "outside_the_box": outside}


def _brief(bound: Array) -> str:
    """A bound (A,) as text: one number if all dimensions have it."""
    values = bound[:1] if (bound == bound[0]).all() else bound
    return " ".join(f"{value:g}" for value in values)


def histogram(values: Array) -> list[str]:
    """Lines such as `  10 to 20   | ####  12`, one a bin of equal width; a single line if all values are the same."""
    low = float(values.min())
    high = float(values.max())
    if low == high:
        return [f"{low:g} | {'#' * BAR} {len(values)}"]
    counts, edges = np.histogram(values, BINS)
    labels = [f"{a:.4g} to {b:.4g}" for a, b in pairwise(edges)]
    width = max(map(len, labels))
    bars = ["#" * int(np.ceil(BAR * count / counts.max())) for count in counts]
    return [f"{label:>{width}} | {bar:<{BAR}} {n}" for label, bar, n in zip(labels, bars, counts, strict=True)]


def _spread(values: Array) -> dict[str, float]:
    quantiles = dict(
        zip(("min", "q25", "median", "q75", "max"), np.quantile(values, (0, 0.25, 0.5, 0.75, 1)), strict=True)
    )
    spread = {"mean": values.mean(), "std": values.std()} | quantiles
    return {name: float(value) for name, value in spread.items()}
