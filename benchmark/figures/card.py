"""Parts of all figures: an opaque white card that reads on light and dark pages alike, its type, and its header."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ...datasets.storage import whole_file

INK = "#1F2328"
MUTED = "#59636E"
GRID = "#E4E8EC"
WIDTH = 7.2  # inches; at 700 pixels one point is 1.35 pixels
DPI = 200
MARGIN = 0.22  # inches around everything
LINE = 0.19  # inches for a line of text
WRAP = 98  # characters of a header line
LABEL_WRAP = 28  # characters of a line of a label, so that the columns of a legend fit into the card
LEGEND_COLUMNS = 3
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the figures are the same everywhere
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,  # names are shown as they are
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
}


@dataclass(frozen=True)
class Grid:
    """The layout of a figure's panels: side by side in rows, under the header."""

    panels: int
    columns: int
    height: float  # inches, of a panel
    pads: tuple[float, float]  # inches around a panel, across and down
    space: float  # between panels side by side, in widths of one
    shared: bool = False  # whether all panels have the same axes


@contextmanager
def card_of_panels(path: Path, title: str, caption: str, handles: list[Line2D], grid: Grid) -> Iterator[list[Axes]]:
    """Yield the axes of each panel under title, what is shown and the legend; write the PNG when the block ends well.

    The file is written whole or not at all.
    """
    lines = textwrap.wrap(caption, WRAP)
    rows = -(-grid.panels // grid.columns)
    header = header_height(len(lines), legend_lines(handles))
    height = 2 * MARGIN + header + rows * grid.height
    with matplotlib.rc_context(STYLE):
        figure = Figure((WIDTH, height), dpi=DPI, facecolor="white")
        write_header(figure, title, lines, handles)
        body = (MARGIN / WIDTH, MARGIN / height, 1 - 2 * MARGIN / WIDTH, (height - 2 * MARGIN - header) / height)
        across, down = grid.pads
        figure.set_layout_engine("constrained", rect=body, w_pad=across, h_pad=down, wspace=grid.space)
        places = figure.subplots(rows, grid.columns, squeeze=False, sharex=grid.shared, sharey=grid.shared).ravel()
        for axes in places[grid.panels :]:
            axes.remove()
        yield list(places[: grid.panels])
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def readable(value: float) -> str:
    """A number for a figure's text: one decimal, or none for whole and for large ones; with a real minus sign."""
    text = f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:,.1f}"
    return text.replace("-", "\N{MINUS SIGN}")


def wrapped(label: str) -> str:
    """A label in lines that are short enough for a column of the legend, and for the names beside a panel."""
    return textwrap.fill(label, LABEL_WRAP, break_long_words=False, break_on_hyphens=False)


def legend_lines(handles: list[Line2D]) -> int:
    """The lines of the legend's longest column."""
    # Matplotlib splits the entries like this: one column after the other, the first ones with one more.
    lines = np.array([wrapped(str(handle.get_label())).count("\n") + 1 for handle in handles], int)
    return max((int(column.sum()) for column in np.array_split(lines, LEGEND_COLUMNS)), default=0)


def header_height(lines: int, legend_rows: int = 0) -> float:
    """The height in inches that `write_header` needs: for lines of text, and for the `legend_lines`."""
    return LINE * (1.5 + 0.9 * lines + (0.5 if legend_rows else 0.2) + 1.1 * legend_rows)


def write_header(figure: Figure, title: str, lines: list[str], handles: list[Line2D]) -> None:
    """Title, what is shown, and the legend, one under the other from the top left corner."""
    width = figure.get_figwidth()
    height = figure.get_figheight()
    left = MARGIN / width
    top = 1 - MARGIN / height
    line = LINE / height
    below = top - 1.4 * line
    figure.text(left, top, title, size=13, weight="bold", va="top")
    figure.text(left, below, "\n".join(lines), size=8.5, color=MUTED, va="top", linespacing=1.35)
    if handles:
        where = (left, below - (0.9 * len(lines) + 0.4) * line)
        style = {"frameon": False, "borderpad": 0, "borderaxespad": 0.3, "handlelength": 2.4, "fontsize": 8.8}
        names = [wrapped(str(handle.get_label())) for handle in handles]
        figure.legend(handles, names, ncols=LEGEND_COLUMNS, loc="upper left", bbox_to_anchor=where, **style)
