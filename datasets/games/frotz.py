"""The program that plays a story with Jericho, in a process of its own: `python frotz.py STORY`.

Jericho's C code can crash, end or hang on a story, and takes the process along. A line of JSON is asked, a line is
answered. Only this file imports Jericho, and it imports nothing else of ours.
"""

import hashlib
import json
import os
import re
import sys
import threading
import time
import warnings
from typing import Any

DIRECTIONS = ("north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest", "up", "down")
PLACES = (*DIRECTIONS, "in", "out")
ON_ONE = ("take", "drop", "open", "close", "enter", "push", "pull", "turn", "eat", "drink", "wear", "read", "climb")
ON_ONE_MORE = ("turn on", "turn off", "light", "search", "attack", "wave", "unlock", "give")
ON_TWO = ("put {} in {}", "put {} on {}", "unlock {} with {}", "give {} to {}")
NO_NOUNS = {*PLACES, "above", "below", "all", "and", "her", "him", "self", "the", "them", "you"}
ALWAYS = "wait"  # a command that any game takes, so that there is one
MOST_NOUNS = 8  # of those in a text: 168 commands with one and 224 with two are tried, 0.1 s at most
MOST_KNOWN = 20_000  # moments whose commands are kept
SCORE = re.compile(r"(-?\d+)\D{0,40}?\bof\b\D{0,30}?(\d+)")  # "5 out of a possible 40", "0 (total of 350 points)"
LOOKS = 0.5  # seconds from one look for the process that asks to the next
END = "***"  # around what a story says when it is over

State = tuple[Any, ...]  # Jericho's: memory, stack and the rest of a moment


class Stories:
    """Any number of games of one story, each by its number; one interpreter goes from one to the other."""

    def __init__(self, path: str) -> None:
        from jericho import FrotzEnv

        self.frotz = FrotzEnv(path, seed=1)
        words = [word for word in self.frotz.get_dictionary() if not word.is_dir and not word.is_prep]
        nouns = [word.word for word in words if word.is_noun] or [word.word for word in words]
        self.nouns = {word for word in nouns if word.isalpha() and len(word) > 2} - NO_NOUNS
        self.longest = max(map(len, self.nouns), default=0)  # letters of a word that the story tells apart
        self.states: dict[int, State] = {}
        self.scores: dict[int, tuple[int, int]] = {}
        self.known: dict[bytes, list[str]] = {}

    def reset(self, game: int, seed: int) -> dict[str, Any]:
        """Begin a game anew, with chance of that seed; the first moment."""
        self.frotz.seed(seed)
        text, _ = self.frotz.reset()
        self.scores[game] = (0, 0)
        return self._moment(game, text)

    def step(self, game: int, command: str) -> dict[str, Any]:
        """Give a command; the next moment."""
        self.frotz.set_state(self.states[game])
        text = self.frotz.step(command)[0]
        return self._moment(game, text)

    def forget(self, game: int) -> None:
        """Drop a game, whether or not it was begun."""
        self.states.pop(game, None)
        self.scores.pop(game, None)

    def _moment(self, game: int, text: str) -> dict[str, Any]:
        feedback = plain(text)
        state = self.states[game] = self.frotz.get_state()
        over = END in feedback or self.frotz._emulator_halted() or self.frotz.game_over() or self.frotz.victory()
        look = "" if over else self._aside("look", state)
        inventory = "" if over else self._aside("inventory", state)
        score, maximum = self._score(game, state, feedback, bool(over))
        return {
            "told": feedback,
            "look": look,
            "inventory": inventory,
            "score": score,
            "maximum": maximum,
            "over": bool(over),
            "commands": [] if over else self._commands(state, f"{feedback} {look} {inventory}"),
        }

    def _aside(self, command: str, state: State) -> str:
        """The answer to a command that is not given."""
        text = plain(self.frotz.step(command)[0])
        self.frotz.set_state(state)
        return text

    def _score(self, game: int, state: State, feedback: str, over: bool) -> tuple[int, int]:
        """Points and their maximum: Jericho's own where it knows the story, else as the story tells them."""
        if self.frotz.is_fully_supported:
            return self.frotz.get_score(), self.frotz.get_max_score()
        if found := SCORE.search(feedback if over else self._aside("score", state)):
            self.scores[game] = (int(found[1]), int(found[2]))
        return self.scores[game]

    def _commands(self, state: State, text: str) -> list[str]:
        """The commands that would change something, each change once."""
        digest = hashlib.blake2b(repr(state[2:]).encode() + text.encode(), digest_size=16)
        digest.update(state[0].tobytes())
        key = digest.digest()
        if key not in self.known:
            if len(self.known) == MOST_KNOWN:
                self.known.clear()
            changes = self.frotz._filter_candidate_actions(self._candidates(text), use_ctypes=True)
            self.frotz.set_state(state)
            self.known[key] = sorted({ALWAYS, *(commands[0] for commands in changes.values())})
        return self.known[key]

    def _candidates(self, text: str) -> list[str]:
        """Commands that name what the text does, the last words first: "take lamp" before "take brass"."""
        read = reversed(re.findall(r"[a-z]+", text.lower()))
        nouns = [word for word in dict.fromkeys(read) if word[: self.longest] in self.nouns][:MOST_NOUNS]
        single = [f"{verb} {noun}" for verb in (*ON_ONE, *ON_ONE_MORE) for noun in nouns]
        pairs = [form.format(one, other) for form in ON_TWO for one in nouns for other in nouns if one != other]
        return [*PLACES, *single, *pairs]


def plain(text: str) -> str:
    """The text on one line, without the prompt and the status line that Jericho puts behind it."""
    before, prompt, _ = text.rpartition("\n>")
    return " ".join((before if prompt else text).split())


def end_with_parent() -> None:
    """Wait until the process that asks is gone, then end: a story that hangs would not notice."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(LOOKS)
    os._exit(1)


def main() -> None:
    """Answer until nothing is asked any more."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the C code prints what it pleases
    warnings.simplefilter("ignore")  # of stories that Jericho does not know
    stories = Stories(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        for game in asked["forget"]:
            stories.forget(game)
        moment = stories.step(*asked["step"]) if "step" in asked else stories.reset(*asked["reset"])
        answers.write(f"{json.dumps(moment)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
