"""Rounds of an agent that remembers.

Shapes: E environments, T steps, S bytes of an observation, W width of its encoding, H width of the memory.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from ...baselines.online.nethack_networks import RecurrentActor
from ...baselines.online.ppo import Rollout
from ...baselines.online.recurrent_ppo import RecurrentPPO, RecurrentRollout
from ...baselines.online.retention import Kickstarting
from ...baselines.online.sequences import Sequences
from .rounds import PPORounds

STATES = "random.states"
TEACHER_STATES = "random.teacher_states"
BEGINS = "random.begins"


@dataclass
class RecurrentRounds(PPORounds):
    """Rollouts of one length, whose memories go on from one to the next; pi* looks on where it is asked."""

    agent: RecurrentPPO

    def __post_init__(self) -> None:
        super().__post_init__()
        self.states = self.agent.actor.first_states(self.environments)
        self.teacher_states = self.states.clone()
        self.begins = torch.ones(self.environments, dtype=torch.bool)

    @torch.no_grad()
    def collect(self) -> Rollout:
        """A rollout of (T, E) steps. Rewards are cut and scaled for the agent; values end with the episode."""
        config = self.agent.config
        first = self.states
        columns: list[dict[str, Tensor]] = []
        for _ in range(self.steps):
            seen = self._seen()
            decision, self.states = self.agent.go_on(seen, self.begins, self.states)
            stages = torch.from_numpy(self.environment.stage.copy())
            step = self.environment.step(decision.actions.numpy())
            rewards = torch.from_numpy(step.rewards).clamp(-config.reward_clip, config.reward_clip)
            ended = torch.from_numpy(step.episode_ended)
            column = {"observations": seen, "stages": stages, "begins": self.begins, "dones": ended.float()}
            columns.append(column | {"rewards": config.reward_scale * rewards} | vars(decision))
            self.observations = step.observations
            self.begins = ended
        last, _ = self.agent.actor.remember(Sequences(self._seen()[:, None], self.begins[:, None], self.states))
        stacked = {name: torch.stack([column[name] for column in columns]) for name in columns[0]}
        rollout = RecurrentRollout(
            **stacked,
            last_values=self.agent.critic(last[:, 0]).squeeze(-1),
            states=first,
            teacher_states=self.teacher_states,
        )
        self._look_on(rollout)
        return rollout

    def _seen(self) -> Tensor:
        """Encodings (E, W) where the encoder is frozen, so that each screen is encoded once; else (E, S) uint8."""
        observations = torch.from_numpy(self.observations)
        return self.agent.actor.encode(observations) if self.agent.frozen else observations

    def _look_on(self, rollout: RecurrentRollout) -> None:
        """Let pi* remember what it saw of the rollout, where retention will ask it."""
        if isinstance(self.retention, Kickstarting):
            seen = rollout.observations.transpose(0, 1)
            shown = Sequences(seen, rollout.begins.T, self.teacher_states)
            teacher = self.retention.teacher
            assert isinstance(teacher, RecurrentActor)
            _, self.teacher_states = teacher.remember(shown)

    def tensors(self) -> dict[str, Tensor]:
        """The environments' state, and what is remembered."""
        remembered = {STATES: self.states, TEACHER_STATES: self.teacher_states, BEGINS: self.begins}
        return super().tensors() | {name: tensor.clone() for name, tensor in remembered.items()}

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Come to where environments and memories stood."""
        super().load(tensors)
        self.states = tensors[STATES].clone()
        self.teacher_states = tensors[TEACHER_STATES].clone()
        self.begins = tensors[BEGINS].clone()

    def _updates(self, rollout: Rollout) -> int:
        steps, environments = rollout.rewards.shape
        sequences = max(1, self.agent.config.batch_size // steps)
        return self.agent.config.epochs * -(-environments // sequences)
