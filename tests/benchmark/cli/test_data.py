"""The data commands as they are typed; what they do is tested with the data floor."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from lamobench.benchmark.cli.main import main
from lamobench.datasets.catalog import load
from lamobench.datasets.errors import UserError


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Type a command; returns its exit status."""
    monkeypatch.setattr(sys, "argv", ["lamobench", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.usefixtures("empty_home")
def test_nothing_is_recorded_where_another_source_is_at_hand(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded: list[str] = []
    monkeypatch.setattr(
        "lamobench.datasets.sources.recorded.record_dataset",
        lambda name, force: recorded.append(name) or load("hopper-medium"),
    )
    status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file)
    capsys.readouterr()
    assert status_of(monkeypatch, "data", "record", "--if-absent", "hopper-medium") == 0
    assert capsys.readouterr().out.startswith("hopper-medium: 2 episodes")
    assert not recorded
    assert status_of(monkeypatch, "data", "record", "--if-absent", "halfcheetah-medium") == 0
    assert status_of(monkeypatch, "data", "record", "hopper-medium") == 0
    assert recorded == ["halfcheetah-medium", "hopper-medium"]
    assert status_of(monkeypatch, "data", "record", "--if-absent", "--force", "hopper-medium") == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_damaged_recording_is_as_good_as_none_and_a_damaged_file_is_not(
    empty_home: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mended: list[str] = []
    monkeypatch.setattr(
        "lamobench.datasets.sources.recorded.mend_recorded",
        lambda name: mended.append(name) or load("hopper-medium"),
    )
    status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file)
    (empty_home / "datasets" / "reacher2d-medium" / "recorded").mkdir(parents=True)  # without its files
    capsys.readouterr()
    assert status_of(monkeypatch, "data", "record", "--if-absent", "reacher2d-medium") == 0
    assert mended == ["reacher2d-medium"]
    assert "it is made again now: " in capsys.readouterr().err
    assert status_of(monkeypatch, "data", "record", "reacher2d-medium") == 2, "nobody said that it may go"
    (empty_home / "datasets" / "hopper-medium" / "d4rl" / "rewards.npy").write_bytes(b"")
    assert status_of(monkeypatch, "data", "record", "--if-absent", "hopper-medium") == 2
    assert mended == ["reacher2d-medium"]
    assert "to make it again, type: lamobench data fetch hopper-medium --force" in capsys.readouterr().err


@pytest.mark.usefixtures("empty_home")
def test_a_data_set_comes_is_shown_and_goes(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file) == 0
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first == "hopper-medium: 2 episodes, 9 steps, mean return 4.5"
    assert second.startswith("from hopper_medium-v2.hdf5; sha256 ")
    assert status_of(monkeypatch, "data", "verify") == 0
    assert "intact" in capsys.readouterr().out
    assert status_of(monkeypatch, "data", "export", "hopper-medium", "--to", "minari") == 0
    assert "is Minari's lamobench/hopper-medium/d4rl-v0 in" in capsys.readouterr().out
    assert status_of(monkeypatch, "data", "import", "mine", "--minari", "lamobench/hopper-medium/d4rl-v0") == 0
    assert "mine: 2 episodes, 9 steps" in capsys.readouterr().out
    assert status_of(monkeypatch, "data", "remove", "hopper-medium") == 0
    assert capsys.readouterr().out.startswith("removed ")
    assert status_of(monkeypatch, "data", "show", "hopper-medium") == 2
    assert status_of(monkeypatch, "data", "show", "mine", "--no-figures") == 0


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
    empty_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    assert status_of(monkeypatch, *arguments) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not empty_home.exists()


@pytest.fixture
def no_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("nothing here can draw")

    monkeypatch.setattr("lamobench.benchmark.figures.frames.render", refuse)


@pytest.mark.usefixtures("no_renderer")
def test_show_says_how_a_data_set_scores_and_what_is_published(
    empty_home: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file)
    capsys.readouterr()
    assert status_of(monkeypatch, "data", "show", "hopper-medium") == 0
    shown = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in shown.out.splitlines() if " " in line.strip())
    assert lines["reference_scores"] == "0 at -20.3, 100 at 3234.3"
    assert lines["target_returns"] == "3600, 1800"
    assert lines["published_fractions"] == "0.005, 0.01, 0.1, 1"
    assert lines["published_by"] == "LaMo, CORL, rerun, authors' log, on this data"
    _, lamo, _ = re.split(r"\npublished scores: (?:LaMo|CORL)\n", shown.out)
    assert "  lamo              57.0 ±7.1  52.0 ±4.6   73.7 ±3.5  74.1 ±5.3" in lamo.splitlines()
    written = empty_home / "figures" / "hopper-medium-d4rl.png"
    assert shown.out.endswith(f"written: {written}\n")
    assert written.is_file()
    assert shown.err == "lamobench: no contact sheet: nothing here can draw\n"


@pytest.mark.usefixtures("empty_home", "no_renderer")
def test_show_as_json_is_json_alone(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file)
    capsys.readouterr()
    assert status_of(monkeypatch, "data", "show", "hopper-medium", "--json", "--output", tmp_path / "drawn") == 0
    described = json.loads(capsys.readouterr().out)
    assert described["reference_scores"] == {"0 at": -20.272305, "100 at": 3234.3}
    assert described["scores"]["max"] == pytest.approx(100 * (5 + 20.272305) / (3234.3 + 20.272305))
    assert {row["table"] for row in described["published_scores"]} >= {"3", "16"}
    assert described["figures"] == [str(tmp_path / "drawn" / "hopper-medium-d4rl.png")]
    assert status_of(monkeypatch, "data", "show", "hopper-medium", "--json", "--no-figures") == 0
    assert json.loads(capsys.readouterr().out)["figures"] == []


@pytest.mark.usefixtures("empty_home")
def test_list_has_a_block_a_task_and_says_what_the_rest_would_take(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status_of(monkeypatch, "data", "fetch", "hopper-medium", "--from", file)
    capsys.readouterr()
    assert status_of(monkeypatch, "data", "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 120
    assert "hopper: a return of -20.2723 scores 0, 3234.3 scores 100" in lines
    rows = {line.split()[0]: line.split()[1:] for line in reversed(lines) if line}  # each data set's first source
    assert rows["hopper-medium"][:5] == ["d4rl", "2", "9", "0.8", "0.8"]
    assert rows["hopper-medium"][-1] == "yes"
    assert rows["reacher2d-medium"] == ["recorded", "50", *"---", "~0.3", "MB", "no:", "record"]
    assert ["d4rl-legacy", "-", "-", "-", "-", "~39", "MB", "no:", "fetch", "--source", "d4rl-legacy"] in [
        line.split()[1:] for line in lines
    ]
    assert rows["hopper-medium-expert"][-4:] == ["~124", "MB", "no:", "fetch"]


@pytest.mark.usefixtures("empty_home")
def test_survey_says_what_it_finds_and_where_it_wrote_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    assert status_of(monkeypatch, "data", "survey", "reacher2d-medium", "--output", table) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("reacher2d-medium: 50 episodes, 5,000 steps, mean return 36.340, mean score 36.34")
    assert second == f"written: {table}"
    assert status_of(monkeypatch, "data", "survey", "hopper-medium-v1", "--output", table) == 2


def test_record_records_once(run: Callable[..., str]) -> None:
    output = run("data", "record", "reacher2d-medium")  # it is there already
    assert output.splitlines()[0].startswith("reacher2d-medium: 8 episodes, 160 steps, mean return ")
