"""Reads run folders: what each run is, whether it finished, and what it scored.

A run's score is the mean normalised return over all episodes at the ranked target in the last `headline_evaluations`
evaluations of training; its best score, a side column, is the best single evaluation's mean. See `docs/protocol.md`.
Only under legacy "best-target" are there several targets to choose from, and the best is ranked.
Nothing else of a run folder is read, so that ten thousand runs take seconds.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.damage import damage, missized
from ..runs.episodes import read_episodes
from ..runs.layout import run_folders
from ..runs.methods import look_up
from ..runs.records import (
    check_content,
    check_id,
    config_in,
    content_of,
    is_verified,
    read_done,
    read_failure,
)
from ..runs.tracks import find_track

AGAIN = "start the same command again"
UNFINISHED = f"{AGAIN} to go on"
SET_ASIDE = f"{AGAIN}, which sets its folder aside"  # as it does with all damage that sizes tell
NAMED = 10  # unfinished runs that are named; a sweep that is under way may have hundreds
# What the rows of tracks without data sets have in the columns of data.
WITHOUT_DATA = {
    **dict.fromkeys(("source", "dataset_hash", "subset_hash", "env_id"), ""),
    "fraction": 1.0,
    "episodes_in_subset": 0,
}
UNVERIFIED = "their done.json has no hashes, so a number that was changed in their files would not be seen"


def collect(*roots: Path) -> pd.DataFrame:
    """Read every run in the folders and in those inside them: one row a run, sorted by its id.

    A run that is found twice counts once: the finished one, or else the one found first.

    Columns: `run_id`; `folder`; `status` ("finished", "unfinished", "failed" or "damaged"); `problem`, one line that
    says what is wrong, empty for finished runs; `advice`, what to do about damage; the fields of `config.json` (nested
    ones as "policy.name") and of `done.json`. Finished runs also have `verified`, whether the hashes of what was read
    are known; `score`, `best_score`, `return_mean`, `headline_scores` (M,) of the M headline episodes, and the learning
    curve `curve_steps`, `curve_scores`, both (V,) for V evaluations at the ranked target, which is `target_return`; and
    `by_target`, the same for each target that could be ranked.

    Raises a `UserError` if a folder holds no run. A damaged run is listed, so that it does not hide the others.
    """
    runs: dict[str, dict[str, Any]] = {}
    for root in roots:
        folders = sorted(run_folders(root))
        if not folders:
            raise UserError(f"no runs in '{root}'; make some with `lamobench sweep`")
        for run in map(read_run, folders):
            known = runs.get(run["run_id"])
            if known is None or (run["status"] == "finished" and known["status"] != "finished"):
                runs[run["run_id"]] = run
    return pd.DataFrame([runs[name] for name in sorted(runs)])


def left_out(runs: pd.DataFrame) -> list[str]:
    """What the leaderboard can't count of the frame of `collect`, and what to do: a line for all runs that are not
    finished, and one for each that failed or is damaged."""
    rows = runs[runs["status"] != "finished"].to_dict("records")
    others = [(run["run_id"], run["status"], what_and_how(run)) for run in rows]
    unfinished = [name for name, status, _ in others if status == "unfinished"]
    lines = [f"{name}: {status}: {problem}" for name, status, problem in others if status != "unfinished"]
    if unfinished:
        named = ", ".join(unfinished[:NAMED]) + (f" and {len(unfinished) - NAMED} more" * (len(unfinished) > NAMED))
        count = "1 run is unfinished" if len(unfinished) == 1 else f"{len(unfinished)} runs are unfinished"
        lines.insert(0, f"{count} ({named}); {UNFINISHED}")
    return lines


def unverified(runs: pd.DataFrame) -> list[str]:
    """How many finished runs of the frame of `collect` have no hashes of their files, in a line; none for none."""
    finished = runs[runs["status"] == "finished"]
    count = 0 if finished.empty else int((~finished["verified"].astype(bool)).sum())
    return [f"{count} of {len(finished)} finished runs are unverified: {UNVERIFIED}"] if count else []


def what_and_how(run: Mapping[Any, Any]) -> str:
    """What is wrong with a run of `collect`, and what to do about it."""
    return f"{run['problem']}; {run['advice']}" if run["advice"] else str(run["problem"])


def read_run(folder: Path) -> dict[str, Any]:
    """One row of `collect`: the run in `folder`."""
    run: dict[str, Any] = {"run_id": folder.name, "folder": str(folder), "status": "damaged"}
    run |= {"problem": "", "advice": ""}
    try:
        content = content_of(folder, "config.json")
        config = config_in(content)
        flat = _flattened(config)
        run |= flat
        run |= _outcome(folder, content, config, flat)
    except (UserError, FileNotFoundError) as error:
        run |= {"problem": str(error), "advice": SET_ASIDE if damage(folder) else f"delete '{folder}' and {AGAIN}"}
    return run


def read_finished(folder: Path) -> dict[str, Any]:
    """One row of `collect`: the finished run in `folder`; a `UserError` if it is not, or not any more."""
    run = read_run(folder)
    if run["status"] != "finished":
        raise UserError(f"run {folder.name} is {run['status']}: {what_and_how(run)}")
    return run


def _outcome(folder: Path, content: bytes, config: RunConfig, flat: dict[str, Any]) -> dict[str, Any]:
    """How a run ended, as far as it has; `content` is that of its `config.json`."""
    if not (folder / "done.json").exists():
        if what := damage(folder):
            raise UserError(what)
        if (folder / "failed.json").exists():
            return {"status": "failed", "problem": read_failure(folder)}
        return {"status": "unfinished", "problem": UNFINISHED}
    done = read_done(folder)
    if what := missized(folder, done):
        raise UserError(what)
    episodes = content_of(folder, "episodes.csv")
    for name, found in (("config.json", content), ("episodes.csv", episodes)):
        check_content(name, found, done)
    check_id(config, folder)
    about = {"settings": _settings(config, flat, done), "verified": is_verified(done), "status": "finished"}
    return done | about | _scores(episodes, config)


def _flattened(config: RunConfig) -> dict[str, Any]:
    """Its fields, a method's settings as "policy.name"; and what every row has, whatever its run's track."""
    flat = {name: getattr(config, name) for name in config.__dataclass_fields__ if name != "policy"}
    flat |= {f"policy.{name}": value for name, value in config.policy.items()}
    return {"track": config.track, "dataset": config.subject} | WITHOUT_DATA | flat


def _settings(config: RunConfig, flat: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    """Everything that runs of one leaderboard row must have in common."""
    drawn = look_up(config.method).weights not in ("", "pretrained")  # weights drawn by the seed
    may_differ = (*config.per_seed, *(("lm_hash",) if drawn else ()))
    common = {key: value for key, value in flat.items() if key not in may_differ}
    for name, default in config.later_settings.items():  # as in the run's id
        if common.get(f"policy.{name}", default) == default:
            common.pop(f"policy.{name}", None)
    return common | {"simulator": done["simulator"]}


def with_one_target(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs of one row, all scored at the same target: of those that could be ranked, the best of their mean."""
    choices = range(len(runs[0]["by_target"]))
    best = max(choices, key=lambda choice: float(np.mean([run["by_target"][choice]["score"] for run in runs])))
    return [run | run["by_target"][best] for run in runs]


def _scores(episodes: bytes, config: RunConfig) -> dict[str, Any]:
    table = read_episodes(episodes)
    by_target = [_scores_at(target, table, config) for target in config.ranked_targets]
    return max(by_target, key=lambda scores: float(scores["score"])) | {"by_target": by_target}


def _scores_at(target: float, table: Array, config: RunConfig) -> dict[str, Any]:
    steps, returns = _returns_at(target, table, config)
    scores = find_track(config.track).find_task(config.task).normalise(returns)
    headline = slice(-config.headline_evaluations, None)
    curve = scores.mean(axis=1)
    return {
        "target_return": float(target),
        "score": float(scores[headline].mean()),
        "best_score": float(curve.max()),
        "return_mean": float(returns[headline].mean()),
        "headline_scores": scores[headline].ravel(),
        "curve_steps": steps,
        "curve_scores": curve,
    }


def _returns_at(target: float, table: Array, config: RunConfig) -> tuple[Array, Array]:
    """Steps (V,) and returns (V, E) of the evaluations at a target to rank; a `UserError` if an episode is missing."""
    table = table[np.abs(table[:, 1] - target) <= 1e-8 + 1e-5 * abs(target)]
    table = table[np.lexsort((table[:, 2], table[:, 0]))]  # by step, then episode
    steps, counts = np.unique(table[:, 0].astype(np.int64), return_counts=True)
    episodes, wanted = config.evaluation_episodes, config.headline_evaluations
    if len(steps) < wanted or (counts != episodes).any() or steps[-1] != config.steps:
        found = ", ".join(f"{count} at step {step}" for step, count in zip(steps, counts, strict=True)) or "none"
        raise UserError(
            f"episodes.csv must hold {episodes} episodes at the ranked target in each evaluation and {wanted} or more "
            f"evaluations, the last at step {config.steps}; it holds {found}"
        )
    if (np.diff(table[:, 2].reshape(-1, episodes), axis=1) <= 0).any():
        raise UserError("episodes.csv holds an episode twice")
    return steps, table[:, 4].reshape(-1, episodes)
