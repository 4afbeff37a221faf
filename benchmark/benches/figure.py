"""The figure of `lamobench bench`: each ratio as a bar on a logarithmic axis, what is wanted as a mark."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...datasets.storage import whole_file
from ..card import DPI, INK, MARGIN, MUTED, STYLE, WIDTH, header_height, write_header

MET, MISSED, WANTED = "#1A8A5F", "#B3261E", "#1F2328"
ROW, AXIS = 0.42, 0.28  # inches of a bar with its label, and of the axis below them


def bench_figure(rows: Sequence[Mapping[str, str]], about: str, path: Path) -> None:
    """Write a PNG of the rows that have a ratio and want one; none, if there is no such row."""
    shown = [row for row in rows if row["ratio"] and "times" in row["wanted"]]
    if not shown:
        return
    handles = [_mark(MET, "as fast as wanted"), _mark(MISSED, "not yet"), _mark(WANTED, "wanted", "|")]
    lines = ["How many times faster, or smaller, ours is; lines: quartiles over rounds.", about]
    header = header_height(len(lines), len(handles))
    height = 2 * MARGIN + header + len(shown) * ROW + AXIS
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, height), dpi=DPI, facecolor="white")
        write_header(figure, "Ours beside what one would use instead", lines, handles)
        area = (MARGIN / WIDTH, (MARGIN + AXIS) / height, 1 - 2 * MARGIN / WIDTH, len(shown) * ROW / height)
        axes = figure.add_axes(area)
        _bars(axes, shown)
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def _bars(axes: Axes, rows: Sequence[Mapping[str, str]]) -> None:
    for place, row in enumerate(reversed(rows)):
        ratio, wanted = float(row["ratio"]), wanted_ratio(row["wanted"])
        axes.barh(place - 0.2, ratio - 1, left=1, height=0.32, color=MET if row["met"] == "True" else MISSED)
        if row["low"]:
            axes.plot([float(row["low"]), float(row["high"])], [place - 0.2] * 2, color=INK, linewidth=1.2)
        axes.plot([wanted], [place - 0.2], "|", color=WANTED, markersize=13, markeredgewidth=2)
        threads = "1 thread" if row["threads"] == "1" else f"{row['threads']} threads"
        label = f"{row['what']}, {threads}, beside {row['other_name']}"
        axes.annotate(label, (0, place + 0.1), xycoords=("axes fraction", "data"), fontsize=6.5, color=MUTED)
        end = max(ratio, wanted, float(row["high"] or 0))
        axes.annotate(f"{ratio:.3g}", (end, place - 0.2), va="center", xytext=(6, 0), textcoords="offset points")
    axes.set_xscale("log")
    axes.set_xlim(0.5, 2 * max(float(row["ratio"]) for row in rows))
    axes.set_ylim(-0.5, len(rows) - 0.35)
    axes.axvline(1, color=MUTED, linewidth=0.8)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300) if tick < axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x")


def wanted_ratio(text: str) -> float:
    """The number that "30 times faster" begins with."""
    match = re.match(r"[\d.]+", text)
    assert match, text
    return float(match.group())


def _mark(colour: str, label: str, marker: str = "s") -> Line2D:
    return Line2D([], [], color=colour, linestyle="none", marker=marker, markersize=8, markeredgewidth=2, label=label)
