"""TD3 (Fujimoto, van Hoof and Meger, 2018) for one CPU core: a small actor that ships, two wider critics.

What differs from the paper: the critics normalise their hidden layers, which lets a small batch and a high learning
rate be stable, and the actor has 64 units a layer, since it is shipped. Shapes: B batch, S observation, A action, H
hidden units.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..trajectories import Array


@dataclass(frozen=True)
class Settings:
    """What a search is run with; the paper's value where none is given."""

    actor_units: int = 64  # of each of two hidden layers; what ships grows with its square (paper: 400 and 300)
    critic_units: int = 128  # of each of two hidden layers; most of the time goes here (paper: 400 and 300)
    batch_size: int = 128  # transitions (paper: 100)
    learning_rate: float = 1e-3  # of actor and critics
    discount: float = 0.99
    target_rate: float = 0.005  # share of the way that targets go towards their networks with every update
    target_noise: float = 0.2  # standard deviation of the noise on the target's action, in action units
    target_noise_limit: float = 0.5  # and the value at which it is cut
    exploration_noise: float = 0.1  # standard deviation of the noise on actions, in action units
    actor_every: int = 2  # updates of the critics for one of the actor and of the targets
    random_steps: int = 10_000  # steps of uniformly random actions at the start; they also fix the normalisation


@dataclass(frozen=True)
class Batch:
    """Transitions: what was seen, done and paid, what was seen next, and whether that is worth nothing more."""

    observations: Tensor  # (B, S), normalised
    actions: Tensor  # (B, A)
    rewards: Tensor  # (B,)
    next_observations: Tensor  # (B, S), normalised
    terminals: Tensor  # (B,): 1 where the agent fell; an episode that was cut at its horizon goes on in this respect


class Replay:
    """All transitions of a search in flat arrays, preallocated: nothing is ever dropped."""

    def __init__(self, capacity: int, observation_size: int, action_size: int) -> None:
        width = 2 * observation_size + action_size + 2
        self.splits = np.cumsum([observation_size, action_size, 1, observation_size]).tolist()
        self.rows = np.zeros((capacity, width), np.float32)
        self.size = 0

    def add(self, observation: Array, action: Array, reward: float, next_observation: Array, terminal: bool) -> None:
        """Append one transition: (S,), (A,), scalar, (S,), whether the agent fell."""
        row = self.rows[self.size]
        first, second, third, fourth = self.splits
        row[:first], row[first:second], row[second], row[third:fourth] = observation, action, reward, next_observation
        row[fourth] = terminal
        self.size += 1

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Transitions drawn uniformly, with replacement."""
        rows = torch.from_numpy(self.rows[rng.integers(self.size, size=batch_size)])
        first, second, third, fourth = self.splits
        return Batch(rows[:, :first], rows[:, first:second], rows[:, second], rows[:, third:fourth], rows[:, fourth])


class Critics(nn.Module):
    """Two Q-functions side by side, so that one batched product serves both."""

    def __init__(self, observation_size: int, action_size: int, units: int) -> None:
        super().__init__()
        sizes = [observation_size + action_size, units, units, 1]
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for fan_in, fan_out in pairwise(sizes):
            bound = fan_in**-0.5  # as torch.nn.Linear
            self.weights.append(nn.Parameter(torch.empty(2, fan_in, fan_out).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(2, 1, fan_out).uniform_(-bound, bound)))

    def forward(self, observations: Tensor, actions: Tensor, count: int = 2) -> Tensor:
        """(count, B) values of (B, S) observations and (B, A) actions, by the first `count` of the two."""
        layers = list(zip(self.weights, self.biases, strict=True))
        if count < 2:
            layers = [(weight[:count], bias[:count]) for weight, bias in layers]
        hidden = torch.cat((observations, actions), dim=1).expand(count, -1, -1)  # (count, B, S + A)
        for weight, bias in layers[:-1]:
            hidden = torch.baddbmm(bias, hidden, weight)  # (count, B, H)
            hidden = functional.relu(functional.layer_norm(hidden, hidden.shape[-1:]))
        weight, bias = layers[-1]
        return torch.baddbmm(bias, hidden, weight).squeeze(-1)


def make_actor(observation_size: int, action_size: int, units: int) -> nn.Sequential:
    """(B, S) normalised observations to (B, A) actions in [-1, 1]."""
    layers = [nn.Linear(observation_size, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(units, action_size), nn.Tanh())


class TD3:
    """Actor, critics, their targets and their optimisers."""

    def __init__(self, observation_size: int, action_size: int, settings: Settings, seed: int) -> None:
        self.settings = settings
        self.random = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.actor = make_actor(observation_size, action_size, settings.actor_units)
            self.critics = Critics(observation_size, action_size, settings.critic_units)
        self.target_actor = make_actor(observation_size, action_size, settings.actor_units).requires_grad_(False)
        self.target_critics = Critics(observation_size, action_size, settings.critic_units).requires_grad_(False)
        self.target_actor.load_state_dict(self.actor.state_dict())
        self.target_critics.load_state_dict(self.critics.state_dict())
        self.actor_optimizer = torch.optim.Adam(self.actor.parameters(), settings.learning_rate, fused=True)
        self.critic_optimizer = torch.optim.Adam(self.critics.parameters(), settings.learning_rate, fused=True)
        self.updates = 0

    def update(self, batch: Batch) -> None:
        """One step of the critics; with every `actor_every`-th also one of the actor and of the targets."""
        values = self.critics(batch.observations, batch.actions)
        loss = functional.mse_loss(values, self.targets(batch).expand_as(values), reduction="sum") / values.shape[1]
        self.critic_optimizer.zero_grad()
        loss.backward()
        self.critic_optimizer.step()
        self.updates += 1
        if self.updates % self.settings.actor_every == 0:
            self._improve_actor(batch.observations)
            self._follow(self.target_critics, self.critics)
            self._follow(self.target_actor, self.actor)

    @torch.no_grad()
    def targets(self, batch: Batch) -> Tensor:
        """(B,): reward plus the discounted smaller of two target values of a slightly noisy action (eqs. 14 and 15)."""
        settings = self.settings
        noise = torch.randn(batch.actions.shape, generator=self.random) * settings.target_noise
        noise = noise.clamp_(-settings.target_noise_limit, settings.target_noise_limit)
        actions = (self.target_actor(batch.next_observations) + noise).clamp_(-1.0, 1.0)
        smaller = self.target_critics(batch.next_observations, actions).amin(dim=0)
        return batch.rewards + settings.discount * (1.0 - batch.terminals) * smaller

    def _improve_actor(self, observations: Tensor) -> None:
        self.critics.requires_grad_(False)
        loss = -self.critics(observations, self.actor(observations), count=1).mean()
        self.actor_optimizer.zero_grad()
        loss.backward()
        self.actor_optimizer.step()
        self.critics.requires_grad_(True)

    @torch.no_grad()
    def _follow(self, target: nn.Module, network: nn.Module) -> None:
        for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
            slow.lerp_(fast, self.settings.target_rate)
