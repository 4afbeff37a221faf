"""Small neural policies in plain NumPy, and the files that a search leaves them in. Shapes: S observation, A action."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ..errors import UserError
from ..json_files import parse_json
from ..storage import whole_file
from ..trajectories import Array
from .sac import draw

PLAYERS_FOLDER = Path(__file__).resolve().parents[1] / "assets" / "players"
LAYERS = 3


@dataclass(frozen=True)
class Actor:
    """A soft actor-critic's policy: two hidden layers of rectifiers to the means and spreads of squashed Gaussians."""

    centre: Array  # (S,) float32: subtracted from the first S numbers of an observation; the network sees no others
    scale: Array  # (S,) float32: they are divided by it then
    layers: tuple[tuple[Array, Array], ...]  # (out, in) and (out,) float32 each

    def observe(self, observation: Array) -> Array:
        """The part (S,) float32 of an observation that the network sees."""
        seen: Array = (observation[: len(self.centre)].astype(np.float32) - self.centre) / self.scale
        return seen

    def act(self, observation: Array, rng: np.random.Generator | None = None) -> Array:
        """An action (A,) float32 in [-1, 1]: drawn from the policy, or its mean where there is nothing to draw with."""
        hidden = self.observe(observation)
        for weight, bias in self.layers[:-1]:
            hidden = np.maximum(weight @ hidden + bias, 0.0)
        weight, bias = self.layers[-1]
        outputs = weight @ hidden + bias
        action: Array = draw(outputs, rng).actions if rng else np.tanh(outputs[: len(outputs) // 2])
        return action


def play(env: gymnasium.Env, actor: Actor, seed: int, drawn: bool = True) -> float:
    """Play one episode and return its return; `seed` decides all of it. With `drawn`, actions are drawn, else means."""
    env_seed, policy_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(2))
    rng = np.random.default_rng(policy_seed) if drawn else None
    observation, _ = env.reset(seed=env_seed)
    episode_return = 0.0
    over = False
    while not over:
        observation, reward, terminated, truncated, _ = env.step(actor.act(observation, rng))
        episode_return += float(reward)
        over = terminated or truncated
    return episode_return


@dataclass(frozen=True)
class Players:
    """The result of a search: its actors on the way to the medium one, the medium one, and the best."""

    replay: tuple[Actor, ...]  # in the search's order; the last one is the medium one
    expert: Actor
    facts: Mapping[str, Any]  # task, seed, settings, learning curve, returns, versions: what `search.py` knows

    @property
    def medium(self) -> Actor:
        """The actor whose mean return is nearest a third of the expert's reference."""
        return self.replay[-1]


def shipped(actor: Actor) -> Actor:
    """The actor with its weights rounded as `save_players` stores them, to 16 bits."""
    rounded = tuple((_rounded(weight), _rounded(bias)) for weight, bias in actor.layers)
    return Actor(actor.centre, actor.scale, rounded)


def _rounded(array: Array) -> Array:
    # In one order in memory, as it comes from a file: it decides the last bits of a product.
    return np.ascontiguousarray(array, np.float16).astype(np.float32)


def save_players(path: Path, players: Players) -> None:
    """Write what a search leaves, whole or not at all: `shipped` actors, stacked by layer, and the facts as JSON."""
    from safetensors.numpy import save_file

    actors = [*players.replay, players.expert]
    tensors = {"centre": players.expert.centre, "scale": players.expert.scale}
    for layer in range(LAYERS):
        for part, name in enumerate(("weight", "bias")):
            stacked = np.stack([actor.layers[layer][part] for actor in actors])
            tensors[f"{name}_{layer + 1}"] = stacked.astype(np.float16)
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"facts": json.dumps(players.facts, sort_keys=True, allow_nan=False)})


def load_players(path: Path) -> Players:
    """Read what `save_players` wrote; a file that is missing or is something else is a `UserError`."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            facts = parse_json(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118 -- not a dict
        actors = _unstack(tensors)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} is not a file of `lamobench data search` ({error}); make it again: lamobench data search TASK"
        ) from None
    return Players(tuple(actors[:-1]), actors[-1], facts)


def _unstack(tensors: Mapping[str, Array]) -> list[Actor]:
    layers = [(tensors[f"weight_{n + 1}"], tensors[f"bias_{n + 1}"]) for n in range(LAYERS)]
    return [
        Actor(tensors["centre"], tensors["scale"], tuple((weight[i], bias[i]) for weight, bias in layers))
        for i in range(len(layers[0][0]))
    ]
