"""Variants: runs of one method that differ in a setting are never averaged, and each row says how it differs."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .run import FinishedRun

SHOWN_OF_A_HASH = 8  # characters

Part = list[FinishedRun]  # runs of one group with the same settings
Counts = Counter[tuple[str, str]]  # of a setting's name and value, how many runs have it


def split_variants(groups: Sequence[Part]) -> list[dict[str, Part]]:
    """Split each group of runs, which agree in data, method and profile, by the settings that still tell them apart.

    The part with the most common settings is the group's base and has the name "". Every other part is named by all
    settings in which it differs from the base, as in "evaluate_every=10, steps=40". How common a value is, is counted
    over all groups in which runs differ in that setting, and of equally common bases the one of lower values is taken:
    so the same two settings have the same base, and their difference the same name, in every group. The order of runs
    is kept.

    Runs whose profile has changed since are split among themselves, and their names begin with what they still have
    (`RunConfig.outdated`).
    """
    aged = [_by_age(group) for group in groups]
    split = [_parts(group) for ages in aged for group in ages.values()]
    counts = Counter(
        (name, _frozen(run.settings.get(name)))
        for parts in split
        for name in _differing(parts)
        for part in parts
        for run in part
    )
    named = iter([_named(parts, counts) for parts in split])
    return [
        {", ".join(filter(None, (age, name))): part for age in ages for name, part in next(named).items()}
        for ages in aged
    ]


def differing(runs: Sequence[FinishedRun]) -> set[str]:
    """The names of settings in which runs differ, but for hashes."""
    return {name for name in _differing([[run] for run in runs]) if not name.endswith("_hash")}


def values_of(run: FinishedRun, names: Iterable[str]) -> set[str]:
    """Settings of a run, each as in "steps=20"."""
    defaults = {f"policy.{name}": value for name, value in run.config.later_settings.items()}
    values = defaults | run.fields  # `settings` lack those that came later and are as they were
    return {_part(name, values.get(name)) for name in names}


def _by_age(group: Part) -> dict[str, Part]:
    """The runs by the names of their outdated settings, "" first."""
    ages: dict[str, Part] = {}
    for run in group:
        outdated = sorted(run.config.outdated.items())
        ages.setdefault(", ".join(f"{name}={_shown(name, value)}" for name, value in outdated), []).append(run)
    return dict(sorted(ages.items()))


def _parts(group: Part) -> list[Part]:
    if all(run.settings == group[0].settings for run in group):
        return [group]
    parts: dict[str, Part] = {}
    for run in group:
        parts.setdefault(_frozen(run.settings), []).append(run)
    return list(parts.values())


def _differing(parts: Sequence[Part]) -> list[str]:
    """The settings in which parts differ, sorted."""
    if len(parts) == 1:
        return []
    known = [part[0].settings for part in parts]
    names = sorted({name for settings in known for name in settings})
    return [name for name in names if len({_frozen(settings.get(name)) for settings in known}) > 1]


def _named(parts: list[Part], counts: Counts) -> dict[str, Part]:
    names = _differing(parts)
    base = min((part[0].settings for part in parts), key=lambda settings: _rank(settings, names, counts))
    short = [_name(part[0].settings, base, names, hashes=False) for part in parts]
    long = [_name(part[0].settings, base, names, hashes=True) for part in parts]
    chosen = [brief if short.count(brief) == 1 else full for brief, full in zip(short, long, strict=True)]
    return dict(sorted(zip(chosen, parts, strict=True), key=lambda item: item[0]))


def _rank(settings: Mapping[str, Any], names: Sequence[str], counts: Counts) -> tuple[Any, ...]:
    """A sorting key: settings whose values more runs have come first, then those of lower values."""
    common = sum(counts[name, _frozen(settings.get(name))] for name in names)
    return (-common, *(_size(settings.get(name)) for name in names))


def _size(value: Any) -> tuple[bool, float, str]:
    """A sorting key of values of any kind: what is absent, then numbers by size, then texts."""
    number = float(value) if isinstance(value, int | float) else float("inf")
    return value is not None, number, _frozen(value)


def _frozen(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _name(settings: Mapping[str, Any], base: Mapping[str, Any], names: Sequence[str], *, hashes: bool) -> str:
    return ", ".join(
        _part(name, settings.get(name))
        for name in names
        if _frozen(settings.get(name)) != _frozen(base.get(name)) and (hashes or not name.endswith("_hash"))
    )


def _part(name: str, value: Any) -> str:
    return f"{name.removeprefix('policy.')}={_shown(name, value)}"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value[:SHOWN_OF_A_HASH] if name.endswith("_hash") else value
    return "absent" if value is None else _frozen(value)
