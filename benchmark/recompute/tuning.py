"""The table of `lamobench tune`, tuning.csv: one setting at a time, by the area under the learning curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import finetune, text
from .rows import Row

TRACKS = (finetune.TRACK, text.TRACK)  # whose scores are per cent of what there is to be had
PREFIX = "policy."  # of a method's own settings

Value = str | int | float | None


def tuning_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row for each value of each setting: runs of one method that differ in nothing else are its trials."""
    methods: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.first.track in TRACKS:
            methods.setdefault((row.first.task, row.first.method), []).append(row)
    return [
        found
        for own in methods.values()
        for setting in sorted({name for row in own for name in row.first.settings if name.startswith(PREFIX)})
        for trials in alone(own, setting)
        for found in _trial_rows(trials, setting)
    ]


def alone(rows: Sequence[Row], setting: str) -> list[list[Row]]:
    """Return the rows that have a setting and agree in all others, where there are several."""
    groups: dict[str, list[Row]] = {}
    for row in (each for each in rows if setting in each.first.settings):
        others: Mapping[str, Any] = {name: value for name, value in row.first.settings.items() if name != setting}
        groups.setdefault(repr(sorted(others.items())), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _trial_rows(trials: Sequence[Row], setting: str) -> list[dict[str, Value]]:
    ordered = sorted(trials, key=lambda row: float(row.first.settings[setting]))
    areas = [[float(each.scores.mean()) / 100.0 for each in row.ranked] for row in ordered]
    best = int(np.argmax([np.mean(own) for own in areas]))
    return [
        {
            "task": row.first.task,
            "method": row.first.method,
            "setting": setting.removeprefix(PREFIX),
            "value": row.first.settings[setting],
            "seeds": len(own),
            **text.ends("area", own),
            "chosen": number == best,
        }
        for number, (row, own) in enumerate(zip(ordered, areas, strict=True))
    ]
