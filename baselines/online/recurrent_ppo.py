"""Proximal policy optimisation of a policy that remembers: PPO's losses, on whole stretches of episodes.

As in the paper's experiments with NetHack (arXiv 2402.02868, Appendix B), the critic is a head on the actor's
network, and what encodes the screens stays as pi* has it, where there is a pi*.
Shapes: T steps, E environments, B = T E steps or those of a minibatch, S bytes of an observation, W width of its
encoding, H width of the memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..fields import Amount, Count, Positive, Share
from ..networks import UpdateCount
from .agent import Agent, Info, first_weights
from .distributions import Categorical
from .nethack_networks import RecurrentActor, ScreenConfig
from .ppo import PPO, Decision, Minibatch, PPOLossConfig, Rollout, generalized_advantages
from .sequences import Sequences
from .transitions import StagedSpec, Visited


@dataclass(frozen=True)
class RecurrentPPOConfig(PPOLossConfig, ScreenConfig):
    """The paper's for NetHack (Appendix B), but for what a pilot on two cores needs otherwise."""

    discount: Share = 0.999  # the paper's 0.999999 looks further than our episodes are long
    learning_rate: Amount = 1e-4
    epsilon: Amount = 1e-7
    epochs: Count = 1
    batch_size: Count = 512  # steps of a minibatch; the paper's has 128 sequences of 32
    clip: Amount = 0.1
    entropy_weight: Amount = 0.001  # 0 in the paper where something is retained
    gradient_clip: Amount = 4.0
    reward_clip: Positive = 10.0  # points of a step that count
    reward_scale: Positive = 0.1  # of what counts: values of a few units
    freeze_encoder: bool = True  # whether pi*'s encoder stays as it is; from scratch it is always trained


@dataclass(frozen=True)
class RecurrentRollout(Rollout):
    """T steps of E environments, and what was remembered before them."""

    begins: Tensor  # (T, E) bool
    states: Tensor  # (E, 2, H)
    teacher_states: Tensor  # (E, 2, H): those of pi*, where it is asked


@dataclass(frozen=True)
class RecurrentMinibatch(Minibatch):
    """Sequences of a rollout; what is learned of each step, one sequence after the other."""

    observations: Any  # Sequences
    shown: Sequences  # the same, with what pi* remembers


class RecurrentPPO(PPO):
    """An actor that remembers, a critic that shares its network, and one optimiser for both."""

    config: RecurrentPPOConfig
    actor: RecurrentActor
    critic: nn.Linear  # type: ignore[assignment]

    def __init__(self, config: RecurrentPPOConfig, spec: StagedSpec, seed: int) -> None:
        Agent.__init__(self, [seed])
        self.config = config
        with first_weights(seed):
            self.actor = RecurrentActor(spec, config)
            self.critic = nn.Linear(config.hidden, 1)
        self.updates = UpdateCount()
        self.frozen = False
        self.optimizers["all"] = torch.optim.Adam(
            self.parameters(), config.learning_rate, eps=config.epsilon, fused=True
        )

    def freeze_encoder(self) -> None:
        """Keep the encoder as it is from now on; screens may then be encoded once."""
        self.actor.encoder.requires_grad_(False)
        self.frozen = True

    @torch.no_grad()
    def go_on(self, observations: Tensor, begins: Tensor, states: Tensor) -> tuple[Decision, Tensor]:
        """Draw an action in each of E environments, at observations (E, S) or (E, W); also the states (E, 2, H) after.

        `begins` (E,) tells where an episode begins.
        """
        outputs, states = self.actor.remember(Sequences(observations[:, None], begins[:, None], states))
        policy = self.actor.choose(outputs[:, 0])
        actions = policy.sample(policy.noise(self.generators[0]))
        return Decision(actions, policy.log_prob(actions), self._valued(outputs[:, 0])), states

    def value(self, observations: Sequences, stages: Tensor) -> Tensor:  # type: ignore[override]
        """The critic's values (B,), whose gradients reach the critic alone: for its warm-up."""
        with torch.no_grad():
            outputs = self.actor.remember(observations)[0].flatten(0, 1)
        return self._valued(outputs)

    def update_critic(self, rollout: Rollout) -> Info:
        """Train only the critic on a rollout; tells its mean value too, which has to come to what pi* is worth."""
        return super().update_critic(rollout) | {"value": rollout.values.mean()}

    def judge(self, observations: Sequences, stages: Tensor) -> tuple[Categorical, Tensor]:  # type: ignore[override]
        """The policy and the values (B,), of one pass."""
        outputs = self.actor.remember(observations)[0].flatten(0, 1)
        return self.actor.choose(outputs), self._valued(outputs)

    def _valued(self, outputs: Tensor) -> Tensor:
        values: Tensor = self.critic(outputs)
        return values.squeeze(-1)

    def visited(self, batch: Minibatch, policy: Any) -> Visited:
        """The steps of a minibatch, for retention: pi* is asked with its own memories."""
        assert isinstance(batch, RecurrentMinibatch)
        return Visited(batch.shown, batch.stages, policy)  # type: ignore[arg-type]

    def minibatches(self, rollout: Rollout) -> Iterator[Minibatch]:
        """Each environment's steps once an epoch, in an order drawn for it."""
        assert isinstance(rollout, RecurrentRollout)
        steps, environments = rollout.rewards.shape
        advantages = generalized_advantages(rollout, self.config.discount, self.config.gae_lambda)
        returns = advantages + rollout.values
        for _ in range(self.config.epochs):
            order = torch.randperm(environments, generator=self.generators[0])
            for rows in torch.split(order, max(1, self.config.batch_size // steps)):

                def part(column: Tensor, rows: Tensor = rows) -> Tensor:
                    return column[:, rows].transpose(0, 1)  # (b, T, ...)

                seen = part(rollout.observations)
                begins = part(rollout.begins)
                yield RecurrentMinibatch(
                    observations=Sequences(seen, begins, rollout.states[rows]),
                    stages=part(rollout.stages).flatten(),
                    actions=part(rollout.actions).flatten(),
                    log_probs=part(rollout.log_probs).flatten(),
                    advantages=part(advantages).flatten(),
                    returns=part(returns).flatten(),
                    shown=Sequences(seen, begins, rollout.teacher_states[rows]),
                )
