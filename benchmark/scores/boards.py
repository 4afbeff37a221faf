"""Leaderboards of tracks that have columns, tables and figures of their own, beside the rows that all tracks have.

A track names its module in its row of `runs/tracks.py`; nothing here knows which tracks there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...datasets.storage import write_rows
from ..runs.plugins import imported
from ..runs.tracks import find_track
from .leaderboard import Group, group_runs
from .run import Run

Row = Mapping[str, Any]


class Board(Protocol):
    """The contract of a track's board; a module whose functions have these names is one."""

    def rows(self, groups: Sequence[Group]) -> list[dict[str, Any]]:
        """A row for each group, by column; all have the same columns, and None stands for what is unknown."""

    def tables(self, rows: Sequence[Row]) -> Iterator[str]:
        """The rows as text, for a terminal of 100 columns."""

    def draw(self, groups: Sequence[Group], folder: Path) -> list[str]:
        """Write figures to a folder; returns their names."""


def has_board(run: Run) -> bool:
    """Tell if the run's track has one; of a run that can't be read, nobody knows."""
    return run.config is not None and bool(find_track(run.config.track).board)


def boards(runs: Sequence[Run]) -> dict[str, tuple[Board, list[Group]]]:
    """Each track among the runs that has a board, by name: the board, and the groups of its runs."""
    by_track: dict[str, list[Run]] = {}
    for run in runs:
        if run.config is not None and run.status == "finished" and has_board(run):
            by_track.setdefault(run.config.track, []).append(run)
    return {track: (imported(find_track(track).board), group_runs(own)) for track, own in by_track.items()}


def write_boards(runs: Sequence[Run], folder: Path, *, figures: bool) -> tuple[list[str], list[str]]:
    """Write TRACK.csv, and figures if they are wanted, of each track that has a board; tables, and names of files.

    No file holds a time, so the same scores give the same bytes.
    """
    tables: list[str] = []
    written: list[str] = []
    for track, (board, groups) in boards(runs).items():
        rows = board.rows(groups)
        timeless = [{name: value for name, value in row.items() if "seconds" not in name} for row in rows]
        write_rows(folder / f"{track}.csv", timeless)
        written += [f"{track}.csv", *(board.draw(groups, folder) if figures else [])]
        tables += board.tables(rows)
    return tables, written
