"""The leaderboard of the fine-tuning track: a `scores.boards.Board`, whose docstrings explain each function.

A row's numbers are means over seeds with the 95 % intervals of `scores/aggregates.py`. Methods are compared seed by
seed: all runs of a seed begin with the same pi* and are evaluated from the same starts.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.counts import count_range
from ...datasets.environments.staged_tasks import find_staged_task
from ..scores.aggregates import Estimate, estimate, mean
from ..scores.labels import label, method_order
from ..scores.leaderboard import Group
from ..terminal import table_lines, wrapped
from .figure import curves_figure
from .measures import Measures, bounds_of, forward_transfer, measure

__all__ = ["draw", "rows", "tables"]

Place = tuple[str, str, str]  # what is compared is compared within one: task, profile, variant
PLAIN = "finetune"
SCRATCH = "scratch"  # methods that others are compared with
MEASURES = tuple(field.name for field in fields(Measures))
SHOWN = {
    "far_before": "FAR before",
    "far_least": "least",
    "far_end": "at end",
    "close_end": "CLOSE",
    "full_end": "FULL",
}
SCORED_NOTE = (
    "Mean scores in per cent of the expert's. FAR, begun deep in the dungeon: before training, at its worst, at the "
    "end. CLOSE and FULL are the same, from the start of the game: at the end. The rest as for other tasks: "
)
NOTE = (
    "Per cent of episodes. FAR, begun there: before training, at its worst, at the end. CLOSE, and FULL, all stages "
    "one after the other: at the end. area: mean of FULL over all evaluations, with its 95 % interval. gain: in area "
    "on plain fine-tuning, seed by seed. *: its interval lies above or below 0. CPU s: of training, a run. coef.: of "
    "retention."
)


def rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A row for each task, profile, variant and method."""
    measured = {id(group): {run.config.seed: measure(run) for run in group.runs} for group in groups}
    places: dict[Place, dict[str, dict[int, Measures]]] = {}
    for group in groups:
        places.setdefault(_place(group), {})[group.config.method] = measured[id(group)]
    ordered = sorted(groups, key=lambda group: (_place(group), method_order(group.config.method)))
    return [_row(group, measured[id(group)], places[_place(group)]) for group in ordered]


def tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A table for each task, profile and variant, the largest area first."""
    places: dict[Place, list[Mapping[str, Any]]] = {}
    for row in rows:
        places.setdefault((row["task"], row["profile"], row["variant"]), []).append(row)
    for (task, profile, variant), own in places.items():
        detail = f", {variant}" if variant else ""
        title = f"{task} ({profile} profile{detail}, {count_range([row['seeds'] for row in own], 'seed')})"
        lines = table_lines([shown(row) for row in sorted(own, key=lambda row: -row["area"])])
        note = NOTE
        if find_staged_task(task).scored:
            note = SCORED_NOTE + NOTE[NOTE.index("area:") :]
        yield "\n".join([title, *lines, *wrapped(note)])


def draw(groups: Sequence[Group], folder: Path) -> list[str]:
    """CLOSE, FAR and FULL over environment steps, a figure for each task, profile and variant."""
    places: dict[Place, list[Group]] = {}
    for group in groups:
        places.setdefault(_place(group), []).append(group)
    names = []
    for (task, profile, variant), own in sorted(places.items()):
        alone = len([place for place in places if place[0] == task]) == 1
        detail = "" if alone else "-".join(filter(None, ("", profile, variant))).replace(" ", "_")
        names.append(f"{task}{detail}.png")
        curves_figure(own, folder / names[-1])
    return names


def _place(group: Group) -> Place:
    return group.config.task, group.config.profile, group.variant


def _row(group: Group, own: Mapping[int, Measures], methods: Mapping[str, Mapping[int, Measures]]) -> dict[str, Any]:
    config = group.config
    scored = find_staged_task(config.task).scored
    row: dict[str, Any] = {
        "task": config.task,
        "method": config.method,
        "profile": config.profile,
        "variant": group.variant,
        "coefficient": config.policy.get("retention.coefficient"),
        "seeds": len(own),
    }
    for name in MEASURES:
        values = np.array([getattr(found, name) for found in own.values()])
        row |= _columns(name, _estimate(values[np.isfinite(values)]), scored)
    row["recovered"] = int(np.isfinite([found.recovery_step for found in own.values()]).sum())
    area = {seed: found.area for seed, found in own.items()}
    transfer = _paired(area, methods.get(SCRATCH, {}), forward_transfer)
    gain = _paired(area, methods.get(PLAIN, {}), np.subtract)
    compared = {
        "forward_transfer": transfer if config.method != SCRATCH else _NOTHING,
        "area_gain": gain if config.method != PLAIN else _NOTHING,
    }
    for name, found in compared.items():
        row |= _columns(name, found, scored)
    return row | {"simulator": group.runs[0].done["simulator"], "version": config.version}


_NOTHING = Estimate(math.nan, math.nan, math.nan)


def _paired(area: Mapping[int, float], other: Mapping[int, Measures], compare: Any) -> Estimate:
    """The mean comparison of areas with another method's, over the seeds that both have."""
    seeds = sorted(area.keys() & other.keys())
    if not seeds:
        return _NOTHING
    found = np.asarray(compare([area[seed] for seed in seeds], [other[seed].area for seed in seeds]))
    return _estimate(found[np.isfinite(found)])


def _estimate(values: Any) -> Estimate:
    return estimate({"": values}, mean) if len(values) else _NOTHING


def _columns(name: str, found: Estimate, scored: bool) -> dict[str, float | None]:
    """A measure and its interval, which is cut to what the measure can be."""
    low, high = np.clip((found.low, found.high), *bounds_of(name, scored=scored))
    ends = {name: found.value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return {column: None if math.isnan(value) else value for column, value in ends.items()}


def shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `rows` in the words of the table."""
    cells: dict[str, Any] = {"method": label(row["method"])}
    cells |= {title: _percent(row[name]) for name, title in SHOWN.items()}
    cells["area"] = _with_interval(row, "area")
    cells["gain"] = "" if row["area_gain"] is None else _with_interval(row, "area_gain") + _mark(row)
    cells["CPU s"] = "" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.0f}"
    return cells | {"coef.": "" if row["coefficient"] is None else f"{row['coefficient']:g}"}


def _percent(share: float) -> str:
    return str(round(100 * share))


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    ends = [row[f"{name}{end}"] for end in ("_low", "_high")]
    interval = "" if None in ends else f" [{_percent(ends[0])}, {_percent(ends[1])}]"
    return f"{_percent(row[name])}{interval}"


def _mark(row: Mapping[str, Any]) -> str:
    low = row["area_gain_low"]
    high = row["area_gain_high"]
    return " *" if low is not None and (low > 0 or high < 0) else ""
