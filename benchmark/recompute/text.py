"""The table of the text track, text.csv: how fast games are learned, what is left of words and of their meanings."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...datasets.errors import UserError
from ...datasets.games.families import SPLITS
from ...datasets.games.views import VIEWS
from ...datasets.json_files import parse_json
from ...datasets.trajectories import Array
from .rows import Row
from .runs import Run
from .stages import Stages, numbers, read_meters, read_stages
from .statistics import UNKNOWN, Estimate, detectable, over_tasks

TRACK = "text"
LEARNED = SPLITS[0]  # the split of the games that are learned from
PLAIN = "orig"
REACHED = 0.8  # of a run's best evaluation
FIXED = "drrn-fixed"  # a language model that stands still
HASHED = ("drrn-hash", "text-bc-hash")  # methods to which texts are their hashes: of games played, of recorded ones
KINDS = ("glosses", "nouns")
CHANGES = (
    *(f"{name}_{kind}" for name in ("cka", "drift", "neighbours") for kind in KINDS),
    "weight_change",
    "cross_entropy",
)
LEVELS = (*(f"anisotropy_{kind}" for kind in KINDS), "holders_train", "holders_others", "holders_ood", "wordnet")
PARTS = tuple(f"{split}/{view}" for split in SPLITS for view in VIEWS)
CONTROLS = ("-random", "-permuted")  # how the names of methods end whose weights are not the pre-trained ones

# The least and the most that measures can be, by how their names begin.
LIMITS = {
    ("cka", "neighbours", "holders", "orig", "others"): (0.0, 1.0),
    ("drift",): (0.0, 2.0),
    ("anisotropy", "wordnet", "pull"): (-1.0, 1.0),
    ("weight_change",): (0.0, math.inf),
}
SHARES = (*PARTS, "area", "best", "own_score")
AMOUNTS = ("steps_to_80", "moves", "robustness")
CHOSEN = ("temperature", "learning_rate", "encoder_learning_rate")

Value = str | int | float | None
Measures = Mapping[str, float]  # of one run, by column; NaN where there is no such number
BySeed = Mapping[int, Measures]


def measured_row(row: Row) -> dict[str, Value]:
    """All columns of a row of text.csv but those that compare it with another."""
    return _row(row, [_measures(run, row) for run in row.runs])


def text_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of text.csv for each row of that track."""
    own = [row for row in rows if row.first.track == TRACK]
    measured = [{run.seed: _measures(run, row) for run in row.runs} for row in own]
    hashed = {_place(row): each for row, each in zip(own, measured, strict=True) if row.first.method in HASHED}
    fixed = {
        (*_place(row), row.first.lm): each for row, each in zip(own, measured, strict=True) if row.first.method == FIXED
    }
    known = _known(own, measured)
    found = []
    for row, seeds in zip(own, measured, strict=True):
        unread = {} if row.first.method in HASHED else hashed.get(_place(row), {})
        still = {} if row.first.method == FIXED else fixed.get((*_place(row), row.first.lm), {})
        beside = _less(seeds, still, "on_fixed") | _less(seeds, _pretrained(row, known), "on_pretrained")
        gains = difference("area_gain", [each["area"] - other["area"] for each, other in _paired(seeds, unread)])
        found.append(_row(row, list(seeds.values())) | gains | beside)
    return found


def beside_others(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """The columns "..._on_fixed" and "..._on_pretrained" of each row.

    The former is beside the row whose same language model stands still, at any rate; the latter at the row's own.
    """
    measured = [{run.seed: _measures(run, row) for run in row.runs} for row in rows]
    known = _known(rows, measured)
    places = [(row.first.task, row.first.lm) for row in rows]
    is_fixed = [row.first.method == FIXED for row in rows]
    still = {place: seeds for place, seeds, fixed in zip(places, measured, is_fixed, strict=True) if fixed}
    return [
        _less(seeds, {} if fixed else still.get(place, {}), "on_fixed")
        | _less(seeds, _pretrained(row, known), "on_pretrained")
        for row, place, seeds, fixed in zip(rows, places, measured, is_fixed, strict=True)
    ]


def _known(rows: Sequence[Row], measured: Sequence[BySeed]) -> dict[tuple[str, str], BySeed]:
    """The numbers of each row's seeds, by its method and the settings that a control shares with it.

    Rows that only the hash of a language model tells apart have none.
    """
    keys = [(row.first.method, _shared(row)) for row in rows]
    return {key: each for key, each in zip(keys, measured, strict=True) if keys.count(key) == 1}


def _shared(row: Row) -> str:
    return repr(
        sorted((name, value) for name, value in row.first.settings.items() if name not in ("method", "lm_hash"))
    )


def _pretrained(row: Row, known: Mapping[tuple[str, str], BySeed]) -> BySeed:
    """The numbers of the method whose pre-trained weights a control replaces; none for other methods."""
    method = row.first.method
    replaced = [method.removesuffix(end) for end in CONTROLS if method.endswith(end)]
    return known.get((replaced[0], _shared(row)), {}) if replaced else {}


def _less(ours: BySeed, theirs: BySeed, name: str) -> dict[str, Value]:
    """The columns of ours less theirs, over the seeds that both have."""
    pairs = [(_compared(each), _compared(other)) for each, other in _paired(ours, theirs)]
    found: dict[str, Value] = {}
    for column in ("area", "robustness", *PARTS, *SPLITS):
        found |= difference(f"{column}_{name}", [each[column] - other[column] for each, other in pairs])
    return found


def difference(name: str, values: Sequence[float]) -> dict[str, Value]:
    """The columns of a difference, seed by seed, and what so many seeds would have seen."""
    finite = np.array([value for value in values if math.isfinite(value)])
    sees = detectable({"": finite}, 0.0) if len(finite) > 1 else UNKNOWN
    return ends(name, values, (-math.inf, math.inf)) | {f"{name}_detectable": sees}


def _paired(ours: BySeed, theirs: BySeed) -> list[tuple[Measures, Measures]]:
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def _compared(measures: Measures) -> Measures:
    """The area, the robustness, each split in each view, and its mean over all views but the plain one."""
    found = {name: measures[name] for name in ("area", "robustness", *PARTS)}
    for split in SPLITS:
        shares = [measures[f"{split}/{view}"] for view in VIEWS if view != PLAIN]
        known = [share for share in shares if math.isfinite(share)]
        found[split] = float(np.mean(known)) if known else UNKNOWN
    return found


def _place(row: Row) -> tuple[str, str, str, str]:
    return row.first.task, row.first.dataset, row.first.profile, row.variant


def _row(row: Row, measures: Sequence[Measures]) -> dict[str, Value]:
    run = row.first
    names = ("task", "dataset", "method", "lm", "profile", "simulator", "version", "params_total", "params_trainable")
    columns: dict[str, Value] = {
        **{name: getattr(run, name) for name in names},
        "variant": row.variant,
        **{name: run.policy.get(name) for name in CHOSEN},
        "seeds": len(measures),
    }
    if run.settings["adaptation"] == "fixed":
        columns["encoder_learning_rate"] = None  # it is of no use
    for name in measures[0]:
        columns |= ends(name, [each[name] for each in measures])
    return columns


def _measures(run: Run, row: Row) -> Measures:
    """The numbers of one run; a `UserError` if its files can't be read."""
    try:
        config = parse_json(run.files["config.json"].decode("utf-8"))
        evaluations = row.ranked[row.runs.index(run)]
        curve = evaluations.scores.mean(axis=1) / 100.0
        steps = evaluations.steps
        if steps[0] != 0:
            raise ValueError("episodes.csv has no evaluation before the first step")
        played = read_stages(run.files["stages.csv"], steps[-run.last :], len(config["parts"]), config["view_episodes"])
        parts = _parts(played, config["parts"])
        best = float(curve.max())
        reached = [step for step, share in zip(steps, curve, strict=True) if best > 0 and share >= REACHED * best]
        shares = {part: float(np.mean(found)) for part, (found, _) in parts.items()}
        plain = shares[f"{LEARNED}/{PLAIN}"]
        others = [shares[part] for part in parts if part.startswith(f"{LEARNED}/") and not part.endswith(f"/{PLAIN}")]
        return {
            "area": float(curve.mean()),
            "best": best,
            "steps_to_80": float(reached[0]) if reached else UNKNOWN,
            "moves": float(np.mean(parts[f"{LEARNED}/{PLAIN}"][1])),
            "robustness": float(np.mean(others)) / plain if others and plain > 0 else UNKNOWN,
            "own_score": _own_score(run.files["metrics.jsonl"], run.last),
            **{part: shares.get(part, UNKNOWN) for part in PARTS},
            **_meters(run.files.get("meters.csv", b""), steps, run.last),
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"the files of run {run.id} can't be read ({type(error).__name__}: {error})") from None


def _own_score(content: bytes, last: int) -> float:
    """The mean of the games' own scores in the last evaluations; NaN where they have none."""
    rows = [parse_json(line) for line in content.decode("utf-8").splitlines()]
    paid = [float(row["own_score"]) for row in rows if "own_score" in row]
    return float(np.mean(paid[-last:])) if paid else UNKNOWN


def _parts(played: Stages, names: Sequence[str]) -> dict[str, tuple[Array, Array]]:
    """The shares of points and the moves of each part's episodes."""
    return {name: (played.returns[:, part], played.lengths[:, part]) for part, name in enumerate(names)}


def _meters(content: bytes, steps: Sequence[int], last: int) -> Measures:
    """The meters, means of the last evaluations, and of `LEVELS` the first value; NaN where there is none.

    A `ValueError` unless they were measured in each evaluation, where they were at all.
    """
    cells = read_meters(content, steps) if content else {}
    columns = {name: numbers(cells, name) for name in cells}
    found = {name: float(np.mean(columns[name][-last:])) if name in columns else UNKNOWN for name in CHANGES + LEVELS}
    return found | {f"{name}_before": columns[name][0] if name in columns else UNKNOWN for name in LEVELS}


def _limits(name: str) -> tuple[float, float]:
    if name in SHARES:
        return 0.0, 1.0
    begun = [limits for names, limits in LIMITS.items() if name.startswith(names)]
    return begun[0] if begun else (0.0 if name in AMOUNTS else -math.inf, math.inf)


def ends(name: str, values: Sequence[float], limits: tuple[float, float] | None = None) -> dict[str, Value]:
    """The columns of a mean over the values that are known, and its interval, cut to `limits`: what it can be.

    In some games points can be lost: where a value is below 0, the interval may be.
    """
    known = [value for value in values if math.isfinite(value)]
    found = over_tasks({name: np.asarray(known)}, "mean") if known else Estimate()
    least, most = limits or _limits(name)
    least = least if all(value >= least for value in known) else -math.inf
    most = most if all(value <= most for value in known) else math.inf
    low, high = np.clip((found.low, found.high), least, most)
    return {name: found.value, f"{name}_low": float(low), f"{name}_high": float(high)}
