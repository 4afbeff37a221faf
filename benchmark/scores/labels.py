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


def with_named_model(rows: Iterable[tuple[str, str]]) -> set[str]:
    """The methods whose labels name the language model, of rows (method, language model; "" for none).

    They are all methods that have one, where the rows have several between them; where all have the same, none.
    """
    models = {(method, model) for method, model in rows if model}
    return {method for method, _ in models} if len({model for _, model in models}) > 1 else set()


def method_order(name: str) -> tuple[int, str]:
    """Sorting key: methods in the order of `METHODS`, then unknown ones by name."""
    names = list(METHODS)
    return (names.index(name) if name in names else len(names), name)


def titles_of(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each method once with its title, in order of display."""
    return [(name, label(name)) for name in sorted(set(names), key=method_order)]
