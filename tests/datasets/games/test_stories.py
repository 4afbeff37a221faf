"""Story files of the user's own: what is refused before it is run, and how the rest is played."""

import importlib.util
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.runs.tracks import Wanted, track_of
from lamobench.benchmark.text.resolve import resolve
from lamobench.datasets.errors import UserError
from lamobench.datasets.games import frotz, story
from lamobench.datasets.games.families import SPLITS, find_family, make_games, missing
from lamobench.datasets.games.frotz import SCORE, plain
from lamobench.datasets.games.game import Game, Scene
from lamobench.datasets.games.stories import MOST, import_story, read_story, remove_story, story_hash, story_path
from lamobench.tests.datasets.games.test_families import check_contract

STORIES = Path(__file__).parent / "stories"
FOUR_ROOMS = STORIES / "four_rooms.z5"
NAME = "story-four-rooms"
GOLD = (
    *("east", "take lamp", "north", "take key", "south", "west", "down"),
    *("unlock chest with key", "open chest"),
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with the story in it; who plays it ends with the test."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    import_story(NAME, FOUR_ROOMS)
    yield tmp_path
    story._player.cache_clear()


@pytest.fixture
def jericho() -> None:
    if importlib.util.find_spec("jericho") is None:
        pytest.skip("there is no Jericho; type: pip install --no-deps jericho==3.3.1")


def played(game: Game, *commands: str) -> list[Scene]:
    scenes = [game.reset()]
    for command in commands:
        scenes.append(game.step(scenes[-1].commands.index(command)))
    return scenes


def test_the_story_of_the_tests_is_what_its_source_says(tmp_path: Path) -> None:
    if shutil.which("inform6") is None:
        pytest.skip("there is no Inform 6; Debian: inform6-compiler, inform6-library")
    library = "+/usr/share/inform6/library"
    made = tmp_path / "made.z5"
    command = ["inform6", "-v5", library, str(STORIES / "four_rooms.inf"), str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert made.read_bytes() == FOUR_ROOMS.read_bytes()


@pytest.mark.usefixtures("jericho")
def test_the_way_to_all_points() -> None:
    (game,) = make_games(NAME, "train", 1)
    scenes = played(game, *GOLD)
    assert [scene.score for scene in scenes] == [0, 0, 1, 1, 2, 2, 2, 2, 2, 3]
    assert {scene.maximum for scene in scenes} == {3}
    assert [scene.won for scene in scenes] == [False] * 9 + [True]
    assert (scenes[-1].commands, scenes[-1].over, scenes[-1].moves) == ((), True, 9)
    assert scenes[0].commands == ("down", "east", "wait")
    assert scenes[2].observation.startswith("Taken. [The score has just gone up by one point.] Kitchen A kitchen.")
    assert scenes[2].inventory == "You're carrying: a brass lamp"
    assert "Score:" not in " ".join(scene.observation for scene in scenes)  # the status line
    for index in (0, -1):
        with pytest.raises(IndexError):
            game.step(index)


@pytest.mark.usefixtures("jericho")
@pytest.mark.parametrize("split", ["train", "valid"])
def test_a_story_obeys_the_contract_of_games(split: str) -> None:
    check_contract(NAME, split)


@pytest.mark.usefixtures("jericho")
def test_a_point_is_paid_once() -> None:
    """A command that opens the chest on its way, which the story does twice."""
    (game,) = make_games(NAME, "train", 1)
    *_, last = played(game, *GOLD[:-1], "put key in chest")
    assert (last.score, last.maximum, last.won) == (3, 3, True)


@pytest.mark.usefixtures("jericho")
def test_games_of_a_story_are_played_side_by_side() -> None:
    first, second = make_games(NAME, "train", 2)
    alone = played(first, *GOLD)
    scenes = [first.reset()]
    second.reset()
    for command in GOLD:
        scenes.append(first.step(scenes[-1].commands.index(command)))
        second.step(0)
    assert scenes == alone
    assert set(find_family(NAME).games) <= set(SPLITS)
    assert first.expert() is None


@pytest.mark.usefixtures("jericho")
def test_a_game_ends_at_its_last_move(monkeypatch: pytest.MonkeyPatch) -> None:
    game = story.make(replace(find_family(NAME), move_limit=2), "valid", 0)
    assert game.name == f"{NAME}/valid/0"
    (*_, last) = played(game, "wait", "wait")
    assert (last.over, last.won, last.commands) == (True, False, ())


@pytest.mark.usefixtures("jericho")
@pytest.mark.filterwarnings("ignore:Game .* is not fully supported")
def test_a_game_that_is_forgotten_leaves_nothing() -> None:
    stories = frotz.Stories(str(FOUR_ROOMS))
    for game in (0, 1):
        stories.reset(game, 1)
    stories.forget(0)
    stories.forget(7)  # which was never begun
    assert (set(stories.states), set(stories.scores)) == ({1}, {1})


@pytest.mark.usefixtures("jericho")
def test_the_story_is_part_of_a_runs_identity() -> None:
    asked = Wanted(NAME, ("random",), (0,), budget={"view_episodes": 1})
    assert track_of(NAME).name == "text"
    (run,) = resolve(asked)
    assert {part.partition("/")[0] for part in run.parts} == {"train", "valid"}
    content = bytearray(FOUR_ROOMS.read_bytes())
    content[2:4] = (7, 7)  # its release, which is in no checksum
    story_path(NAME).write_bytes(content)
    story._player.cache_clear()
    (other,) = resolve(asked)
    assert (run.task, run.games_hash != other.games_hash) == (other.task, True)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (lambda content: b"", "is no story for the Z-machine of version 3, 5, 8; give a file like zork1.z5"),
        (lambda content: b"PK" + content, "is no story for the Z-machine of version"),
        (lambda content: b"\x06" + content[1:], "is no story for the Z-machine of version"),
        (lambda content: content[:60], "is no story for the Z-machine of version"),
        (lambda content: content[:5000], r"says that it has \d+ bytes, and has 5000; copy it again"),
        (lambda content: content[:8] + b"\0\x10" + content[10:], "an address in its header can't be right"),
        (lambda content: content[:3000] + b"\x01\x02\x03" + content[3003:], "its bytes have another sum than it says"),
        (lambda content: content + b"\0" * MOST, r"has 1\.1 MB, more than the 1 MB that such a file may have"),
    ],
)
def test_what_is_no_story_is_never_run(tmp_path: Path, changed: Callable[[bytes], bytes], line: str) -> None:
    path = tmp_path / "bad.z5"
    path.write_bytes(changed(FOUR_ROOMS.read_bytes()))
    with pytest.raises(UserError, match=line):
        import_story("story-bad", path)
    assert not story_path("story-bad").exists()
    story_path(NAME).write_bytes(path.read_bytes())  # as if it had been damaged since
    with pytest.raises(UserError, match=line):
        story.Player(story_path(NAME))


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    story_path(NAME).unlink()
    story_path(NAME).symlink_to(FOUR_ROOMS)
    with pytest.raises(UserError, match="is a link that leads out of"):
        story_hash(NAME)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is a named pipe where a regular file belongs"):
        read_story(tmp_path / "pipe")
    with pytest.raises(UserError, match=r"can't be read \(No such file or directory\)"):
        read_story(tmp_path / "absent.z5")


def test_names_of_stories(tmp_path: Path) -> None:
    for name in ("four", "story-", "story-../four", "story-Four Rooms"):
        with pytest.raises(UserError, match="is no name for a story; give one like story-zork1"):
            import_story(name, FOUR_ROOMS)
    other = bytearray(FOUR_ROOMS.read_bytes())
    other[2] = 9
    (tmp_path / "other.z5").write_bytes(other)
    import_story(NAME, FOUR_ROOMS)  # the same again is no mistake
    with pytest.raises(UserError, match="another story is 'story-four-rooms' already; give --force"):
        import_story(NAME, tmp_path / "other.z5")
    import_story(NAME, tmp_path / "other.z5", force=True)
    assert story_path(NAME).read_bytes() == bytes(other)


def test_what_is_missing_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "jericho" else find("json"))
    line = f"{NAME} needs jericho; type: pip install --no-deps jericho==3.3.1"
    assert missing(NAME) == line
    with pytest.raises(UserError, match=line):
        make_games(NAME, "train", 1)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: find("json"))
    assert missing("story-zork1") == (
        "there is no story 'story-zork1' here; type: lamobench data import story-zork1 --story FILE"
    )


def test_a_story_that_crashes_or_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program in the place of the one that plays."""
    program = tmp_path / "program.py"
    monkeypatch.setattr(story.frotz, "__file__", str(program))
    program.write_text("import os, sys\nsys.stdin.readline()\nos.abort()\n")
    with pytest.raises(UserError, match="makes Jericho crash; it can't be played"):
        story.Story("name", story_path(NAME), 1, 100).reset()
    program.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(story, "SECONDS", 0.1)
    with pytest.raises(UserError, match="does not come to an end of a move"):
        story.Story("name", story_path(NAME), 1, 100).reset()
    write_program(program, maximum=0)
    monkeypatch.setattr(story, "SECONDS", 60.0)
    with pytest.raises(UserError, match="tells no score"):
        story.Story("name", story_path(NAME), 1, 100).reset()


def write_program(path: Path, maximum: int) -> None:
    """A program that answers with 4 points at every moment, and tells what it was asked."""
    moment = {"look": "", "inventory": "", "score": 4, "maximum": maximum, "over": False, "commands": ["wait"]}
    path.write_text(
        "import json, sys\nfor line in sys.stdin:\n"
        f"    print(json.dumps({{**{moment!r}, 'told': line.strip()}}), flush=True)\n"
    )


def test_more_points_than_the_maximum_are_the_maximum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    monkeypatch.setattr(story.frotz, "__file__", str(program))
    write_program(program, maximum=3)
    scene = story.Story("name", story_path(NAME), 1, 100).reset()
    assert (scene.score, scene.maximum, scene.won, scene.over, scene.commands) == (3, 3, True, True, ())


def test_a_game_that_is_no_longer_used_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program.py"
    monkeypatch.setattr(story.frotz, "__file__", str(program))
    write_program(program, maximum=9)
    first, second = (story.Story("name", story_path(NAME), 1, 100) for _ in range(2))
    assert json.loads(first.reset().observation)["forget"] == []
    number = first.number
    del first
    assert json.loads(second.reset().observation)["forget"] == [number]
    assert json.loads(second.step(0).observation)["forget"] == []


def test_a_story_that_hangs_ends_with_the_process_that_asks(tmp_path: Path) -> None:
    """A parent that is killed while its child is inside C code."""
    (tmp_path / "child.py").write_text(
        "import ctypes, threading\nfrom lamobench.datasets.games.frotz import end_with_parent\n"
        "threading.Thread(target=end_with_parent, daemon=True).start()\n"
        "print('up', flush=True)\nctypes.CDLL(None).sleep(60)\n"
    )
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys, time\nsubprocess.Popen([sys.executable, sys.argv[1]])\ntime.sleep(60)\n"
    )
    command = [sys.executable, str(tmp_path / "parent.py"), str(tmp_path / "child.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        parent.kill()
        assert select.select([parent.stdout], [], [], 20.0)[0]  # the child held the other end of the pipe
        assert parent.stdout.read() == b""


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("You have so far scored 5 out of a possible 40, in 3 turns.", ("5", "40")),
        ("Your score is -10 (total of 350 points), in 12 moves.", ("-10", "350")),
        ("In that game you scored 3 out of a possible 3, in 9 turns.", ("3", "3")),
        ("There is nothing to score here.", None),
    ],
)
def test_a_score_is_read_as_stories_tell_it(text: str, score: tuple[str, str] | None) -> None:
    found = SCORE.search(text)
    assert (found.groups() if found else None) == score


def test_the_prompt_and_the_status_line_are_left_out() -> None:
    assert plain("\nTaken.\n\n>        KitchenScore: 1Moves: 4") == "Taken."
    assert plain("\nIt is > 3.\n") == "It is > 3."


def test_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    parse(["data", "import", "story-mine", "--story", str(FOUR_ROOMS)]).run()
    assert f"story-mine.story: {story_hash(NAME)}" in capsys.readouterr().out
    parse(["data", "remove", "story-mine"]).run()
    assert not story_path("story-mine").exists()
    with pytest.raises(UserError, match="there is no story 'story-mine' here"):
        remove_story("story-mine")
    for both in ([], ["--minari", "a/b-v0", "--story", "x.z5"]):
        with pytest.raises(UserError, match="give --minari with Minari's id of a data set, or --story with a story"):
            parse(["data", "import", "mine", *both]).run()
