"""Tests of recorded games: their bytes, their hashes, what is refused, and what the players are."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.datasets.errors import UserError
from lamobench.datasets.games import recordings
from lamobench.datasets.games.families import FAMILIES, GRADES, RECORDINGS, TUNING_FAMILIES, make_games, missing
from lamobench.datasets.games.game import Game
from lamobench.datasets.games.players import Episode, play_episode
from lamobench.datasets.games.recordings import load, path_of, record, remove, status, transcript, verify_games

# The first digits of the content hashes: games, texts and players that change make other data.
HASHES = {
    "tidy-easy-expert": "bd986359a4eefdcd",
    "tidy-easy-medium": "b18cdac9a8da1a9d",
    "tidy-easy-random": "9e979cc0b41a48be",
    "tidy-easy-mixed": "d184896a55479096",
    "tidy-medium-expert": "759a256fb6dff7f1",
    "tidy-medium-medium": "87227702f5f256e0",
    "tidy-medium-random": "0baf59f612bcbcae",
    "tidy-medium-mixed": "8e467e1f12907b2c",
    "tidy-hard-expert": "dcb7f4d00ebd4f05",
    "tidy-hard-medium": "81a2785037002793",
    "tidy-hard-random": "66d89ecf9eb4d116",
    "tidy-hard-mixed": "47cc31d300a751d3",
    "twc-easy-expert": "13f6c4f956416190",
    "twc-easy-medium": "1a530d7289aaa0f6",
    "twc-easy-random": "6e3fb9b3160b42c2",
    "twc-easy-mixed": "8fcf3ff1a94e49aa",
    "twc-medium-expert": "d1a911f30680b569",
    "twc-medium-medium": "6098922bf70886ea",
    "twc-medium-random": "3aa009afe4df86bf",
    "twc-medium-mixed": "4f1d32fa10a2339e",
    "twc-hard-expert": "f44df548a68761c6",
    "twc-hard-medium": "ed75723866bf07a2",
    "twc-hard-random": "f7d5fde2dd8d26e0",
    "twc-hard-mixed": "967bf9df492895c6",
    "cave-expert": "bb16924683acc892",
    "cave-medium": "e7eabba918c16f2a",
    "cave-random": "80a6f9ef124d83e7",
    "cave-mixed": "c3baa14e0799e863",
    "cave-start-expert": "8f51935970f932d6",
    "cave-start-medium": "4f484e0ed324bb05",
    "cave-start-random": "62a2676685c12310",
    "cave-start-mixed": "eb6071df69ca9979",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", HASHES)
def test_a_recording_is_the_same_everywhere(name: str) -> None:
    if line := missing(RECORDINGS[name][0]):
        pytest.skip(line)
    assert record(name).sha256[:16] == HASHES[name]


def test_every_family_has_a_recording_of_each_grade() -> None:
    every = (*FAMILIES, *TUNING_FAMILIES)
    assert set(RECORDINGS) == {f"{family}-{grade}" for family in every for grade in GRADES}
    assert set(HASHES) == {f"{family}-{grade}" for family in FAMILIES for grade in GRADES}


def test_what_is_read_is_what_was_played() -> None:
    recording = record("tidy-medium-mixed")
    assert len(recording.episodes) == 120
    games = make_games("tidy-medium", "train", 40)
    for number in (0, 1, 2, 41):
        played = play_episode(games[number % 40], "mixed", number)
        episode = recording.episodes[number]
        assert (episode.game, episode.chosen) == (played.game, played.chosen)
        assert episode.scenes == played.scenes
    assert load("tidy-medium-mixed") == recording


def test_a_games_own_score_is_kept_and_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def play(game: Game, grade: str, number: int) -> Episode:
        episode = play_episode(game, grade, number)
        scenes = tuple(replace(scene, own_score=scene.moves / 8) for scene in episode.scenes)
        return replace(episode, scenes=scenes)

    name = "tidy-easy-expert"
    without = record(name)
    monkeypatch.setattr(recordings, "play_episode", play)
    recording = record(name, force=True)
    assert recording.sha256 != without.sha256
    assert recording.episodes[0] == play(make_games("tidy-easy", "train", 1)[0], "expert", 0)
    told = list(transcript(recording.episodes[0]))
    assert told[1].endswith("  [0 of 1; the game's own score: 0.125]")
    recordings.write_lines(name, tmp_path / "lines.jsonl")
    assert '"own_score": 0.125' in (tmp_path / "lines.jsonl").read_text().splitlines()[0]
    parse(["data", "show", name]).run()
    assert "game's own score    25.0" in capsys.readouterr().out  # two moves in each game


def test_recording_again_changes_no_byte_and_force_plays_anew() -> None:
    name = "tidy-easy-random"
    record(name)
    first = path_of(name).read_bytes()
    path_of(name).write_bytes(b"[]")
    with pytest.raises(UserError, match="is damaged"):
        record(name)  # it is there, and no good: nothing is replaced without a word
    record(name, force=True)
    assert path_of(name).read_bytes() == first


def test_players_are_as_good_as_they_are_called() -> None:
    steps = {grade: record(f"tidy-hard-{grade}") for grade in GRADES}
    moves = {grade: steps[grade].steps / len(steps[grade].episodes) for grade in GRADES}
    scores = {grade: sum(e.score for e in steps[grade].episodes) / len(steps[grade].episodes) for grade in GRADES}
    assert scores["expert"] == 1.0
    assert scores["random"] < scores["mixed"] < scores["expert"]
    assert moves["expert"] < moves["medium"] < moves["random"]


def test_the_mixed_player_takes_the_others_in_turn() -> None:
    (game,) = make_games("tidy-hard", "train", 1)
    expert = play_episode(game, "expert", 0)
    assert play_episode(game, "mixed", 0).chosen == expert.chosen
    assert play_episode(game, "mixed", 1).chosen != expert.chosen
    assert len(play_episode(game, "mixed", 2).chosen) == 50
    assert play_episode(game, "random", 1).chosen != play_episode(game, "random", 2).chosen


def test_a_player_without_an_expert_plays_at_random() -> None:
    class Unknown:
        name = "unknown/train/0"

        def __init__(self) -> None:
            (self.game,) = make_games("tidy-easy", "train", 1)
            self.reset = self.game.reset
            self.step = self.game.step

        def expert(self) -> None:
            return None

    episode = play_episode(Unknown(), "expert", 0)
    rng = random.Random("unknown/train/0 expert 0")
    assert episode.chosen[0] == rng.randrange(len(episode.scenes[0].commands))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: c | {"sha256": "0" * 64}, "its content has changed"),
        (lambda c: c | {"name": "tidy-easy-random"}, "its content has changed"),
        (lambda c: {**c, "texts": c["texts"][:3]}, "its content has changed"),
        (lambda c: {k: v for k, v in c.items() if k != "episodes"}, "it has no 'episodes'"),
        (lambda c: c | {"texts": [1]}, "'texts' is"),
        (lambda c: [], "it is no object"),
    ],
)
def test_a_damaged_file_gets_one_line(change: object, line: str) -> None:
    name = "tidy-easy-expert"
    record(name)
    content = json.loads(path_of(name).read_text())
    path_of(name).write_text(json.dumps(change(content)))  # type: ignore[operator]
    with pytest.raises(UserError, match=line) as error:
        load(name)
    assert str(error.value).endswith("to make it again, type: lamobench data record tidy-easy-expert --force")
    (row,) = verify_games([name])
    assert row["state"] == "damaged"
    assert next(row for row in status() if row["dataset"] == name)["command"].endswith("--force")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda episode: episode["moves"][0].__setitem__(0, 10**9), "'1000000000' is the number of no text"),
        (lambda episode: episode["moves"][0].__setitem__(0, -1), "'-1' is the number of no text"),
        (lambda episode: episode["moves"][0].__setitem__(1, -1), "'-1' is the number of no text"),
        (lambda episode: episode["moves"][0].__setitem__(1, 0.0), "'0.0' is the number of no text"),
        (lambda episode: episode["moves"][0].__setitem__(1, True), "'True' is the number of no text"),
        (lambda episode: episode["moves"][0][2].__setitem__(0, -1), "'-1' is the number of no text"),
        (lambda episode: episode["moves"][0].__setitem__(2, 5), "not iterable"),
        (lambda episode: episode["moves"][0].__setitem__(3, "many"), "a score is 'many'"),
        (lambda episode: episode["moves"][0].__setitem__(3, 2.0), "a score is '2.0' of 1.0"),
        (lambda episode: episode["moves"][0].__setitem__(3, -1e9), "a score is '-1000000000.0' of 1.0"),
        (lambda episode: episode["moves"][0].__setitem__(3, True), "a score is 'True'"),
        (lambda episode: episode["moves"][0].__setitem__(4, 999), "'999' is the number of no command, of which there"),
        (lambda episode: episode["moves"][0].__setitem__(4, -1), "'-1' is the number of no command"),
        (lambda episode: episode["moves"][0].__setitem__(4, 0.5), "'0.5' is the number of no command"),
        (lambda episode: episode["moves"][0].__setitem__(4, True), "'True' is the number of no command"),
        (lambda episode: episode["moves"][0].__setitem__(4, "a"), "'a' is the number of no command"),
        (lambda episode: episode.__setitem__("maximum", 0), "a game's maximum is 0, expected 1 to 1000"),
        (lambda episode: episode.__setitem__("maximum", 1e-320), "a game's maximum is 1e-320, expected 1 to 1000"),
        (lambda episode: episode.__setitem__("maximum", 1e308), r"a game's maximum is 1e\+308, expected 1 to 1000"),
        (lambda episode: episode.__setitem__("end", [1]), "not enough values"),
        (lambda episode: episode["end"].__setitem__(3, 1.5), "a score is '1.5' of 1.0"),
        (lambda episode: episode["end"].__setitem__(4, "x"), "whether a game was won is 'x', expected true or false"),
        (lambda episode: episode["end"].__setitem__(4, 1), "whether a game was won is '1', expected true or false"),
        (lambda episode: episode.__setitem__("moves", []), "an episode has no moves"),
        (
            lambda episode: episode.__setitem__("game", "tidy-easy/train/40"),
            "'tidy-easy/train/40' is none of its games, such as 'tidy-easy/train/0'",
        ),
        (lambda episode: episode.__setitem__("game", "tidy-hard/train/0"), "'tidy-hard/train/0' is none of its games"),
        (lambda episode: episode.__setitem__("own_scores", [0.5]), "an episode of 2 moves has 1 own score"),
        (lambda episode: episode.__setitem__("own_scores", [0.5] * 4), "an episode of 2 moves has 4 own scores"),
    ],
)
def test_what_no_game_can_be_gets_one_line(change: Callable[[dict[str, Any]], None], line: str) -> None:
    """A file that was changed with its hash put right is still looked at."""
    name = "tidy-easy-expert"
    record(name)
    _rewrite(name, lambda content: change(content["episodes"][0]))
    with pytest.raises(UserError, match=f"is damaged .*{line}"):
        load(name)
    assert next(row for row in status() if row["dataset"] == name)["state"] == "damaged"


def test_points_below_zero_are_read() -> None:
    """Colossal Cave takes points for what it says, such as for hints."""
    name = "tidy-easy-expert"
    record(name)
    _rewrite(name, lambda content: content["episodes"][0]["moves"][0].__setitem__(3, -5))
    assert load(name).episodes[0].scenes[0].score == -5


def test_a_recording_without_episodes_gets_one_line() -> None:
    record("tidy-easy-expert")
    _rewrite("tidy-easy-expert", lambda content: content.__setitem__("episodes", []))
    with pytest.raises(UserError, match="it holds no episodes"):
        load("tidy-easy-expert")


def _rewrite(name: str, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path_of(name).read_text())
    change(content)
    del content["sha256"]
    content["sha256"] = recordings._hash(content)
    path_of(name).write_text(json.dumps(content))


def test_what_is_not_there_gets_one_line() -> None:
    with pytest.raises(UserError, match="to get it, type: lamobench data record tidy-easy-mixed"):
        load("tidy-easy-mixed")
    with pytest.raises(UserError, match="nothing of recorded game 'tidy-easy-mixed' is here"):
        remove("tidy-easy-mixed")
    with pytest.raises(UserError, match="unknown recorded game 'tidy-easy-best'"):
        load("tidy-easy-best")
    assert verify_games([]) == []
    assert {row["state"] for row in verify_games(["tidy-easy-mixed"])} == {"absent"}


def test_a_recording_is_listed_with_its_scores() -> None:
    record("tidy-easy-expert")
    rows = {row["dataset"]: row for row in status()}
    assert list(rows) == [name for name, (family, _) in RECORDINGS.items() if family in FAMILIES]
    row = rows["tidy-easy-expert"]
    assert (row["state"], row["episodes"], row["steps"], row["score_mean"]) == ("ready", 40, 80, 100.0)
    assert rows["tidy-hard-mixed"]["command"] == "lamobench data record tidy-hard-mixed"
    recorded = record("tidy-easy-tuning-mixed")  # whose games are listed once they are here
    assert len(recorded.episodes) == 15
    assert {row["dataset"] for row in status()} - set(rows) == {"tidy-easy-tuning-mixed"}


def test_a_transcript_tells_what_was_seen_done_and_paid() -> None:
    episode = record("tidy-easy-expert").episodes[0]
    first, take, seen, put, last = transcript(episode)
    assert first == episode.scenes[0].observation
    assert take == f"> {episode.scenes[0].commands[episode.chosen[0]]}"
    assert seen == episode.scenes[1].observation
    assert put.endswith("  [1 of 1]")
    assert "Everything is where it belongs." in last


def test_lines_have_all_that_is_learned_from(tmp_path: Path) -> None:
    recording = record("tidy-easy-medium")
    written = recordings.write_lines("tidy-easy-medium", tmp_path / "out" / "lines.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "out" / "lines.jsonl").read_text().splitlines()]
    assert written == len(lines) == recording.steps
    assert sum(line["reward"] for line in lines) == sum(e.scenes[-1].score for e in recording.episodes)
    assert sum(line["over"] for line in lines) == len(recording.episodes)
    assert all(0 <= line["chosen"] < len(line["commands"]) for line in lines)
