"""Evaluation by whole games, of a policy that remembers.

Shapes: E games, all side by side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ...baselines.online.nethack_networks import RecurrentActor
from ...baselines.online.sequences import Sequences
from ...datasets.environments.nethack_lite import FACTS, NetHackLite
from .evaluation import StageEpisodes


@dataclass(frozen=True)
class GameEpisodes(StageEpisodes):
    """The outcome of E games; none is a success."""

    facts: NDArray[np.int64]  # (E, 4) `FACTS` at their ends


@torch.no_grad()
def play_games(actor: RecurrentActor, environment: NetHackLite, seeds: NDArray[np.int64], stage: int) -> GameEpisodes:
    """Play a game from each seed, begun at `stage`; games that are over rest, and nothing is decided for them."""
    count = len(seeds)
    generator = torch.Generator().manual_seed(int(seeds[0]))
    environment.single = True
    observations = environment.reset(seeds, stage, only=True)
    states = actor.first_states(count)
    returns = np.zeros(count)
    lengths = np.zeros(count, np.int64)
    facts = np.zeros((count, len(FACTS)), np.int64)
    playing = np.arange(count)
    while len(playing):
        seen = torch.from_numpy(observations[playing])[:, None]
        outputs, states[playing] = actor.remember(
            Sequences(seen, torch.zeros(len(playing), 1, dtype=torch.bool), states[playing])
        )
        policy = actor.choose(outputs[:, 0])
        actions = np.zeros(count, np.int64)
        actions[playing] = policy.sample(policy.noise(generator)).numpy()
        step = environment.step(actions)
        returns[playing] += step.rewards[playing]
        lengths[playing] += 1
        facts[playing] = environment.final_facts[playing]
        playing = playing[~step.episode_ended[playing]]
        observations = step.observations
    return GameEpisodes(seeds, np.zeros(count, bool), returns, lengths, facts)


def facts_of(played: GameEpisodes, name: str) -> dict[str, float]:
    """Means over games, their names behind "NAME_": of the score and the other facts."""
    means = dict(zip(FACTS, played.facts.mean(0).tolist(), strict=True)) | {"score": float(played.returns.mean())}
    return {f"{name}_{fact}": value for fact, value in means.items()}
