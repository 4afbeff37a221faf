"""Recorded games of NetHack: those of `recording/nethack.py`, and folders as NLE makes them, such as NLD-AA.

A recording is a folder of ttyrec files and `games.json`, which says of each game what it came to and what its file's
hash is. NLD-AA (Hambro et al. 2022, arXiv 2211.00539) has folders with ttyrec files and an `xlogfile` each. Its games
have no known seeds: they can be learned from, but not played again.
"""

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..environments.nethack_game import MOST_SEEDS
from ..errors import UserError
from ..file_checks import MB, check_regular_file
from ..json_files import check_fields, from_fields, read_json
from ..nethack_recordings import NETHACK_RECORDINGS, path_of
from .ttyrec import ENDING, MOST, keys_of

FORMAT = 1
INDEX = "games.json"
INDEX_FIELDS = {"format": int, "name": str, "player": str, "game": dict, "games": list[dict], "hash": str}  # type: ignore[type-arg]
MOST_LOG = 256 * MB  # of an xlogfile; NLD-AA's have a few hundred kilobytes
MONK = {"role": "Mon", "race": "Hum", "gender": "Mal", "align": "Neu"}


@dataclass(frozen=True)
class RecordedGame:
    """The facts of a game that was recorded."""

    file: str  # its name in the recording's folder
    sha256: str  # of the file
    keys: str  # SHA-256 of the keys, which with the seed are all that decides the game
    seed: int
    opening: int  # keys in the file before the player's: NLE clicks the first lines away
    steps: int  # keys that the player pressed
    score: int
    turns: int
    depth: int  # of the dungeon level at the end
    experience: int  # level at the end
    arrivals: tuple[int, ...]  # keys before it was first on dungeon level 2, 3 and so on, or deeper
    end: str  # "over"; else why the game was quit


@dataclass(frozen=True)
class NetHackGames:
    """A recording that is at hand."""

    name: str
    folder: Path
    player: str
    games: tuple[RecordedGame, ...]
    hash: str  # of seeds and keys: the same games have the same one, whenever they are recorded

    def path(self, game: RecordedGame) -> Path:
        """The file of a game."""
        return self.folder / game.file


@dataclass(frozen=True)
class Prefix:
    """The beginning of a recorded game, by which anybody comes to the same place."""

    seed: int
    path: Path  # of the recording
    opening: int  # keys in it before the player's
    length: int  # of the player's keys

    @cached_property
    def keys(self) -> bytes:
        """The player's keys; a `ValueError` if the recording has fewer of them."""
        found = keys_of(self.path, self.opening + self.length)[self.opening :].tobytes()
        if len(found) < self.length:
            raise ValueError(f"it has {len(found)} of {self.length} keys")
        return found


def load_games(name: str) -> NetHackGames:
    """A recording that is at hand; a `UserError` says what to type if it is not, or if it is damaged.

    Hashes of the files are not looked at: `verify_games` does that.
    """
    folder = path_of(name)
    if not folder.is_dir():
        raise UserError(f"'{name}' is not in {folder.parent}; to get it, type: lamobench data record {name}")
    content = read_json(folder / INDEX)
    try:
        check_fields(content, INDEX_FIELDS)
        games = tuple(from_fields(RecordedGame, game) for game in content["games"])
        _check(content, games, name)
    except ValueError as error:
        raise UserError(
            f"{folder / INDEX} is damaged ({error}); to make it again, type: lamobench data record {name} --force"
        ) from None
    for game in games:
        check_regular_file(folder / game.file, MOST, folder)
    return NetHackGames(name, folder, content["player"], games, content["hash"])


def index_of(name: str, player: str, arguments: dict[str, Any], games: list[RecordedGame]) -> dict[str, Any]:
    """The content of a recording's `games.json`."""
    rows = [asdict(game) for game in games]
    return {"format": FORMAT, "name": name, "player": player, "game": arguments, "games": rows, "hash": _hash(games)}


def _hash(games: Any) -> str:
    return hashlib.sha256("\n".join(f"{game.seed} {game.keys}" for game in games).encode()).hexdigest()


def _check(content: dict[str, Any], games: tuple[RecordedGame, ...], name: str) -> None:
    """Raise a `ValueError` for content that no recording of that name has."""
    if content["format"] != FORMAT or content["name"] != name:
        raise ValueError(f"it is of '{content['name']}', format {content['format']}")
    if not games or _hash(games) != content["hash"]:
        raise ValueError("its games are not those that were recorded")
    for game in games:
        if Path(game.file).name != game.file or not game.file.endswith(ENDING):
            raise ValueError(f"it names a file {game.file!r}")
        if min(game.opening, game.steps, *game.arrivals) < 0 or max(game.arrivals, default=0) > game.steps:
            raise ValueError(f"{game.file} has keys that can't be counted")
        if not 0 <= game.seed < MOST_SEEDS:
            raise ValueError(f"{game.file} has the seed {game.seed}; expected 0 to {MOST_SEEDS - 1}")


def verify_games(name: str) -> NetHackGames:
    """Read every byte of a recording; a `UserError` for the first file that is not what was recorded."""
    found = load_games(name)
    for game in found.games:
        if file_hash(found.path(game)) != game.sha256:
            raise UserError(
                f"{found.path(game)} has changed; to record it again, type: lamobench data record {name} --force"
            )
    return found


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def game_files(recording: str) -> list[Path]:
    """The files of the games to learn from: of a recording by its name, or below a folder that NLE wrote.

    Of such a folder, the games of a Human Monk whose end is in an xlogfile. A `UserError` for what is neither.
    """
    if recording in NETHACK_RECORDINGS:
        found = load_games(recording)
        return [found.path(game) for game in found.games]
    folder = Path(recording).expanduser()
    if not folder.is_dir():
        known = ", ".join(NETHACK_RECORDINGS)
        raise UserError(f"'{recording}' is no recording of NetHack ({known}), and no folder of games that NLE recorded")
    files = [path for log in sorted(folder.rglob("*xlogfile")) for path in _monks(log)]
    if not files:
        raise UserError(f"{folder} has no *{ENDING} of a Human Monk that an xlogfile beside it names")
    return files


def hash_of(recording: str) -> str:
    """The hash of what a recording holds; of a folder that NLE wrote, of its files' names and sizes."""
    if recording in NETHACK_RECORDINGS:
        return load_games(recording).hash
    lines = [f"{path.name} {path.stat().st_size}" for path in game_files(recording)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _monks(log: Path) -> list[Path]:
    """The recordings of Human Monks that an xlogfile names and that lie beside it."""
    check_regular_file(log, MOST_LOG)
    found = []
    for line in log.read_text(encoding="latin-1").splitlines():
        facts = dict(part.split("=", 1) for part in line.split("\t") if "=" in part)
        name = facts.get("ttyrecname", "")
        begun = {fact: facts.get(f"{fact}0", facts.get(fact)) for fact in MONK}  # a Monk may have been converted since
        if begun == MONK and name.endswith(ENDING) and name == Path(name).name:
            path = log.with_name(name)
            if path.is_file():
                check_regular_file(path, MOST, log.parent)
                found.append(path)
    return found


def prefixes(name: str, depth: int) -> list[Prefix]:
    """The beginnings of a recording's games, each up to the first key that is pressed on a level so deep.

    A `UserError` if no game comes there.
    """
    recording = load_games(name)
    found = [
        Prefix(game.seed, recording.path(game), game.opening, game.arrivals[depth - 2])
        for game in recording.games
        if len(game.arrivals) >= depth - 1
    ]
    if not found:
        raise UserError(f"no game of '{name}' comes to dungeon level {depth}; give a smaller environment.far_level")
    return found
