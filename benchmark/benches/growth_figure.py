"""Show what `lamobench bench --growth` found: the figure, a panel an axis, and the tables for a page."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ...datasets.storage import whole_file
from ..figures.card import DPI, INK, MARGIN, STYLE, WIDTH, WRAP, header_height, legend_lines, write_header
from .growth import AXES, BC, DT, FEW_WINDOWS, LAMO, SAMPLES
from .sampling import BATCH, CONTEXT, TRANSITIONS

Rows = Sequence[Mapping[str, str]]  # of `growth.csv`, as text

PANEL = 3.1  # inches
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
PANELS = {  # axis: title, what is along it
    "context": (f"A step of {BATCH} windows, LaMo on gpt2-mini", "context K, steps"),
    "width": (f"LaMo's step, {FEW_WINDOWS} windows of {CONTEXT}", "width: gpt2-mini, gpt2, gpt2-medium"),
    "data": ("A batch from memory-mapped data", "transitions in the data set"),
    "runs": ("Short runs on the local pool", "runs"),
}
# What a series begins with: colour, marker, name in the legend.
SERIES = {
    DT: ("#DE7900", "s", "DT, original size"),
    LAMO: ("#0B4F9E", "o", "LaMo"),
    SAMPLES["transitions"]: ("#CC3311", "D", f"{TRANSITIONS} transitions"),
    SAMPLES["windows"]: ("#1A8A5F", "^", f"{BATCH} windows of {CONTEXT}"),
    BC: (INK, "P", "BC on reacher2d, cpu profile"),
}


def growth_figure(rows: Rows, caption: str, path: Path) -> None:
    """Write a PNG of the axes that were measured: milliseconds, logarithmic, or runs an hour above, memory below."""
    axes = [axis for axis in AXES if any(row["axis"] == axis for row in rows)]
    found = [name for name in SERIES if any(row["what"].startswith(name) for row in rows)]
    said = "Above: medians over rounds, milliseconds on a logarithmic axis."
    said += " Below: memory of a process that does this alone." if any(row["gb"] for row in rows) else ""
    lines = [line for text in (said, caption) for line in textwrap.wrap(text, WRAP)]
    columns = min(2, len(axes))
    handles = [_line(name, [], []) for name in found]
    header = header_height(len(lines), legend_lines(handles))
    down = -(-len(axes) // columns)
    height = 2 * MARGIN + header + down * PANEL
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, height), dpi=DPI, facecolor="white")
        write_header(figure, "How cost grows", lines, handles)
        body = (MARGIN / WIDTH, MARGIN / height, 1 - 2 * MARGIN / WIDTH, (height - 2 * MARGIN - header) / height)
        figure.set_layout_engine("constrained", rect=body, w_pad=0.04, h_pad=0.06, wspace=0.05, hspace=0.04)
        grid = figure.add_gridspec(down, columns)
        for place, axis in enumerate(axes):
            _panel(figure, grid[place], axis, [row for row in rows if row["axis"] == axis])
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def _panel(figure: Figure, cell: Any, axis: str, rows: Rows) -> None:
    measured = [column for column in ("value", "gb") if any(row[column] for row in rows)]
    grid = cell.subgridspec(len(measured), 1, height_ratios=[3, 2][: len(measured)])
    title, along = PANELS[axis]
    for place, column in enumerate(measured):
        axes = figure.add_subplot(grid[place])
        _draw(axes, rows, column)
        _ticks(axes, sorted({int(row["x"]) for row in rows}), labelled=place == len(measured) - 1)
        axes.set_ylabel("GB" if column == "gb" else rows[0]["unit"])
        if place == 0:
            axes.set_title(title)
    axes.set_xlabel(along)


def _draw(axes: Axes, rows: Rows, column: str) -> None:
    for what in dict.fromkeys(row["what"] for row in rows):
        line = [row for row in rows if row["what"] == what]
        x = [int(row["x"]) for row in line]
        y = [float(row[column]) for row in line]
        if column == "value" and line[0]["low"]:
            colour = _style(what)[0]
            axes.vlines(x, [float(row["low"]) for row in line], [float(row["high"]) for row in line], color=colour)
        axes.add_line(_line(what, x, y))
    axes.autoscale_view()
    axes.grid(axis="y")
    values = [float(row[column]) for row in rows]
    if column == "gb" or rows[0]["unit"] != "ms":
        axes.set_ylim(0, 1.15 * max(values))
        axes.yaxis.set_major_locator(MaxNLocator(4 if column == "gb" else 6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        return
    axes.set_yscale("log")
    axes.set_ylim(min(values) / 1.5, max(values) * 1.5)
    wide = max(values) / min(values) > 30
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _ticks(axes: Axes, values: Sequence[int], labelled: bool) -> None:
    axes.set_xscale("log")
    axes.set_xlim(values[0] / 1.3, values[-1] * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(values))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(values, [_short(value) for value in values] if labelled else [""] * len(values))


def _short(value: int) -> str:
    """A number of transitions as a power of ten, any other as it is."""
    power = len(str(value)) - 1
    return f"10{SUPERSCRIPTS[power]}" if 3 <= power < 10 and value == 10**power else str(value)


def _style(label: str) -> tuple[str, str, str]:
    return next(style for name, style in SERIES.items() if label.startswith(name))


def _line(label: str, x: Sequence[int], y: Sequence[float]) -> Line2D:
    colour, marker, label = _style(label)
    return Line2D(x, y, color=colour, marker=marker, markersize=5, linewidth=1.8, label=label)


def growth_as_markdown(rows: Rows) -> str:
    """A table an axis for a page, x along the top."""
    return "\n\n".join(_table(axis, [row for row in rows if row["axis"] == axis]) for axis in AXES if _has(rows, axis))


def _has(rows: Rows, axis: str) -> bool:
    return any(row["axis"] == axis for row in rows)


def _table(axis: str, rows: Rows) -> str:
    heads = [f"{x:,}" for x in sorted({int(row["x"]) for row in rows})]
    lines = [f"| {PANELS[axis][1]} | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for what in dict.fromkeys(row["what"] for row in rows):
        cells = {f"{int(row['x']):,}": row for row in rows if row["what"] == what}
        unit = next(iter(cells.values()))["unit"]
        for column, measured in (("value", unit), ("gb", "GB")):
            values = [cells[head][column] if head in cells else "" for head in heads]
            if any(values):
                lines.append(f"| {what}, {measured} | {' | '.join(values)} |")
    return "\n".join(lines)
