"""What tells rows of one method apart: runs that differ in a setting are never averaged, and each row says how."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from .run import FinishedRun

SHOWN_OF_A_HASH = 8  # characters


def split_variants(group: list[FinishedRun]) -> dict[str, list[FinishedRun]]:
    """Runs that agree in data, method and profile, by the settings that still tell them apart.

    Each variant is named by its settings that most of the runs do not have, as in "adaptation=full"; one that has all
    the common ones is "", which is every row of a collection that holds no variants. The order of runs is kept.
    """
    if all(run.settings == group[0].settings for run in group):
        return {"": group}
    by_settings: dict[str, list[FinishedRun]] = {}
    for run in group:
        by_settings.setdefault(_frozen(run.settings), []).append(run)
    parts = list(by_settings.values())
    common = _common([run.settings for run in group])
    short = [_name(part[0].settings, common, hashes=False) for part in parts]
    long = [_name(part[0].settings, common, hashes=True) for part in parts]
    names = [brief if short.count(brief) == 1 else full for brief, full in zip(short, long, strict=True)]
    return dict(sorted(zip(names, parts, strict=True), key=lambda item: item[0]))


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _common(settings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of each setting, the value that most runs have; of equally frequent ones, the first by name."""
    fields = {field for one in settings for field in one}
    counts = {field: Counter(_frozen(one.get(field)) for one in settings) for field in fields}
    return {field: min(count, key=lambda value: (-count[value], value)) for field, count in counts.items()}


def _name(settings: Mapping[str, Any], common: dict[str, str], *, hashes: bool) -> str:
    differing = {field: settings.get(field) for field in common if _frozen(settings.get(field)) != common[field]}
    return ", ".join(
        f"{field.removeprefix('policy.')}={_shown(field, value)}"
        for field, value in sorted(differing.items())
        if hashes or not field.endswith("_hash")
    )


def _shown(field: str, value: Any) -> str:
    if isinstance(value, str):
        return value[:SHOWN_OF_A_HASH] if field.endswith("_hash") else value
    return "absent" if value is None else _frozen(value)
