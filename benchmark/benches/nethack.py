"""The policy that plays NetHack beside the loops that one would write: frames a second in cloning and in PPO.

The plain loops encode every screen where they need it, to act and to learn, and remember with PyTorch's own LSTM cell.
They learn the same: losses of both are compared before anything is measured. NetHack's own time is in neither.
Shapes: E environments or sequences, T steps, S bytes of an observation, A keys.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
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
from .harness import Measure, Row, Settings, in_turn, more

ACTIONS = 118
ENVIRONMENTS = 16
SEQUENCE = 32  # steps of a batch of cloning: the task's
STEPS = 128  # of a rollout: the task's
BATCH = 1024  # steps of a minibatch: the task's
BEGINS = 0.01  # the share of steps with which an episode begins
UNIT = "frames/s"


def nethack_updates(settings: Settings, scratch: Path) -> list[Row]:
    """A batch of cloning, and a round of PPO with pi*'s encoder as it is, of made-up screens."""
    config = RecurrentPPOConfig(learning_rate=0.0, batch_size=BATCH)
    agent = RecurrentPPO(config, StagedSpec(layout.SIZE, ACTIONS, 2, True), 0)
    return [_cloning(settings, agent), _ppo(settings, agent)]


def _cloning(settings: Settings, agent: RecurrentPPO) -> Row:
    plain = PlainAgent(agent)
    game = made_up_games(SEQUENCE)
    sequences = Sequences(game.seen, game.begins, agent.actor.first_states(ENVIRONMENTS))
    actions = torch.randint(ACTIONS, (ENVIRONMENTS * SEQUENCE,), generator=torch.Generator().manual_seed(0))

    def loss() -> Tensor:
        return F.nll_loss(agent.actor.distribution(sequences, game.begins).log_probabilities, actions)

    def plain_loss() -> Tensor:
        return F.cross_entropy(plain(game.seen, game.begins)[0], actions)

    torch.testing.assert_close(loss(), plain_loss(), rtol=1e-4, atol=1e-5)
    rounds = in_turn(settings, learning(agent, loss), learning(plain, plain_loss))
    label = f"nethack-lite: cloning, {ENVIRONMENTS} sequences of {SEQUENCE} screens"
    return more(label, "plain PyTorch", rounds, ENVIRONMENTS * SEQUENCE, UNIT)


def _ppo(settings: Settings, agent: RecurrentPPO) -> Row:
    agent.freeze_encoder()
    plain = PlainAgent(agent)
    games = made_up_games(STEPS)
    nothing = Retention(RetentionConfig())
    rollout = acted(agent, games)
    theirs = plain.act(games, rollout.actions)
    torch.testing.assert_close(rollout.log_probs, theirs.log_probs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rollout.values, theirs.values, rtol=1e-4, atol=1e-5)
    info = agent.update(rollout, nothing)
    policy_loss, value_loss = plain.update(theirs, games)
    torch.testing.assert_close(float(info["policy_loss"]), policy_loss, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(float(info["value_loss"]), value_loss, rtol=1e-3, atol=1e-5)

    def learn() -> None:
        agent.update(acted(agent, games), nothing)

    def learn_plainly() -> None:
        plain.update(plain.act(games), games)

    rounds = in_turn(settings, learn, learn_plainly)
    label = f"nethack-lite: acting and PPO, {ENVIRONMENTS} games of {STEPS} screens"
    return more(label, "plain PyTorch", rounds, ENVIRONMENTS * STEPS, UNIT)


@dataclass(frozen=True)
class Games:
    """T screens of E games that go on whatever is pressed."""

    seen: Tensor  # (E, T, S) uint8
    begins: Tensor  # (E, T) bool
    rewards: Tensor  # (E, T)


@dataclass(frozen=True)
class PlainRollout:
    """The columns that a plain loop keeps of acting, (T, E) each."""

    actions: Tensor
    log_probs: Tensor
    values: Tensor


class PlainAgent(nn.Module):
    """The same networks as one would write them, and their PPO: a screen at a time, `nn.LSTMCell`, Adam."""

    def __init__(self, agent: RecurrentPPO) -> None:
        super().__init__()
        self.config = agent.config
        self.encoder = agent.actor.encoder
        self.head = agent.actor.head
        self.critic = agent.critic
        memory = agent.actor.memory
        self.cell = nn.LSTMCell(memory.inputs.in_features, memory.hidden)
        with torch.no_grad():
            self.cell.weight_ih.copy_(memory.inputs.weight)
            self.cell.bias_ih.copy_(memory.inputs.bias)
            self.cell.weight_hh.copy_(memory.recurrent.weight)
            self.cell.bias_hh.zero_()
        self.optimizer = torch.optim.Adam(self.parameters(), self.config.learning_rate, eps=self.config.epsilon)

    def forward(self, seen: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B T, A) and values (B T,) of screens (B, T, S)."""
        output = torch.zeros(len(seen), self.cell.hidden_size)
        cell = torch.zeros_like(output)
        outputs = []
        for step in range(seen.shape[1]):
            output, cell = self._remember(seen[:, step], begins[:, step], output, cell)
            outputs.append(output)
        found = torch.stack(outputs, 1).flatten(0, 1)
        return self.head(found), self.critic(found).squeeze(-1)

    def _remember(self, seen: Tensor, begins: Tensor, output: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        keep = (~begins).float()[:, None]
        found: tuple[Tensor, Tensor] = self.cell(self.encoder(seen), (keep * output, keep * cell))
        return found

    @torch.no_grad()
    def act(self, games: Games, actions: Tensor | None = None) -> PlainRollout:
        """Choose a key at each screen, one after the other; or those that are given, (T, E)."""
        output = torch.zeros(len(games.seen), self.cell.hidden_size)
        cell = torch.zeros_like(output)
        columns = []
        for step in range(games.seen.shape[1]):
            output, cell = self._remember(games.seen[:, step], games.begins[:, step], output, cell)
            policy = F.log_softmax(self.head(output), -1)
            chosen = torch.multinomial(policy.exp(), 1)[:, 0] if actions is None else actions[step]
            columns.append((chosen, policy.gather(1, chosen[:, None])[:, 0], self.critic(output).squeeze(-1)))
        return PlainRollout(*(torch.stack(column, 0) for column in zip(*columns, strict=True)))

    def update(self, rollout: PlainRollout, games: Games) -> tuple[float, float]:
        """Learn from a rollout whose last screen nothing follows, (T, E); return both losses."""
        c = self.config
        advantages = torch.zeros_like(rollout.values)
        following = advantage = torch.zeros(len(games.seen))
        for step in reversed(range(len(advantages))):
            goes_on = 1.0 - games.begins[:, step + 1].float() if step + 1 < len(advantages) else 0.0
            error = games.rewards[:, step] + c.discount * goes_on * following - rollout.values[step]
            advantages[step] = advantage = error + c.discount * c.gae_lambda * goes_on * advantage
            following = rollout.values[step]
        returns = advantages + rollout.values
        losses = []
        for rows in torch.split(torch.randperm(len(games.seen)), c.batch_size // len(advantages)):
            logits, values = self(games.seen[rows], games.begins[rows])
            taken, before, wanted, target = (
                column.T[rows].flatten() for column in (rollout.actions, rollout.log_probs, advantages, returns)
            )
            policy = F.log_softmax(logits, -1)
            wanted = (wanted - wanted.mean()) / (wanted.std() + 1e-8)
            ratio = (policy.gather(1, taken[:, None])[:, 0] - before).exp()
            policy_loss = -torch.min(wanted * ratio, wanted * ratio.clamp(1 - c.clip, 1 + c.clip)).mean()
            value_loss = F.mse_loss(values, target)
            entropy = -(policy.exp() * policy).sum(-1).mean()
            loss = policy_loss + c.value_weight * value_loss - c.entropy_weight * entropy
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(self.parameters(), c.gradient_clip)
            self.optimizer.step()
            losses.append((policy_loss.item(), value_loss.item()))
        policy_mean, value_mean = np.mean(losses, 0).tolist()
        return policy_mean, value_mean


@torch.no_grad()
def acted(agent: RecurrentPPO, games: Games) -> RecurrentRollout:
    """A rollout (T, E) of our agent, as `finetune/recurrent_rounds.py` makes it: each screen is encoded once."""
    first = states = agent.actor.first_states(len(games.seen))
    columns = []
    for step in range(games.seen.shape[1]):
        encoded = agent.actor.encode(games.seen[:, step])
        decision, states = agent.go_on(encoded, games.begins[:, step], states)
        columns.append({"observations": encoded} | vars(decision))
    stacked = {name: torch.stack([column[name] for column in columns]) for name in columns[0]}
    ends = torch.cat([games.begins[:, 1:], torch.ones_like(games.begins[:, :1])], 1)
    return RecurrentRollout(
        **stacked,
        stages=torch.zeros_like(stacked["actions"]),
        rewards=games.rewards.T,
        dones=ends.T.float(),
        last_values=torch.zeros(len(games.seen)),
        begins=games.begins.T,
        states=first,
        teacher_states=first,
    )


def learning(module: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    """A function that takes one step of Adam on a loss."""
    optimizer = torch.optim.Adam(module.parameters(), 0.0, fused=True)

    def learn() -> None:
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss())
        optimizer.step()

    return learn


def made_up_games(steps: int) -> Games:
    """Games of random screens and rewards."""
    generator = torch.Generator().manual_seed(1)
    begins = torch.rand(ENVIRONMENTS, steps, generator=generator) < BEGINS
    return Games(made_up_screens(ENVIRONMENTS, steps), begins, torch.randn(ENVIRONMENTS, steps, generator=generator))


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


MEASUREMENTS: dict[str, Measure] = {"nethack": nethack_updates}
