"""The figure of `lamobench bench`: each ratio as a bar on a logarithmic axis, what is wanted as a mark.

What was measured on several processors has a bar for each.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...datasets.storage import whole_file
from ..figures.card import DPI, INK, MARGIN, MUTED, STYLE, WIDTH, WRAP, header_height, legend_lines, write_header

MET = "#1A8A5F"
MISSED = "#B3261E"
WANTED = "#1F2328"
LABEL = 0.22  # inches of a label
BAR = 0.2  # of a bar
AXIS = 0.45  # of the axis below them and its title
TICKS = 0.2  # of the axis's numbers above them


def bench_figure(rows: Sequence[Mapping[str, str]], caption: str, path: Path) -> None:
    """Write a PNG of the rows that have a ratio and want one; none, if there is no such row."""
    shown = [row for row in rows if row["ratio"] and "times" in row["wanted"]]
    if not shown:
        return
    groups = dict[tuple[str, ...], list[Mapping[str, str]]]()
    for row in shown:
        groups.setdefault((row["what"], row["threads"], row["other_name"]), []).append(row)
    handles = [_mark(MET, "as fast as wanted"), _mark(MISSED, "not yet"), _mark(WANTED, "wanted", "|")]
    lines = ["How many times faster, or smaller, ours is; lines: quartiles over rounds.", *textwrap.wrap(caption, WRAP)]
    header = header_height(len(lines), legend_lines(handles))
    body = LABEL * len(groups) + BAR * len(shown)
    height = 2 * MARGIN + header + TICKS + body + AXIS
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, height), dpi=DPI, facecolor="white")
        write_header(figure, "Ours beside what one would use instead", lines, handles)
        area = (MARGIN / WIDTH, (MARGIN + AXIS) / height, 1 - 2 * MARGIN / WIDTH, body / height)
        axes = figure.add_axes(area)
        axes.set_ylim(body, 0)
        named = len({row["processor"] for row in shown}) > 1
        _axis(axes, max(float(row["ratio"]) for row in shown) * (6 if named else 2))
        _bars(axes, groups, named)
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def _axis(axes: Axes, end: float) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.5, end)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300) if tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.tick_params(axis="x", labeltop=True)
    axes.set_xlabel("times as fast, or as small (logarithmic)")
    axes.minorticks_off()
    axes.grid(axis="x")


def _bars(axes: Axes, groups: Mapping[tuple[str, ...], Sequence[Mapping[str, str]]], named: bool) -> None:
    """Labels and bars from the top down, with the processors' names if they are to be; the vertical axis has inches."""
    top = 0.0
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    for (what, threads, other), rows in groups.items():
        count = "1 thread" if threads == "1" else f"{threads} threads"
        label = f"{what}, {count}, beside {other}"
        where: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "color": MUTED, "bbox": box}
        axes.annotate(label, (0, top + 0.6 * LABEL), fontsize=6.5, **where)
        top += LABEL
        for row in rows:
            _bar(axes, row, top + BAR / 2, row["processor"] if named else "")
            top += BAR


def _bar(axes: Axes, row: Mapping[str, str], middle: float, processor: str) -> None:
    ratio = float(row["ratio"])
    wanted = wanted_ratio(row["wanted"])
    axes.barh(middle, ratio - 1, left=1, height=0.7 * BAR, color=MET if row["met"] == "True" else MISSED)
    if row["low"]:
        axes.plot([float(row["low"]), float(row["high"])], [middle] * 2, color=INK, linewidth=1.2)
    axes.plot([wanted], [middle], "|", color=WANTED, markersize=11, markeredgewidth=2)
    end = max(ratio, wanted, float(row["high"] or 0))
    axes.annotate(f"{ratio:.3g}", (end, middle), va="center", xytext=(6, 0), textcoords="offset points")
    edge: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "va": "center", "ha": "right"}
    if processor:
        axes.annotate(processor, (1, middle), fontsize=6.5, color=MUTED, **edge)


def wanted_ratio(text: str) -> float:
    """The number that "30 times faster" begins with."""
    match = re.match(r"[\d.]+", text)
    assert match, text
    return float(match.group())


def _mark(colour: str, label: str, marker: str = "s") -> Line2D:
    return Line2D([], [], color=colour, linestyle="none", marker=marker, markersize=8, markeredgewidth=2, label=label)
