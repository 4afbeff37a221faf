"""ReBRAC (Tarasov et al. 2023, arXiv 2305.09836): TD3+BC with cloning penalties on both actor and critics, and depth.

Defaults are the authors' code as CORL publishes it; its penalties are tuned for each data set. Two things differ from
it: actor and critics learn from one backward pass, so an actor's step sees the critics as they were before that step;
and an episode's last step before a timeout, which their reader drops, is trained on, without a penalty on the critics'
target, since the data have no next action there.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets.fractions import Subset
from ..datasets.windows import ChainedBatch, ChainedSampler
from .fields import Amount, Count, Share
from .networks import Ensemble, UpdateCount, mlp, move_towards
from .policy import ActionBounds, History, Normalizer, OptimizerSettings, Policy, Spec
from .td3_bc import smoothed


@dataclass(frozen=True)
class ReBRACConfig:
    """Every field's source in its comment."""

    hidden: tuple[Count, ...] = (256, 256, 256)  # of actor and critics; authors' code
    layer_norm: bool = True  # in the critics, after each ReLU; authors' code
    normalize_states: bool = False  # to zero mean and unit variance; authors' code: no
    discount: Share = 0.99  # authors' code; 0.999 on AntMaze
    actor_learning_rate: Amount = 1e-3  # authors' code for locomotion
    critic_learning_rate: Amount = 1e-3  # authors' code for locomotion
    target_rate: Share = 5e-3  # share of actor and critics that moves into their targets; authors' code
    target_noise: Amount = 0.2  # standard deviation of the noise on a target's action, in [-1, 1]; authors' code
    target_noise_limit: Amount = 0.5  # largest size of that noise; authors' code
    actor_every: Count = 2  # critic updates to one of the actor and of all targets; authors' code
    actor_penalty: Amount = 1.0  # beta_1, on the actor's squared distance to the data; authors' code, before tuning
    critic_penalty: Amount = 1.0  # beta_2, on the target action's squared distance; authors' code, before tuning


class ReBRAC(Policy):
    """A deterministic actor and two critics with LayerNorm, all with targets."""

    def __init__(self, config: ReBRACConfig, spec: Spec) -> None:
        super().__init__()
        self.config = config
        self.normalize = Normalizer(spec) if config.normalize_states else nn.Identity()
        self.bounds = ActionBounds(spec)
        self.actor = mlp((spec.observation_dim, *config.hidden, spec.action_dim))
        self.critic = Ensemble(2, (spec.observation_dim + spec.action_dim, *config.hidden, 1), config.layer_norm)
        initialize(self.actor, self.critic)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.updates = UpdateCount()

    @property
    def actor_is_due(self) -> bool:
        """Whether the update under way is one of the actor's: the first and then every second one, by default."""
        return self.updates.done % self.config.actor_every == 0

    def sampler(self, subset: Subset) -> ChainedSampler:
        """Transitions with the data's next action."""
        return ChainedSampler(subset)

    def draw(self, batch: ChainedBatch) -> tuple[Tensor]:
        """Noise (B, A) of variance 1, for the target's actions."""
        return (torch.randn_like(batch.actions),)

    def loss(self, batch: ChainedBatch, noise: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """The critics' loss and, where the actor is due, the actor's; each reaches its own parameters alone.

        Where it is not, the actor has no gradient, and the optimiser leaves it and its moments as they are.
        """
        if noise is None:
            (noise,) = self.draw(batch)
        states, actions = self.normalize(batch.observations), self.bounds.to_unit(batch.actions)
        total = self.critic_loss(batch, states, actions, noise)
        metrics = {"critic_loss": total}
        if self.actor_is_due:
            metrics |= self.actor_losses(states, actions)
            total = total + metrics["actor_loss"]
        return total, {name: value.detach() for name, value in metrics.items()}

    def actor_losses(self, states: Tensor, actions: Tensor) -> dict[str, Tensor]:
        """beta_1 |pi(s) - a|^2 - lambda min Q(s, pi(s)), where lambda = 1 / mean |min Q|; the norm sums over A."""
        chosen = torch.tanh(self.actor(states))
        value = self.critic(torch.cat([states, chosen], -1), frozen=True).float().amin(0)
        scale = 1.0 / value.detach().abs().mean()
        distance = (chosen - actions).square().sum(-1).mean()
        return {
            "actor_loss": self.config.actor_penalty * distance - scale * value.mean(),
            "action_error": distance / actions.shape[-1],
        }

    def critic_loss(self, batch: ChainedBatch, states: Tensor, actions: Tensor, noise: Tensor) -> Tensor:
        """Mean squared Bellman error, summed over both critics."""
        target = self.bellman_target(batch, noise)
        values = self.critic(torch.cat([states, actions], -1)).squeeze(-1).float()  # (2, B)
        return F.mse_loss(values, target.expand_as(values), reduction="none").mean(1).sum()

    @torch.no_grad()
    def bellman_target(self, batch: ChainedBatch, noise: Tensor) -> Tensor:
        """(B,): r + discount * (min Q'(s', a') - beta_2 |a' - the data's next action|^2), a' = pi'(s') + noise.

        Nothing beyond a terminal; timeouts bootstrap, without the penalty: the data have no next action there.
        """
        next_states = self.normalize(batch.next_observations)
        chosen = torch.tanh(self.target_actor(next_states))
        next_actions = smoothed(chosen, self.config.target_noise * noise, self.config.target_noise_limit)
        value: Tensor = self.target_critic(torch.cat([next_states, next_actions], -1)).squeeze(-1).float().amin(0)
        distance = (next_actions - self.bounds.to_unit(batch.next_actions)).square().sum(-1)
        value = value - self.config.critic_penalty * batch.goes_on * distance
        return batch.rewards + self.config.discount * (1.0 - batch.terminals) * value

    def act(self, history: History) -> Tensor:
        """The actor's action."""
        return self.bounds.from_unit(torch.tanh(self.actor(self.normalize(history.observations[:, -1]))))

    def after_update(self) -> None:
        """Count, and after the actor's updates move the targets."""
        if self.actor_is_due:
            move_towards(self.target_actor, self.actor, self.config.target_rate)
            move_towards(self.target_critic, self.critic, self.config.target_rate)
        self.updates.add()

    def optimizer_settings(self) -> OptimizerSettings:
        """One group for the actor, one for the critics."""
        parts = ((self.actor, self.config.actor_learning_rate), (self.critic, self.config.critic_learning_rate))
        return OptimizerSettings(
            [{"params": list(part.parameters()), "lr": rate, "weight_decay": 0.0} for part, rate in parts]
        )


@torch.no_grad()
def initialize(actor: nn.Sequential, critic: Ensemble) -> None:
    """The authors' start: weights as PyTorch's, hidden biases 0.1, and outputs near 0 (0.001 and 0.003)."""
    linear = [layer for layer in actor if isinstance(layer, nn.Linear)]
    for layer in linear[:-1]:
        layer.bias.fill_(0.1)
    for parameter in linear[-1].parameters():
        parameter.uniform_(-1e-3, 1e-3)
    for bias in critic.biases[:-1]:
        bias.fill_(0.1)
    for parameter in (critic.weights[-1], critic.biases[-1]):
        parameter.uniform_(-3e-3, 3e-3)
