"""Runs that train in a moment, and their results: for tests of what trains many of them."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.scores.run import FinishedRun, Result
from lamobench.datasets.trajectories import Array

Numbers = tuple[str, list[dict[str, Any]]]
BUDGET = {"evaluation_episodes": 2, "headline_evaluations": 1, "batch_size": 8}


def little_request(steps: int, evaluate_every: int) -> RunRequest:
    """A request for cloning with a tiny network on `reacher_data`."""
    budget = BUDGET | {"steps": steps, "evaluate_every": evaluate_every}
    return RunRequest("reacher2d-medium", "bc", budget=budget, settings={"hidden": (16,), "learning_rate": 1e-3})


def little_run(seed: int = 0, *, steps: int, evaluate_every: int, **changes: Any) -> OfflineConfig:
    """The run of a little request, with `changes` to it."""
    return resolve(replace(little_request(steps, evaluate_every), seed=seed, **changes))


def numbers(root: Path, run: OfflineConfig) -> Numbers:
    """episodes.csv, and metrics.jsonl without times."""
    folder = run_folder(root, run)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return (folder / "episodes.csv").read_text(), [{k: v for k, v in r.items() if k != "seconds"} for r in rows]


def folders(root: Path, *seeds: int) -> list[Path]:
    """The folders of the runs with these seeds, in their order."""
    return [path for seed in seeds for path in sorted(root.glob(f"*-s{seed}-*"))]


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def note_files(folder: Path) -> None:
    """Bring the sizes and hashes in a finished run's `done.json` to its files as they are now."""
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))


def result(target: float, scores: Array) -> Result:
    """The result at a target of a run with these scores (M,) of its headline episodes."""
    mean = float(scores.mean())
    return Result(target, mean, mean, mean, scores, curve_steps=np.array([1]), curve_scores=np.array([mean]))


def finished_run(results: Sequence[Result]) -> FinishedRun:
    """A finished run of which nothing is known but its results; the best of them is ranked."""
    best = max(results, key=lambda result: result.score)
    unknown: Any = None
    return FinishedRun(folder=Path("run"), config=unknown, done={}, results=tuple(results), result=best)
