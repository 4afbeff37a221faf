"""One game of NetHack that can be played again: the same seed and the same keys give the same screens, everywhere.

The game is NetHack 3.6.7 in the NetHack Learning Environment (Küttler et al. 2020, arXiv 2006.13760; the package
`nle`): a Human Monk, every key, nothing clicked away, the score as reward. Its seeds fix three random generators. What
a game reads of the outer world besides is fixed here: the moon phase, the clock, by which shopkeepers are named, and
the list of high scores, from which statues get names.
"""

import ctypes
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .nethack_screens import Screens

INSTALL = 'NetHack needs a package that is not here; type: pip install "lamobench[nethack]"'
CHARACTER = "mon-hum-neu-mal"
BIRTHDAY = 1_577_836_800  # seconds since 1970 at which every game begins: 2020
ENDLESS = 10**9  # steps: the length of a game is the caller's
MOST_SEEDS = 2**31
SPACES = ("tty_chars", "tty_colors", "tty_cursor", "blstats")


@dataclass(frozen=True)
class Facts:
    """The state of a game that evaluations tell of."""

    score: int
    turns: int
    depth: int  # of the dungeon level
    experience: int  # level


def nethack(name: str) -> ModuleType:
    """A module of NLE; a `UserError` with what to type where it isn't installed."""
    try:
        return importlib.import_module(f"nle.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "nle":
            raise
        raise UserError(INSTALL) from None


def keys() -> tuple[int, ...]:
    """The keys that NetHack knows, each once: action number a presses the key number a."""
    return tuple(dict.fromkeys(int(action) for action in nethack("nethack").ACTIONS))


class Game:
    """A game, begun as often as one likes.

    `pressed` are the keys since it began, `arrivals` how many of them came before it was first on dungeon level 2, 3
    and so on. `facts` are those before the last key where a game has ended.
    """

    def __init__(
        self, folder: Path | None = None, fixed_moon_phase: bool = True, observed: tuple[str, ...] = SPACES
    ) -> None:
        """`folder`, one that is not there yet: where the next game is recorded, as NLE's ttyrec; None: nowhere."""
        recorded = {"save_ttyrec_every": 1, "savedir": str(folder)} if folder else {}
        self.keys = keys()
        self.actions = {key: action for action, key in enumerate(self.keys)}
        self._facts = nethack("nethack")
        self._environment = nethack("env.tasks").NetHackScore(
            character=CHARACTER,
            actions=self.keys,
            observation_keys=observed,
            allow_all_modes=True,
            allow_all_yn_questions=True,
            penalty_step=0.0,
            max_episode_steps=ENDLESS,
            fix_moon_phase=fixed_moon_phase,
            **recorded,
        )
        self.ended = True

    def begin(self, seed: int, level_seed: int | None = None) -> None:
        """Begin the game of a seed, 0 to 2**31 - 1; it makes the levels too, unless they have a seed of their own."""
        engine = self._environment.nethack
        (Path(engine._vardir) / "record").write_bytes(b"")  # high scores of the games before
        self._environment.seed(seed, seed, reseed=False, lgen=seed if level_seed is None else level_seed)
        self.seen, _ = self._environment.reset()
        _set_birthday(engine.dlpath)
        self.pressed = bytearray()
        self.arrivals: list[int] = []
        self.ended = False
        self._note()

    def press(self, key: int) -> float:
        """Press a key; returns what it adds to the score."""
        self.seen, reward, self.ended, _, _ = self._environment.step(self.actions[key])
        self.pressed.append(key)
        if not self.ended:
            self._note()
        return float(reward)

    def replay(self, keys: bytes) -> None:
        """Press keys that do not end the game, and look at where they lead alone: several times as fast.

        A `ValueError` for a key that NetHack does not know, and where the game ends.
        """
        if unknown := set(keys) - self.actions.keys():
            raise ValueError(f"NetHack knows no key {min(unknown)}")
        engine = self._environment.nethack
        for key in keys[:-1]:
            _, ended = engine.step(key)
            self.pressed.append(key)
            if ended:
                self.ended = True
                break
        else:
            for key in keys[-1:]:
                self.press(key)
        if self.ended and keys:
            raise ValueError(f"the game ends after {len(self.pressed)} keys")

    def _note(self) -> None:
        """Keep the facts; they are zero once a game has ended."""
        stats = self.seen["blstats"]
        known = self._facts
        self.facts = Facts(
            score=int(stats[known.NLE_BL_SCORE]),
            turns=int(stats[known.NLE_BL_TIME]),
            depth=int(stats[known.NLE_BL_DEPTH]),
            experience=int(stats[known.NLE_BL_XP]),
        )
        self.arrivals += [len(self.pressed)] * (self.facts.depth - 1 - len(self.arrivals))

    def observation(self) -> NDArray[np.uint8]:
        """The observation (S,) uint8; of a game that has ended, its last screen."""
        seen = self.seen
        before = np.frombuffer(self.pressed[-1:] or b"\0", np.uint8)
        one = Screens(
            seen["tty_chars"][None], seen["tty_colors"].view(np.uint8)[None], seen["tty_cursor"][None], before
        )
        found: NDArray[np.uint8] = one.observations()[0]
        return found

    def quit(self) -> None:
        """End the game as a player would who quits, so that its recording has an end."""
        if not self.ended:
            self._environment._quit_game(self._environment.last_observation, False)
            self.ended = True

    def close(self) -> None:
        """Let go of the game, and finish its recording."""
        self._environment.close()


def _set_birthday(library: str) -> None:
    """Set the time at which the game in a loaded library began: read with the first shop, never on the first level."""
    loaded = ctypes.CDLL(library)
    ctypes.c_long.in_dll(loaded, "ubirthday").value = BIRTHDAY
    ctypes.CDLL(None).dlclose(ctypes.c_void_p(loaded._handle))  # NLE loads it anew for the next game


def player_arguments() -> dict[str, Any]:
    """The facts of how games are played that a recording tells."""
    return {"character": CHARACTER, "moon phase": "fixed", "clock": BIRTHDAY, "simulator": nethack_version()}


def nethack_version() -> str:
    """NLE's, as rows have it; a `UserError` where it isn't installed."""
    nethack("nethack")
    from importlib.metadata import version

    return f"nle {version('nle')}"
