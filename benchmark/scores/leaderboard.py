"""The leaderboard: runs averaged over seeds, one row a method, data set and fraction, written as CSV."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.csv_text import csv_text
from ...datasets.errors import UserError
from ...datasets.storage import write_text
from ...datasets.trajectories import combine_hashes
from .collect import with_one_target
from .comparable import published_columns
from .statistics import Summary, summarise_all
from .variants import split_variants

KEYS = ("task", "dataset", "source", "fraction", "method", "lm", "profile", "variant")  # one row each

# Column and format of the CSV, in order. Fixed decimals keep the file the same, byte by byte, for the same runs.
COLUMNS = {
    "track": "s",
    "task": "s",
    "dataset": "s",
    "source": "s",
    "dataset_hash": "s",
    "fraction": "g",
    "subset_hash": "s",
    "episodes_in_subset": "d",
    "method": "s",
    "lm": "s",
    "profile": "s",
    "variant": "s",
    "seeds": "d",
    "score_mean": ".3f",
    "score_std": ".3f",
    "score_iqm": ".3f",
    "ci_low": ".3f",
    "ci_high": ".3f",
    "seeds_below_gap": "d",
    "return_mean": ".3f",
    "best_score_mean": ".3f",
    "target_return": "g",
    "paper_score": "g",
    "paper_std": "g",
    "corl_score": "g",
    "corl_std": "g",
    "rerun_score": "g",
    "comparison": "s",
    "params_total": "d",
    "params_trainable": "d",
    "train_steps": "d",
    "train_seconds": ".1f",
    "env_id": "s",
    "simulator": "s",
    "version": "s",
}


def group_runs(runs: pd.DataFrame) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """Finished runs of `collect` by leaderboard row (`KEYS` and the hash of the data), in order of seed.

    Runs that agree in all of it but the variant and differ in a setting are rows of their own: `variant`
    (`variants.py`) tells them apart. Raises a `UserError` if no run is finished, if a seed occurs twice in a row, or
    if a row mixes runs on one shared subset with runs on a subset each.
    """
    finished = _records(runs[runs["status"] == "finished"])
    if not finished:
        raise UserError(f"none of the {len(runs)} runs is finished: nothing to rank yet; start the same command again")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    shared = (*KEYS[:-1], "dataset_hash")
    for run in sorted(finished, key=lambda run: (*(run[key] for key in shared), run["seed"], run["run_id"])):
        groups.setdefault(tuple(run[key] for key in shared), []).append(run)
    rows = {}
    for key, group in groups.items():
        for variant, row in split_variants(group).items():
            _check_seeds(row)
            rows[*key[:-1], variant, key[-1]] = with_one_target([run | {"variant": variant} for run in row])
    return rows


def _records(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """One dictionary a run, without single settings of policies: `settings` holds them all."""
    names = [name for name in runs if not name.startswith("policy.")]
    columns = zip(*(runs[name].tolist() for name in names), strict=True)  # `to_dict` takes many times as long
    return [dict(zip(names, values, strict=True)) for values in columns]


def leaderboard(runs: pd.DataFrame) -> pd.DataFrame:
    """Average finished runs over seeds: one row for each of `KEYS` and data, columns `COLUMNS`, sorted by them.

    `score_std`, `score_iqm` and the 95 % interval are those of `statistics.py`; `seeds_below_gap` counts the seeds that
    lie far below the others (`seed_gaps.py`). `subset_hash` is the subset's own hash where all seeds share it,
    otherwise a hash over every seed's number and subset hash, whatever their order: methods whose rows agree in it ran
    on the same data, seed by seed. What others published (`paper_score` to `rerun_score`) is there only where it is
    comparable, and `comparison` says why where it is not (`comparable.py`).

    Raises the errors of `group_runs`.
    """
    groups = list(group_runs(runs).values())
    summaries = summarise_all([np.stack([run["headline_scores"] for run in group]) for group in groups])
    rows = [_row(group, summary) for group, summary in zip(groups, summaries, strict=True)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the leaderboard, whole or not at all; the same runs give the same bytes. What is unknown is left empty."""
    rows = frame.sort_values([*KEYS, "dataset_hash"]).to_dict("records")
    cells = ([_formatted(row[column], style) for column, style in COLUMNS.items()] for row in rows)
    write_text(path, csv_text(COLUMNS, cells))


def _formatted(value: Any, style: str) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else format(value, style)


def _row(group: list[dict[str, Any]], summary: Summary) -> dict[str, Any]:
    first = group[0]
    row = {column: first[column] for column in (*KEYS, "dataset_hash", "env_id", "simulator", "version")}
    row |= {column: int(first[column]) for column in ("episodes_in_subset", "params_total", "params_trainable")}
    row |= {
        "track": first["track"],
        "subset_hash": _combined_subset_hash(group),
        "seeds": summary.seeds,
        "score_mean": summary.mean,
        "score_std": summary.std,
        "score_iqm": summary.iqm,
        "ci_low": summary.ci_low,
        "ci_high": summary.ci_high,
        "seeds_below_gap": summary.seeds_below_gap,
        "return_mean": float(np.mean([run["return_mean"] for run in group])),
        "best_score_mean": float(np.mean([run["best_score"] for run in group])),
        "target_return": float(first["target_return"]),
        "train_steps": int(first["steps"]),
        "train_seconds": float(np.mean([run["train_seconds"] for run in group])),
    }
    return row | published_columns(row)


def _combined_subset_hash(group: list[dict[str, Any]]) -> str:
    hashes = {f"seed {int(run['seed'])}": str(run["subset_hash"]) for run in group}
    shared = set(hashes.values())
    return shared.pop() if len(shared) == 1 else combine_hashes(hashes)


def _check_seeds(group: list[dict[str, Any]]) -> None:
    data_seeds = [int(run["data_seed"]) for run in group]
    seeds = [int(run["seed"]) for run in group]
    if len(set(seeds)) < len(seeds):
        _refuse(group, "data_seed at the same seed", [f"{data_seed}" for data_seed in data_seeds])
    if data_seeds != seeds and len(set(data_seeds)) > 1:
        rule = "data_seed, which must be each run's own seed or the same in all"
        _refuse(group, rule, [f"{data_seed}" for data_seed in data_seeds])


def _refuse(group: list[dict[str, Any]], fields: str, values: list[str]) -> None:
    by_value: dict[str, list[str]] = {}
    for run, value in zip(group, values, strict=True):
        by_value.setdefault(value, []).append(run["run_id"])
    found = "; ".join(f"{value} in {', '.join(ids)}" for value, ids in by_value.items())
    where = f"'{group[0]['method']}' on '{group[0]['dataset']}' at fraction {group[0]['fraction']:g}"
    raise UserError(f"runs of {where} differ in {fields} ({found}): no average; move some out of the runs folder")
