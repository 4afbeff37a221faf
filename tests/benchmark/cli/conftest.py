from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.cli import main as cli

Run = Callable[..., str]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process, and gives its output."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        cli.parse([str(argument) for argument in arguments]).run()
        return capsys.readouterr().out

    return run


@pytest.fixture
def run(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Run) -> Run:
    """Runs the command line in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return typed
