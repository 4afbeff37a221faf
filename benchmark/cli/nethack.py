"""Recorded games of NetHack, as the commands of `lamobench data` show them."""

import json
from typing import TYPE_CHECKING, Any

from ...datasets.counts import count
from ...datasets.errors import UserError
from ...datasets.nethack_recordings import NETHACK_RECORDINGS, path_of
from ..terminal import print_rows

if TYPE_CHECKING:
    from ...datasets.sources.nethack import NetHackGames


def record_nethack(name: str, force: bool) -> None:
    """Record games, then say what there is."""
    from ...datasets.recording.nethack import record_games

    facts = _facts(record_games(name, force))
    print(f"{name}: {count(facts['games'], 'game')}, {count(facts['steps'], 'step')}")
    print(f"mean score {facts['mean score']}\nin {path_of(name)}")


def show_nethack(name: str, as_json: bool) -> None:
    """Print the facts of a recording, and a line for each of its games."""
    from ...datasets.sources.nethack import load_games

    recording = load_games(name)
    facts = _facts(recording)
    games = [
        {
            "seed": game.seed,
            "score": game.score,
            "steps": game.steps,
            "turns": game.turns,
            "dungeon level": game.depth,
            "experience level": game.experience,
            "end": game.end,
        }
        for game in recording.games
    ]
    if as_json:
        print(json.dumps(facts | {"each": games}, indent=2))
        return
    for key, value in facts.items():
        print(f"{key:<20}{value}")
    print()
    print_rows(games, as_json=False)


def remove_nethack(name: str) -> None:
    """Delete a recording, then say what is gone."""
    from ...datasets.storage import remove_folder

    path = path_of(name)
    if not path.is_dir():
        raise UserError(f"nothing of '{name}' is here; `lamobench data list` shows what is")
    remove_folder(path)
    print(f"removed {path}")


def nethack_status() -> list[dict[str, Any]]:
    """One row for each recording, with the keys of `catalog.status`."""
    return [_status_row(name) for name in NETHACK_RECORDINGS]


def verified_nethack(names: list[str]) -> list[dict[str, str]]:
    """Check every byte of recordings, of all that are at hand if none is named; with the keys of `verify_data`."""
    return [
        {"dataset": name, "source": "recorded", **_verified(name)}
        for name in names or [name for name in NETHACK_RECORDINGS if path_of(name).is_dir()]
    ]


def _facts(recording: "NetHackGames") -> dict[str, Any]:
    games = recording.games
    return {
        "data set": recording.name,
        "content hash": recording.hash,
        "player": recording.player,
        "games": len(games),
        "steps": sum(game.steps for game in games),
        "mean score": f"{sum(game.score for game in games) / len(games):.1f}",
        "mean level": f"{sum(game.depth for game in games) / len(games):.1f}",
        "quit": sum(game.end != "over" for game in games),
        "megabytes": f"{_megabytes(recording):.1f}",
    }


def _megabytes(recording: "NetHackGames") -> float:
    return sum(recording.path(game).stat().st_size for game in recording.games) / 1e6


def _status_row(name: str) -> dict[str, Any]:
    from ...datasets.sources.nethack import load_games

    command = f"lamobench data record {name}"
    row: dict[str, Any] = {"dataset": name, "task": "nethack-lite", "source": "recorded"}
    unknown = dict.fromkeys(("episodes", "steps", "score_mean", "score_std", "score_best", "megabytes"))
    if not path_of(name).is_dir():
        return row | {"state": "absent"} | unknown | {"command": command}
    try:
        recording = load_games(name)
    except UserError:
        return row | {"state": "damaged"} | unknown | {"command": f"{command} --force"}
    scores = [float(game.score) for game in recording.games]
    mean = sum(scores) / len(scores)
    return row | {
        "state": "ready",
        "episodes": len(scores),
        "steps": sum(game.steps for game in recording.games),
        "score_mean": mean,
        "score_std": (sum((score - mean) ** 2 for score in scores) / len(scores)) ** 0.5,
        "score_best": max(scores),
        "megabytes": _megabytes(recording),
        "command": "",
    }


def _verified(name: str) -> dict[str, str]:
    from ...datasets.sources.nethack import verify_games

    if not path_of(name).is_dir():
        return {"state": "absent", "note": f"lamobench data record {name}"}
    try:
        recording = verify_games(name)
    except UserError as error:
        return {"state": "damaged", "note": str(error)}
    size = f"{len(recording.games)} games, {sum(game.steps for game in recording.games)} steps"
    return {"state": "intact", "note": f"{size}, {recording.hash[:16]}"}
