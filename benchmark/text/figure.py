"""Figures of text games: learning curves, and what is left in other words, the score in every view of each split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ...datasets.games.families import SPLITS
from ...datasets.games.views import VIEWS
from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line, ranks_of
from ..figures.spread import about_spread, draw_intervals, draw_seeds
from ..runs.methods import look_up
from ..scores.labels import label, method_order
from ..scores.leaderboard import Group
from ..scores.places import place_of
from .measures import ends

SPLIT_TITLES = {"train": "Games learned from, at the end", "valid": "New games", "ood": "New games, unseen objects"}
PANEL_HEIGHT = 2.5  # inches
SIDE_BY_SIDE = 6  # methods that panels of half the width have room for
SPREAD = 0.75  # from the first method of a view to the last, in steps between views


def games_figure(groups: Sequence[Group], path: Path) -> None:
    """Write a PNG with the learning curves of one task's groups, and a panel for each split in every view.

    Lines and points are means over seeds, small dots single seeds, bars 95 % intervals.
    """
    ordered = sorted(groups, key=lambda group: (method_order(group.config.method), group.config.lm))
    ranks = list(ranks_of({number: group.config.method for number, group in enumerate(ordered)}).values())
    handles = [
        method_line(group.config.method, label(group.config.method, group.config.lm), [], [], rank)
        for group, rank in zip(ordered, ranks, strict=True)
    ]
    shown = about_spread("Lines and points", [len(group.runs) for group in ordered])
    about = f"Per cent of a game's points, moves drawn from the policy. {shown}"
    name = place_of(ordered[0]).name
    splits = [split for split in SPLITS if any(f"{split}/" in part for part in ends(ordered[0].runs[0]))]
    wide = len(ordered) > SIDE_BY_SIDE
    grid = Grid(1 + len(splits), 1 if wide else 2, PANEL_HEIGHT, pads=(0.04, 0.05), space=0.04)
    with card_of_panels(path, f"{name}: learning, and other words", about, handles, grid) as panels:
        _draw_curves(panels[0], ordered, ranks)
        panels[0].xaxis.set_major_locator(MaxNLocator(6 if wide else 3, steps=[1, 2, 5, 10]))
        for axes, split in zip(panels[1:], splits, strict=True):
            _draw_views(axes, ordered, ranks, split)
            _name_views(axes, ordered[0], split, wide)


def _draw_curves(axes: Axes, groups: Sequence[Group], ranks: Sequence[int]) -> None:
    for group, rank in zip(groups, ranks, strict=True):
        steps = group.runs[0].result.curve_steps
        curves = group.curves
        every = max(1, len(steps) // 6)  # evaluations between two marks
        draw_seeds(axes, steps[::every], curves[:, ::every], look_up(group.config.method).colour)
        line = method_line(group.config.method, "", steps, curves.mean(0), rank)
        line.set(markevery=every)
        axes.add_line(line)
    axes.set_title("Learning")
    axes.set_ylabel("% of points")
    axes.set_xlabel("updates" if look_up(groups[0].config.method).recorded else "steps")
    _leave_room(axes, min(float(group.curves.min()) for group in groups))
    axes.margins(x=0.03)
    axes.autoscale_view(scaley=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
    axes.grid(axis="y")


def _draw_views(axes: Axes, groups: Sequence[Group], ranks: Sequence[int], split: str) -> None:
    shares = [[ends(run) for run in group.runs] for group in groups]
    lowest = 0.0
    views = _views(groups[0], split)
    for number, (group, own) in enumerate(zip(groups, shares, strict=True)):
        places = np.arange(len(views)) + SPREAD * ((number + 0.5) / len(groups) - 0.5)
        values = 100.0 * np.array([[found[f"{split}/{view}"] for view in views] for found in own])  # (N, views)
        lowest = min(lowest, float(values.min()))
        colour = look_up(group.config.method).colour
        draw_intervals(axes, places, values, colour, (0.0, 100.0))
        points = method_line(group.config.method, "", places, values.mean(0), ranks[number])
        points.set_linestyle("none")
        axes.add_line(points)
    axes.set_title(SPLIT_TITLES[split])
    axes.set_ylabel("% of points")
    _leave_room(axes, lowest)
    axes.set_xlim(-0.5, len(views) - 0.5)
    axes.grid(axis="y")


def _views(group: Group, split: str) -> list[str]:
    """The views in which a split was played."""
    found = ends(group.runs[0])
    return [view for view in VIEWS if f"{split}/{view}" in found]


def _name_views(axes: Axes, group: Group, split: str, wide: bool) -> None:
    """Write the views under a panel: side by side where it has the whole width."""
    views = _views(group, split)
    if wide:
        axes.set_xticks(np.arange(len(views)), [view.replace("+", "\n+") for view in views])
    else:
        axes.set_xticks(np.arange(len(views)), views, rotation=30, ha="right")


def _leave_room(axes: Axes, lowest: float) -> None:
    """Show all per cents, and what lies below them: in some games points can be lost."""
    axes.set_ylim(min(lowest, 0.0) - 3.0, 103.0)
