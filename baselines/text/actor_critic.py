"""Actor-critic with experience replay, as the text of Gruppi et al. 2024 (arXiv 2404.10174) has it.

Recurrent networks read state and command, a linear layer scores them, and the policy is the softmax over commands. The
text gives no losses, and the published code learns Q alone (`drrn.py`). Here a second linear layer beside the scores is
the critic's Q, which learns from replayed steps as that code's does, but towards what the policy expects (expected
SARSA, van Seijen et al. 2009). The actor follows the gradient over all commands (Allen et al. 2017, arXiv 1709.00503):
the replayed choice is none of its terms, so old steps need no importance weights.
Shapes: B states, C commands of them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..fields import Amount, Positive
from .drrn import DRRN, DRRNConfig
from .network import log_policy, places_of
from .replay import Transition
from .texts import make_batch

# Columns of what the network says of a command.
SCORE = 0
VALUE = 1


@dataclass(frozen=True)
class ActorCriticConfig(DRRNConfig):
    """Settings; what both agents have is as `DRRNConfig` has it."""

    temperature: Positive = 1.0  # of the softmax over scores
    entropy: Amount = 0.03  # weight of the policy's entropy, in points; of 0.01 to 0.1, on seed 1000 and tidy-easy


class ActorCritic(DRRN):
    """The agent: a network that says a score and Q of each command, and all else that DRRN has."""

    outputs = 2
    config: ActorCriticConfig

    def loss(self, transitions: Sequence[Transition]) -> Tensor:
        """The critic's Huber loss, less what the actor expects by its Q, less the weighted entropy of the policy."""
        targets = self.targets(transitions)  # (B,)
        states = [transition.state for transition in transitions]
        batch = make_batch(self.texts, states)
        outputs = self.network(self._online_vectors(batch.pieces), batch)  # (C, 2)
        logs = log_policy(self.preferences(outputs), batch.state_of, len(states))  # (C,)
        values = outputs[:, VALUE]
        chosen = places_of(states, [transition.command for transition in transitions])
        critic = F.smooth_l1_loss(values[chosen], targets)
        expected = (logs.exp() * values.detach()).sum() / len(states)
        entropy = -(logs.exp() * logs).sum() / len(states)
        total: Tensor = critic - expected - self.config.entropy * entropy
        return total

    @torch.no_grad()
    def targets(self, transitions: Sequence[Transition]) -> Tensor:
        """Return r + discount * sum over the commands that follow of policy * Q (B,), both of the target network."""
        batch = make_batch(self.texts, [transition.following for transition in transitions])
        outputs = self.target(self.vectors(batch.pieces), batch)  # (C, 2)
        policy = log_policy(self.preferences(outputs), batch.state_of, len(transitions)).exp()
        rewards = torch.tensor([transition.reward for transition in transitions])
        expected = torch.zeros(len(transitions)).index_add(0, batch.state_of, policy * outputs[:, VALUE])
        goes_on = torch.tensor([0.0 if transition.ended else 1.0 for transition in transitions])
        return rewards + self.config.discount * goes_on * expected

    def preferences(self, outputs: Tensor) -> Tensor:
        """Return what the policy is the softmax of, (C,): scores / T."""
        return outputs[:, SCORE] / self.config.temperature
