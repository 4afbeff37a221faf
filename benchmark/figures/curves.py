"""Figures of a collection of runs: learning curves, and scores with their intervals.

Drawn on an opaque white card, so that they read on light and dark pages alike, and sized for a column 700 pixels wide.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ...datasets.counts import count
from ...datasets.trajectories import Array
from ..runs.methods import look_up
from ..scores.held_out import held_out_curves
from ..scores.held_out_table import TRIVIAL
from ..scores.labels import label, method_order, with_named_model
from ..scores.leaderboard import Group, group_runs, leaderboard_rows
from ..scores.run import Run
from .card import INK, MUTED, Grid, card_of_panels, wrapped
from .spread import about_curves, about_means, draw_seeds

LABEL_HEIGHT = 0.07  # of a line of small text, in heights of a panel

# How marks are filled where one method has several lines: of other language models, or variants.
FILLS = ("full", "none", "left", "top")

COLUMNS = 2  # panels side by side
ROW = 0.36  # inches for a method
NAME_LINE = 0.15  # inches for a line of its name
_Name = TypeVar("_Name")


@dataclass(frozen=True)
class _Series:
    """All seeds of one method at one fraction."""

    label: str
    method: str
    group: Group
    row: dict[str, Any]  # of the leaderboard

    @property
    def learned(self) -> tuple[Array, Array]:
        """Steps (V,) and scores (N, V) of the evaluations."""
        return self.group.runs[0].result.curve_steps, self.group.curves

    @property
    def held_out(self) -> tuple[Array, Array] | None:
        """Steps (V,) and held-out errors (N, V), where they were measured."""
        return held_out_curves(self.group.runs)


@dataclass(frozen=True)
class _Panel:
    """Series that are compared with each other: one data set, source and profile at one fraction."""

    key: tuple[str, str, str, str]  # data set, source, profile, hash of the data
    fraction: float
    series: list[_Series]


def learning_curves(runs: Sequence[Run], path: Path) -> None:
    """Write a PNG of score over training step, one panel a fraction, from the runs of `collect`.

    Lines are means over seeds at the ranked target, small dots single seeds. Raises the errors of `group_runs`.
    """
    panels = _panels(runs)
    about = _about_scores(panels)
    _write_curves(panels, path, "Score during training", "score", about, lambda series: series.learned)


def held_out_figure(runs: Sequence[Run], path: Path) -> bool:
    """Write a PNG of held-out action error over training step, one panel a fraction; return whether there was any.

    Rows in which it was not measured are left out, and no file is written where all are. Dotted lines are the errors of
    predictors that learn next to nothing, where the scale reaches them. Otherwise as `learning_curves`.
    """
    measured = [replace(p, series=[s for s in p.series if s.held_out is not None]) for p in _panels(runs)]
    panels = [panel for panel in measured if panel.series]
    if panels:
        title = "Held-out action error during training"
        about = "Error: mean squared (of discrete actions the share that is another), on episodes not learned from."
        _write_curves(panels, path, title, "held-out error", about, lambda series: series.held_out, _draw_predictors)
    return bool(panels)


def _draw_predictors(axes: Axes, panel: _Panel) -> None:
    low, high = axes.get_ylim()
    errors = {name: float(np.mean([s.row[column] for s in panel.series])) for column, name in TRIVIAL.items()}
    shown = sorted((error, name) for name, error in errors.items() if low <= error <= high)
    labels: list[tuple[float, str]] = []  # one for lines so near that two would lie upon each other
    for error, name in shown:
        axes.axhline(error, color=MUTED, linewidth=1.0, linestyle=":", zorder=1)
        if labels and error - labels[-1][0] < LABEL_HEIGHT * (high - low):
            name = f"{labels.pop()[1]}, {name}"
        labels.append((error, name))
    at_right = axes.get_yaxis_transform()
    for error, name in labels:
        axes.text(0.99, error, name, transform=at_right, ha="right", va="bottom", color=MUTED, fontsize=7.5)


def _write_curves(
    panels: list[_Panel],
    path: Path,
    title: str,
    quantity: str,
    meaning: str,
    curves_of: Callable[[_Series], tuple[Array, Array] | None],
    add: Callable[[Axes, _Panel], None] | None = None,
) -> None:
    """Write a card of curves (N, V) over steps (V,), of series that have them, and what `add` draws beside them."""
    seeds = _seeds(panels)
    ranks = ranks_of(_labels(panels))
    caption = f"{meaning} {about_curves(seeds)}"
    with _card(path, panels, title, caption, panel_height=2.35, legend=True) as all_axes:
        for place, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
            for series in panel.series:
                if (curves := curves_of(series)) is not None:
                    _draw_curve(axes, series, *curves, ranks[series.label])
            axes.set_xlabel("training step")
            axes.set_ylabel(quantity if place % COLUMNS == 0 else "")
            axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], integer=True))
            axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
            axes.grid(axis="y")
            axes.margins(x=0.03)
        _share_limits(all_axes, panels, "y")
        for axes, panel in zip(all_axes, panels, strict=True):
            if add is not None:
                add(axes, panel)


def scores(runs: Sequence[Run], path: Path) -> None:
    """Write a PNG of every method's score with its 95 % interval and its single seeds, one panel a fraction.

    From the runs of `collect`. A single seed has no interval, and the figure's text then names none. Raises the errors
    of `group_runs`.
    """
    panels = _panels(runs)
    seeds = _seeds(panels)
    intervals = "Lines: 95 % interval. Small dots: single seeds." if max(seeds) > 1 else ""
    about = f"{_about_scores(panels)} {about_means('Large dots', seeds)} {intervals}"
    labels = list(_labels(panels))
    names = [wrapped(name) for name in labels]
    row = max(ROW, NAME_LINE * max(name.count("\n") + 1 for name in names))
    with _card(path, panels, "Score by method", about, panel_height=0.85 + row * len(names), legend=False) as all_axes:
        for place, (axes, panel) in enumerate(zip(all_axes, panels, strict=True)):
            for series in panel.series:
                _draw_score(axes, labels.index(series.label), series)
            axes.set_yticks(range(len(names)), names if place % COLUMNS == 0 else [""] * len(names))
            axes.set_ylim(len(labels) - 0.45, -0.6)
            axes.tick_params(axis="y", length=0, labelcolor=INK)
            axes.spines["left"].set_visible(False)
            axes.set_xlabel("score")
            axes.grid(axis="x")
            axes.margins(x=0.06)
        _share_limits(all_axes, panels, "x")


def _panels(runs: Sequence[Run]) -> list[_Panel]:
    groups = group_runs(runs)
    named = with_named_model((group.config.method, group.config.lm) for group in groups)
    panels: dict[tuple[Any, ...], _Panel] = {}
    for row, group in zip(leaderboard_rows(groups), groups, strict=True):
        key = (row["dataset"], row["source"], row["profile"], row["dataset_hash"])
        name = label(row["method"], row["lm"] if row["method"] in named else "", row["variant"])
        panel = panels.setdefault((*key, row["fraction"]), _Panel(key, row["fraction"], []))
        panel.series.append(_Series(name, row["method"], group, row))
    for panel in panels.values():
        panel.series.sort(key=lambda series: (method_order(series.method), series.label))
    return [panels[key] for key in sorted(panels)]


def _labels(panels: list[_Panel]) -> dict[str, str]:
    """The method of every label in the figure, in order of display."""
    known = {series.label: series.method for panel in panels for series in panel.series}
    return dict(sorted(known.items(), key=lambda item: (method_order(item[1]), item[0])))


def ranks_of(methods: Mapping[_Name, str]) -> dict[_Name, int]:
    """The number of lines of the same method that come before each line, given the method of each."""
    names = list(methods.values())
    return {name: names[:place].count(method) for place, (name, method) in enumerate(methods.items())}


def _draw_curve(axes: Axes, series: _Series, steps: Array, curves: Array, rank: int) -> None:
    draw_seeds(axes, steps, curves, look_up(series.method).colour)
    axes.add_line(method_line(series.method, series.label, steps, curves.mean(axis=0), rank))


def method_line(method: str, name: str, x: Any, y: Any, rank: int = 0) -> Line2D:
    """A method's line: in a panel, or without points in the legend; `rank` of those of `ranks_of`."""
    look = look_up(method)
    line = Line2D(x, y, color=look.colour, linewidth=1.9, label=name)
    line.set(marker=look.marker, markersize=4.5, markeredgecolor="white", markeredgewidth=0.7)
    if rank:
        line.set(
            fillstyle=FILLS[rank % len(FILLS)],
            markersize=6.0,
            markeredgecolor=look.colour,
            markeredgewidth=1.2,
            markerfacecoloralt="white",
        )
    if look.dashes:
        line.set_dashes(look.dashes)
    return line


def _draw_score(axes: Axes, place: int, series: _Series) -> None:
    colour = look_up(series.method).colour
    row = series.row
    axes.plot([row["ci_low"], row["ci_high"]], [place, place], color=colour, linewidth=2.4, solid_capstyle="round")
    if row["seeds"] > 1:
        axes.scatter(series.group.scores, [place + 0.24] * row["seeds"], s=11, color=colour, alpha=0.65, linewidth=0)
    axes.scatter([row["score_mean"]], [place], s=52, color=colour, edgecolor="white", linewidth=1.0, zorder=3)
    axes.annotate(
        f"{row['score_mean']:.1f}".replace("-", "\N{MINUS SIGN}"),  # as on the axis
        (row["score_mean"], place),
        xytext=(0, 5.5),
        textcoords="offset points",
        ha="center",
        color=INK,
        fontsize=8.0,
    )


@contextmanager
def _card(
    path: Path, panels: list[_Panel], title: str, caption: str, *, panel_height: float, legend: bool
) -> Iterator[list[Axes]]:
    """Yield one axes for each panel, side by side in rows, under the title; write the PNG when the block ends well."""
    labels = _labels(panels)
    ranks = ranks_of(labels)
    handles = [method_line(method, name, [], [], ranks[name]) for name, method in labels.items()] if legend else []
    grid = Grid(len(panels), min(COLUMNS, len(panels)), panel_height, pads=(0.0, 0.06), space=0.05)
    with card_of_panels(path, title, f"{_source(panels)} {caption}".rstrip(), handles, grid) as all_axes:
        for axes, panel in zip(all_axes, panels, strict=True):
            axes.set_title(_panel_title(panel, panels))
        yield all_axes


def _source(panels: list[_Panel]) -> str:
    """A sentence on data and profile, as far as all panels share them."""
    datasets, sources, profiles, _ = (sorted(set(values)) for values in zip(*(p.key for p in panels), strict=True))
    data = f"{', '.join(filter(None, sources))} data, " if any(sources) else ""
    return f"{', '.join(datasets)} ({data}{', '.join(profiles)} profile)."


def _about_scores(panels: list[_Panel]) -> str:
    """A sentence on scores and their targets."""
    on_data = [series.row for panel in panels for series in panel.series if series.row["dataset_hash"]]
    targets = sorted({f"{row['target_return']:g}" for row in on_data})
    return f"Score: normalised return, 0 to 100{', at target return ' if targets else ''}{', '.join(targets)}."


def _panel_title(panel: _Panel, panels: list[_Panel]) -> str:
    """The fraction, where there is a data set, under whatever tells data and profile from the other panels'."""
    keys = {p.key for p in panels}
    parts = [part for place, part in enumerate(panel.key[:3]) if len({key[place] for key in keys}) > 1]
    if len({key[:3] for key in keys}) < len(keys):
        parts.append(panel.key[3][:8])
    series = panel.series[0]
    episodes = count(series.row["episodes_in_subset"], "episode")
    share = series.group.config.share
    return "\n".join(filter(None, [", ".join(parts), f"{share} of the data: {episodes}" if share else ""]))


def _seeds(panels: list[_Panel]) -> list[int]:
    """The number of seeds of each row."""
    return [series.row["seeds"] for panel in panels for series in panel.series]


def _share_limits(all_axes: list[Axes], panels: list[_Panel], axis: str) -> None:
    """One scale for all panels of one data set, so that fractions can be compared by eye."""
    for key in {panel.key for panel in panels}:
        same = [axes for axes, panel in zip(all_axes, panels, strict=True) if panel.key == key]
        for axes in same:
            axes.autoscale_view()
        limits = [axes.get_ylim() if axis == "y" else axes.get_xlim() for axes in same]
        low = min(low for low, _ in limits)
        high = max(high for _, high in limits)
        low = 0.0 if 0.0 < low < high / 2 else low  # show the zero, unless that would squeeze what is to be seen
        for axes in same:
            axes.set(**{f"{axis}lim": (low, high)})
