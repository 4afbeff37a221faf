"""`lamobench doctor`: what is installed, what is at hand, and what each make target would need."""

import shutil
import sys
from dataclasses import dataclass
from typing import Any

from ...datasets.counts import count
from ...datasets.errors import UserError
from ..terminal import print_rows
from .lm import corpora, language_models

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "tokenizers",
    "minari",
    "gymnasium",
    "mujoco",
    "numpy",
    "pandas",
    "matplotlib",
    "ray",
    "metaworld",
    "nle",
)
READERS = ("minilm", "glove")  # what text games are read with, unless another language model is named


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, which data and models are at hand, and what each make target would need."""

    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the findings."""
        print_rows(findings(), self.json)


def findings() -> list[dict[str, Any]]:
    """One row a finding. Keys: kind, name, state, note; `state` is "ok" unless something is missing."""
    models = [{"kind": "model", **row} for row in language_models()]
    texts = [{"kind": "corpus", **row} for row in corpora()]
    return [*_machine(), *_packages(), *_data(), *models, _word_vectors(), *texts, *_games(), *_targets()]


def _machine() -> list[dict[str, Any]]:
    import torch

    from ...datasets.processes import cores, processor
    from ...datasets.storage import home

    free = shutil.disk_usage(_existing(home())).free / 1e9
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none: the cpu profile needs none"
    return [
        _row("machine", "python", sys.version_info >= (3, 11), sys.version.split()[0]),
        _row("machine", "processor", True, processor()),
        _row("machine", "cores", True, str(cores())),
        _row("machine", "home", True, f"{home()} ({free:.0f} GB free); set LAMOBENCH_HOME to move it"),
        _row("machine", "gpu", True, gpu),
    ]


def _existing(path: Any) -> Any:
    while not path.exists():
        path = path.parent
    return path


def _packages() -> list[dict[str, Any]]:
    from importlib.metadata import PackageNotFoundError, version  # 30 ms

    rows = []
    for name in PACKAGES:
        try:
            rows.append(_row("package", name, True, version(name)))
        except PackageNotFoundError:
            rows.append(_row("package", name, False, "make setup"))
    return rows


def _data() -> list[dict[str, Any]]:
    from ...datasets.catalog import status

    return [
        {
            "kind": "data",
            "name": f"{row['dataset']} ({row['source']})",
            "state": "ok" if row["state"] == "ready" else row["state"],
            "note": row["command"] or f"{count(row['episodes'], 'episode')}, mean score {row['score_mean']:.1f}",
        }
        for row in status()
    ]


def _word_vectors() -> dict[str, Any]:
    from ..lm.glove import check_glove

    try:
        check_glove()
    except UserError as error:
        return _row("model", "glove", False, str(error).partition("; ")[2])
    return _row("model", "glove", True, "--method drrn-glove")


def _games() -> list[dict[str, Any]]:
    """One row an engine of text games: what it lacks and what to type, or which games it plays."""
    from ...datasets.games.families import ENGINES, FAMILIES, STORY, needed

    rows = []
    for engine in ENGINES:
        plays = "story-NAME" if engine is STORY else ", ".join(n for n, row in FAMILIES.items() if row.engine is engine)
        lacking = needed(engine)
        note = f"needs {' and '.join(lacking)} for {plays}; type: {engine.install}" if lacking else plays
        rows.append(_row("games", engine.module, not lacking, note))
    return rows


def target_data() -> dict[str, tuple[str, ...]]:
    """The data sets of each make target that needs some."""
    from ...datasets.entries import TABLE

    return {
        **dict.fromkeys(("demo", "optimisation"), ("reacher2d-medium-large",)),
        **{target: (dataset,) for target, dataset in TABLE.items()},
        **dict.fromkeys(("ablation", "cpu-results"), tuple(TABLE.values())),
        "ablation-lamo": ("reacher2d-medium-large", "kitchen-complete"),
        "faults": ("reacher2d-medium-large", "kitchen-complete", "breakout-medium"),
        "tidy-medium-recorded": ("tidy-medium-mixed",),
    }


def _targets() -> list[dict[str, Any]]:
    """One row a make target: what it would need that is not here yet."""
    from ...datasets.catalog import status
    from ...datasets.entries import Recorded
    from ...datasets.games.recordings import status as status_of_games

    ready = {row["dataset"] for row in (*status(), *status_of_games()) if row["state"] == "ready"}
    readers = all(row["state"] == "ok" for row in (*language_models(), _word_vectors()) if row["name"] in READERS)
    need = "nothing more" if readers else "nothing: it installs MiniLM and GloVe first"
    rows = [_row("target", "make tidy-..., twc-..., cave-start, degeneration", True, need)]
    for target, datasets in target_data().items():
        missing = [dataset for dataset in datasets if dataset not in ready]
        need = f"nothing: it records {', '.join(missing)} first" if missing else "nothing more"
        rows.append(_row("target", f"make {target}", True, need))
    recorded = [row["state"] == "ready" for row in status() if row["source"] == Recorded.name]
    need = "nothing more" if all(recorded) else f"nothing: it records {recorded.count(False)} data sets first"
    rows.append(_row("target", "make recorded-data", True, need))
    tools = all(shutil.which(tool, path=f"{sys.prefix}/bin") for tool in ("pytest", "ruff", "mypy"))
    rows.append(_row("target", "make test, lint", tools, "nothing more" if tools else "make setup"))
    rows.append(_row("target", "make parity, bench-baselines", True, "the package index, the first time: for d3rlpy"))
    return [*rows, _row("target", "make gpt2-mini", True, "nothing more; half an hour on one core")]


def _row(kind: str, name: str, ok: bool, note: str) -> dict[str, Any]:
    return {"kind": kind, "name": name, "state": "ok" if ok else "absent", "note": note}
