"""The policy that plays NetHack beside the loop that one would write: frames a second in cloning and in PPO.

The plain loop encodes every screen each time it is learned from, and remembers with PyTorch's own LSTM cell. It learns
the same: losses of both are compared before anything is measured.
"""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...baselines.online.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig, RecurrentRollout
from ...baselines.online.retention import Retention, RetentionConfig
from ...baselines.online.sequences import Sequences
from ...baselines.online.transitions import StagedSpec
from ...datasets.environments import nethack_screens as layout
from .harness import Measure, Row, Settings, faster, in_turn

ACTIONS = 118
STEPS = 32
ENVIRONMENTS = 16


def nethack_updates(settings: Settings, scratch: Path) -> list[Row]:
    """A batch of cloning, and a rollout of PPO with pi*'s encoder as it is, of made-up screens."""
    agent = RecurrentPPO(RecurrentPPOConfig(learning_rate=0.0), StagedSpec(layout.SIZE, ACTIONS, 2, True), 0)
    plain = PlainPolicy(agent)
    seen = made_up_screens(ENVIRONMENTS, STEPS)
    begins = torch.zeros(ENVIRONMENTS, STEPS, dtype=torch.bool)
    sequences = Sequences(seen, begins, agent.actor.first_states(ENVIRONMENTS))
    actions = torch.randint(ACTIONS, (ENVIRONMENTS * STEPS,), generator=torch.Generator().manual_seed(0))

    def clone() -> Tensor:
        return F.nll_loss(agent.actor.distribution(sequences, begins).log_probabilities, actions)

    def clone_plainly() -> Tensor:
        return F.cross_entropy(plain.logits(seen), actions)

    torch.testing.assert_close(clone(), clone_plainly(), rtol=1e-4, atol=1e-5)
    frames = f"{ENVIRONMENTS} sequences of {STEPS} screens"
    cloning = in_turn(settings, learning(agent, clone), learning(plain, clone_plainly))
    agent.freeze_encoder()
    rollout = made_up_rollout(agent, seen, actions.view(ENVIRONMENTS, STEPS).T)
    nothing = Retention(RetentionConfig())

    def encoded() -> Tensor:
        """The screens as they are encoded in the rollout, since the policy acts on them: both do that once."""
        with torch.no_grad():
            return agent.actor.encode(seen).transpose(0, 1)

    def learn() -> None:
        agent.update(made_with(rollout, encoded()), nothing)

    def learn_plainly() -> None:
        encoded()
        agent.update(rollout, nothing)

    updates = in_turn(settings, learn, learn_plainly)
    return [
        faster(f"nethack-lite: cloning, {frames}", "plain PyTorch", cloning, None),
        faster(f"nethack-lite: PPO, {frames}", "the same, encoding again to learn", updates, None),
    ]


class PlainPolicy(nn.Module):
    """The same network as one would write it: embeddings cell by cell, `nn.LSTMCell`."""

    def __init__(self, agent: RecurrentPPO) -> None:
        super().__init__()
        self.encoder = agent.actor.encoder
        self.head = agent.actor.head
        memory = agent.actor.memory
        self.cell = nn.LSTMCell(memory.inputs.in_features, memory.hidden)
        with torch.no_grad():
            self.cell.weight_ih.copy_(memory.inputs.weight)
            self.cell.bias_ih.copy_(memory.inputs.bias)
            self.cell.weight_hh.copy_(memory.recurrent.weight)
            self.cell.bias_hh.zero_()

    def logits(self, seen: Tensor) -> Tensor:
        """Logits (B T, A) of screens (B, T, S)."""
        output = torch.zeros(len(seen), self.cell.hidden_size)
        cell = torch.zeros_like(output)
        outputs = []
        for step in range(seen.shape[1]):
            output, cell = self.cell(self.encoder(seen[:, step]), (output, cell))
            outputs.append(output)
        found: Tensor = self.head(torch.stack(outputs, 1).flatten(0, 1))
        return found


def learning(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """A function that takes one step of Adam on a loss."""
    optimizer = torch.optim.Adam(module.parameters(), 0.0, fused=True)

    def learn() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss())
        optimizer.step()

    return learn


def made_up_screens(*shape: int) -> Tensor:
    """Observations (..., S) of random characters, colours and cursors."""
    rng = np.random.default_rng(0)
    count = math.prod(shape)
    screens = layout.Screens(
        characters=rng.integers(32, 127, (count, layout.ROWS, layout.COLUMNS), np.uint8),
        colours=rng.integers(0, 16, (count, layout.ROWS, layout.COLUMNS), np.uint8),
        cursors=np.stack([rng.integers(layout.ROWS, size=count), rng.integers(layout.COLUMNS, size=count)], 1).astype(
            np.uint8
        ),
        keys_before=rng.integers(0, 256, count, np.uint8),
    )
    return torch.from_numpy(screens.observations()).view(*shape, layout.SIZE)


def made_up_rollout(agent: RecurrentPPO, seen: Tensor, actions: Tensor) -> RecurrentRollout:
    """A rollout of screens (E, T, S) and actions (T, E), with random rewards."""
    generator = torch.Generator().manual_seed(1)
    like = torch.zeros(actions.shape)
    states = agent.actor.first_states(len(seen))
    return RecurrentRollout(
        observations=seen.transpose(0, 1),
        stages=torch.zeros_like(actions),
        actions=actions,
        log_probs=like - math.log(ACTIONS),
        values=like,
        rewards=torch.randn(actions.shape, generator=generator),
        dones=like,
        last_values=like[0],
        begins=like.bool(),
        states=states,
        teacher_states=states,
    )


def made_with(rollout: RecurrentRollout, encoded: Tensor) -> RecurrentRollout:
    """The rollout, its screens encoded (T, E, W)."""
    return RecurrentRollout(**(vars(rollout) | {"observations": encoded}))


MEASUREMENTS: dict[str, Measure] = {"nethack": nethack_updates}
