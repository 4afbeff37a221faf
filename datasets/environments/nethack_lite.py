"""NetHack as a task of the fine-tuning track: the score that a Human Monk makes until the game or the time is over.

The stages are two places where a game can begin: at its start (CLOSE), and deeper in the dungeon (FAR), where the keys
of a recorded, seeded game lead. An episode does not go from one to the other. It has no success either, but a return,
the score.
Shapes: E environments, S observation.
"""

from collections.abc import Mapping
from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..sources.nethack import Prefix, prefixes
from .nethack_game import MOST_SEEDS, Game, keys
from .nethack_screens import SIZE
from .stages import Actions, Flags, Floats, Observations, Rows, StagedEnvironment

START = 0
DEEP = 1
ROOM = 1024  # actions of an episode that there is room for at first
FACTS = ("score", "turns", "depth", "experience")  # of `Game.facts`, in the order of `facts`


class NetHackLite(StagedEnvironment):
    """E games of NetHack. Action a presses the key number a; observations are those of `nethack_screens`.

    At the start, each episode draws a game of its own; deep in the dungeon, it draws one of the prefixes. Both follow
    from its stream alone, so methods of a run meet the same games. `facts` are those of each environment's game; where
    an episode has ended with the last step, those of that episode are in `final_facts`.
    """

    stages = ("start", "deep")
    episode_clock: ClassVar[bool] = True
    state_names: ClassVar[tuple[str, ...]] = ("drawn", "taken", "seen")

    drawn: NDArray[np.int64]  # (E,) seed of the game, or number of the prefix
    taken: NDArray[np.uint8]  # (E, room) actions of the episode so far
    seen: NDArray[np.uint8]  # (E, S) the last observations
    final_facts: NDArray[np.int64]  # (E, 4)

    def __init__(
        self,
        recording: str = "nethack-autoascend",
        far_level: int = 4,
        horizon: int = 10_000,
        fixed_moon_phase: bool = True,
        level_seed: int | None = None,
    ) -> None:
        """`recording` has the prefixes, each up to its first step on dungeon level `far_level`.

        `level_seed` makes the levels of all games, but of those that a prefix leads into; None: each game's own does.
        A `UserError` without NLE, or for values that make no sense.
        """
        if horizon < 1 or far_level < 2:
            raise UserError(f"horizon is {horizon} and far_level {far_level}; expected 1 or more, and 2 or more")
        if level_seed is not None and not 0 <= level_seed < MOST_SEEDS:
            raise UserError(f"level_seed is {level_seed}; expected 0 to {MOST_SEEDS - 1}, or null")
        self.keys = keys()
        self.recording = recording
        self.far_level = far_level
        self.horizon = horizon
        self.fixed_moon_phase = fixed_moon_phase
        self.level_seed = level_seed
        self.observation_space = gymnasium.spaces.Box(0, 255, (SIZE,), np.uint8)
        self.action_space = gymnasium.spaces.Discrete(len(self.keys))
        self.single = False  # whether each environment plays one episode, and rests
        self._games: list[Game] = []
        self._prefixes: list[Prefix] = []

    def allocate(self, environments: int) -> None:
        """Make room for what is drawn, done and seen in an episode, and a game for each environment."""
        self.drawn = np.zeros(environments, np.int64)
        self.taken = np.zeros((environments, min(self.horizon, ROOM)), np.uint8)
        self.seen = np.zeros((environments, SIZE), np.uint8)
        self.final_facts = np.zeros((environments, len(FACTS)), np.int64)
        self._begun = np.zeros(environments, np.int64)  # episodes
        while len(self._games) < environments:
            self._games.append(Game(fixed_moon_phase=self.fixed_moon_phase))

    def enter(self, rows: Rows) -> None:
        """Draw the games that begin, and go to where they do; a `UserError` for a recording that leads elsewhere."""
        if (self.stage[rows] == DEEP).any() and not self._prefixes:
            self._prefixes = prefixes(self.recording, self.far_level)
        self._begun[rows] += 1
        for row in rows[~self._rests(rows)]:
            choices = MOST_SEEDS if self.stage[row] == START else len(self._prefixes)
            self.drawn[row] = self.streams.integers(choices, np.array([row]))[0]
            self._begin_game(int(row))

    def _rests(self, rows: Rows) -> Flags:
        """Flags (M,) of the environments whose one episode is over."""
        return self.single & (self._begun[rows] > 1)

    def move(self, actions: Actions) -> tuple[Floats, Flags]:
        """Press the keys (E,). A game that ends is out of time: nothing comes after it."""
        self._make_room()
        rewards = np.zeros(self.size, np.float32)
        for row in np.flatnonzero(~self._rests(np.arange(self.size))):
            game = self._games[row]
            self.taken[row, self.elapsed[row] - 1] = actions[row]
            rewards[row] = game.press(self.keys[actions[row]])
            self.seen[row] = game.observation()
            if game.ended:
                self.elapsed[row] = self.horizon
        self.final_facts = self.facts()
        return rewards, np.zeros(self.size, bool)

    def observe(self) -> Observations:
        """Observations (E, S) uint8."""
        return self.seen.copy()

    def expert(self) -> Actions:
        """Refuse with a `UserError`: nobody knows the way."""
        raise UserError("NetHack has no expert that can be asked at any step; its games are recorded")

    def facts(self) -> NDArray[np.int64]:
        """`FACTS` (E, 4) of each environment's game; of one that has ended, before its last key."""
        games = self._games[: self.size]
        return np.array([[getattr(game.facts, name) for name in FACTS] for game in games], np.int64)

    def load_state_dict(self, state: Mapping[str, NDArray[np.generic]]) -> Observations:
        """Go back to where the state was taken, by playing each episode again up to there; see the base class.

        A `ValueError` where the same keys lead to another place: another version of NetHack.
        """
        super().load_state_dict(state)
        self._begun = np.ones(self.size, np.int64)
        while len(self._games) < self.size:
            self._games.append(Game(fixed_moon_phase=self.fixed_moon_phase))
        if (self.stage == DEEP).any() and not self._prefixes:
            self._prefixes = prefixes(self.recording, self.far_level)
        for row in range(self.size):
            self._begin_game(row)
            self._games[row].replay(bytes(self.keys[action] for action in self.taken[row, : self.elapsed[row]]))
            self.seen[row] = self._games[row].observation()
        if not np.array_equal(self.seen, state["seen"]):
            raise ValueError("NetHack does not come to the screens that it was left at; its version is another one")
        return self.observe()

    def _begin_game(self, row: int) -> None:
        """Start the row's game as it was drawn."""
        game = self._games[row]
        if self.stage[row] == START:
            game.begin(int(self.drawn[row]), self.level_seed)
        else:
            self._go_deep(game, self._prefixes[self.drawn[row]])
        self.seen[row] = game.observation()

    def _go_deep(self, game: Game, prefix: Prefix) -> None:
        """Begin a recorded game and press its first keys; a `UserError` if they do not lead to `far_level`."""
        game.begin(prefix.seed)
        try:
            game.replay(prefix.keys)
            if game.facts.depth < self.far_level:
                raise ValueError(f"its keys lead to dungeon level {game.facts.depth}, not {self.far_level}")
        except UserError:
            raise
        except ValueError as error:
            raise UserError(
                f"{prefix.path} is not the game that was recorded ({error}); "
                f"to record it again, type: lamobench data record {self.recording} --force"
            ) from None

    def _make_room(self) -> None:
        """Double the room for actions where an episode has filled it."""
        if self.elapsed.max() > self.taken.shape[1]:
            room = min(self.horizon, 2 * self.taken.shape[1])
            self.taken = np.pad(self.taken, ((0, 0), (0, room - self.taken.shape[1])))
