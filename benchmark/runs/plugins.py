"""What is named by an import path or offered by an installed package: imported when it is used, not before."""

import importlib
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any


def imported(path: str) -> Any:
    """The object at an import path, MODULE:NAME, or the module at MODULE. Raises what importing it raises."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    return getattr(found, name) if name else found


def offered(group: str, kind: type) -> Iterator[Any]:
    """What installed packages offer under an entry-point group: objects of a kind, or sequences of them.

    A package whose offer can't be imported, or is of another kind, is left out, and a line on standard error says so.
    """
    for entry in entry_points(group=group):
        try:
            found = entry.load()
            rows = [found] if isinstance(found, kind) else list(found)
            if wrong := [row for row in rows if not isinstance(row, kind)]:
                raise TypeError(f"expected {kind.__name__}, found {type(wrong[0]).__name__}")
        except Exception as error:  # of somebody else's code: anything
            print(f"lamobench: plug-in {entry.value} is left out ({type(error).__name__}: {error})", file=sys.stderr)
            continue
        yield from rows
