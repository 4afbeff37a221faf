"""The leaderboard: runs averaged over seeds, one row a method, data set and fraction, written as CSV."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.counts import count
from ...datasets.csv_text import csv_text
from ...datasets.errors import UserError
from ...datasets.storage import write_text
from ...datasets.trajectories import Array, combine_hashes
from ..runs.config import RunConfig
from ..runs.tracks import find_track
from .collect import finished, left_out, with_one_target
from .comparable import published_columns
from .held_out import COLUMNS as HELD_OUT_COLUMNS
from .held_out import held_out_columns
from .run import Data, FinishedRun, Run
from .statistics import Summary, summarise_all
from .variants import split_variants

KEYS = ("task", "dataset", "source", "fraction", "method", "lm", "profile", "variant")  # one row each

# Column and format of the CSV, in order. Fixed decimals keep the file the same, byte by byte, for the same scores: how
# long training took is therefore in the report alone.
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
    **HELD_OUT_COLUMNS,
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
    "env_id": "s",
    "simulator": "s",
    "version": "s",
}


@dataclass(frozen=True)
class Group:
    """The runs of one leaderboard row, in order of seed, all ranked at one target."""

    variant: str  # how its settings differ from the most common ones (`variants.py`); "" where they do not
    runs: list[FinishedRun]

    @property
    def config(self) -> RunConfig:
        """The first run's configuration, with which the others agree in all but what is of each seed."""
        return self.runs[0].config

    @property
    def data(self) -> Data:
        """The first run's data, likewise."""
        return self.runs[0].data

    @property
    def scores(self) -> Array:
        """Scores (N,) of the runs."""
        return np.asarray([run.result.score for run in self.runs])

    @property
    def headline_scores(self) -> Array:
        """Scores (N, M) of the runs' headline episodes."""
        return np.stack([run.result.headline_scores for run in self.runs])

    @property
    def curves(self) -> Array:
        """Learning curves (N, V) of the runs, at the steps of the first one's."""
        return np.stack([run.result.curve_scores for run in self.runs])


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """The finished ones of the runs by leaderboard row (`KEYS` and the hash of the data), sorted by these.

    Runs that agree in all of it but the variant and differ in a setting are rows of their own: `variant`
    (`variants.py`) tells them apart. Raises a `UserError` if no run is finished, if a seed occurs twice in a row, or
    if a row mixes runs on one shared subset with runs on a subset each.
    """
    sound = finished(runs)
    if not sound:
        why = (left_out(runs) or ["start the same command again"])[-1]
        raise UserError(f"{count(len(runs), 'run')}, none of them finished: nothing to rank yet; {why}")
    groups: dict[tuple[Any, ...], list[FinishedRun]] = {}
    for run in sorted(sound, key=lambda run: (*row_of(run), run.data.dataset_hash, run.config.seed, run.id)):
        groups.setdefault((*row_of(run), run.data.dataset_hash), []).append(run)
    rows = []
    for parts in split_variants(list(groups.values())):
        for variant, row in parts.items():
            _check_seeds(row)
            rows.append(Group(variant, with_one_target(row)))
    return rows


def row_of(run: FinishedRun) -> tuple[Any, ...]:
    """The run's values of `KEYS` but the last, which other runs decide."""
    config = run.config
    data = run.data
    return (config.task, data.dataset, data.source, data.fraction, config.method, config.lm, config.profile)


def leaderboard(runs: Sequence[Run]) -> pd.DataFrame:
    """Average finished runs over seeds: one row for each of `KEYS` and data, columns `COLUMNS`, sorted by them.

    `score_std`, `score_iqm` and the 95 % interval are those of `statistics.py`; `seeds_below_gap` counts the seeds that
    lie far below the others (`seed_gaps.py`). `subset_hash` is the subset's own hash where all seeds share it,
    otherwise a hash over every seed's number and subset hash, whatever their order: methods whose rows agree in it ran
    on the same data, seed by seed. What others published (`paper_score` to `rerun_score`) is there only where it is
    comparable, and `comparison` says why where it is not (`comparable.py`). The held-out action error has its columns
    from `held_out.py`.

    Raises the errors of `group_runs`.
    """
    return pd.DataFrame(leaderboard_rows(group_runs(runs)), columns=list(COLUMNS))


def leaderboard_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The row of each group, by column; `train_seconds` too, which is no column of the CSV."""
    summaries = summaries_of(groups)
    held_out = held_out_columns([group.runs for group in groups], [group.variant for group in groups])
    rows = [_row(group, summary) for group, summary in zip(groups, summaries, strict=True)]
    return [row | columns for row, columns in zip(rows, held_out, strict=True)]


def summaries_of(groups: Sequence[Group]) -> list[Summary]:
    """Statistics of each group's scores; an interval is cut to what a score of its task can be."""
    summaries = summarise_all([group.headline_scores for group in groups])
    return [
        summary.within(*find_track(group.config.track).range_of(group.config.task))
        for group, summary in zip(groups, summaries, strict=True)
    ]


def clearly_best(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The place of the row whose interval lies above every other one's; None where there is none, or no other row."""
    for place, row in enumerate(rows):
        rivals = [other for other in rows if other is not row]
        if rivals and all(row["ci_low"] > other["ci_high"] for other in rivals):
            return place  # a single seed's ends are NaN: it is never clear
    return None


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the leaderboard, whole or not at all; the same runs give the same bytes. What is unknown is left empty."""
    rows = frame.sort_values([*KEYS, "dataset_hash"]).to_dict("records")
    cells = ([_formatted(row[column], style) for column, style in COLUMNS.items()] for row in rows)
    write_text(path, csv_text(COLUMNS, cells))


def _formatted(value: Any, style: str) -> str:
    return "" if isinstance(value, float) and math.isnan(value) else format(value, style)


def _row(group: Group, summary: Summary) -> dict[str, Any]:
    config = group.config
    data = group.data
    runs = group.runs
    done = runs[0].done
    row = {
        "track": config.track,
        "task": config.task,
        "dataset": data.dataset,
        "source": data.source,
        "dataset_hash": data.dataset_hash,
        "fraction": data.fraction,
        "subset_hash": _combined_subset_hash(runs),
        "episodes_in_subset": data.episodes_in_subset,
        "method": config.method,
        "lm": config.lm,
        "profile": config.profile,
        "variant": group.variant,
        "seeds": summary.seeds,
        "score_mean": summary.mean,
        "score_std": summary.std,
        "score_iqm": summary.iqm,
        "ci_low": summary.ci_low,
        "ci_high": summary.ci_high,
        "seeds_below_gap": summary.seeds_below_gap,
        "return_mean": float(np.mean([run.result.return_mean for run in runs])),
        "best_score_mean": float(np.mean([run.result.best_score for run in runs])),
        "target_return": runs[0].result.target_return,
        "params_total": done["params_total"],
        "params_trainable": done["params_trainable"],
        "train_steps": config.steps,
        "train_seconds": float(np.mean([run.done["train_seconds"] for run in runs])),
        "env_id": data.env_id,
        "simulator": done["simulator"],
        "version": config.version,
    }
    return row | published_columns(row)


def _combined_subset_hash(runs: Sequence[FinishedRun]) -> str:
    hashes = {f"seed {run.config.seed}": run.data.subset_hash for run in runs}
    shared = set(hashes.values())
    return shared.pop() if len(shared) == 1 else combine_hashes(hashes)


def _check_seeds(runs: Sequence[FinishedRun]) -> None:
    data_seeds = [run.data_seed for run in runs]
    seeds = [run.config.seed for run in runs]
    if len(set(seeds)) < len(seeds):
        _refuse(runs, "data_seed at the same seed", data_seeds)
    if data_seeds != seeds and len(set(data_seeds)) > 1:
        _refuse(runs, "data_seed, which must be each run's own seed or the same in all", data_seeds)


def _refuse(runs: Sequence[FinishedRun], fields: str, values: Sequence[int]) -> None:
    by_value: dict[int, list[str]] = {}
    for run, value in zip(runs, values, strict=True):
        by_value.setdefault(value, []).append(run.id)
    found = "; ".join(f"{value} in {', '.join(ids)}" for value, ids in by_value.items())
    first = runs[0]
    where = f"'{first.config.method}' on '{first.data.dataset}' at fraction {first.data.fraction:g}"
    raise UserError(f"runs of {where} differ in {fields} ({found}): no average; move some out of the runs folder")
