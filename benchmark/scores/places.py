"""Places: what a track's own leaderboard compares is compared within one task, data, profile and variant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...datasets.counts import count_range
from .leaderboard import Group


@dataclass(frozen=True, order=True)
class Place:
    """The rows that are compared with one another."""

    task: str
    dataset: str  # the task's name where its runs learn from no data
    profile: str
    variant: str

    @property
    def name(self) -> str:
        """The task, and of recorded games their player, as in "tidy-medium-40-mixed"."""
        if self.dataset == self.task:
            return self.task
        return f"{self.task}-{self.dataset.rpartition('-')[2]}"

    def heading(self, rows: Sequence[Mapping[str, Any]]) -> str:
        """The first line of a table of these rows."""
        detail = f", {self.variant}" if self.variant else ""
        return f"{self.name} ({self.profile} profile{detail}, {count_range([row['seeds'] for row in rows], 'seed')})"


def place_of(group: Group) -> Place:
    """The place of a group's row."""
    return Place(group.config.task, group.data.dataset, group.config.profile, group.variant)


def rows_by_place(rows: Sequence[Mapping[str, Any]]) -> dict[Place, list[Mapping[str, Any]]]:
    """The rows of each place, in their order; rows of a track without data have no such column."""
    found: dict[Place, list[Mapping[str, Any]]] = {}
    for row in rows:
        place = Place(row["task"], row.get("dataset", row["task"]), row["profile"], row["variant"])
        found.setdefault(place, []).append(row)
    return found


def draw_places(groups: Sequence[Group], folder: Path, figure: Callable[[Sequence[Group], Path], None]) -> list[str]:
    """Draw a figure of the groups of each place into a folder; returns the files' names."""
    places: dict[Place, list[Group]] = {}
    for group in groups:
        places.setdefault(place_of(group), []).append(group)
    names = []
    for place, own in sorted(places.items()):
        alone = len([other for other in places if other.name == place.name]) == 1
        details = () if alone else filter(None, (place.profile, place.variant))
        names.append(f"{'-'.join((place.name, *details)).replace(' ', '_')}.png")
        figure(own, folder / names[-1])
    return names
