"""Objects named by an import path or offered by an installed package: imported only when they are used."""

import importlib
import sys
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar


def imported(path: str) -> Any:
    """The object at an import path, MODULE:NAME, or the module at MODULE. Raises what importing it raises."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    return getattr(found, name) if name else found


class Named(Protocol):
    """A row of a registry."""

    @property
    def name(self) -> str:
        """The name that it is found by."""


Row = TypeVar("Row", bound=Named)


class Registry(dict[str, Row]):
    """Rows by name: those of the suite, those that were registered, and those that installed packages offer.

    The packages' rows are loaded once, when a name is not known yet, since those packages import the suite themselves.
    """

    def __init__(self, noun: str, kind: type[Row], rows: Iterable[Row]) -> None:
        """`noun` is the word for a row; packages offer theirs under the entry-point group "lamobench.NOUNs"."""
        super().__init__((row.name, row) for row in rows)
        self.noun = noun
        self.kind = kind
        self.loaded = False

    def register(self, row: Row) -> None:
        """Add a row; a `TypeError` if it is of another kind, a `ValueError` if there is one of that name."""
        if not isinstance(row, self.kind):
            raise TypeError(f"expected a {self.kind.__name__}, found {type(row).__name__}")
        if row.name in self:
            raise ValueError(f"there is a {self.noun} '{row.name}' already; give yours another name")
        self[row.name] = row

    def known(self, name: str) -> Row | None:
        """The row of that name, if there is one."""
        if name and name not in self:
            self.load_plug_ins()
        return self.get(name)

    def load_plug_ins(self) -> None:
        """Register what packages offer: a row for each entry point, or a sequence of rows.

        What can't be imported or registered is left out, and a line on standard error says so.
        """
        if self.loaded:
            return
        self.loaded = True
        from importlib.metadata import entry_points  # takes 30 ms, which the list of commands would wait for

        for entry in entry_points(group=f"lamobench.{self.noun}s"):
            try:
                found = entry.load()
                for row in found if isinstance(found, list | tuple) else [found]:
                    self.register(row)
            except Exception as error:  # of somebody else's code: anything
                why = f"{type(error).__name__}: {error}"
                print(f"lamobench: plug-in {entry.value} is left out ({why})", file=sys.stderr)
