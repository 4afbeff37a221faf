"""Rewind curves on the report: score, and what is left of language, over how much of the updates is kept."""

from dataclasses import dataclass

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..scores.rewind import Rewind, read_rewind
from .charts import Axes, Chart, curves_chart
from .contents import Contents, Row, Setting
from .marks import Curve, percent

Measured = tuple[str, tuple[float, ...], int]  # the text's hash, alphas, episodes: what curves share that are averaged


@dataclass(frozen=True)
class Line:
    """One row's curves, a run each, measured alike; what is said of them are means over the runs."""

    row: Row
    curves: list[Rewind]

    @property
    def bits_before(self) -> float:
        """Bits a byte before anything was added to the language model."""
        return float(np.mean([curve.bits_before for curve in self.curves]))

    @property
    def scores(self) -> Array:
        """Scores (runs, P) at each alpha."""
        return np.stack([curve.scores for curve in self.curves])

    @property
    def bits(self) -> Array:
        """Changes (runs, P) of cross entropy in bits a byte."""
        return np.stack([curve.bits_change for curve in self.curves])

    @property
    def bits_change(self) -> Array:
        """Changes (P,) of cross entropy in bits a byte, mean over the runs."""
        return np.asarray(self.bits.mean(axis=0))

    @property
    def nats_change(self) -> Array:
        """Changes (P,) of cross entropy in nats a token."""
        return np.asarray(np.mean([curve.nats_change for curve in self.curves], axis=0))

    @property
    def score_area(self) -> float:
        """Area under the scores."""
        return float(np.mean([curve.area(curve.scores) for curve in self.curves]))

    @property
    def bits_area(self) -> float:
        """Area under the change in bits a byte."""
        return float(np.mean([curve.area(curve.bits_change) for curve in self.curves]))


@dataclass(frozen=True)
class Rewound:
    """The rows of one setting whose curves were measured alike."""

    lines: list[Line]

    @property
    def text(self) -> str:
        """The name of what cross entropy was measured on."""
        return self.lines[0].curves[0].text

    @property
    def bytes(self) -> int:
        """The size of that text."""
        return self.lines[0].curves[0].bytes


def read_rewinds(contents: Contents) -> tuple[dict[str, list[Rewound]], list[str]]:
    """The curves that lie beside runs, by the anchor of their setting; and a line for each that can't be read."""
    problems: list[str] = []
    found = {setting.anchor: _rewound(setting, problems) for setting in contents.settings}
    return found, problems


def _rewound(setting: Setting, problems: list[str]) -> list[Rewound]:
    alike: dict[Measured, list[Line]] = {}
    for row in setting.rows:
        by_measure: dict[Measured, list[Rewind]] = {}
        for run in row.runs:
            try:
                curve = read_rewind(run.folder)
            except UserError as error:
                problems.append(str(error))
                continue
            if curve is not None:
                measured = (curve.text_sha256, tuple(curve.alphas), curve.episodes)
                by_measure.setdefault(measured, []).append(curve)
        for measured, curves in by_measure.items():
            alike.setdefault(measured, []).append(Line(row, curves))
    return [Rewound(lines) for lines in alike.values()]


def rewind_charts(found: Rewound, name: str) -> list[Chart]:
    """Score over alpha, and change of cross entropy over alpha: means over runs, each run a dot."""
    scores = [_curve(line, line.scores, found) for line in found.lines]
    bits = [_curve(line, line.bits, found) for line in found.lines]
    return [
        curves_chart(f"{name}-score", "Score over alpha", _over_alpha("score", 1), scores),
        curves_chart(f"{name}-language", "Language forgotten over alpha", _over_alpha("bits a byte", 3), bits),
    ]


def _curve(line: Line, values: Array, found: Rewound) -> Curve:
    several = len({each.row.fraction for each in found.lines}) > 1
    label = f"{line.row.label} {percent(line.row.fraction)}" if several else line.row.label
    unknown = np.full(values.shape[1], np.nan)
    return Curve(label, line.row.method, line.curves[0].alphas, values.mean(axis=0), unknown, unknown, values)


def _over_alpha(quantity: str, digits: int) -> Axes:
    return Axes("alpha: how much of the updates is kept", quantity, "alpha", lambda alpha: f"alpha {alpha:g}", digits)
