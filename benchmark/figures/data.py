"""The figure of a data set: how its episodes' returns and lengths are spread."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ...datasets.counts import count
from ...datasets.tasks import Task
from ...datasets.trajectories import Array, Trajectories
from ..runs.methods import METHODS
from .card import INK, Grid, card_of_panels, readable

BARS = METHODS["lamo-random"].colour  # the lighter blue, on which the mean's line shows
PANEL_HEIGHT = 2.9  # inches
SCORE_AXIS = -0.27  # below the axis of returns, in heights of the panel
FEWEST = 10
MOST = 40  # bins; in between, as many as NumPy's rule finds right


def spread_figure(data: Trajectories, task: Task | None, path: Path) -> None:
    """Write a PNG with a histogram of the episodes' returns, on a second axis as scores, and one of their lengths.

    `task` decides the scores; without one there are none. The file is written whole or not at all.
    """
    grid = Grid(2, 2, PANEL_HEIGHT, pads=(0.0, 0.0), space=0.06)
    with card_of_panels(path, data.provenance.dataset, _about(data, task), [], grid) as (returns, lengths):
        _draw(returns, data.returns, "Return of an episode", "return")
        _draw(lengths, data.lengths, "Length of an episode", "steps")
        returns.set_ylabel("episodes")
        if task is not None:
            _add_scores(returns, task)


def bin_edges(values: Array) -> Array:
    """Edges (M + 1,): one bin a value for few whole numbers, otherwise 10 to 40 of equal width."""
    low = float(values.min())
    high = float(values.max())
    if low == high:
        return np.array([low - 0.5, high + 0.5])
    if high - low < MOST and np.array_equal(values, np.round(values)):
        return np.arange(low - 0.5, high + 1.0)
    wanted = len(np.histogram_bin_edges(values, "auto")) - 1
    return np.linspace(low, high, min(MOST, max(FEWEST, wanted)) + 1)


def _draw(axes: Axes, values: Array, title: str, label: str) -> None:
    edges = bin_edges(values)
    counts, _ = np.histogram(values, edges)
    axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BARS, edgecolor="white", linewidth=0.6)
    mean = float(values.mean())
    axes.axvline(mean, color=INK, linewidth=1.2, dashes=(3.0, 2.0))
    axes.annotate(
        f" mean {readable(mean)} ",
        (mean, 0.985),
        xycoords=("data", "axes fraction"),
        ha="left" if mean < (edges[0] + edges[-1]) / 2 else "right",
        va="top",
        fontsize=8.5,
    )
    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_ylim(0.0, 1.2 * counts.max())  # room for the mean's label
    if len(edges) == 2:
        axes.set_xlim(edges[0] - 2.0, edges[1] + 2.0)  # a lone bar would fill the panel
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=bool(np.array_equal(values, np.round(values)))))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y")


def _add_scores(axes: Axes, task: Task) -> None:
    """A second axis, of scores, below that of returns."""
    low, high = task.reference_scores

    def score(value: Any) -> Any:
        return 100.0 * (value - low) / (high - low)

    def value(score: Any) -> Any:
        return low + score / 100.0 * (high - low)

    scores = axes.secondary_xaxis(SCORE_AXIS, functions=(score, value))
    scores.set_xlabel("score")
    scores.xaxis.set_major_locator(MaxNLocator(6))


def _amount(data: Trajectories) -> str:
    return f"{count(data.num_episodes, 'episode')}, {count(data.num_steps, 'step')}"


def _about(data: Trajectories, task: Task | None) -> str:
    provenance = data.provenance
    best = float(data.returns.max())
    mean = float(data.returns.mean())
    text = (
        f"Source: {provenance.source}, {provenance.env_id}. {_amount(data)}. "
        f"Return: mean {readable(mean)}, best {readable(best)}. "
    )
    if task is None:
        return text
    low, high = task.reference_scores
    return text + (
        f"Score: mean {readable(task.normalise(mean))}, best {readable(task.normalise(best))}, "
        f"where a return of {readable(low)} scores 0 and {readable(high)} scores 100 ({task.score_source})."
    )
