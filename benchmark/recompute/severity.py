"""The table of `lamobench severity`, severity.csv: one option of a task at a time, and what was forgotten."""

from collections.abc import Sequence

from . import finetune
from .rows import Row
from .tuning import Value, alone

PREFIX = "policy.environment."
MEASURED = ("far_before", "far_least", "forgetting", "full_end", "area")


def severity_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row for each value of each option of a task: runs of one method that differ in nothing else."""
    methods: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.first.track == finetune.TRACK:
            methods.setdefault((row.first.task, row.first.method), []).append(row)
    return [
        _row(point, setting)
        for own in methods.values()
        for setting in sorted({name for row in own for name in row.first.settings if name.startswith(PREFIX)})
        for points in alone(own, setting)
        for point in points
    ]


def _row(point: Row, setting: str) -> dict[str, Value]:
    measures = [finetune.measures_of(run, point) for run in point.runs]
    found: dict[str, Value] = {
        "task": point.first.task,
        "option": setting.removeprefix(PREFIX),
        "value": point.first.settings[setting],
        "method": point.first.method,
        "seeds": len(measures),
    }
    for name in MEASURED:
        found |= finetune.ends(name, [each[name] for each in measures], finetune.is_scored(point.first))
    return found
