"""The figure of courses of fine-tuning: the score and what becomes of words, over training, in panels by method."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from ...datasets.counts import count_range
from ...datasets.trajectories import Array
from ..figures.card import INK, Grid, card_of_panels
from ..figures.spread import BAND, has_band
from ..runs.methods import look_up
from ..scores.labels import label
from ..scores.measured import columns
from .board import STILL
from .courses import SCORE, Course, course_of
from .degeneration import FinishedArm
from .measures import AMOUNT, CORRELATION

PANEL_HEIGHT = 1.4  # inches
NAME_WRAP = 18  # characters of a line of a method's name, beside its panels
BARS = 5  # evaluations with a bar, at most, where intervals are bars
ASIDE = 0.015  # of all steps, from a line's bar to the next line's
RAMP = ("#F0B25A", "#C8571B", "#4A1608")  # of the lowest learning rate, and to the highest
PER_CENT = (0.0, 100.0)

TrainedArm = tuple[FinishedArm, Course]


@dataclass(frozen=True)
class Quantity:
    """A quantity that the panels of a column show."""

    name: str  # of `Course.values`
    title: str
    bounds: tuple[float, float]
    scale: float = 1.0


QUANTITIES = (
    Quantity(SCORE, "Score, %", PER_CENT, 100.0),
    Quantity("neighbours_nouns", "Neighbours kept, %", PER_CENT, 100.0),
    Quantity("anisotropy_nouns", "Anisotropy", CORRELATION),
    Quantity("weight_change", "Weight change, %", AMOUNT, 100.0),
)


def courses_figure(every: Sequence[FinishedArm], path: Path) -> None:
    """Write a PNG of those arms that train a language model: a row of panels a method, a line a learning rate."""
    trained = [arm for arm in every if arm.trains]
    rates = sorted({arm.rate for arm in trained if arm.rate is not None})
    colours = dict(zip(rates, _ramp(len(rates)), strict=True))
    still = {arm.setting: course_of(arm) for arm in every if arm.method == STILL}
    lines: dict[tuple[str, str], list[TrainedArm]] = {}
    for arm in trained:
        lines.setdefault((arm.method, arm.detail), []).append((arm, course_of(arm)))
    seeds = [len(arm.group.runs) for arm in trained]
    handles = [Line2D([], [], color=colours[rate], linewidth=1.9, label=f"learning rate {rate:g}") for rate in rates]
    if still:
        fixed = Line2D([], [], color=look_up(STILL).colour, linewidth=1.4, linestyle=":", label=label(STILL))
        handles.append(fixed)
    grid = Grid(len(QUANTITIES) * len(lines), len(QUANTITIES), PANEL_HEIGHT, pads=(0.02, 0.03), space=0.02)
    title = f"{trained[0].config.task}: what fine-tuning does, step by step"
    with card_of_panels(path, title, _about(seeds), handles, grid) as panels:
        for place, ((method, detail), arms) in enumerate(lines.items()):
            own = panels[len(QUANTITIES) * place :][: len(QUANTITIES)]
            for axes, quantity in zip(own, QUANTITIES, strict=True):
                _draw(axes, arms, colours, quantity, bands=has_band(seeds))
            if (fixed_course := still.get(arms[0][0].setting)) is not None:
                _draw_fixed(own[0], fixed_course)
            name = textwrap.fill(label(method, detail), NAME_WRAP)
            own[0].set_ylabel(name, color=INK, fontsize=8.0, fontweight="bold")
        _finish(panels)


def _about(seeds: Sequence[int]) -> str:
    about = (
        "Score: per cent of points on the games learned from. Of the nouns: the share of ten nearest neighbours that "
        "are still the same, and the mean cosine of two of them. Weight change: its norm, in per cent of that of all "
        f"weights. Lines: mean of {count_range(seeds, 'seed')}."
    )
    return about + (f" {'Bands' if has_band(seeds) else 'Bars'}: 95 % intervals." if max(seeds) > 1 else "")


def _ramp(number: int) -> list[str]:
    """Colours, so many, from the first to the last of `RAMP`."""
    known = np.array([matplotlib.colors.to_rgb(colour) for colour in RAMP])
    places = np.linspace(0.0, len(RAMP) - 1.0, number) if number > 1 else np.array([1.0])
    mixed = np.stack([np.interp(places, range(len(RAMP)), channel) for channel in known.T], 1)
    return [matplotlib.colors.to_hex(colour) for colour in mixed]


def _draw(
    axes: Axes,
    arms: Sequence[tuple[FinishedArm, Course]],
    colours: dict[float, str],
    quantity: Quantity,
    *,
    bands: bool,
) -> None:
    """A line with its intervals for each of a method's learning rates."""
    for place, (arm, course) in enumerate(arms):
        assert arm.rate is not None
        colour = colours[arm.rate]
        values = quantity.scale * course.values[quantity.name]
        known = np.isfinite(values).any(axis=0)
        if known.any():
            mean = np.nanmean(values[:, known], axis=0)
            axes.plot(course.steps[known], mean, color=colour, linewidth=1.5, zorder=2 + 0.1 * place)
            if bands:
                low, high = _intervals(values, quantity.bounds)
                axes.fill_between(course.steps, low, high, color=colour, alpha=BAND, linewidth=0)
            else:
                _draw_bars(axes, course, values, colour, quantity.bounds, place - (len(arms) - 1) / 2)


def _draw_fixed(axes: Axes, course: Course) -> None:
    mean = 100.0 * course.values[SCORE].mean(0)
    axes.plot(course.steps, mean, color=look_up(STILL).colour, linewidth=1.4, linestyle=":", zorder=1)


def _draw_bars(
    axes: Axes, course: Course, values: Array, colour: str, bounds: tuple[float, float], shift: float
) -> None:
    """Draw thin bars at some of the evaluations, the last one among them, `shift` bars beside the line's points."""
    shown = np.unique(np.linspace(0, len(course.steps) - 1, BARS + 1).round().astype(int))[1:]
    low, high = _intervals(values[:, shown], bounds)
    aside = ASIDE * shift * float(course.steps[-1])
    axes.vlines(course.steps[shown] + aside, low, high, color=colour, linewidth=1.1, alpha=0.55)


def _intervals(values: Array, bounds: tuple[float, float]) -> tuple[Array, Array]:
    """The ends (V,) of the 95 % intervals of means over seeds of values (N, V); NaN where there is none."""
    found = [columns("", own, bounds) for own in values.T.tolist()]
    low, high = (np.array([each[end] for each in found], float) for end in ("_low", "_high"))  # None: NaN
    return low, high


def _finish(panels: Sequence[Axes]) -> None:
    """Give panels of one quantity one scale, and write titles and steps where they are needed."""
    width = len(QUANTITIES)
    for place, quantity in enumerate(QUANTITIES):
        own = panels[place::width]
        across = [axes.get_xlim() for axes in panels]
        ends = [axes.get_ylim() for axes in own]
        limits = (min(low for low, _ in ends), max(high for _, high in ends))
        for axes in own:
            axes.set_xlim(min(low for low, _ in across), max(high for _, high in across))
            axes.set_ylim(*((-4.0, 104.0) if quantity.name == SCORE else limits))
            axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: f"{steps:,.0f}"))
            axes.tick_params(labelsize=7.5, labelbottom=axes is own[-1])
            axes.grid(axis="y")
        own[0].set_title(quantity.title, fontsize=8.5)
        own[-1].set_xlabel("steps", fontsize=8.0)
