"""TD3 (Fujimoto, van Hoof and Meger, 2018) in NumPy, for one CPU core: a small actor that ships, two wider critics.

What differs from the paper, but for sizes and rates: the critics normalise their hidden layers (Ba et al., 2016), which
keeps values from running away. Shapes: B batch, S observation, A action.
"""

from dataclasses import dataclass

import numpy as np

from ..trajectories import Array
from .perceptron import Adam, Perceptrons


@dataclass(frozen=True)
class Settings:
    """What a search is run with; the paper's value where none is given."""

    actor_units: int = 64  # of each of two hidden layers; what ships grows with its square (paper: 400 and 300)
    critic_units: int = 128  # of each of two hidden layers; most of the time goes here (paper: 400 and 300)
    batch_size: int = 128  # transitions (paper: 100)
    learning_rate: float = 1e-3  # of actor and critics
    discount: float = 0.99
    target_rate: float = 0.005  # share of their way that targets go when they move, every `actor_every`
    target_noise: float = 0.2  # standard deviation of the noise on the target's action, in action units
    target_noise_limit: float = 0.5  # and the value at which it is cut
    exploration_noise: float = 0.1  # standard deviation of the noise on actions, in action units
    actor_every: int = 2  # updates of the critics for one of the actor and of the targets
    random_steps: int = 10_000  # steps of uniformly random actions at the start; the replay's first content


@dataclass(frozen=True)
class Batch:
    """Transitions: what was seen, done and paid, what was seen next, and whether that is worth nothing more."""

    observations: Array  # (B, S)
    actions: Array  # (B, A)
    rewards: Array  # (B,)
    next_observations: Array  # (B, S)
    terminals: Array  # (B,): 1 where the agent fell; an episode that was cut at its horizon goes on in this respect


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
        rows = self.rows[rng.integers(self.size, size=batch_size)]
        first, second, third, fourth = self.splits
        return Batch(rows[:, :first], rows[:, first:second], rows[:, second], rows[:, third:fourth], rows[:, fourth])


class TD3:
    """An actor, two critics, the slow copies of both that targets come from, and their optimisers."""

    def __init__(self, observation_size: int, action_size: int, settings: Settings, rng: np.random.Generator) -> None:
        self.settings, self.rng, self.updates = settings, rng, 0
        units, inputs = settings.critic_units, observation_size + action_size
        self.actor = Perceptrons(1, [observation_size, *[settings.actor_units] * 2, action_size], False, rng)
        self.critics = Perceptrons(2, [inputs, units, units, 1], True, rng)
        self.target_actor, self.target_critics = self.actor.copy(), self.critics.copy()
        self.actor_optimizer = Adam(self.actor.parameters, settings.learning_rate)
        self.critic_optimizer = Adam(self.critics.parameters, settings.learning_rate)

    def update(self, batch: Batch) -> None:
        """One step of the critics; with every `actor_every`-th also one of the actor and of the slow copies."""
        values, tape = self.critics.forward(np.concatenate((batch.observations, batch.actions), axis=1))
        errors = values - self.targets(batch)[:, None]  # (2, B, 1)
        self.critic_optimizer.step(self.critics.parameter_gradient(tape, errors * (2.0 / len(batch.rewards))))
        self.updates += 1
        if self.updates % self.settings.actor_every == 0:
            self._improve_actor(batch.observations)
            self._follow(self.target_actor, self.actor)
            self._follow(self.target_critics, self.critics)

    def targets(self, batch: Batch) -> Array:
        """(B,): reward plus the discounted smaller of two target values of a slightly noisy action (eqs. 14 and 15)."""
        settings = self.settings
        noise = settings.target_noise * self.rng.standard_normal(batch.actions.shape, np.float32)
        np.clip(noise, -settings.target_noise_limit, settings.target_noise_limit, out=noise)
        actions = np.clip(np.tanh(self.target_actor.forward(batch.next_observations)[0][0]) + noise, -1.0, 1.0)
        values, _ = self.target_critics.forward(np.concatenate((batch.next_observations, actions), axis=1))
        targets: Array = batch.rewards + settings.discount * (1.0 - batch.terminals) * values[..., 0].min(axis=0)
        return targets

    def _improve_actor(self, observations: Array) -> None:
        """One step up the first critic's mean value of the actor's actions (eq. 3)."""
        before_tanh, actor_tape = self.actor.forward(observations)
        actions = np.tanh(before_tanh[0])
        values, tape = self.critics.forward(np.concatenate((observations, actions), axis=1), first=1)
        down = np.full_like(values, -1.0 / len(observations))
        back = self.critics.input_gradient(tape, down)[:, :, observations.shape[1] :] * (1.0 - actions**2)
        self.actor_optimizer.step(self.actor.parameter_gradient(actor_tape, back))

    def _follow(self, slow: Perceptrons, fast: Perceptrons) -> None:
        slow.parameters += self.settings.target_rate * (fast.parameters - slow.parameters)
