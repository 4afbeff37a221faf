"""`lamobench hub` as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli import main as cli

Run = Callable[..., str]


@pytest.fixture
def run(copied_runs: Path, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs the command line where `runs` is."""
    monkeypatch.chdir(copied_runs.parent)
    return typed


def of_seed(root: Path, seed: int) -> Path:
    return next(iter(root.glob(f"*-s{seed}-*")))


def test_push_and_pull_print_where_things_are(run: Run, copied_runs: Path, home: Path) -> None:
    name = of_seed(copied_runs, 0).name
    assert run("hub", "push", name, "./policy") == f"{name} is published: ./policy\n"
    assert run("hub", "pull", "./policy", "--runs", "there") == (
        f"there/{name}\nto play it: lamobench evaluate there/{name}\n"
    )
    assert run("hub", "pull", "policy").startswith(f"there already: runs/{name}\n")
    row: dict[str, Any] = json.loads(run("hub", "pull", "policy", "--json"))
    assert row == {"run": name, "folder": f"runs/{name}", "added": False, "commit": "", "missing": ""}


def test_push_says_what_of_this_machine_it_tells(
    run: Run, copied_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lamobench.benchmark.sharing.hub.push", lambda *_: "there")
    folder = of_seed(copied_runs, 0)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"lm": "/data/model"}))
    cli.parse(["hub", "push", folder.name, "./policy"]).run()
    assert capsys.readouterr().err == "note: its config.json names places on this machine: /data/model\n"
