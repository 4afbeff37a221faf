"""Policies of this track for others."""

import json
import shutil
from pathlib import Path

import pytest

from lamobench.benchmark.runs.layout import CHECKPOINT, DATA_FACTS
from lamobench.benchmark.sharing.archive import MANIFEST, manifest_of
from lamobench.benchmark.sharing.files import file_facts
from lamobench.benchmark.sharing.hub import pull, push
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.finetune.conftest import Tiny, train
from lamobench.tests.benchmark.sharing.round_trip import check_round_trip


@pytest.mark.parametrize("task", ["apple-retrieval", "grid-relay", "reach"])
def test_a_policy_is_published_and_comes_back(tiny: Tiny, tmp_path: Path, task: str) -> None:
    check_round_trip(train(tiny(task, "finetune-bc"), tmp_path / "runs"), tmp_path, {"stages.csv"})


def test_the_weights_of_rewind_are_in_no_checkpoint(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("apple-retrieval", "rewind"), tmp_path / "runs")
    with pytest.raises(UserError, match="no checkpoint has them"):
        push(run, str(tmp_path / "policy"))
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("stages.csv", "stages.csv has 0 bytes instead of"),
        ("pairs.csv", "manifest.json names"),
        (DATA_FACTS, "is not what is noted of such a run"),
        (CHECKPOINT, "checkpoint.safetensors has 0 bytes instead of"),
    ],
)
def test_what_was_changed_on_the_way_is_refused(tiny: Tiny, tmp_path: Path, name: str, problem: str) -> None:
    run = train(tiny("apple-retrieval"), tmp_path / "runs")
    policy = tmp_path / "policy"
    push(run, str(policy))
    files = list(json.loads((policy / MANIFEST).read_text())["runs"][run.name])
    (policy / name).write_bytes(b"{}" if name == DATA_FACTS else b"")
    facts = {file: file_facts(policy / file) for file in files}  # every hash that the manifest names is right
    (policy / MANIFEST).write_bytes(manifest_of({run.name: facts}))
    with pytest.raises(UserError, match=problem):
        pull(str(policy), tmp_path / "others")
    assert not (tmp_path / "others" / run.name).exists()


def test_a_link_among_the_logs_is_not_followed(tiny: Tiny, tmp_path: Path) -> None:
    run = train(tiny("apple-retrieval"), tmp_path / "runs")
    policy = tmp_path / "policy"
    push(run, str(policy))
    shutil.move(policy / "stages.csv", tmp_path / "elsewhere.csv")
    (policy / "stages.csv").symlink_to(tmp_path / "elsewhere.csv")
    with pytest.raises(UserError, match=r"no file stages\.csv in it"):
        pull(str(policy), tmp_path / "others")
