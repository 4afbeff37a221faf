"""A story file of the user's own, as Jericho 3.3 plays it (Hausknecht et al. 2020, arXiv 1909.05398).

Where people type what they like, a player here chooses among commands that would change something: ways out, and what
can be done with things that the texts name.
"""

import itertools
import json
import os
import select
import subprocess
import sys
import weakref
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UserError
from . import frotz
from .families import Family
from .game import NOT_BEGUN, Scene
from .stories import read_story, story_path

FIRST_SEED = {"train": 1, "valid": 6}  # of chance
SECONDS = 60.0  # in which a move must be over
NOTHING = "You carry nothing."

_numbers = itertools.count()  # of games


def make(family: Family, split: str, number: int) -> "Story":
    """Game `number` of a split, from 0 on: the same story with other luck."""
    name = f"{family.name}/{split}/{number}"
    return Story(name, story_path(family.name), FIRST_SEED[split] + number, family.move_limit)


class Story:
    """One game; it obeys `game.Game`."""

    def __init__(self, name: str, path: Path, seed: int, move_limit: int) -> None:
        self.name = name
        self.player = _player(os.getpid(), path)
        self.number = next(_numbers)
        self.seed = seed
        self.move_limit = move_limit
        self.scene = NOT_BEGUN
        weakref.finalize(self, self.player.gone.append, self.number).atexit = False

    def reset(self) -> Scene:
        """Begin anew; returns the first scene."""
        return self._read(self.player.ask("reset", self.number, self.seed), 0)

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene. An `IndexError` for one that there is not."""
        if not 0 <= index < len(self.scene.commands):
            raise IndexError(f"{self.name} has no command {index} now")
        return self._read(self.player.ask("step", self.number, self.scene.commands[index]), self.scene.moves + 1)

    def expert(self) -> int | None:
        """None: nobody here knows the story."""
        return None

    def _read(self, moment: dict[str, Any], moves: int) -> Scene:
        if moment["maximum"] <= 0:
            raise UserError(
                f"{self.player.path} tells no score, and so there is nothing to learn from; give another story"
            )
        score = min(moment["score"], moment["maximum"])  # some stories pay more than the maximum that they tell
        won = score == moment["maximum"]
        over = moment["over"] or won or moves >= self.move_limit
        feedback = moment["told"]
        self.scene = Scene(
            observation=feedback if moment["look"] in feedback else f"{feedback} {moment['look']}",
            inventory=moment["inventory"] or NOTHING,
            commands=() if over else tuple(moment["commands"]),
            score=score,
            maximum=moment["maximum"],
            moves=moves,
            over=over,
            won=won,
        )
        return self.scene


class Player:
    """The process that plays a story, in which any number of games are under way."""

    def __init__(self, path: Path) -> None:
        """Start the process; a `UserError`, before any of it is run, if the file is no story."""
        read_story(path, path.parent)
        self.path = path
        self.gone: list[int] = []  # numbers of games that are no longer used, and that the process does not know of yet
        self.process = subprocess.Popen(
            [sys.executable, "-P", frotz.__file__, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, request: str, *values: Any) -> dict[str, Any]:
        """The moment that a game comes to; a `UserError` if the process ends, or takes too long."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        ready = True
        answer = b""
        gone = [self.gone.pop() for _ in range(len(self.gone))]
        with suppress(BrokenPipeError):
            self.process.stdin.write(f"{json.dumps({request: values, 'forget': gone})}\n".encode())
            self.process.stdin.flush()
            ready = bool(select.select([self.process.stdout], [], [], SECONDS)[0])
            answer = self.process.stdout.readline() if ready else b""
        if not answer.endswith(b"\n"):
            self._give_up("makes Jericho crash" if ready else f"does not come to an end of a move in {SECONDS:g} s")
        moment: dict[str, Any] = json.loads(answer)
        return moment

    def _give_up(self, reason: str) -> NoReturn:
        """End the process, so that another try begins with a new one, and raise a `UserError`."""
        _player.cache_clear()
        self.process.kill()
        self.process.wait()
        raise UserError(f"{self.path} {reason}; it can't be played, give another story")


@lru_cache
def _player(process: int, path: Path) -> Player:
    return Player(path)
