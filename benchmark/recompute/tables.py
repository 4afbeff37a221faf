"""The tables of `lamobench leaderboard`, made of raw evaluations. One of a track's own is one more row of `TABLES`."""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from ...datasets.trajectories import Array
from ..runs.tracks import find_track
from .degeneration import course_rows, degeneration_rows, random_rows, rewind_rows, risen_rows
from .finetune import finetune_rows
from .held_out import TRIVIAL, held_out_columns
from .language import ARM, language_rows, search_rows
from .published import COLUMNS, published_columns
from .rows import Row
from .runs import Run
from .severity import severity_rows
from .statistics import (
    METRICS,
    UNKNOWN,
    Estimate,
    Scores,
    detectable,
    improvement,
    mean_of_seeds,
    middle,
    over_tasks,
)
from .text import text_rows
from .tuning import tuning_rows

REFERENCE = "lamo"

Value = str | int | float | None  # of a cell; None and NaN leave it empty
Name = tuple[str, str, str]  # of a row in a pool: method, language model, variant
Place = tuple[str, str, float]  # profile, source, fraction: rows are compared within one only
Pool = Mapping[Name, Mapping[str, Row]]  # the rows of each method, by data set
Pairs = list[tuple[Array, Array]]  # scores (M,) of the episodes of two runs


@dataclass(frozen=True)
class Table:
    """A CSV file beside an archive, and how its rows are made."""

    keys: tuple[str, ...]  # columns that tell its rows apart
    make: Callable[[Sequence[Row]], list[dict[str, Value]]]
    formats: Mapping[str, str] = field(default_factory=dict)  # of columns of fractions; any other's is `FORMAT`
    whole: bool = True  # whether it has all rows that are made, or a part of them that was asked for


FORMAT = ".4g"
_SCORE_RANGE = {"finetune": (0.0, 100.0), "text": (0.0, 100.0)}  # shares of what there is to be had


def leaderboard_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of leaderboard.csv each."""
    return [{**_leaderboard_row(row), **published_columns(row.first), **held_out_columns(row, rows)} for row in rows]


def _leaderboard_row(row: Row) -> dict[str, Value]:
    run = row.first
    found, below = _mean_of(row)
    hashes = {each.subset_hash for each in row.runs}
    return {
        **{name: getattr(run, name) for name in ("track", "task", "dataset", "source", "dataset_hash", "fraction")},
        "subset_hash": hashes.pop() if len(hashes) == 1 else _hash_of_subsets(row),
        **{name: getattr(run, name) for name in ("episodes_in_subset", "method", "lm", "profile")},
        "variant": row.variant,
        "seeds": len(row.runs),
        "score_mean": found.value,
        "score_std": float(row.scores.std(ddof=1)) if len(row.runs) > 1 else UNKNOWN,
        "score_iqm": middle(row.scores),
        "ci_low": found.low,
        "ci_high": found.high,
        "seeds_below_gap": below,
        "return_mean": float(np.mean([each.returns[-run.last :].mean() for each in row.ranked])),
        "best_score_mean": float(np.mean([each.scores.mean(axis=1).max() for each in row.ranked])),
        "target_return": float(row.ranked[0].target),
        **{name: getattr(run, name) for name in ("params_total", "params_trainable")},
        "train_steps": run.steps,
        **{name: getattr(run, name) for name in ("env_id", "simulator", "version")},
    }


def _mean_of(row: Row) -> tuple[Estimate, int]:
    """The mean score of a row's episodes, its interval cut to what a score can be, and how many seeds lie far below."""
    found, below = row.mean
    least, most = _SCORE_RANGE.get(row.first.track, (-math.inf, math.inf))
    if getattr(find_track(row.first.track).find_task(row.first.task), "scored", False):
        most = math.inf  # points, of which the expert's are 100
    low, high = np.clip((found.low, found.high), least, most)
    return Estimate(found.value, float(low), float(high)), below


def _hash_of_subsets(row: Row) -> str:
    """SHA-256 over a line "seed S HASH" for each seed, sorted as text by its first two words."""
    lines = {f"seed {run.seed}": run.subset_hash for run in row.runs}
    return hashlib.sha256("\n".join(f"{name} {lines[name]}" for name in sorted(lines)).encode()).hexdigest()


def aggregate_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of aggregates.csv: every method of every pool."""
    return [_aggregate_row(place, name, own) for place, pool in _pools(rows) for name, own in pool.items()]


def _aggregate_row(place: Place, name: Name, own: Mapping[str, Row]) -> dict[str, Value]:
    scores = _scores(own)
    found = {metric: over_tasks(scores, metric) for metric in METRICS}
    if len(own) == 1:
        found["mean"], _ = _mean_of(next(iter(own.values())))
    method, lm, variant = name
    seeds = min(len(row.runs) for row in own.values())
    columns: dict[str, Value] = {"method": method, "lm": lm, "variant": variant, "seeds": seeds}
    for metric, estimate in found.items():
        columns |= _ends(metric, estimate)
    return _where(place, own) | columns


def comparison_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The rows of comparisons.csv: LaMo beside every other method of each pool, variants left out."""
    return [
        _comparison_row(place, pool, ours, theirs)
        for place, pool in _pools(rows)
        for ours, theirs in product(pool, pool)
        if ours[0] == REFERENCE != theirs[0] and theirs[1] in ("", ours[1]) and not ours[2] and not theirs[2]
    ]


def _comparison_row(place: Place, pool: Pool, ours: Name, theirs: Name) -> dict[str, Value]:
    pairs = [_pairs(row, pool[theirs][data]) for data, row in pool[ours].items()]
    return (
        _where(place, pool[ours])
        | {"method": ours[0], "lm": ours[1], "other": theirs[0], "other_lm": theirs[1]}
        | {"pairs": min(map(len, pairs))}
        | _difference_columns(pairs)
        | _ends("probability", improvement(_scores(pool[ours]), _scores(pool[theirs])))
    )


def _pairs(ours: Row, theirs: Row) -> Pairs:
    """The scores of the episodes of those runs of both that share seed and subset."""
    known = {_draw(run): episodes for run, episodes in zip(theirs.runs, theirs.episodes, strict=True)}
    return [
        (episodes, known[_draw(run)])
        for run, episodes in zip(ours.runs, ours.episodes, strict=True)
        if _draw(run) in known
    ]


def _draw(run: Run) -> tuple[int, str]:
    return run.seed, run.subset_hash


def _difference_columns(every: Sequence[Pairs]) -> dict[str, Value]:
    """The mean of ours less theirs: on one data set episode by episode, over several run by run."""
    if not all(every):
        return _ends("difference", Estimate()) | {"detectable": UNKNOWN}
    by_run = {str(place): np.asarray([a.mean() - b.mean() for a, b in pairs]) for place, pairs in enumerate(every)}
    if len(every) == 1 and len({side.shape for pair in every[0] for side in pair}) == 1:
        episodes = np.stack([a - b for a, b in every[0]])
        noise = math.sqrt(float(episodes.var(axis=1).mean()) / max(episodes.shape[1] - 1, 1))
        return _ends("difference", mean_of_seeds(episodes)) | {"detectable": detectable(by_run, noise)}
    return _ends("difference", over_tasks(by_run, "mean")) | {"detectable": detectable(by_run, 0.0)}


def _pools(rows: Sequence[Row]) -> Iterator[tuple[Place, Pool]]:
    """Each data set, and each set of several that some method covers, with every method that covers all of it."""
    recorded = Counter(dataset for dataset, _ in {(row.first.dataset, row.first.dataset_hash) for row in rows})
    places: dict[Place, dict[Name, dict[str, Row]]] = {}
    for row in rows:
        run = row.first
        data = f"{run.dataset}:{run.dataset_hash[:8]}" if recorded[run.dataset] > 1 else run.dataset
        methods = places.setdefault((run.profile, run.source, run.fraction), {})
        methods.setdefault((run.method, run.lm, row.variant), {})[data] = row
    for place, methods in places.items():
        single = {(data,) for covered in methods.values() for data in covered}
        several = {tuple(sorted(covered)) for covered in methods.values()}
        for datasets in sorted(single | several):
            yield (
                place,
                {
                    name: {data: covered[data] for data in datasets}
                    for name, covered in methods.items()
                    if covered.keys() >= set(datasets)
                },
            )


def _scores(rows: Mapping[str, Row]) -> Scores:
    return {data: row.scores for data, row in rows.items()}


def _where(place: Place, rows: Mapping[str, Row]) -> dict[str, Value]:
    profile, source, fraction = place
    at: dict[str, Value] = {"profile": profile, "source": source, "fraction": fraction}
    return at | {"datasets": " ".join(rows), "tasks": len(rows)}


def _ends(name: str, found: Estimate) -> dict[str, Value]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


_FIXED = ("score_mean", "score_std", "score_iqm", "ci_low", "ci_high", "return_mean", "best_score_mean")
_PLAIN = ("fraction", "target_return", *(f"{name}_{part}" for name in COLUMNS.values() for part in ("score", "std")))
_HELD_OUT = ("held_out_error", "held_out_less_lamo", "held_out_loss", *TRIVIAL)
_LEADERBOARD_FORMATS = {
    **dict.fromkeys(_FIXED, ".3f"),
    **dict.fromkeys(_PLAIN, "g"),
    **{f"{name}{end}": ".5f" for name in _HELD_OUT for end in ("", "_low", "_high")},
}
_PLACE = ("profile", "source", "fraction", "datasets", "method", "lm")
_AGGREGATES = (*_PLACE, "variant")
_METHOD = ("profile", "method", "lm")
_ARM = ("task", "method", "encoder_learning_rate", "lm", "profile", "variant")

TABLES = {
    "leaderboard.csv": Table(
        ("task", "dataset", "source", "fraction", "method", "lm", "profile", "variant", "dataset_hash"),
        leaderboard_rows,
        _LEADERBOARD_FORMATS,
    ),
    "aggregates.csv": Table(_AGGREGATES, aggregate_rows),
    "comparisons.csv": Table((*_PLACE, "other", "other_lm"), comparison_rows),
    "finetune.csv": Table(("task", "method", "profile", "variant"), finetune_rows),
    "language.csv": Table(("dataset", "fraction", *_METHOD, "language_weight", "step"), language_rows),
    "search.csv": Table((*_METHOD, *ARM), search_rows),
    "degeneration.csv": Table(_ARM, degeneration_rows),
    "courses.csv": Table((*_ARM, "step"), course_rows),
    "risen.csv": Table((*_ARM, "one", "other"), risen_rows),
    "taken_back.csv": Table((*_ARM, "alpha"), rewind_rows),
    "at_random.csv": Table(_ARM, random_rows),
    "text.csv": Table(("task", "dataset", "method", "lm", "profile", "variant"), text_rows),
    "severity.csv": Table(("task", "option", "value", "method"), severity_rows, whole=False),
    "tuning.csv": Table(("task", "method", "setting", "value"), tuning_rows, whole=False),
    "fractions.csv": Table(_AGGREGATES, aggregate_rows, whole=False),
}
