"""The table of the fine-tuning track, finetune.csv: what was forgotten, and when it was back (docs/finetune.md).

Shapes: V evaluations, the first before any training; N seeds.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.trajectories import Array
from ..runs.tracks import Scored, find_track
from .rows import Row
from .runs import Run
from .stages import read_stages
from .statistics import UNKNOWN, Estimate, over_tasks

TRACK = "finetune"
LAST = 3  # evaluations that an end is the mean of
BACK = 0.05  # FAR is back where it is at most so far below what it was before; of points, such a share of them
STRENGTHS = ("policy.retention.coefficient", "policy.retention.share")  # a method has one of them at most
SHARES = ("far_before", "far_least", "close_end", "far_end", "full_end", "area")  # 0 to 1
DIFFERENCES = ("forgetting", "area_gain")  # of them: -1 to 1
ENVIRONMENT = "policy.environment."  # what the names of its settings begin with
FACTS = ("score", "turns", "depth", "experience")  # of a game of NetHack, at its end
TOTALS = ("environment_steps", "gradient_examples")

Value = str | int | float | None
Measures = Mapping[str, float]  # of one run, by column


def finetune_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of finetune.csv for each row of that track."""
    own = [row for row in rows if row.first.track == TRACK]
    measured = [{run.seed: measures_of(run, row) for run in row.runs} for row in own]
    places = [(row.first.task, row.first.profile, row.variant) for row in own]
    areas = {
        (*place, row.first.method): {seed: each["area"] for seed, each in seeds.items()}
        for place, row, seeds in zip(places, own, measured, strict=True)
    }
    found = []
    for place, row, seeds in zip(places, own, measured, strict=True):
        method = row.first.method
        ours = areas[(*place, method)]
        scratch = _pairs(ours, {} if method == "scratch" else areas.get((*place, "scratch"), {}))
        plain = _pairs(ours, {} if method == "finetune" else areas.get((*place, "finetune"), {}))
        transfer = [(a - b) / (1.0 - b) for a, b in scratch if b < 1.0]  # arXiv 2402.02868, Appendix B.3
        scored = is_scored(row.first)
        compared = ends("forward_transfer", transfer, scored) | ends("area_gain", [a - b for a, b in plain], scored)
        found.append(_row(row, list(seeds.values())) | compared)
    names = dict.fromkeys(name for made in found for name in made)
    return [{name: made.get(name) for name in names} for made in found]


def _row(row: Row, measures: Sequence[Measures]) -> dict[str, Value]:
    run = row.first
    columns: dict[str, Value] = {
        **{name: getattr(run, name) for name in ("task", "method", "profile", "simulator", "version")},
        "variant": row.variant,
        "environment": _environment(run.settings),
        "coefficient": next((run.settings[name] for name in STRENGTHS if name in run.settings), None),
        "seeds": len(measures),
        "recovered": sum(math.isfinite(each["recovery_step"]) for each in measures),
    }
    for name in measures[0]:
        columns |= ends(name, [each[name] for each in measures if math.isfinite(each[name])], is_scored(run))
    return columns


def _environment(settings: Mapping[str, Any]) -> str:
    """The settings of the environment, as in "far_level=4 horizon=100"."""
    own = {name: value for name, value in sorted(settings.items()) if name.startswith(ENVIRONMENT)}
    words = (value if isinstance(value, str) else json.dumps(value).replace(", ", ",") for value in own.values())
    return " ".join(f"{name.removeprefix(ENVIRONMENT)}={word}" for name, word in zip(own, words, strict=True))


def measures_of(run: Run, row: Row) -> Measures:
    """The numbers of one run; a `UserError` if its files are of other evaluations."""
    try:
        task = find_track(run.track).find_task(run.task)
        evaluations = row.ranked[row.runs.index(run)]
        steps = evaluations.steps
        if steps[0] != 0:
            raise ValueError("episodes.csv has no evaluation before the first step")
        stages = _stages(run.files["stages.csv"], task, steps, evaluations.returns.shape[1])
        logged = [parse_json(line) for line in run.files["metrics.jsonl"].decode("utf-8").splitlines()]
        taken = {0: 0.0} | {each["step"]: float(each.get("environment_steps", 0.0)) for each in logged}
        known = task.far  # type: ignore[attr-defined]
        far_stages = run.settings.get("policy.environment.known", known)
        far = np.mean([stages[stage] for stage in far_stages], axis=0)
        close = np.mean([stages[stage] for stage in stages if stage not in far_stages], axis=0)
        full = evaluations.scores.mean(axis=1) / 100.0
        return {
            "far_before": float(far[0]),
            "far_least": float(far[1:].min()),
            "forgetting": float(far[0] - far[1:].min()),
            "recovery_step": _recovery(
                [taken[step] for step in steps], far, BACK * (far[0] if is_scored(row.first) else 1.0)
            ),
            "close_end": float(close[-LAST:].mean()),
            "far_end": float(far[-LAST:].mean()),
            "full_end": float(full[-LAST:].mean()),
            "area": float(full.mean()),
            **{name: float(logged[-1].get(name, 0.0)) for name in TOTALS},
            **(_facts(logged, task.stages) if is_scored(run) else {}),  # type: ignore[attr-defined]
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"the files of run {run.id} can't be read ({type(error).__name__}: {error})") from None


def _facts(logged: Sequence[Mapping[str, float]], stages: Sequence[str]) -> Measures:
    """Means of what games came to in the last evaluations, begun at each place."""
    names = [f"{stage}_{fact}" for stage in stages for fact in FACTS]
    known = [each for each in logged if names[0] in each][-LAST:]
    return {name: float(np.mean([each[name] for each in known])) for name in names} if known else {}


def _stages(content: bytes, task: Scored, steps: Sequence[int], episodes: int) -> dict[int, Array]:
    """The share of successes, or of the expert's score, (V,) in each stage, in the evaluations at `steps`."""
    played = read_stages(content, steps, len(task.stages), episodes)  # type: ignore[attr-defined]
    scored = task.scored  # type: ignore[attr-defined]
    outcomes = played.returns / task.reference_scores[1] if scored else played.success  # (V, K, E)
    return dict(enumerate(outcomes.mean(axis=2).T))


def _recovery(taken: Sequence[float], far: Array, tolerance: float) -> float:
    """Environment steps when FAR (V,) is back, or nearly, after its worst; 0: it never was away; NaN: it stays so."""
    worst = 1 + int(np.argmin(far[1:]))
    if far[worst] >= far[0] - tolerance:
        return 0.0
    return next((taken[place] for place in range(worst, len(far)) if far[place] >= far[0] - tolerance), UNKNOWN)


def _pairs(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[tuple[float, float]]:
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def is_scored(run: Run) -> bool:
    """Tell whether points are counted, of which a policy may have more than the expert."""
    return bool(find_track(run.track).find_task(run.task).scored)  # type: ignore[attr-defined]


def ends(name: str, values: Sequence[float], scored: bool) -> dict[str, Value]:
    """The columns of a measure with these values, one a seed: its mean and its interval, cut to what it can be."""
    found = over_tasks({name: np.asarray(values)}, "mean") if values else Estimate()
    positive = name in SHARES or name == "recovery_step" or name.partition("_")[2] in FACTS[1:]  # points can be lost
    least = 0.0 if positive else -1.0 if name in DIFFERENCES and not scored else -math.inf
    most = 1.0 if name in SHARES + DIFFERENCES and not scored else math.inf
    low, high = (end if math.isnan(end) else min(max(end, least), most) for end in (found.low, found.high))
    return {name: found.value, f"{name}_low": low, f"{name}_high": high}
