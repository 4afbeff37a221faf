"""Episodes of a finished run's policy to look at."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import UserError
from ...datasets.games.game import Game, Scene
from ...datasets.games.players import OpenEpisode
from ..runs.checkpoint import read_weights
from ..runs.config import RunConfig
from ..runs.layout import CHECKPOINT
from ..runs.tracks import Played
from .build import build_agent, split_games
from .collecting import draw
from .config import TextConfig, text_config
from .evaluation import EVALUATION, UNTAUGHT, Policy, by_policy, goes_on, take
from .evaluation import play as play_games


def load_policy(folder: Path, config: TextConfig) -> Policy:
    """The policy of the run in `folder`; a `UserError` if its checkpoint is not what was written."""
    if config.agent in UNTAUGHT:
        return UNTAUGHT[config.agent].policy
    agent, _ = build_agent(config)
    load_weights(agent, folder)
    policy: Policy = agent.policy()
    return policy


def load_weights(agent: Any, folder: Path) -> None:
    """Bring an agent to the checkpoint of the run in `folder`; a `UserError` if that is not what was written."""
    tensors = read_weights(folder / CHECKPOINT)
    try:
        agent.load_weights(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"checkpoint {folder / CHECKPOINT} holds other tensors than this policy has: {error}") from None


@dataclass(frozen=True)
class Move:
    """A move of a policy."""

    scene: Scene  # as it read it
    probabilities: Sequence[float]  # of the scene's commands
    chosen: int
    following: Scene


def moves(folder: Path, config: TextConfig, game: Game, seed: int) -> Iterator[Move]:
    """The moves of the policy of the run in `folder`, until the game is over or leaves it no command."""
    policy = load_policy(folder, config)
    rng = np.random.default_rng([seed, EVALUATION])
    episode = OpenEpisode(game, [game.reset()], [])
    while goes_on(episode):
        (probabilities,) = policy([episode])
        choice = draw(probabilities, rng)
        before = episode.scenes[-1]
        take(episode, choice)
        yield Move(before, probabilities.tolist(), choice, episode.scenes[-1])


def play(folder: Path, config: RunConfig, device: str, lm: str, first_seed: int, episodes: int) -> list[Played]:
    """Episodes of the games that the run learned from; see `tracks.Work`. What they look like is in no array."""
    known = text_config(config)
    games = split_games(known.game_task, "train", episodes)
    rng = np.random.default_rng([first_seed, EVALUATION])
    agent = UNTAUGHT.get(known.agent)
    choose = agent.choose if agent else by_policy(load_policy(folder, known))
    played = play_games(choose, [game for _, game in games], "orig", rng)
    target = known.target_returns[0]
    return [
        Played(number, target, [], float(share), int(moves))
        for (number, _), share, moves in zip(games, played.shares, played.moves, strict=True)
    ]
