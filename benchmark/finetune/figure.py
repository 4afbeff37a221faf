"""CLOSE, FAR and FULL over training, of every method: what is learned, what is forgotten, what comes of it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ..figures.card import Grid, card_of_panels
from ..figures.curves import method_line
from ..figures.spread import about_curves, draw_seeds
from ..runs.methods import look_up
from ..scores.labels import label, method_order
from ..scores.leaderboard import Group
from .measures import Curves, curves

PANELS = {"far": "FAR: is it forgotten?", "close": "CLOSE: is it learned?", "full": "FULL: what comes of it"}
PANEL_HEIGHT = 2.5  # inches


def curves_figure(groups: Sequence[Group], path: Path) -> None:
    """Write a PNG with a panel for each of FAR, CLOSE and FULL, from the groups of one task.

    Lines are means over seeds, small dots single seeds at the marks.
    """
    ordered = sorted(groups, key=lambda group: method_order(group.config.method))
    found = {group.config.method: [curves(run) for run in group.runs] for group in ordered}
    handles = [method_line(method, label(method), [], []) for method in found]
    seeds = [len(own) for own in found.values()]
    succeed = "Per cent of evaluation episodes that succeed; FAR and CLOSE begin at that stage."
    about = f"{succeed} {about_curves(seeds)}"
    title = f"{groups[0].config.task}: fine-tuning and forgetting"
    longest = max(one.steps[-1] for own in found.values() for one in own)  # of those that train at all
    grid = Grid(len(PANELS), len(PANELS), PANEL_HEIGHT, pads=(0.04, 0.05), space=0.04)
    with card_of_panels(path, title, about, handles, grid) as all_axes:
        for place, (axes, (name, heading)) in enumerate(zip(all_axes, PANELS.items(), strict=True)):
            for method, own in found.items():
                steps = _mean_steps(own) if own[0].steps.any() else np.linspace(0.0, longest, len(own[0].steps))
                shares = 100.0 * np.stack([getattr(one, name) for one in own])
                every = max(1, len(steps) // 6)  # evaluations between two marks
                draw_seeds(axes, steps[::every], shares[:, ::every], look_up(method).colour)
                line = method_line(method, label(method), steps, shares.mean(0))
                line.set(markevery=every)
                axes.add_line(line)
            axes.set_title(heading)
            axes.set_ylabel("% of episodes" if place == 0 else "")
            axes.set_xlabel("environment steps")
            axes.set_ylim(-3, 103)
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
            axes.grid(axis="y")
            axes.margins(x=0.03)


def _mean_steps(own: Sequence[Curves]) -> np.ndarray:
    """Environment steps (V,) at each evaluation, mean over seeds: whole episodes differ in length between seeds."""
    steps: np.ndarray = np.mean([one.steps for one in own], axis=0)
    return steps
