"""What is named by an import path or offered by an installed package: imported when it is used, not before."""

import importlib
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any


def imported(path: str) -> Any:
    """The object at an import path, MODULE:NAME, or the module at MODULE. Raises what importing it raises."""
    module, _, name = path.partition(":")
    found: Any = importlib.import_module(module)
    return getattr(found, name) if name else found


def register_offered(group: str, register: Callable[[Any], None]) -> None:
    """Register what installed packages offer under an entry-point group: a row each, or a sequence of rows.

    What can't be imported or registered is left out, and a line on standard error says so.
    """
    for entry in entry_points(group=group):
        try:
            found = entry.load()
            for row in found if isinstance(found, list | tuple) else [found]:
                register(row)
        except Exception as error:  # of somebody else's code: anything
            print(f"lamobench: plug-in {entry.value} is left out ({type(error).__name__}: {error})", file=sys.stderr)
