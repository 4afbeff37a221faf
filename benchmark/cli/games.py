"""Recorded text games, as the commands of `lamobench data` show them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets.counts import count
from ...datasets.errors import UserError
from ..terminal import wrapped

if TYPE_CHECKING:
    from ...datasets.games.recordings import Recording


def show_recording(name: str, number: int, as_json: bool) -> None:
    """Print the facts of a recording, and the transcript of one of its episodes.

    A `UserError` if it is not at hand, or has no such episode.
    """
    from ...datasets.games.recordings import load, transcript

    recording = load(name)
    if not 0 <= number < len(recording.episodes):
        raise UserError(f"{name} has no episode {number}; give one of 0 to {len(recording.episodes) - 1}")
    episode = recording.episodes[number]
    lines = list(transcript(episode))
    facts = _facts(recording)
    if as_json:
        print(json.dumps(facts | {"episode": number, "game": episode.game, "transcript": lines}, indent=2))
        return
    for key, value in facts.items():
        print(f"{key:<20}{value}")
    print(f"\nepisode {number}, {episode.game}\n")
    for line in lines:
        print("\n".join(wrapped(line)))


def record_games(name: str, force: bool) -> None:
    """Record games, then say what there is."""
    from ...datasets.games.recordings import path_of, record

    recording = record(name, force)
    facts = _facts(recording)
    print(f"{name}: {count(facts['episodes'], 'episode')}, {count(facts['steps'], 'step')}")
    print(f"mean score {facts['mean score']}, mean moves {facts['mean moves']}\nin {path_of(name)}")


def export_games(name: str, output: Path | None) -> None:
    """Write a recording as JSON Lines, then say where it is."""
    from ...datasets.games.recordings import write_lines

    path = output or Path(f"{name}.jsonl")
    print(f"{name}: {count(write_lines(name, path), 'move')} in {path}")


def remove_games(name: str) -> None:
    """Delete a recording, then say what is gone."""
    from ...datasets.games.recordings import remove

    print(f"removed {remove(name)}")


def import_own_story(name: str, path: Path, force: bool) -> None:
    """Keep a story file of the user's own, then say how it is played."""
    from ...datasets.games.families import missing
    from ...datasets.games.stories import import_story, story_hash

    print(f"{import_story(name, path, force)}: {story_hash(name)}")
    print(missing(name) or f"to play it: lamobench play {name}; to learn from it: lamobench train {name}")


def remove_own_story(name: str) -> None:
    """Delete a story file, then say what is gone."""
    from ...datasets.games.stories import remove_story

    print(f"removed {remove_story(name)}")


def _facts(recording: "Recording") -> dict[str, Any]:
    episodes = recording.episodes
    scores = [100.0 * episode.score for episode in episodes]
    own = [scene.own_score for scene in (episode.scenes[-1] for episode in episodes) if scene.own_score is not None]
    texts = {text for episode in episodes for scene in episode.scenes for text in (scene.observation, *scene.commands)}
    return {
        "data set": recording.name,
        "content hash": recording.sha256,
        "episodes": len(episodes),
        "steps": recording.steps,
        "different texts": len(texts),
        "mean score": f"{sum(scores) / len(scores):.1f}",
        **({"game's own score": f"{100.0 * sum(own) / len(own):.1f}"} if own else {}),
        "won": f"{sum(episode.scenes[-1].won for episode in episodes)} of {len(episodes)}",
        "mean moves": f"{recording.steps / len(episodes):.1f}",
    }
