"""Agents that learn real games in seconds, beside chance."""

from pathlib import Path

import numpy as np

from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.text.build import split_games
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.evaluation import Chooser, Played, at_random, play
from lamobench.benchmark.text.loop import Learning
from lamobench.benchmark.text.resolve import resolve


def played(config: TextConfig, choose: Chooser) -> Played:
    games = [game for _, game in split_games(config.game_task, "train", 30)]
    return play(choose, games, "orig", np.random.default_rng(7))


def test_an_actor_critic_learns_to_tidy(tmp_path: Path) -> None:
    (config,) = resolve(Wanted("tidy-easy", ("actor-critic-hash",), (1000,)))
    training = Learning(config, tmp_path, lambda *_: None)
    for _ in range(6):
        training.advance(100)
    learned = played(config, training.chooser())
    chance = played(config, at_random)
    assert learned.shares.mean() > chance.shares.mean() + 0.1
    assert learned.moves.mean() < chance.moves.mean() - 8
