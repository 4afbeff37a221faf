"""Runs that train in a moment, and what they come to: for tests of what trains many of them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.store import run_folder

Numbers = tuple[str, list[dict[str, Any]]]
BUDGET = {"evaluation_episodes": 2, "headline_evaluations": 1, "batch_size": 8}


def little_request(steps: int, evaluate_every: int) -> RunRequest:
    """Asks for cloning with a tiny network on `reacher_data`."""
    budget = BUDGET | {"steps": steps, "evaluate_every": evaluate_every}
    return RunRequest("reacher2d-medium", "bc", budget=budget, settings={"hidden": (16,), "learning_rate": 1e-3})


def little_run(seed: int = 0, *, steps: int, evaluate_every: int, **changes: Any) -> OfflineConfig:
    """That run, with `changes` to what is asked for."""
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
