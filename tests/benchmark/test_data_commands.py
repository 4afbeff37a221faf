"""The data commands as they are typed; what they do is tested with the data floor."""

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from lamobench.benchmark.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "home"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A small file such as D4RL's."""
    path = tmp_path / "hopper_medium-v2.hdf5"
    with h5py.File(path, "w") as content:
        for name, shape in (("observations", (9, 11)), ("next_observations", (9, 11)), ("actions", (9, 3))):
            content[name] = np.zeros(shape, np.float32)
        content["rewards"] = np.ones(9, np.float32)
        content["terminals"] = np.arange(9) == 3
        content["timeouts"] = np.arange(9) == 8
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Type a command; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["lamobench", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.usefixtures("home")
def test_a_data_set_comes_is_shown_and_goes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "data", "fetch", "hopper-medium", "--from", file) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first == "hopper-medium: 2 episodes, 9 steps, mean return 4.5"
    assert second.startswith("from hopper_medium-v2.hdf5; sha256 ")
    assert run(monkeypatch, "data", "verify") == 0
    assert "intact" in capsys.readouterr().out
    assert run(monkeypatch, "data", "export", "hopper-medium", "--to", "minari") == 0
    assert "is Minari's lamobench/hopper-medium/d4rl-v0 in" in capsys.readouterr().out
    assert run(monkeypatch, "data", "import", "mine", "--minari", "lamobench/hopper-medium/d4rl-v0") == 0
    assert "mine: 2 episodes, 9 steps" in capsys.readouterr().out
    assert run(monkeypatch, "data", "remove", "hopper-medium") == 0
    assert capsys.readouterr().out.startswith("removed ")
    assert run(monkeypatch, "data", "show", "hopper-medium") == 2
    assert run(monkeypatch, "data", "show", "mine") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data", "fetch", "hoper-medium"), "did you mean 'hopper-medium'"),
        (("data", "fetch", "hopper-medium", "--from", "absent.hdf5"), "no file absent.hdf5"),
        (("data", "fetch", "reacher2d-medium"), "type: lamobench data record reacher2d-medium"),
        (("data", "remove", "hopper-medium"), "nothing of data set 'hopper-medium' is here"),
        (("data", "export", "hopper-medium"), "to get it, type: lamobench data fetch hopper-medium"),
        (("data", "import", "mine"), "--minari"),
        (("data", "import", "mine", "--minari", "me/absent-v0"), "no Minari data set 'me/absent-v0'"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert run(monkeypatch, *arguments) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not home.exists()
