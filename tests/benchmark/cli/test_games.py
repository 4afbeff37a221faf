"""Text games on the command line: recorded ones as data sets, and one that a person plays."""

import io
import json
import re
from pathlib import Path

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.datasets.errors import UserError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    parse(list(arguments)).run()
    return capsys.readouterr().out


def test_a_recording_goes_the_way_of_every_data_set(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "tidy-easy-expert"
    assert "40 episodes, 80 steps\nmean score 100.0, mean moves 2.0" in run(capsys, "data", "record", name)
    listed = [line.split() for line in run(capsys, "data", "list").splitlines() if line.startswith(name)]
    assert listed == [[name, "recorded", "40", "80", "100.0", "100.0", "0.0", "MB", "yes"]]
    assert "tidy-easy: bring 1 thing in 1 room" in run(capsys, "data", "list")
    shown = run(capsys, "data", "show", name, "--episode", "3")
    assert "episode 3, tidy-easy/train/3" in shown
    assert "Everything is where it belongs." in " ".join(shown.split())
    facts = json.loads(run(capsys, "data", "show", name, "--json"))
    assert (facts["episodes"], len(facts["transcript"])) == (40, 5)
    assert f"{name}: 80 moves in {name}.jsonl" in run(capsys, "data", "export", name)
    assert len((home / f"{name}.jsonl").read_text().splitlines()) == 80
    assert "intact" in run(capsys, "data", "verify", name)
    assert "intact" in run(capsys, "data", "verify")
    assert "removed" in run(capsys, "data", "remove", name)
    assert run(capsys, "data", "verify") == "nothing to list\n"


def test_mistakes_get_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "data", "record", "tidy-easy-expert")
    with pytest.raises(UserError, match="tidy-easy-expert has no episode 40; give one of 0 to 39"):
        run(capsys, "data", "show", "tidy-easy-expert", "--episode", "40")
    with pytest.raises(UserError, match="type: lamobench data record tidy-hard-random"):
        run(capsys, "data", "show", "tidy-hard-random")
    with pytest.raises(UserError, match="'reacher2d-medium' is no recorded text game"):
        run(capsys, "data", "export", "reacher2d-medium", "--to", "jsonl")


def played(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: list[str], *arguments: str
) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return run(capsys, "play", *arguments)


def test_a_person_plays_by_numbers_and_by_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = played(monkeypatch, capsys, ["9", "put teddy bear on sofa", "fly", "99", "-1", "²", "quit"], "tidy-easy")
    assert "You are carrying a teddy bear." in shown
    assert shown.count("is no command here; give a number from 0 to 9, or quit") == 4
    assert shown.endswith("0 of 1 points in 2 moves\n")


def test_a_game_that_is_won_ends(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["take teddy bear from television stand", "insert teddy bear into toy chest", "look"]
    shown = played(monkeypatch, capsys, lines, "tidy-easy")
    assert "Everything is where it belongs." in " ".join(shown.split())
    assert shown.endswith("1 of 1 points in 2 moves\n")


def test_a_game_is_played_in_other_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = played(monkeypatch, capsys, ["take teddy from TV stand"], "tidy-easy", "--view", "synonyms")
    assert "You are carrying a teddy." in shown
    assert shown.endswith("0 of 1 points in 1 move\n")


def test_a_game_that_there_is_not_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, line in (
        (["tidy"], "unknown game 'tidy'"),
        (["tidy-easy", "--number", "40"], "tidy-easy has no game 40 in train; give 0 to 39"),
        (["tidy-easy", "--number", "-1"], "tidy-easy has no game -1 in train; give 0 to 39"),
        (["tidy-easy", "--view", "x"], "unknown view 'x'"),
        (["tidy-easy", "--split", "test"], "unknown split of tidy-easy 'test'"),
    ):
        with pytest.raises(UserError, match=line):
            played(monkeypatch, capsys, [], *arguments)


TINY = (
    *("--budget", "steps=20", "--budget", "evaluate_every=10", "--budget", "headline_evaluations=1"),
    *("--budget", "evaluation_episodes=1", "--budget", "view_episodes=1", "--json"),
)


def trained(capsys: pytest.CaptureFixture[str], method: str, *arguments: str) -> str:
    """The folder of a run of a second."""
    return str(json.loads(run(capsys, "train", "tidy-easy", "--method", method, *TINY, *arguments))["folder"])


class Terminal(io.StringIO):
    """Lines that a person types."""

    def isatty(self) -> bool:
        return True


def test_a_run_is_watched_move_by_move(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = trained(capsys, "drrn-hash", "--set", "hidden=8")
    shown = played(monkeypatch, capsys, [], "--run", folder, "--view", "synonyms", "--moves", "2")
    assert "plays tidy-easy/train/0, view synonyms" in shown
    assert "On the TV stand you see a teddy." in " ".join(shown.split())  # what it read, not what the game was told
    assert "4 other commands, " in shown
    assert len(re.findall(r"^> +\d+\.\d %  [█░]{20}  \w", shown, re.M)) == 2
    for move in shown.split("You are carrying")[1:]:
        shares = [float(share) for share in re.findall(r"(\d+\.\d) %", move)]
        assert sum(shares) == pytest.approx(100.0, abs=0.5)
        marked = [line for line in move.splitlines() if line.startswith(">")]
        assert len(marked) == 1
    assert re.search(r"\d of 1 points in 2 moves\n$", shown)
    assert shown == played(monkeypatch, capsys, [], "--run", folder, "--view", "synonyms", "--moves", "2")
    other = played(monkeypatch, capsys, [], "--run", folder, "--view", "synonyms", "--moves", "2", "--seed", "5")
    assert other.splitlines()[:5] == shown.splitlines()[:5]
    assert other != shown
    monkeypatch.setattr("sys.stdin", Terminal("\nquit\n"))
    waited = run(capsys, "play", "--run", folder, "--split", "ood")
    assert waited.count("Enter: the next move; quit: leave") == 2
    assert re.search(r"points in \d+ moves\n$", waited)


def test_those_that_learn_nothing_are_watched_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gold = played(monkeypatch, capsys, [], "--run", trained(capsys, "gold"))
    assert ">  100.0 %  ████████████████████  take teddy bear from television stand" in gold
    assert "Everything is where it belongs." in " ".join(gold.split())
    assert gold.endswith("1 of 1 points in 2 moves\n")
    chance = played(monkeypatch, capsys, [], "--run", trained(capsys, "random"), "--moves", "1", "--split", "valid")
    assert "plays tidy-easy/valid-of-5/0, view orig" in chance  # of what the run's games show
    assert chance.count(" 8.3 %") == 6


def test_what_can_t_be_watched_gets_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(trained(capsys, "random"))
    learned = Path(trained(capsys, "drrn-hash", "--set", "hidden=8"))
    (learned / "checkpoint.safetensors").unlink()
    begun = home / "begun"
    begun.mkdir()
    (begun / "config.json").write_text((folder / "config.json").read_text())
    former = Path(__file__).parents[1] / "runs" / "former"
    offline = next(path.parent for path in sorted(former.rglob("config.json")) if '"track"' not in path.read_text())
    for arguments, line in (
        (["--run", str(home)], "holds no run: there is no config.json in it"),
        (["--run", str(offline)], "is of track 'offline'; this is for runs of track 'text'"),
        (["--run", str(begun)], "is not finished; start the command that made it again"),
        (["--run", str(learned)], r"checkpoint .* cannot be read"),
        (["--run", str(folder), "--view", "x"], "unknown view 'x'"),
        (["--run", str(folder), "--split", "test"], "unknown split of tidy-easy 'test'"),
        (["--run", str(folder), "--moves", "-1"], "give --moves and --seed from 0"),
        (["tidy-easy", "--run", str(folder)], "leave out the game, which is the run's own"),
        ([], "name a game to play, e.g. lamobench play tidy-easy, or a run to watch: --run RUN"),
    ):
        with pytest.raises(UserError, match=line):
            played(monkeypatch, capsys, [], *arguments)
