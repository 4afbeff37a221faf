"""Run folders as training leaves them, made without training; a package that carries a language model."""

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from lamobench.benchmark.lm.packaged import PACKAGED
from lamobench.benchmark.offline.config import LATER_SETTINGS, OfflineConfig
from lamobench.benchmark.offline.hyperparameters import PROFILES, overrides_for
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.sweep import local as local_engine
from lamobench.datasets.tasks import TASKS
from lamobench.datasets.trajectories import Array

BUDGET = {"steps": 20, "evaluate_every": 10, "evaluation_episodes": 2, "headline_evaluations": 1, "batch_size": 8}
CONFIG: dict[str, Any] = {
    "dataset": "reacher2d-medium-large",
    "task": "reacher2d",
    "source": "recorded",
    "dataset_hash": "d" * 64,
    "fraction": 0.1,
    "data_seed": 0,
    "subset_hash": "",
    "episodes_in_subset": 50,
    "env_id": "lamobench/Reacher2d-v0",
    "target_returns": [76.0],
    "method": "bc",
    "lm": "",
    "lm_hash": "",
    "corpus_hash": "",
    "profile": "cpu",
    "seed": 0,
    "precision": "float32",
    "steps": 300,
    "batch_size": 64,
    "evaluate_every": 100,
    "evaluation_episodes": 4,
    "headline_evaluations": 2,
    "policy": {"hidden": 256},
    "version": "0.1.0",
}
DONE = {"params_total": 1000, "params_trainable": 100, "train_seconds": 12.5, "simulator": "mujoco 3.3.0"}


def later_settings(profile: str, task: str, method: str) -> dict[str, Any]:
    """The later settings of a profile as it is now: runs without them are of what it was."""
    overrides = overrides_for(profile, task, method) if profile in PROFILES and task in TASKS else {}
    return {name: value for name, value in overrides.items() if name in LATER_SETTINGS}


def write_run(root: Path, returns: Any, **changes: Any) -> Path:
    """A finished run in `root`: `returns` (evaluations, episodes) at the ranked target, `changes` to its config."""
    returns = np.asarray(returns, float)
    config = CONFIG | {"evaluation_episodes": returns.shape[1], "evaluate_every": 100, "steps": 100 * len(returns)}
    config |= {"data_seed": changes.get("seed", 0)} | changes
    config["policy"] = later_settings(config["profile"], config["task"], config["method"]) | config["policy"]
    config["subset_hash"] = config["subset_hash"] or f"subset {config['data_seed']} at {config['fraction']}"
    folder = root / OfflineConfig(**config).id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "done.json").write_text(json.dumps(DONE))
    (folder / "episodes.csv").write_text(episodes_csv(returns, config["evaluate_every"], config["target_returns"][0]))
    return folder


def episodes_csv(returns: Array, evaluate_every: int, target: float) -> str:
    """The file for `returns` (evaluations, episodes), with episodes at a second, unranked target among them."""
    lines = ["step,target_return,episode,seed,return,length"]
    for number, evaluation in enumerate(returns):
        step = (number + 1) * evaluate_every
        lines += [f"{step},{target},{episode},{7 * episode},{value},100" for episode, value in enumerate(evaluation)]
        lines += [f"{step},{target / 2},{episode},{7 * episode},-1000.0,100" for episode in range(len(evaluation))]
    return "\n".join(lines) + "\n"


@pytest.fixture
def runs_root(tmp_path: Path) -> Path:
    """An empty runs folder."""
    return tmp_path / "runs"


@pytest.fixture(name="write_run")
def write_run_fixture(runs_root: Path) -> Callable[..., Path]:
    """`write_run` into `runs_root`."""
    return lambda returns, **changes: write_run(runs_root, returns, **changes)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every figure that is saved."""
    saved: list[Any] = []
    save = Figure.savefig

    def remember(figure: Figure, *args: Any, **options: Any) -> None:
        saved.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", remember)
    return saved


@pytest.fixture
def minilm_package(tmp_path: Path, tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of "minilm" in an installed package: a tiny BERT, beside code that fails if it is run."""
    folder = tmp_path / "site" / "packaged_minilm"
    shutil.copytree(tiny_bert, folder / "model")
    (folder / "__init__.py").write_text("raise RuntimeError('the code of the package was run')\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    names = ("config.json", "model.safetensors")
    sha256 = {name: hashlib.sha256((folder / "model" / name).read_bytes()).hexdigest() for name in names}
    monkeypatch.setitem(PACKAGED, "minilm", replace(PACKAGED["minilm"], module="packaged_minilm", sha256=sha256))
    return folder / "model"


@pytest.fixture
def no_minilm_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is not installed, even where it is."""
    monkeypatch.setitem(PACKAGED, "minilm", replace(PACKAGED["minilm"], module="no_such_package"))


@pytest.fixture(scope="module")
def forked_workers(stocked_home: Path) -> Iterator[None]:
    """Workers fork from a server that has PyTorch loaded; importing it anew for each would take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMOBENCH_HOME", str(stocked_home))
        patch.setattr(local_engine, "START_METHOD", "forkserver")
        multiprocessing.set_forkserver_preload(["lamobench.benchmark.offline.loop"])
        yield


@pytest.fixture(scope="session")
def shared_runs(stocked_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs of cloning, seeds 0 and 1, and one that was stopped half-way, seed 2. Not to be changed."""
    root = tmp_path_factory.mktemp("shared") / "runs"

    def stop(step: int, total: int) -> None:
        if step < total:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMOBENCH_HOME", str(stocked_home))
        for seed in (0, 1, 2):
            request = RunRequest("reacher2d-medium", "bc", seed=seed, budget=BUDGET, settings={"hidden": (64, 32)})
            with suppress(KeyboardInterrupt):
                train(resolve(request), root, "cpu", stop if seed == 2 else None)
    return root


@pytest.fixture
def copied_runs(shared_runs: Path, tmp_path: Path) -> Path:
    """A copy of `shared_runs`, the test's own."""
    return Path(shutil.copytree(shared_runs, tmp_path / "runs"))
