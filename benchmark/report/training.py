"""Figures of what happens while runs train: their score, and their held-out action error."""

import numpy as np

from ...datasets.counts import count
from ...datasets.trajectories import Array
from ..scores.held_out import held_out_curves
from .charts import Axes, Chart, curves_chart, ends_of
from .contents import Row, Setting
from .held_out import DIGITS, predictor_errors
from .marks import Curve, percent


def learning_curve(setting: Setting, fraction: float) -> Chart:
    """Score over training steps at a share of the data: means over seeds, and a dot for each seed."""
    curves = [_learned(row) for row in setting.drawn if row.fraction == fraction]
    every = ends_of([_learned(row) for row in setting.drawn])
    episodes = count(setting.at(fraction)[0].values["episodes_in_subset"], "episode")
    title = f"Training on {percent(fraction)} ({episodes})" if setting.on_data else "Training"
    name = f"curve-{setting.anchor}-{setting.fractions.index(fraction)}"
    return curves_chart(name, title, over_steps("score"), curves, every)


def held_out_curve(setting: Setting, fraction: float) -> Chart | None:
    """Held-out action error over training steps, drawn as the score is; None where it was not measured.

    Lines without a mark are the errors of predictors that learn next to nothing, where the scale reaches them.
    """
    measured = {row.anchor: curve for row in setting.drawn if (curve := _held_out(row))}
    curves = [measured[row.anchor] for row in setting.drawn if row.fraction == fraction and row.anchor in measured]
    if not curves:
        return None
    name = f"held-out-{setting.anchor}-{setting.fractions.index(fraction)}"
    title = f"Held-out action error with {percent(fraction)}"
    trivial = predictor_errors(setting, fraction)
    every = ends_of(list(measured.values()))
    return curves_chart(name, title, over_steps("error", DIGITS), curves, every, trivial)


def over_steps(quantity: str, digits: int = 1) -> Axes:
    """The axes of a quantity over training steps, its values with `digits` decimals."""
    return Axes("training step", quantity, "step", lambda step: f"step {step:,.0f}", digits)


def curve_of(row: Row, steps: Array, seeds: Array) -> Curve:
    """The row's curve at the steps (V,), from the values (N, V) of its seeds: their mean, lowest and highest."""
    return Curve(row.label, row.method, steps, seeds.mean(axis=0), seeds.min(axis=0), seeds.max(axis=0), seeds)


def _learned(row: Row) -> Curve:
    return curve_of(row, np.asarray(row.runs[0].result.curve_steps, float), row.group.curves)


def _held_out(row: Row) -> Curve | None:
    measured = held_out_curves(row.runs)
    if measured is None:
        return None
    steps, seeds = measured
    return curve_of(row, steps.astype(float), seeds)
