"""Success in each stage of a task over training: what was learned, and what was forgotten."""

import numpy as np

from ...datasets.trajectories import Array
from ..runs.records import check_content, content_of
from ..runs.stages import success_by_stage
from .charts import Chart, over_steps
from .contents import Row, Setting
from .marks import Curve


def stage_curves(setting: Setting) -> list[Chart]:
    """A chart for each stage, of episodes that begin and end with it; none of a task without stages."""
    rows = [row for row in setting.drawn if row.runs[0].config.stages]
    if not rows:
        return []
    named = {row.runs[0].config.stages for row in rows}
    names = next(iter(named)) if len(named) == 1 else [""] * min(map(len, named))
    curves = [_curves(row) for row in rows]
    charts = []
    for stage, name in enumerate(names):
        own = [each[stage] for each in curves]
        title = f"Stage {stage + 1} by itself{f': {name}' if name else ''}"
        charts.append(over_steps(setting, rows[0].fraction, f"stage-{stage}", title, "% success", own, own))
    return charts


def _curves(row: Row) -> list[Curve]:
    """The row's curve of each stage, in per cent; a `UserError` if a file of it is damaged."""
    found = []
    for run in row.runs:
        content = content_of(run.folder, "stages.csv")
        check_content("stages.csv", content, run.done)
        steps, success = success_by_stage(content)
        found.append(100.0 * success)
    seeds = np.stack(found)  # (N, V, K)
    return [_curve(row, steps.astype(float), seeds[:, :, stage]) for stage in range(seeds.shape[2])]


def _curve(row: Row, steps: Array, seeds: Array) -> Curve:
    """The curve of values (N, V) over steps (V,): the mean, and from the lowest seed to the highest."""
    return Curve(row.label, row.method, steps, seeds.mean(axis=0), seeds.min(axis=0), seeds.max(axis=0), seeds)
