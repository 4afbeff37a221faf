"""Soft actor-critic (Haarnoja et al., 2018, with the learned temperature of their second paper) for one CPU core.

This is the algorithm that D4RL's locomotion sets come from; the actor is small, since it ships. It stands apart from
`baselines/online/sac.py` only because the hashes of recorded data hang on the bits of the players that it found.
Shapes: B batch, S observation, A action.
"""

from dataclasses import dataclass

import numpy as np

from ..trajectories import Array
from .perceptron import Adam, Perceptrons

LOG_DEVIATION = (-5.0, 2.0)  # the bounds of the logarithm of a policy's standard deviation, before the squashing
HALF_LOG_TWO_PI = 0.5 * float(np.log(2 * np.pi))


@dataclass(frozen=True)
class Settings:
    """The settings of a search; the paper's value where another one is taken."""

    actor_units: int = 64  # of each of two hidden layers; what ships grows with its square (paper: 256)
    critic_units: int = 128  # of each of two hidden layers; most of the time goes here (paper: 256)
    batch_size: int = 128  # transitions (paper: 256)
    learning_rate: float = 1e-3  # of actor, critics and temperature (paper: 0.0003)
    discount: float = 0.99
    target_rate: float = 0.005  # share of their way that the slow critics go with every update
    actor_every: int = 2  # updates of the critics for one of the actor and of the temperature (paper: 1)
    random_steps: int = 10_000  # steps of uniformly random actions at the start; they fix the normalisation


@dataclass(frozen=True)
class Batch:
    """Transitions: observation, action, reward, next observation, and whether value ends there."""

    observations: Array  # (B, S)
    actions: Array  # (B, A)
    rewards: Array  # (B,)
    next_observations: Array  # (B, S)
    terminals: Array  # (B,): 1 where the agent fell; an episode that was cut at its horizon is not terminal


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
        row[:first] = observation
        row[first:second] = action
        row[second] = reward
        row[third:fourth] = next_observation
        row[fourth] = terminal
        self.size += 1

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Transitions drawn uniformly, with replacement."""
        rows = self.rows[rng.integers(self.size, size=batch_size)]
        first, second, third, fourth = self.splits
        return Batch(rows[:, :first], rows[:, first:second], rows[:, second], rows[:, third:fourth], rows[:, fourth])


@dataclass(frozen=True)
class Sample:
    """Actions that a policy drew, and what their gradients need."""

    actions: Array  # (B, A) in [-1, 1]
    log_probabilities: Array  # (B,)
    noise: Array  # (B, A) standard normal
    deviations: Array  # (B, A): what the noise was multiplied by
    squashed: Array  # (B, A): the hyperbolic tangent that the logarithm of the deviation came from


def draw(outputs: Array, rng: np.random.Generator) -> Sample:
    """Actions for an actor's (B, 2 A) outputs, by the reparametrisation of the paper's App. C."""
    means, raw = np.split(outputs, 2, axis=-1)
    squashed = np.tanh(raw)
    log_deviations = log_deviation(squashed)
    deviations = np.exp(log_deviations)
    noise = rng.standard_normal(means.shape, np.float32)
    wide = means + deviations * noise
    # log(1 - tanh(x)^2), in a form that does not cancel
    log_slopes = 2.0 * (np.log(np.float32(2.0)) - wide - np.logaddexp(np.float32(0.0), -2.0 * wide))
    log_probabilities = (-0.5 * noise**2 - log_deviations - HALF_LOG_TWO_PI - log_slopes).sum(axis=-1)
    return Sample(np.tanh(wide), log_probabilities, noise, deviations, squashed)


def log_deviation(squashed: Array) -> Array:
    """Map [-1, 1] to the bounds of the logarithm of the standard deviation."""
    low, high = LOG_DEVIATION
    value: Array = low + 0.5 * (high - low) * (squashed + 1.0)
    return value


def output_gradient(sample: Sample, temperature: float, value_gradient: Array) -> Array:
    """The gradient (B, 2 A) of temperature * log probability - value for an actor's outputs, for each of B actions.

    `value_gradient` is that of the value for the actions, (B, A).
    """
    low, high = LOG_DEVIATION
    for_means = 2.0 * temperature * sample.actions - value_gradient * (1.0 - sample.actions**2)
    for_log_deviations = for_means * sample.deviations * sample.noise - temperature
    return np.concatenate((for_means, for_log_deviations * (0.5 * (high - low)) * (1.0 - sample.squashed**2)), axis=-1)


class SoftActorCritic:
    """An actor, two critics, slow copies of these that targets come from, a temperature, and their optimisers."""

    def __init__(self, observation_size: int, action_size: int, settings: Settings, rng: np.random.Generator) -> None:
        self.settings = settings
        self.rng = rng
        self.updates = 0
        self.action_size = action_size
        actor_units = settings.actor_units
        units = settings.critic_units
        self.actor = Perceptrons(1, [observation_size, actor_units, actor_units, 2 * action_size], rng)
        self.critics = Perceptrons(2, [observation_size + action_size, units, units, 1], rng)
        self.slow_critics = self.critics.copy()
        self.log_temperature = np.zeros(1, np.float32)
        self.actor_optimizer = Adam(self.actor.parameters, settings.learning_rate)
        self.critic_optimizer = Adam(self.critics.parameters, settings.learning_rate)
        self.temperature_optimizer = Adam(self.log_temperature, settings.learning_rate)

    @property
    def temperature(self) -> float:
        """The worth of a unit of entropy, in units of reward."""
        return float(np.exp(self.log_temperature[0]))

    def update(self, batch: Batch) -> None:
        """One step of the critics; with every `actor_every`-th also one of the actor and of the temperature."""
        values, tape = self.critics.forward(np.concatenate((batch.observations, batch.actions), axis=1))
        errors = values - self.targets(batch)[:, None]  # (2, B, 1)
        self.critic_optimizer.step(self.critics.parameter_gradient(tape, errors * (2.0 / len(batch.rewards))))
        self.slow_critics.parameters += self.settings.target_rate * (
            self.critics.parameters - self.slow_critics.parameters
        )
        self.updates += 1
        if self.updates % self.settings.actor_every == 0:
            self._improve_actor(batch.observations)

    def targets(self, batch: Batch) -> Array:
        """The target (B,): reward plus discounted soft value of what followed (eqs. 2 and 3 of the second paper)."""
        sample = draw(self.actor.forward(batch.next_observations)[0][0], self.rng)
        values, _ = self.slow_critics.forward(np.concatenate((batch.next_observations, sample.actions), axis=1))
        soft_values = values[..., 0].min(axis=0) - self.temperature * sample.log_probabilities
        targets: Array = batch.rewards + self.settings.discount * (1.0 - batch.terminals) * soft_values
        return targets

    def _improve_actor(self, observations: Array) -> None:
        """One step of the actor (eq. 7) by the smaller value, and of the temperature (eq. 18) to an entropy of -A."""
        outputs, actor_tape = self.actor.forward(observations)
        sample = draw(outputs[0], self.rng)
        values, tape = self.critics.forward(np.concatenate((observations, sample.actions), axis=1))
        smaller = values.argmin(axis=0, keepdims=True) == np.arange(2)[:, None, None]  # (2, B, 1)
        inputs_gradient = self.critics.input_gradient(tape, smaller.astype(np.float32)).sum(axis=0)
        gradient = output_gradient(sample, self.temperature, inputs_gradient[:, observations.shape[1] :])
        self.actor_optimizer.step(self.actor.parameter_gradient(actor_tape, gradient[None] / len(observations)))
        missing = float(np.mean(sample.log_probabilities)) - self.action_size
        self.temperature_optimizer.step(np.full(1, -missing, np.float32))
