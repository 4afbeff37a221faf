"""Episodes of a finished run's policy to watch."""

from pathlib import Path

import numpy as np
import torch

from ...baselines.online.actors import Actor
from ...baselines.online.nethack_networks import RecurrentActor
from ...datasets.environments.nethack_lite import START, NetHackLite
from ...datasets.errors import UserError
from ..runs.checkpoint import read_weights
from ..runs.config import RunConfig
from ..runs.layout import CHECKPOINT
from ..runs.tracks import Played
from .build import build_agent, build_environment, spec_of
from .config import FinetuneConfig, finetune_config
from .evaluation import chosen, evaluation_seeds
from .games import play_games
from .pretrained import pretrained
from .rewind import rewound


def load_actor(folder: Path, config: FinetuneConfig) -> Actor:
    """The actor of the run in `folder`; for `rewind`, the actor of its last evaluation.

    A `UserError` if its checkpoint is not what was written.
    """
    weights = {name.removeprefix("policy."): tensor for name, tensor in read_weights(folder / CHECKPOINT).items()}
    agent = build_agent(config, spec_of(build_environment(config)), config.seed)
    try:
        agent.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"checkpoint {folder / CHECKPOINT} holds other tensors than this policy has: {error}") from None
    if config.method != "rewind":
        return agent.actor
    teacher = build_agent(config, spec_of(build_environment(config)), config.seed)
    pretrained(config).load_into(teacher)
    last = config.steps // config.evaluate_every
    return rewound(agent.actor, teacher.actor, build_environment(config), config, last)


@torch.no_grad()
def play(folder: Path, config: RunConfig, device: str, lm: str, first_seed: int, episodes: int) -> list[Played]:
    """Episodes of the whole task, one after the other; see `tracks.Work`. Of NetHack, without what was seen."""
    known = finetune_config(config)
    actor = load_actor(folder, known)
    environment = build_environment(known)
    played = []
    seeds = evaluation_seeds(first_seed, 0, episodes)
    if isinstance(actor, RecurrentActor) and isinstance(environment, NetHackLite):
        games = play_games(actor, environment, seeds, START)
        columns = zip(games.seeds, games.returns, games.lengths, strict=True)
        return [Played(int(seed), 0.0, [], float(paid), int(length)) for seed, paid, length in columns]
    for seed in seeds:
        generator = torch.Generator().manual_seed(int(seed))
        observations = [environment.reset(np.array([seed]))[0]]
        while True:
            step = environment.step(chosen(actor, observations[-1][None], environment.stage, generator))
            if step.episode_ended[0]:
                observations.append(step.next_observations[0])
                played.append(Played(int(seed), 0.0, observations, float(step.stage_success[0]), len(observations) - 1))
                break
            observations.append(step.observations[0])
    return played
