"""A track's own part of the report, beside what the pages of all tracks have.

A track names its module in its row of `runs/tracks.py`; nothing here knows which tracks there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..runs.plugins import imported
from ..runs.tracks import find_track
from .charts import Chart
from .contents import Contents, Row, Setting


@dataclass(frozen=True)
class Table:
    """A table with a line for each row of a setting."""

    title: str
    caption: str
    head: list[str]  # of its columns but the first, which has the methods
    lines: list[tuple[Row, list[str]]]


@dataclass(frozen=True)
class Moment:
    """One step of an episode in words."""

    text: str  # what was read
    more: str  # what else, in small
    choices: Mapping[str, float]  # some of what could be done, and how likely it was
    chosen: str  # of them


@dataclass(frozen=True)
class Passage:
    """An episode to read."""

    title: str
    about: str
    moments: list[Moment]
    rest: str = ""  # what follows these, in brief
    others: Sequence["Passage"] = ()  # episodes of other runs of its row, which are folded


class Part(Protocol):
    """The contract of a track's part of the report; a module whose functions have these names is one.

    It may have one more, `beside(config) -> Mapping[str, str]`: a word for each setting, by its name in
    `FinishedRun.settings`, in which a run may differ from its profile and stand in its section (`sections.py`).
    """

    def about(self, setting: Setting) -> str:
        """Sentences on the task, for the top of its page."""

    def charts(self, setting: Setting) -> list[Chart]:
        """Figures of the runs in training, in the place of their learning curves."""

    def table(self, setting: Setting) -> Table:
        """Numbers of the track's own."""

    def passages(self, setting: Setting) -> list[Passage]:
        """Episodes to read; none where nothing is made of words."""

    def terms(self) -> Mapping[str, str]:
        """Explanations of its words, for "How to read it"."""


def part_of(setting: Setting) -> Part | None:
    """The part of the setting's track; None where it has none."""
    return _imported(setting.track)


def terms_of(contents: Contents) -> dict[str, Mapping[str, str]]:
    """The words of each track on the pages that has some, by the track's title."""
    tracks = dict.fromkeys(setting.track for setting in contents.settings)
    return {find_track(name).title: part.terms() for name in tracks if (part := _imported(name))}


def _imported(track: str) -> Part | None:
    path = find_track(track).report
    if not path:
        return None
    part: Part = imported(path)
    return part
