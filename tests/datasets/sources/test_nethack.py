import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.nethack import (
    RecordedGame,
    file_hash,
    game_files,
    index_of,
    load_games,
    prefixes,
    verify_games,
)
from lamobench.datasets.sources.ttyrec import ENDING
from lamobench.datasets.storage import write_json
from lamobench.tests.datasets.sources.test_ttyrec import on_level, write

NAME = "nethack-autoascend-small"
# The dungeon levels on which keys are pressed, of two games, and the player's keys before each level's first.
GAMES = (((1, 1, 2, 3, 1), (1, 2)), ((1, 1, 1, 1), ()))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recording of two made-up games."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    folder = tmp_path / "nethack" / NAME
    folder.mkdir(parents=True)
    games = []
    for seed, (levels, arrivals) in enumerate(GAMES, 1000):
        file = f"{seed}{ENDING}"
        frames = [frame for number, depth in enumerate(levels) for frame in on_level(depth, b"%d" % number)]
        path = write(folder / file, frames)
        games.append(
            RecordedGame(
                file, file_hash(path), str(seed), seed, 1, len(levels) - 1, 10, 20, levels[-1], 1, arrivals, "over"
            )
        )
    write_json(folder / "games.json", index_of(NAME, "a player", {}, games))
    return folder


def test_a_recording_is_what_was_recorded(folder: Path) -> None:
    found = load_games(NAME)
    assert [game.steps for game in found.games] == [4, 3]
    assert verify_games(NAME) == found
    assert game_files(NAME) == [folder / f"{seed}{ENDING}" for seed in (1000, 1001)]


def test_a_prefix_leads_to_the_first_step_on_a_level(folder: Path) -> None:
    (prefix,) = prefixes(NAME, 3)
    assert prefix.seed == 1000
    assert prefix.keys == b"12"  # without that of the opening
    with pytest.raises(UserError, match="no game of 'nethack-autoascend-small' comes to dungeon level 9"):
        prefixes(NAME, 9)


def reseeded(index: dict[str, Any], seed: int) -> dict[str, Any]:
    """The index with another seed of its first game, and with the hash that belongs to it."""
    games = [index["games"][0] | {"seed": seed}, index["games"][1]]
    keys = "\n".join(f"{game['seed']} {game['keys']}" for game in games)
    return {"games": games, "hash": hashlib.sha256(keys.encode()).hexdigest()}


def test_what_is_absent_or_damaged_gets_a_line(folder: Path) -> None:
    with pytest.raises(UserError, match=r"to get it, type: lamobench data record nethack-autoascend$"):
        load_games("nethack-autoascend")
    index = json.loads((folder / "games.json").read_text())
    for change, line in (
        ({"format": 2}, "format 2"),
        ({"name": "another"}, "it is of 'another'"),
        ({"games": []}, "its games are not those that were recorded"),
        ({"games": index["games"][:1]}, "its games are not those"),
        ({"games": [index["games"][0] | {"file": f"../x{ENDING}"}, index["games"][1]]}, "it names a file '../x"),
        ({"games": [{"file": "x"}]}, "it has no '"),
        ({"games": [index["games"][0] | {"opening": -1}, index["games"][1]]}, "keys that can't be counted"),
        ({"games": [index["games"][0] | {"arrivals": [99]}, index["games"][1]]}, "keys that can't be counted"),
        (reseeded(index, -1), "has the seed -1; expected 0 to 2147483647"),
        (reseeded(index, 2**70), "has the seed 1180591620717411303424; expected"),
    ):
        write_json(folder / "games.json", index | change)
        with pytest.raises(UserError, match=line) as caught:
            load_games(NAME)
        assert "data record nethack-autoascend-small --force" in str(caught.value)
    write_json(folder / "games.json", index)
    with (folder / f"1001{ENDING}").open("ab") as file:
        file.write(b"\0")
    load_games(NAME)
    with pytest.raises(UserError, match=r"1001.* has changed"):
        verify_games(NAME)
    (folder / f"1001{ENDING}").unlink()
    with pytest.raises(UserError, match=r"1001.* can't be read"):
        load_games(NAME)


def test_a_folder_as_nle_writes_it_has_the_monks_of_its_logs(tmp_path: Path) -> None:
    inner = tmp_path / "nle_data" / "20200101"
    inner.mkdir(parents=True)
    rows = []
    for number, (role, later) in enumerate((("Mon", ""), ("Val", ""), ("Mon", "\talign0=Neu"))):
        name = f"nle.1.{number}{ENDING}"
        write(inner / name, on_level(1, b"j"))
        end = "Law" if later else "Neu"  # the last was converted
        rows.append(
            f"version=3.6.6\trole={role}\trace=Hum\tgender=Mal\talign={end}{later}\tpoints=1\tttyrecname={name}"
        )
    rows.append(rows[0].replace(f"nle.1.0{ENDING}", f"../../elsewhere{ENDING}"))
    rows.append("of another kind")
    (inner / "nle.1.xlogfile").write_text("\n".join(rows))
    (inner / f"nle.1.9{ENDING}").write_bytes(b"")  # of a game without an end
    assert game_files(str(tmp_path / "nle_data")) == [inner / f"nle.1.{number}{ENDING}" for number in (0, 2)]
    with pytest.raises(UserError, match="is no recording of NetHack"):
        game_files(str(tmp_path / "nothing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="of a Human Monk that an xlogfile beside it names"):
        game_files(str(tmp_path / "empty"))


def test_the_hash_is_of_what_was_played_and_not_of_when() -> None:
    games = [RecordedGame("a", "1", "keys", 1000, 0, 5, 10, 20, 1, 1, (), "over")]
    again = [RecordedGame("a", "2", "keys", 1000, 0, 5, 10, 20, 1, 1, (), "over")]
    other = [RecordedGame("a", "1", "others", 1000, 0, 5, 10, 20, 1, 1, (), "over")]
    one, same, different = (index_of("n", "p", {}, rows)["hash"] for rows in (games, again, other))
    assert one == same != different
