"""The tables of the language study, language.csv and search.csv: curves over steps, and what each arm chose.

Shapes: N seeds, V evaluations.
"""

from collections.abc import Sequence

import numpy as np

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from .rows import Row
from .runs import Run
from .statistics import UNKNOWN, Estimate, detectable, mean_of_seeds

ARM = ("language_weight", "learning_rate", "input_scale")  # settings that tell rows of one method apart
CONTROL = "lamo-random"  # whose language model is the one that the study is of

Value = str | int | float | None
Place = tuple[str, float, str]  # data set, fraction, profile


def language_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of language.csv for each evaluation of each row."""
    places: dict[Place, list[Row]] = {}
    for row in rows:
        places.setdefault((row.first.dataset, row.first.fraction, row.first.profile), []).append(row)
    return [made for own in places.values() for row in own for made in _curve(row, _pretrained(own))]


def _pretrained(rows: Sequence[Row]) -> Row:
    """The row of the pre-trained model without a language loss."""
    models = {row.first.lm for row in rows if row.first.method == CONTROL}
    found = [
        row
        for row in rows
        if row.first.method == "lamo" and {row.first.lm} == models and not row.first.policy["language_weight"]
    ]
    if len(found) != 1:
        raise UserError(f"{rows[0].first.dataset} has {len(found)} pre-trained arms; expected one")
    return found[0]


def _curve(row: Row, reference: Row) -> list[dict[str, Value]]:
    ours = {"held_out_error": _errors(row), "score": _scores(row)}
    theirs = {"held_out_error": _errors(reference), "score": _scores(reference)}
    return [
        {
            "dataset": row.first.dataset,
            "fraction": row.first.fraction,
            **_arm(row.first),
            "params_total": row.first.params_total,
            "params_trainable": row.first.params_trainable,
            "seeds": len(row.runs),
            "step": int(each["step"]),
            **{
                column: value
                for name in ours
                for column, value in _measured(
                    name, ours[name][:, place], None if row is reference else theirs[name][:, place]
                ).items()
            },
        }
        for place, each in enumerate(row.first.held_out)
    ]


def _measured(name: str, values: Array, reference: Array | None) -> dict[str, Value]:
    """The columns of a measure (N,), and of its difference from the reference's."""
    less = Estimate()
    sees = UNKNOWN
    if reference is not None:
        less = mean_of_seeds((values - reference)[:, None])
        sees = detectable({"": values - reference}, 0.0)
    own = mean_of_seeds(values[:, None])
    return {
        **{name: own.value, f"{name}_low": own.low, f"{name}_high": own.high},
        **{f"{name}_less": less.value, f"{name}_less_low": less.low, f"{name}_less_high": less.high},
        f"{name}_sees": sees,
    }


def _errors(row: Row) -> Array:
    """Values (N, V) of each run at each evaluation."""
    return np.asarray([[each["held_out_error"] for each in run.held_out] for run in row.runs])


def _scores(row: Row) -> Array:
    """Values (N, V) of each run at each evaluation."""
    return np.stack([each.scores.mean(axis=1) for each in row.ranked])


def _arm(run: Run) -> dict[str, Value]:
    return {
        **{name: getattr(run, name) for name in ("profile", "method", "lm")},
        **{name: run.policy.get(name, "") for name in ARM},
    }


def search_rows(rows: Sequence[Row]) -> list[dict[str, Value]]:
    """A row of search.csv for each choice of each arm; the one with the least error of its arm is chosen."""
    runs: dict[tuple[Value, ...], list[Run]] = {}
    for run in (run for row in rows for run in row.runs):
        runs.setdefault(tuple(_arm(run).values()), []).append(run)
    errors = {key: _geometric_mean([run.held_out[-1]["held_out_error"] for run in own]) for key, own in runs.items()}
    least: dict[tuple[Value, ...], float] = {}
    for key, error in errors.items():
        least[key[:3]] = min(error, least.get(key[:3], error))
    return [
        {
            **_arm(own[0]),
            "steps": own[0].steps,
            "runs": len(own),
            "held_out_error": errors[key],
            "chosen": int(errors[key] == least[key[:3]]),
        }
        for key, own in runs.items()
    ]


def _geometric_mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
