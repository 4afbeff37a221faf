"""The leaderboard of the text track: a `scores.boards.Board`, whose docstrings say what each function has to do.

A row's numbers are means over seeds with the 95 % intervals of `scores/aggregates.py`. Methods are compared seed by
seed: all runs of a seed are examined on the same games in the same views.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ...datasets.games.families import SPLITS
from ...datasets.games.views import VIEWS
from ..scores.labels import method_order, short_label
from ..scores.leaderboard import Group
from ..scores.measured import (
    about_intervals,
    columns,
    difference,
    difference_columns,
    percent,
    whole,
    with_interval,
)
from ..scores.places import draw_places, place_of, rows_by_place
from ..scores.run import FinishedRun
from ..terminal import table_lines, wrapped
from .config import text_config
from .figure import games_figure
from .measures import (
    KINDS,
    METERS,
    NOT_CHANGES,
    OF_KINDS,
    ORIGINAL,
    OTHERS,
    SHARE,
    Measures,
    bounds_of,
    ends,
    measure,
    meters,
    others,
    robustness,
)
from .settings import controlled

__all__ = ["draw", "rows", "tables"]

Compared = Mapping[int, Mapping[str, float]]  # by seed, the numbers of `COMPARED`
ByMethod = Mapping[tuple[str, str], Compared]  # the same by method, and all settings that its control shares with it

NARROW = {
    "paraphrase": "para",
    "synonyms": "syn",
    "cohyponyms": "cohyp",
    "pseudowords": "pseudo",
    "paraphrase+synonyms": "para+syn",
}  # views where there is little room
NO_MEANING = ("drrn-hash", "text-bc-hash")  # the methods that others are compared with, whichever is in their place
STILL = "drrn-fixed"  # the method with which others on the same language model are compared
PARTS = tuple(f"{split}/{view}" for split in SPLITS for view in VIEWS)
COMPARED = ("area", "robustness", *PARTS, *SPLITS)  # of a split, the mean over all views but the original
MEASURES = tuple(field.name for field in fields(Measures))
CHOSEN = ("temperature", "learning_rate", "encoder_learning_rate")  # settings on which a comparison hangs
METERED = (*METERS, *(f"{name}_before" for name in NOT_CHANGES))
LEARNING = (
    "Per cent of a game's points, on the games that are learned from.{own} area: mean over all evaluations{interval}. "
    "gain: in area on the hash, seed by seed.{star} 80 %: steps until an evaluation reaches 80 % of the best. moves: "
    "of an episode at the end. CPU s: of learning, a run. trained: millions of parameters."
)
OWN = " own: by the game's own score, where it has one."
VIEWED = (
    "Per cent of a game's points at the end. train: the games that were learned from; valid: new games; ood: new games "
    "of unseen objects. robust: mean of a line's other views, in per cent of orig."
)

DEGENERATION = (
    "The language model at the end, beside what it was. CKA, drift, kept (of ten neighbours), anis. (anisotropy): of "
    "definitions, and of nouns. weights: distance from the first, as a share of their norm. train, others, ood: 1 / "
    "rank of the right place of things of the games learned from, of others like them, and of ood. WordNet: "
    "correlation of cosine and nearness. nats: rise of cross entropy a token."
)


def rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """A row for each task, data set of recorded games, profile, variant, method and language model."""
    compared = {id(group): compared_numbers(group) for group in groups}
    unread = {place_of(group): compared[id(group)] for group in groups if group.config.method in NO_MEANING}
    still = {
        (place_of(group), group.config.lm): compared[id(group)] for group in groups if group.config.method == STILL
    }
    by_method = compared_by_method(groups, compared.values())
    found = []
    for group in sorted(groups, key=lambda each: (place_of(each), method_order(each.config.method), each.config.lm)):
        own = compared[id(group)]
        others_area = {} if group.config.method in NO_MEANING else unread.get(place_of(group), {})
        beside = {} if group.config.method == STILL else still.get((place_of(group), group.config.lm), {})
        gain = difference_columns("area_gain", _less(own, others_area, "area"))
        row = _measured(group) | gain | compared_columns(own, beside, "on_fixed")
        row |= compared_columns(own, replaced(group, by_method), "on_pretrained")
        found.append(row | {"simulator": group.runs[0].done["simulator"], "version": group.config.version})
    return found


def compared_numbers(group: Group) -> Compared:
    """The numbers of each run that are compared with another's: by its seed, then by the names of `COMPARED`."""
    return {run.config.seed: _compared(run) for run in group.runs}


def compared_by_method(groups: Iterable[Group], compared: Iterable[Compared]) -> ByMethod:
    """The numbers of groups, which are `compared`, by method and settings.

    There are none where groups differ in their language model's content alone: which of these a control replaces can't
    be told.
    """
    found: dict[tuple[str, str], Compared] = {}
    for group, own in zip(groups, compared, strict=True):
        key = (group.config.method, _shared(group))
        found[key] = {} if key in found else own
    return found


def replaced(group: Group, by_method: ByMethod) -> Compared:
    """The numbers of the method whose pre-trained weights a control replaces; none for other methods."""
    return by_method.get((controlled(group.config.method), _shared(group)), {})


def _shared(group: Group) -> str:
    """All settings of a group but those in which a control differs, as one text."""
    settings = group.runs[0].settings
    return json.dumps({name: settings[name] for name in settings.keys() - {"method", "lm_hash"}}, sort_keys=True)


def compared_columns(own: Compared, reference: Compared, name: str) -> dict[str, Any]:
    """The columns "..._`name`" of `COMPARED`: own numbers less the reference's, over the seeds that both have."""
    row: dict[str, Any] = {}
    for column in COMPARED:
        row |= difference_columns(f"{column}_{name}", _less(own, reference, column))
    return row


def _compared(run: FinishedRun) -> dict[str, float]:
    parts = ends(run)
    own = measure(run)
    shares = {part: parts.get(part, math.nan) for part in PARTS}
    return {"area": own.area, "robustness": own.robustness, **shares} | {
        split: others(parts, split) for split in SPLITS
    }


def _less(own: Compared, reference: Compared, name: str) -> list[float]:
    """Return a number less that of the reference, of each seed that both have."""
    return [own[seed][name] - reference[seed][name] for seed in sorted(own.keys() & reference.keys())]


def tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Tables for each task, profile and variant: how it was learned, every split and view, trained language models."""
    for place, own in rows_by_place(rows).items():
        best_first = sorted(own, key=lambda row: -row["area"])
        learned = list(map(_learning, best_first))
        scored = any(line["own"] for line in learned)
        if not scored:
            learned = [{name: cell for name, cell in line.items() if name != "own"} for line in learned]
        note = about_intervals(LEARNING, own, own=OWN if scored else "")
        yield "\n".join([place.heading(own), *table_lines(learned), *wrapped(note)])
        lines = [line for row in best_first for line in _viewed(row)]
        yield "\n".join([f"{place.name}: in other words", *table_lines(lines), *wrapped(VIEWED)])
        if metered := [row for row in best_first if row["weight_change"] is not None]:
            models = {row["lm"]: row for row in metered}
            lines = [line for lm, row in models.items() for line in _metered(row, f"before ({lm})", "_before")]
            lines += [line for row in metered for line in _metered(row, short_label(row["method"], row["lm"]))]
            title = f"{place.name}: what became of the language model"
            yield "\n".join([title, *table_lines(lines), *wrapped(DEGENERATION)])


def draw(groups: Sequence[Group], folder: Path) -> list[str]:
    """Learning curves and scores in every view, a figure for each task, profile and variant.

    Where all language models are trained, as at a rate that is not the profile's, nothing stands beside them: such a
    place has no figure if its task has another.
    """
    beside = {place_of(group) for group in groups if text_config(group.config).adaptation == "fixed"}
    names = {place.name for place in beside}
    shown = [group for group in groups if place_of(group) in beside or place_of(group).name not in names]
    return draw_places(shown, folder, games_figure)


def _measured(group: Group) -> dict[str, Any]:
    """The columns of a row that hang on no other row."""
    config = group.config
    own = [measure(run) for run in group.runs]
    row: dict[str, Any] = {
        "task": config.task,
        "dataset": group.data.dataset,
        "method": config.method,
        "lm": config.lm,
        "profile": config.profile,
        "variant": group.variant,
        **_chosen(group),
        "seeds": len(own),
        "params_total": group.runs[0].done["params_total"],
        "params_trainable": group.runs[0].done["params_trainable"],
    }
    for name in MEASURES:
        row |= columns(name, [getattr(found, name) for found in own], bounds_of(name))
    shares = [ends(run) for run in group.runs]
    for part in PARTS:
        row |= columns(part, [found[part] for found in shares if part in found], SHARE)
    metered = [meters(run) for run in group.runs]
    for name in METERED:
        row |= columns(name, [found[name] for found in metered if name in found], bounds_of(name))
    return row


def _chosen(group: Group) -> dict[str, Any]:
    """The settings of `CHOSEN`; None for one that is of no use to the method."""
    still = text_config(group.config).adaptation == "fixed"
    return {name: None if still and name.startswith("encoder_") else group.config.policy.get(name) for name in CHOSEN}


def _learning(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as a line of the first table."""
    return {
        "method": short_label(row["method"], row["lm"]),
        "end": percent(row[f"{SPLITS[0]}/{ORIGINAL}"]),
        "own": percent(row["own_score"]),
        "best": percent(row["best"]),
        "area": with_interval(row, "area"),
        "gain": difference(row, "area_gain"),
        "80 %": whole(row["steps_to_80"]),
        "moves": whole(row["moves"]),
        "CPU s": whole(row["cpu_seconds"]),
        "trained": f"{row['params_trainable'] / 1e6:.2f} M" if row["params_trainable"] else "",
    }


def _viewed(row: Mapping[str, Any]) -> list[dict[str, str]]:
    """A row as lines of the second table, one for each split that the task has."""
    lines: list[dict[str, str]] = []
    for split in SPLITS:
        shares = {part: row[part] for view in VIEWS if row[part := f"{split}/{view}"] is not None}
        if shares:
            cells = {NARROW.get(view, view): percent(shares.get(f"{split}/{view}")) for view in VIEWS}
            kept = robustness(shares, split)
            robust = "" if math.isnan(kept) else percent(kept)
            name = short_label(row["method"], row["lm"]) if not lines else ""
            lines.append({"method": name, "games": split, **cells, "robust": robust})
    return lines


def _metered(row: Mapping[str, Any], name: str, ending: str = "") -> list[dict[str, str]]:
    """A row's meters as lines of the third table, one for each kind of texts; `ending` "_before": before training."""
    lines: list[dict[str, str]] = []
    for kind in KINDS:
        own = {title: _meter(row.get(f"{meter}_{kind}{ending}")) for meter, title in OF_KINDS.items()}
        more = {title: _meter(row.get(f"{meter}{ending}")) if lines else "" for meter, title in OTHERS.items()}
        lines.append({"method": "" if lines else name, "of": kind, **own, **more})
    return lines


def _meter(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
