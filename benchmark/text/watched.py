"""Episodes of a finished run's policy to look at."""

from pathlib import Path

import numpy as np

from ...baselines.text.drrn import DRRN
from ...datasets.errors import UserError
from ..runs.checkpoint import read_checkpoint
from ..runs.config import RunConfig
from ..runs.layout import CHECKPOINT
from ..runs.records import check_checkpoint
from ..runs.tracks import Played
from .build import build_agent, split_games
from .config import TextConfig, text_config
from .evaluation import EVALUATION, Chooser, by_policy
from .evaluation import play as play_games
from .loop import UNTAUGHT


def load_chooser(folder: Path, config: TextConfig) -> Chooser:
    """The policy of the run in `folder`; a `UserError` if its checkpoint is not what was written."""
    if config.agent in UNTAUGHT:
        return UNTAUGHT[config.agent]
    agent, _ = build_agent(config)
    load_weights(agent, folder)
    return by_policy(agent)


def load_weights(agent: DRRN, folder: Path) -> None:
    """Bring an agent to the checkpoint of the run in `folder`; a `UserError` if that is not what was written."""
    check_checkpoint(folder)
    tensors, _ = read_checkpoint(folder / CHECKPOINT, np.random.default_rng())
    try:
        agent.load(tensors)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"checkpoint {folder / CHECKPOINT} holds other tensors than this policy has: {error}") from None


def play(folder: Path, config: RunConfig, device: str, lm: str, first_seed: int, episodes: int) -> list[Played]:
    """Episodes of the games that the run learned from; see `tracks.Work`. What they look like is in no array."""
    known = text_config(config)
    games = split_games(known.game_task, "train", episodes)
    rng = np.random.default_rng([first_seed, EVALUATION])
    played = play_games(load_chooser(folder, known), [game for _, game in games], "orig", rng)
    return [
        Played(number, 0.0, [], float(share), int(moves))
        for (number, _), share, moves in zip(games, played.shares, played.moves, strict=True)
    ]
