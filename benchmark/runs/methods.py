"""Every method by name; their rows stand in `method_tables/`, a table for each track.

Light: the command line's help reads these tables, so a method's code is imported when it is used.
"""

from ...datasets.errors import choose
from .method import Method
from .method_tables import finetune, offline, text
from .plugins import Registry

METHODS = Registry("method", Method, (*offline.ROWS, *finetune.ROWS, *text.ROWS))


def find_method(name: str) -> Method:
    """The method of that name; a `UserError` names the valid ones."""
    return METHODS.known(name) or METHODS[choose("method", name, list(METHODS))]


def look_up(name: str) -> Method:
    """The method of that name; for an unknown one, a row with the name as its title and a neutral look."""
    return METHODS.known(name) or Method(name, name, "", policy="", config="", family="")


def methods_of(track: str) -> list[str]:
    """The names of the methods of a track."""
    return [method.name for method in METHODS.values() if method.track == track]


def methods_for(*, discrete: bool) -> list[str]:
    """The names of the methods in a table of such a task: LaMo, its first control, and every baseline."""
    return [
        method.name
        for method in METHODS.values()
        if method.track == "offline" and method.listed and method.plays(discrete=discrete)
    ]
