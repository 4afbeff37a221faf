"""An Atari emulator as a player sees it: the game's 128 bytes of RAM, and plans tried out and taken back."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gymnasium
import numpy as np

from ..atari import FRAME_SKIP

DEATH = 500.0  # what a lost life costs, in a game's points

Plan = Sequence[int]  # actions, one for each agent step
# What a player thinks of doing; a single plan is taken untried.
Propose = Callable[["Emulator"], list[Plan]]
# Plays a plan within a trial and says how good that was; any scale, more is better.
Judge = Callable[["Emulator", Plan], float]


class Emulator:
    """The emulator below an Atari task's environment, which does not notice: every trial leaves it as it was.

    Only the emulator's own state is cloned, so nothing may be rendered or stepped through the environment in a trial.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        atari = env.unwrapped
        self._ale = atari.ale
        self._codes = atari._action_set  # the emulator's numbers of the actions
        self.actions: dict[str, int] = {name: i for i, name in enumerate(atari.get_action_meanings())}

    def ram(self) -> list[int]:
        """The 128 bytes of the game's memory."""
        memory: list[int] = self._ale.getRAM().tolist()
        return memory

    @property
    def lives(self) -> int:
        """The number of lives that are left; always 0 in a game that has none."""
        return int(self._ale.lives())

    @property
    def over(self) -> bool:
        """Check whether the game has ended."""
        return bool(self._ale.game_over())

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Take back, at the end of the block, every step played in it."""
        state = self._ale.cloneState()
        try:
            yield
        finally:
            self._ale.restoreState(state)

    def play(self, action: int) -> float:
        """One agent step of a trial, which is the environment's without its image. Returns the reward."""
        code = self._codes[action]
        reward = 0.0
        for _ in range(FRAME_SKIP):
            if self._ale.game_over():
                break
            reward += self._ale.act(code)
        return reward


def best_plan(game: Emulator, propose: Propose, judge: Judge, rng: np.random.Generator) -> Plan:
    """The plan that is judged best when it is tried; equally good ones are drawn from."""
    plans = propose(game)
    if len(plans) == 1:
        return plans[0]
    values = []
    for plan in plans:
        with game.trial():
            values.append(judge(game, plan))
    best = np.flatnonzero(np.array(values) == max(values))
    return plans[int(rng.choice(best))]


def play_out(game: Emulator, plan: Plan, discount: float, dying: int | None = None) -> tuple[float, bool]:
    """The discounted rewards of a plan, which ends when a life is lost, and whether one was.

    A game takes a life only after it has shown how it was lost, for longer than a plan lasts; `dying` is the address of
    a byte of RAM that is not 0 from the fatal moment on.
    """
    lives = game.lives
    value = 0.0
    weight = 1.0
    for action in plan:
        value += weight * game.play(action)
        if game.lives < lives or game.over or (dying is not None and game.ram()[dying]):
            return value - weight * DEATH, True
        weight *= discount
    return value, False
