"""Sections of a page: the rows of a profile, and those that changed of it only what their track shows side by side.

A run whose settings are not the profile's own has a profile of another name, "cpu (changed)". What of these settings is
shown beside the profile's own is said by the track's part of the report, in a function `beside` (`parts.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..runs.config import RunConfig
from ..runs.plugins import imported
from ..runs.tracks import find_track
from ..scores.leaderboard import Group, group_runs
from ..scores.run import FinishedRun
from ..scores.variants import values_of

CHANGED = "changed"  # in the name of a profile: `runs.requests.named_profile`


@dataclass(frozen=True)
class Placed:
    """A row, and where it stands."""

    group: Group
    profile: str  # of its section
    details: str  # what tells it from the rows of its method beside it, as in "rate 1e-05"; "" where there are none


def placed_rows(runs: Sequence[FinishedRun]) -> list[Placed]:
    """The rows of runs that can all be averaged, each with its section.

    A run stands in its profile's section though it is changed, where the section has the same but for what the track
    shows side by side: the method, all other settings, the budget, the games and the version are the same.
    """
    own: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        if not _is_changed(run):
            own.setdefault(_alike(run), []).append(_values(run))
    beside = [run for run in runs if _is_changed(run) and _values(run) not in own.get(_alike(run), [_values(run)])]
    folders = {run.folder for run in beside}
    groups = group_runs([run for run in runs if run.folder not in folders])
    others = group_runs(beside) if beside else []
    met = {_alike(group.runs[0]) for group in others}
    homes: dict[str, Group] = {}
    for group in sorted(groups, key=lambda group: group.variant):
        if not _is_changed(group.runs[0]) and _alike(group.runs[0]) in met:
            homes.setdefault(_alike(group.runs[0]), group)
    at_home = [
        Placed(group, group.config.profile, _details(group) if homes.get(_alike(group.runs[0])) is group else "")
        for group in groups
    ]
    return at_home + [_placed_at(homes[_alike(group.runs[0])], group) for group in others]


def _placed_at(home: Group, group: Group) -> Placed:
    """A changed row beside one of the profile's own; as a variant it is named by what it changed of that one."""
    run = group.runs[0]
    changed = [name for name, value in _values(run).items() if _values(home.runs[0]).get(name) != value]
    named = replace(group, variant=", ".join(filter(None, [home.variant, *sorted(values_of(run, changed))])))
    return Placed(named, home.config.profile, _details(replace(group, variant=home.variant)))


def _details(group: Group) -> str:
    """The variant, and the settings that are shown side by side, as in "rate 1e-05"."""
    words = _beside(group.config)
    values = {words[name]: value for name, value in _values(group.runs[0]).items()}
    said = [f"{word} {value:g}" if isinstance(value, float) else f"{word} {value}" for word, value in values.items()]
    return ", ".join(filter(None, [group.variant, *said]))


def _alike(run: FinishedRun) -> str:
    """A key that runs share which differ in nothing but what is shown side by side."""
    differing = {"profile", *_values(run)}
    same = {name: value for name, value in run.settings.items() if name not in differing}
    return json.dumps([unchanged(run.config.profile), sorted(differing), same], sort_keys=True)


def _values(run: FinishedRun) -> dict[str, Any]:
    """The settings of a run that are shown side by side, by their names."""
    return {name: run.settings[name] for name in _beside(run.config) if name in run.settings}


def _is_changed(run: FinishedRun) -> bool:
    return unchanged(run.config.profile) != run.config.profile


def unchanged(profile: str) -> str:
    """The name of the profile that was changed; one that was not has its own."""
    if profile.endswith(f", {CHANGED})"):
        return profile.removesuffix(f", {CHANGED})") + ")"
    return profile.removesuffix(f" ({CHANGED})")


def _beside(config: RunConfig) -> Mapping[str, str]:
    path = find_track(config.track).report
    find = getattr(imported(path), "beside", None) if path else None
    found: Mapping[str, str] = find(config) if find else {}
    return found
