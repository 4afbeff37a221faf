"""Recorded games: data sets of text, one JSON file each, which can be made again to the byte.

A file holds every text once, the episodes as numbers of texts, and the SHA-256 of its content.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..counts import count
from ..errors import UserError, choose
from ..file_checks import MB
from ..json_files import check_fields, read_json
from ..storage import home, plain_disk_errors, write_text
from .families import RECORDINGS, Family, find_family, game_names, make_games
from .game import Scene
from .players import Episode, play_episode

FORMAT = 1
FEWEST = 12  # episodes, of players that never play the same game alike
MOST = 64 * MB  # of a file
MOST_POINTS = 1000  # of a game, and of what it takes away: Colossal Cave has 350
FIELDS = {"format": int, "name": str, "texts": list[str], "episodes": list[dict], "sha256": str}  # type: ignore[type-arg]
EPISODE = {"game": str, "maximum": float, "moves": list[list], "end": list}  # type: ignore[type-arg]
OWN = "own_scores"  # of an episode's scenes; left out, and in no hash, where games have no score of their own


@dataclass(frozen=True)
class Recording:
    """A recorded data set of games of a family, by a player of a grade."""

    name: str
    episodes: tuple[Episode, ...]
    sha256: str  # of its content

    @property
    def steps(self) -> int:
        """Number of commands that were given."""
        return sum(len(episode.chosen) for episode in self.episodes)


def path_of(name: str) -> Path:
    """The file of a recording, whether or not it is there; a `UserError` names the valid names."""
    return home() / "games" / f"{choose('recorded game', name, list(RECORDINGS))}.json"


def record(name: str, force: bool = False) -> Recording:
    """The recording of that name, played now if it is not there, or by `force`.

    The expert plays every training game once, the others each three times, and `FEWEST` episodes at least.
    Raises a `UserError` for a name that there is not, and for a game whose package is missing.
    """
    path = path_of(name)
    if path.is_file() and not force:
        return load(name)
    family, grade = RECORDINGS[name]
    games = make_games(family, "train", find_family(family).games["train"])
    wanted = len(games) if grade == "expert" else max(3 * len(games), FEWEST)
    episodes = [play_episode(games[number % len(games)], grade, number) for number in range(wanted)]
    content = {"format": FORMAT, "name": name, **_packed(episodes)}
    with plain_disk_errors():
        write_text(path, _as_text(content | {"sha256": _hash(content)}))
    return load(name)


def load(name: str) -> Recording:
    """A recording that is at hand; a `UserError` says what to type if it is not, or if it is damaged."""
    path = path_of(name)
    if not path.is_file():
        raise UserError(
            f"recorded game '{name}' is not in {path.parent}; to get it, type: lamobench data record {name}"
        )
    content = read_json(path, MOST)
    try:
        check_fields(content, FIELDS)
        found = content.pop("sha256")
        if content["format"] != FORMAT or content["name"] != name or _hash(content) != found:
            raise ValueError("its content has changed")
        return Recording(name, tuple(_unpacked(content, _names(name))), found)
    except (ValueError, IndexError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); to make it again, type: lamobench data record {name} --force"
        ) from None


def _names(name: str) -> set[str]:
    """The names of the games that a recording may have."""
    family, _ = RECORDINGS[name]
    return set(game_names(family, "train", find_family(family).games["train"]))


def verify_games(names: Sequence[str]) -> list[dict[str, str]]:
    """Check every byte of recordings, of all that are at hand if none is named; with the keys of `verify_data`."""
    return [
        {"dataset": name, "source": "recorded", **_verified(name)}
        for name in names or [name for name in RECORDINGS if path_of(name).is_file()]
    ]


def _verified(name: str) -> dict[str, str]:
    if not path_of(name).is_file():
        return {"state": "absent", "note": f"lamobench data record {name}"}
    try:
        recording = load(name)
    except UserError as error:
        return {"state": "damaged", "note": str(error)}
    size = f"{count(len(recording.episodes), 'episode')}, {recording.steps} steps"
    return {"state": "intact", "note": f"{size}, {recording.sha256[:16]}"}


def remove(name: str) -> Path:
    """Delete a recording; returns the file that is gone. A `UserError` if it is not there."""
    path = path_of(name)
    if not path.is_file():
        raise UserError(f"nothing of recorded game '{name}' is here; `lamobench data list` shows what is")
    path.unlink()
    return path


def write_lines(name: str, output: Path) -> int:
    """Write a recording as JSON Lines, one a move, for other programs; returns the number of moves."""
    lines = [json.dumps(line, ensure_ascii=False) for line in _lines(load(name))]
    with plain_disk_errors():
        write_text(output, "\n".join(lines) + "\n")
    return len(lines)


def transcript(episode: Episode) -> Iterator[str]:
    """The lines of an episode as a person would read it: what is seen, and the command that was given."""
    yield episode.scenes[0].observation
    for before, index, after in zip(episode.scenes, episode.chosen, episode.scenes[1:], strict=False):
        yield f"> {before.commands[index]}{_shown_scores(before, after)}"
        yield after.observation


def _shown_scores(last: Scene, scene: Scene) -> str:
    """The score of a scene, and the game's own, unless both are those of the last one."""
    if (scene.score, scene.own_score) == (last.score, last.own_score):
        return ""
    own = "" if scene.own_score is None else f"; the game's own score: {scene.own_score:g}"
    return f"  [{scene.score:g} of {scene.maximum:g}{own}]"


def status() -> list[dict[str, Any]]:
    """One row for each recording, with the keys of `catalog.status`; of games for tuning, for those that are here."""
    families = {name: find_family(family) for name, (family, _) in RECORDINGS.items()}
    shown = {name: family for name, family in families.items() if not family.tuning or path_of(name).is_file()}
    return [_status_row(name, family) for name, family in shown.items()]


def _status_row(name: str, family: Family) -> dict[str, Any]:
    command = f"lamobench data record {name}"
    row: dict[str, Any] = {"dataset": name, "task": family.name, "source": "recorded"}
    unknown = dict.fromkeys(("episodes", "steps", "score_mean", "score_std", "score_best", "megabytes"))
    if not path_of(name).is_file():
        return row | {"state": "absent"} | unknown | {"command": command}
    try:
        recording = load(name)
    except UserError:
        return row | {"state": "damaged"} | unknown | {"command": f"{command} --force"}
    scores = [100.0 * episode.score for episode in recording.episodes]
    mean = sum(scores) / len(scores)
    return row | {
        "state": "ready",
        "episodes": len(scores),
        "steps": recording.steps,
        "score_mean": mean,
        "score_std": (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5,
        "score_best": max(scores),
        "megabytes": path_of(name).stat().st_size / 1e6,
        "command": "",
    }


def _lines(recording: Recording) -> Iterator[dict[str, Any]]:
    for number, episode in enumerate(recording.episodes):
        for scene, index, after in zip(episode.scenes, episode.chosen, episode.scenes[1:], strict=False):
            yield {
                "episode": number,
                "game": episode.game,
                "observation": scene.observation,
                "inventory": scene.inventory,
                "commands": scene.commands,
                "chosen": index,
                "reward": after.score - scene.score,
                "over": after.over,
                "won": after.won,
            } | ({} if after.own_score is None else {"own_score": after.own_score})


def _packed(episodes: list[Episode]) -> dict[str, Any]:
    """Texts, each once, and episodes in which their numbers stand for them."""
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        return numbers.setdefault(text, len(numbers))

    def pack(scene: Scene) -> list[Any]:
        return [number(scene.observation), number(scene.inventory), list(map(number, scene.commands)), scene.score]

    packed = [
        {
            "game": episode.game,
            "maximum": float(episode.scenes[0].maximum),
            "moves": [[*pack(scene), index] for scene, index in zip(episode.scenes, episode.chosen, strict=False)],
            "end": [*pack(episode.scenes[-1]), episode.scenes[-1].won],
        }
        | _own_scores(episode)
        for episode in episodes
    ]
    return {"texts": list(numbers), "episodes": packed}


def _own_scores(episode: Episode) -> dict[str, list[float]]:
    """The game's own score in each scene, as an entry of the episode; nothing where it has none."""
    scores = [float(scene.own_score) for scene in episode.scenes if scene.own_score is not None]
    return {OWN: scores} if scores else {}


def _unpacked(content: dict[str, Any], names: set[str]) -> Iterator[Episode]:
    """The episodes of a file, all of them checked; `names` are those of the games that it may have."""
    if not content["episodes"]:
        raise ValueError("it holds no episodes")
    for packed in content["episodes"]:
        _check_episode(packed, names)
        scenes = tuple(_scenes(packed, content["texts"]))
        moves = zip(scenes, packed["moves"], strict=False)  # there is one scene more
        chosen = tuple([_number(row[-1], len(scene.commands), "command") for scene, row in moves])
        yield Episode(packed["game"], scenes, chosen)


def _check_episode(packed: Any, names: set[str]) -> None:
    """Raise a `ValueError` for an episode that no game of these names can have."""
    check_fields(packed, EPISODE, {OWN: list[float]})
    if packed["game"] not in names:
        raise ValueError(f"'{packed['game'][:80]}' is none of its games, such as '{min(names)}'")
    if not 1 <= packed["maximum"] <= MOST_POINTS:
        raise ValueError(f"a game's maximum is {packed['maximum']}, expected 1 to {MOST_POINTS}")
    if not packed["moves"]:
        raise ValueError("an episode has no moves")
    if OWN in packed and len(packed[OWN]) != len(packed["moves"]) + 1:
        scores = count(len(packed[OWN]), "own score")
        raise ValueError(f"an episode of {count(len(packed['moves']), 'move')} has {scores}")


def _number(value: Any, end: int, kind: str) -> int:
    """The value, if it is a number from 0 to `end` - 1, of things of a kind."""
    if type(value) is not int or not 0 <= value < end:
        raise ValueError(f"{str(value)[:80]!r} is the number of no {kind}, of which there are {end}")
    return value


def _scenes(packed: dict[str, Any], texts: Sequence[str]) -> Iterator[Scene]:
    """The scenes of an episode in which numbers stand for texts."""
    rows = [*packed["moves"], packed["end"]]
    last = len(rows) - 1
    own = packed.get(OWN, [None] * len(rows))
    for moves, (observation, inventory, commands, score, won) in enumerate(rows):
        if type(score) not in (int, float) or not -MOST_POINTS <= score <= packed["maximum"]:
            raise ValueError(f"a score is {str(score)[:80]!r} of {packed['maximum']}")
        if moves == last and type(won) is not bool:
            raise ValueError(f"whether a game was won is {str(won)[:80]!r}, expected true or false")
        yield Scene(
            observation=texts[_number(observation, len(texts), "text")],
            inventory=texts[_number(inventory, len(texts), "text")],
            commands=tuple([texts[_number(number, len(texts), "text")] for number in commands]),
            score=score,
            maximum=packed["maximum"],
            moves=moves,
            over=moves == last,
            won=moves == last and won,
            own_score=own[moves],
        )


def _as_text(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(_as_text(content).encode()).hexdigest()
