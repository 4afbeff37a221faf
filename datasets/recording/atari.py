"""The players of the six Atari games: they try plans out in the emulator, and take a share of random actions.

The players are privileged: they see the emulator's RAM and try plans out on clones of its state, while the recorded
observations are frames alone. Without sticky actions a trial foretells exactly what will happen, so a player without
random actions is good. Every episode draws its share of random actions, uniform from 0 to the game's largest share, so
returns spread widely: a return tells how well its player played, which return conditioning needs.
Random actions are drawn anew at each step, since noise that lasts teaches a sequence model to copy its last action.

How long plans are, how many of their steps are taken and the largest share of random actions were set by hand on the
seeds 101 to 204 of environment and player, which no recording uses, for a wide spread of returns at a speed of about
100 steps a second on one core.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gymnasium
import numpy as np

from . import atari_paddle, atari_search
from .emulator import Emulator, Judge, Propose, best_plan
from .part import Part

ALGORITHM = "emulator look-ahead over a few plans, with a share of random actions drawn per episode"


@dataclass(frozen=True)
class Style:
    """A way to play a game."""

    propose: Propose
    judge: Judge
    commit: int  # steps of the best plan that are taken before plans are tried again; more is faster and worse
    most_random: float  # the largest share of random actions; more is worse, and slower, as each one upsets a plan


STYLES: dict[str, Style] = {
    "breakout": Style(atari_paddle.propose_breakout, atari_paddle.judge_breakout, commit=1, most_random=0.3),
    "pong": Style(atari_paddle.propose_pong, atari_paddle.judge_pong, commit=1, most_random=0.3),
    "qbert": Style(atari_search.propose_qbert, atari_search.judge_qbert, atari_search.QBERT_HOP, most_random=0.4),
    "seaquest": Style(atari_search.propose_seaquest, atari_search.judge_seaquest, commit=5, most_random=0.6),
    "freeway": Style(atari_search.propose_freeway, atari_search.judge_freeway, commit=2, most_random=0.5),
    "asterix": Style(atari_search.propose_asterix, atari_search.judge_asterix, commit=5, most_random=0.5),
}


def player(name: str) -> Callable[[gymnasium.Env, str, Part], None]:
    """The player of a game's recordings."""
    return partial(play_episode, STYLES[name])


def play_episode(style: Style, env: gymnasium.Env, grade: str, part: Part) -> None:
    """Play one episode; its start and its random actions follow from the part's seed. One grade: "medium"."""
    env_seed, player_seed = (int(s) for s in np.random.SeedSequence(part.seed).generate_state(2))
    rng = np.random.default_rng(player_seed)
    play(style, env, env_seed, rng, random_share=rng.uniform(0.0, style.most_random))


def play(style: Style, env: gymnasium.Env, seed: int, rng: np.random.Generator, random_share: float) -> None:
    """Play one episode in which that share of the actions is random."""
    env.reset(seed=seed)
    game = Emulator(env)
    plan = list[int]()
    over = False
    while not over:
        if rng.random() < random_share:
            action = int(rng.integers(len(game.actions)))
            plan = []
        else:
            plan = plan or list(best_plan(game, style.propose, style.judge, rng)[: style.commit])
            action = plan.pop(0)
        _, _, terminated, truncated, _ = env.step(action)
        over = terminated or truncated
