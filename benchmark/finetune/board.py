"""The leaderboard of the fine-tuning track: a `scores.boards.Board`, whose docstrings explain each function.

A row's numbers are means over seeds with the 95 % intervals of `scores/aggregates.py`. Methods are compared seed by
seed: all runs of a seed begin with the same pi* and are evaluated from the same starts.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.environments.staged_tasks import find_staged_task
from ...datasets.trajectories import Array
from ..scores.labels import label, method_order
from ..scores.leaderboard import Group
from ..scores.measured import UNBOUNDED, about_intervals, columns, difference, percent, whole, with_interval
from ..scores.places import Place, draw_places, place_of, rows_by_place
from ..terminal import table_lines, wrapped
from .config import ENVIRONMENT, RETENTION
from .figure import curves_figure
from .measures import AT_LEAST_0, Measures, bounds_of, facts_at_end, forward_transfer, measure

__all__ = ["draw", "rows", "tables"]

MEASURES = tuple(field.name for field in fields(Measures))
# What compares areas with another method's, over the seeds that both have: that method, and how.
COMPARED: dict[str, tuple[str, Callable[[list[float], list[float]], Array]]] = {
    "forward_transfer": ("scratch", forward_transfer),
    "area_gain": ("finetune", np.subtract),
}
# The settings that say how much is retained, of which a method has one at most: `strength` of `RETENTIONS`.
STRENGTHS = (f"{RETENTION}.coefficient", f"{RETENTION}.share")
SHOWN = {
    "far_before": "FAR before",
    "far_least": "least",
    "far_end": "at end",
    "close_end": "CLOSE",
    "full_end": "FULL",
}
SCORED_NOTE = (
    "Mean scores in per cent of the expert's. FAR, begun deep in the dungeon: before training, at its worst, at the "
    "end. CLOSE and FULL are the same, from the start of the game: at the end."
)
STAGED_NOTE = (
    "Per cent of episodes. FAR, begun there: before training, at its worst, at the end. CLOSE, and FULL, all stages "
    "one after the other: at the end."
)
NOTE = (
    "area: mean of FULL over all evaluations{interval}. gain: in area on plain fine-tuning, seed by seed.{star} CPU s: "
    "of training, a run. coef.: of retention; of EM its share of the buffer."
)


def rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A row for each task, profile, variant and method."""
    measured = {id(group): {run.config.seed: measure(run) for run in group.runs} for group in groups}
    places: dict[Place, dict[str, dict[int, Measures]]] = {}
    for group in groups:
        places.setdefault(place_of(group), {})[group.config.method] = measured[id(group)]
    ordered = sorted(groups, key=lambda group: (place_of(group), method_order(group.config.method)))
    found = [_row(group, measured[id(group)], places[place_of(group)]) for group in ordered]
    names = dict.fromkeys(name for row in found for name in row)
    return [{name: row.get(name) for name in names} for row in found]


def tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table for each task, profile and variant, the largest area first."""
    for place, own in rows_by_place(rows).items():
        lines = table_lines([shown(row) for row in sorted(own, key=lambda row: -row["area"])])
        first = SCORED_NOTE if find_staged_task(place.task).scored else STAGED_NOTE
        yield "\n".join([place.heading(own), *lines, *wrapped(f"{first} {about_intervals(NOTE, own)}")])


def draw(groups: Sequence[Group], folder: Path) -> list[str]:
    """CLOSE, FAR and FULL over environment steps, a figure for each task, profile and variant."""
    return draw_places(groups, folder, curves_figure)


def _row(group: Group, own: Mapping[int, Measures], methods: Mapping[str, Mapping[int, Measures]]) -> dict[str, Any]:
    config = group.config
    scored = find_staged_task(config.task).scored
    row: dict[str, Any] = {
        "task": config.task,
        "method": config.method,
        "profile": config.profile,
        "variant": group.variant,
        "environment": _in_a_line(config.settings_of(ENVIRONMENT)),
        "coefficient": next((config.policy[name] for name in STRENGTHS if name in config.policy), None),
        "seeds": len(own),
    }
    for name in MEASURES:
        row |= columns(name, [getattr(found, name) for found in own.values()], bounds_of(name, scored=scored))
    facts = [facts_at_end(run) for run in group.runs]
    for name in facts[0]:
        bounds = UNBOUNDED if name.endswith("_score") else AT_LEAST_0  # points can be lost
        row |= columns(name, [each[name] for each in facts], bounds)
    row["recovered"] = int(np.isfinite([found.recovery_step for found in own.values()]).sum())
    area = {seed: found.area for seed, found in own.items()}
    for name, (reference, compare) in COMPARED.items():
        other = methods.get(reference, {}) if config.method != reference else {}
        seeds = sorted(area.keys() & other.keys())
        values = compare([area[seed] for seed in seeds], [other[seed].area for seed in seeds])
        row |= columns(name, values, bounds_of(name, scored=scored))
    return row | {"simulator": group.runs[0].done["simulator"], "version": config.version}


def _in_a_line(settings: Mapping[str, Any]) -> str:
    """Settings as in "far_level=4 horizon=100"."""
    return " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
        for name, value in sorted(settings.items())
    )


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `rows` in the words of the table."""
    digits = int(find_staged_task(row["task"]).scored)  # a policy's score may be a few per cent of the expert's
    cells: dict[str, Any] = {"method": label(row["method"])}
    cells |= {title: percent(row[name], digits) for name, title in SHOWN.items()}
    cells["area"] = with_interval(row, "area", digits)
    cells["gain"] = difference(row, "area_gain", digits)
    cells["CPU s"] = whole(row["cpu_seconds"])
    return cells | {"coef.": "" if row["coefficient"] is None else f"{row['coefficient']:g}"}
