"""Runs as their files say: configuration, facts, and what they scored at each evaluation.

Shapes: V evaluations, E episodes of each, M = E times the last evaluations that a score is of.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.trajectories import Array
from ..runs.methods import look_up
from ..runs.tracks import BEFORE_TRACKS, find_track
from .archive import Files

HELD_OUT = ("held_out_error", "held_out_mean_action", "held_out_previous_action")  # where it was measured, all three


@dataclass(frozen=True)
class Evaluations:
    """The evaluations at one target return."""

    target: float
    steps: tuple[int, ...]  # (V,) of training
    returns: Array  # (V, E)
    scores: Array  # (V, E), 0 and 100 at the task's reference returns


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run."""

    id: str
    track: str
    task: str
    dataset: str
    source: str
    dataset_hash: str
    subset_hash: str
    env_id: str
    fraction: float
    episodes_in_subset: int
    method: str
    lm: str
    profile: str
    seed: int
    steps: int
    version: str
    params_total: int
    params_trainable: int
    simulator: str
    last: int  # evaluations that its score is of
    evaluations: tuple[Evaluations, ...]  # at each target that may be ranked
    held_out: tuple[Mapping[str, float], ...]  # rows of the evaluations in which it was measured
    policy: Mapping[str, Any]  # every setting of its method
    settings: Mapping[str, Any]  # values by name that runs of one row have in common
    files: Files  # as they are in the archive: a track's own table may be made of more than this


def read_runs(archive: Mapping[str, Files]) -> list[Run]:
    """The runs of an archive, by seed and id; a `UserError` for one whose files do not say what it scored."""
    runs = []
    for name, files in archive.items():
        try:
            runs.append(_run(name, files))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"the files of run {name} can't be read ({type(error).__name__}: {error})") from None
    return sorted(runs, key=lambda run: (run.seed, run.id))


def _run(name: str, files: Files) -> Run:
    config = parse_json(files["config.json"].decode("utf-8"))
    done = parse_json(files["done.json"].decode("utf-8"))
    track = config.get("track", BEFORE_TRACKS)
    low, high = find_track(track).find_task(config["task"]).reference_scores
    return Run(
        id=name,
        track=track,
        task=config["task"],
        dataset=config.get("dataset") or config["task"],
        source=config.get("source", ""),
        dataset_hash=config.get("dataset_hash", ""),
        subset_hash=config.get("subset_hash", ""),
        env_id=config.get("env_id", ""),
        fraction=float(config.get("fraction", 1.0)),
        episodes_in_subset=config.get("episodes_in_subset", 0),
        method=config["method"],
        lm=config.get("lm", ""),
        profile=config["profile"],
        seed=config["seed"],
        steps=config["steps"],
        version=config["version"],
        params_total=done["params_total"],
        params_trainable=done["params_trainable"],
        simulator=done["simulator"],
        last=config["headline_evaluations"],
        evaluations=tuple(
            Evaluations(target, tuple(steps), returns, 100.0 * (returns - low) / (high - low))
            for target, steps, returns in _returns(files["episodes.csv"], config)
        ),
        held_out=_held_out(files.get("metrics.jsonl", b"")),
        policy=config.get("policy", {}),
        settings=_settings(track, config) | {"simulator": done["simulator"]},
        files=files,
    )


def _returns(content: bytes, config: Mapping[str, Any]) -> list[tuple[float, list[int], Array]]:
    """The target, the steps (V,) and the returns (V, E) at each target that may be ranked.

    It is the first, or any under "best-target".
    """
    targets = config.get("target_returns", [0.0])
    ranked = targets if "best-target" in config.get("legacy", []) else targets[:1]
    episodes = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
    return [(target, *_returns_at(target, episodes, config)) for target in ranked]


def _returns_at(
    target: float, episodes: Sequence[Mapping[str, str]], config: Mapping[str, Any]
) -> tuple[list[int], Array]:
    evaluations: dict[int, dict[int, float]] = {}
    for row in episodes:
        if math.isclose(float(row["target_return"]), target, rel_tol=1e-5, abs_tol=1e-8):
            numbered = evaluations.setdefault(int(row["step"]), {})
            if int(row["episode"]) in numbered:
                raise ValueError(f"episode {row['episode']} of step {row['step']} stands twice in episodes.csv")
            numbered[int(row["episode"])] = float(row["return"])
    steps = sorted(evaluations)
    returns = [[evaluations[step][number] for number in sorted(evaluations[step])] for step in steps]
    whole = {len(each) for each in returns} == {config["evaluation_episodes"]} and np.isfinite(returns).all()
    if not whole or len(steps) < config["headline_evaluations"] or steps[-1] != config["steps"]:
        raise ValueError("episodes.csv lacks episodes of an evaluation")
    due = {*range(config["evaluate_every"], config["steps"], config["evaluate_every"]), config["steps"]}
    if {*steps} - {0} != due:  # some tracks evaluate before the first step, too
        raise ValueError(f"episodes.csv has evaluations at other steps than every {config['evaluate_every']}")
    return steps, np.asarray(returns)


def _held_out(content: bytes) -> tuple[Mapping[str, float], ...]:
    rows = [parse_json(line) for line in content.decode("utf-8").splitlines() if '"held_out_error"' in line]
    for row in rows:
        if not all(math.isfinite(row[name]) for name in HELD_OUT):
            raise ValueError("metrics.jsonl has a held-out error that is no finite number")
    return tuple(rows)


def _settings(track: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """All of the configuration but what is each seed's own; a field that came later is there as its first value.

    Of weights that a seed draws, the hash is the seed's own too.
    """
    fields = find_track(track).config_class()
    flat = {**fields.later_fields, "track": track, **config}
    policy = flat.pop("policy", {})
    drawn = look_up(config["method"]).weights not in ("", "pretrained")
    own = (*fields.per_seed, *(("lm_hash",) if drawn else ()))
    common = {name: value for name, value in flat.items() if name not in own}
    later = fields.later_settings
    return common | {f"policy.{n}": value for n, value in policy.items() if n not in later or value != later[n]}
