"""What is installed, what is at hand, and what each make target would need."""

import importlib.metadata
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from ...datasets import cache, wikitext
from ...datasets.catalog import all_datasets, find_dataset, status
from ...datasets.corpora import DOCS, NAMES
from ...datasets.entries import TABLE, Recorded, command_to_get
from ...datasets.errors import UserError
from ...datasets.processes import cores, processor
from ...datasets.storage import home

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
)
TARGET_DATA = {  # make target -> its data sets
    **dict.fromkeys(("demo", "optimisation"), ("reacher2d-medium-large",)),
    **{target: (dataset,) for target, dataset in TABLE.items()},
    **dict.fromkeys(("ablation", "cpu-results"), tuple(TABLE.values())),
    "ablation-lamo": ("reacher2d-medium-large", "kitchen-complete"),
    "faults": ("reacher2d-medium-large", "kitchen-complete", "breakout-medium"),
}


def findings() -> list[dict[str, Any]]:
    """One row a finding. Keys: kind, name, state, note; `state` is "ok" unless something is missing."""
    models = [{"kind": "model", **row} for row in language_models()]
    texts = [{"kind": "corpus", **row} for row in corpora()]
    return [*_machine(), *_packages(), *_data(), *models, *texts, *_targets()]


def language_models() -> list[dict[str, Any]]:
    """One row a language model that has a name. Keys: name, state ("ok" or "absent"), note (what to type)."""
    from ..lm.checkpoints import EMBEDDED, PUBLISHED, model_folder
    from ..lm.packaged import PACKAGED

    rows = []
    for name in [*sorted(folder.name for folder in EMBEDDED.glob("*/")), *PUBLISHED, *PACKAGED]:
        try:
            model_folder(name)
        except UserError as error:
            rows.append({"name": name, "state": "absent", "note": str(error).partition("; ")[2]})
        else:
            rows.append({"name": name, "state": "ok", "note": f"--lm {name}"})
    return rows


def corpora() -> list[dict[str, Any]]:
    """One row a corpus that has a name. Keys: name, state ("ok" or "absent"), note (what to type)."""
    rows = []
    for name in NAMES:
        here = name == DOCS or wikitext.folder_of(name).is_dir()
        note = f"--set corpus={name}" if here else f"lamobench lm fetch {name}"
        rows.append({"name": name, "state": "ok" if here else "absent", "note": note})
    return rows


def verify_data(names: Sequence[str]) -> list[dict[str, Any]]:
    """Check every byte of the data sets at hand. Keys: dataset, source, state ("intact", "damaged", "absent"), note."""
    wanted = [find_dataset(name) for name in names] or all_datasets()
    rows = []
    for dataset in wanted:
        at_hand = [source for source in dataset.source_names if cache.folder_of(dataset.name, source).is_dir()]
        for source in at_hand or dataset.source_names[: 1 if names else 0]:
            rows.append({"dataset": dataset.name, "source": source, **_verified(dataset.name, source)})
    return rows


def _verified(name: str, source: str) -> dict[str, str]:
    folder = cache.folder_of(name, source)
    if not folder.is_dir():
        return {"state": "absent", "note": command_to_get(name, source)}
    try:
        data = cache.verify(folder)
    except UserError as error:
        return {"state": "damaged", "note": str(error)}
    return {
        "state": "intact",
        "note": f"{data.num_episodes} episodes, {data.num_steps} steps, {data.content_hash[:16]}",
    }


def _machine() -> list[dict[str, Any]]:
    free = shutil.disk_usage(_existing(home())).free / 1e9
    rows = [
        _row("machine", "python", sys.version_info >= (3, 11), sys.version.split()[0]),
        _row("machine", "processor", True, processor()),
        _row("machine", "cores", True, str(cores())),
        _row("machine", "home", True, f"{home()} ({free:.0f} GB free); set LAMOBENCH_HOME to move it"),
    ]
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none: the cpu profile needs none"
    return [*rows, _row("machine", "gpu", True, gpu)]


def _existing(path: Any) -> Any:
    while not path.exists():
        path = path.parent
    return path


def _packages() -> list[dict[str, Any]]:
    rows = []
    for name in PACKAGES:
        try:
            rows.append(_row("package", name, True, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            rows.append(_row("package", name, False, "make setup"))
    return rows


def _data() -> list[dict[str, Any]]:
    return [
        {
            "kind": "data",
            "name": f"{row['dataset']} ({row['source']})",
            "state": "ok" if row["state"] == "ready" else row["state"],
            "note": row["command"] or f"{row['episodes']} episodes, mean score {row['score_mean']:.1f}",
        }
        for row in status()
    ]


def _targets() -> list[dict[str, Any]]:
    """What each make target would need that is not here yet."""
    ready = {row["dataset"] for row in status() if row["state"] == "ready"}
    rows = []
    for target, datasets in TARGET_DATA.items():
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
