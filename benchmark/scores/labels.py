"""Labels of rows: the method's title, and what tells a row from the method's other rows; the same everywhere."""

from collections.abc import Iterable

from ..runs.methods import METHODS, look_up

LONGEST = 16  # characters of a method's name in a figure


def label(method: str, *details: str) -> str:
    """The method's title, then those of the details that are not empty: "LaMo (gpt2, adaptation=full)"."""
    return _with_details(look_up(method).title, details)


def short_label(method: str, *details: str) -> str:
    """The same where there is little room."""
    return _with_details(short(method), details)


def short(method: str) -> str:
    """The method's name for a figure."""
    name = look_up(method).label
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _with_details(title: str, details: Iterable[str]) -> str:
    said = ", ".join(filter(None, details))
    return f"{title} ({said})" if said else title


def with_several_models(rows: Iterable[tuple[str, str]]) -> set[str]:
    """The methods that have rows of more than one language model, of rows (method, language model)."""
    models: dict[str, set[str]] = {}
    for method, model in rows:
        models.setdefault(method, set()).add(model)
    return {method for method, known in models.items() if len(known) > 1}


def method_order(name: str) -> tuple[int, str]:
    """Sorting key: methods in the order of `METHODS`, then unknown ones by name."""
    names = list(METHODS)
    return (names.index(name) if name in names else len(names), name)


def titles_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each method once with its title, in order of display."""
    return [(name, label(name)) for name in sorted(set(names), key=method_order)]
