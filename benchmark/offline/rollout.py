"""Batched evaluation: many episodes step side by side, one forward pass of the policy for all of them.

Shapes: E environments, k steps of history, S observation, A action, F stacked frames.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ...baselines.policy import History, Policy
from ...datasets.errors import UserError
from ...datasets.trajectories import Array
from ...datasets.windows import View
from ..runs.episodes import Episode

ENVIRONMENTS = 64  # that step side by side, at most


class NotFiniteError(UserError):
    """A policy chose an action that is no number: weights that are finite can still be too large."""


STARTS = 2  # tells the stream of evaluation starts from that of batches (`train.BATCHES`)


def evaluation_seeds(run_seed: int, evaluation: int, episodes: int) -> list[int]:
    """Reset seeds of an evaluation: fresh starts at each evaluation, the same for every method with this run seed."""
    sequence = np.random.SeedSequence([run_seed, evaluation, STARTS])
    return [int(seed) for seed in sequence.generate_state(episodes, np.uint32)]


@torch.no_grad()
def rollout(
    policy: Policy,
    make_environment: Callable[[], Any],
    seeds: Sequence[int],
    target_returns: Sequence[float],
    *,
    step: int = 0,
    environments: int = ENVIRONMENTS,
    view: View | None = None,
    cached_context: bool = False,
) -> list[Episode]:
    """Play every (target, seed) pair once; deterministic given the policy.

    `cached_context`: as of `Policy.begin_episodes`, an approximation that is faster.

    Rewards are taken off the target returns as `view` sees them, None: as the policy's own does.

    Episodes are dealt to at most `environments` environments beforehand, in equal shares: were a free environment to
    take the next episode as it comes, short episodes would be played more often and bias the mean.
    """
    was_training = policy.training
    policy.eval()
    work = [(target, number, seed) for target in target_returns for number, seed in enumerate(seeds)]
    slots = [make_environment() for _ in range(min(environments, len(work)))]
    episodes: list[Episode] = []
    for start in range(0, len(work), len(slots)):
        wave = work[start : start + len(slots)]
        targets = [w[0] for w in wave]
        resets = [w[2] for w in wave]
        seen = view or policy.view
        returns, lengths = _play(policy, slots[: len(wave)], resets, targets, seen, cached_context)
        for (target, number, seed), total, length in zip(wave, returns, lengths, strict=True):
            episodes.append(Episode(step, float(target), number, seed, float(total), int(length)))
    for environment in slots:
        environment.close()
    policy.train(was_training)
    return episodes


def _play(
    policy: Policy, slots: list[Any], seeds: list[int], targets: list[float], view: View, cached_context: bool
) -> tuple[Array, Array]:
    """One episode in each slot, in lockstep; finished ones leave the batch. Returns and lengths, each (E,)."""
    first = [slot.reset(seed=seed)[0] for slot, seed in zip(slots, seeds, strict=True)]
    tape = _Tape(np.stack(first), slots[0].action_space, np.asarray(targets, np.float32), policy.context, view)
    returns = np.zeros(len(slots))
    lengths = np.zeros(len(slots), np.int64)
    live = kept = np.arange(len(slots))
    act = policy.begin_episodes(cached_context)
    device = next(policy.parameters()).device
    while len(live):
        chosen = act(tape.history(live, device), torch.from_numpy(kept).to(device))
        actions = (chosen.float() if chosen.is_floating_point() else chosen).cpu().numpy()
        if not np.isfinite(actions).all():
            raise NotFiniteError(f"the policy's actions are not finite in step {tape.time} of an evaluation")
        observations = []
        rewards = np.zeros(len(live), np.float32)
        over = np.zeros(len(live), bool)
        for row, slot in enumerate(live):
            observation, rewards[row], terminated, truncated, _ = slots[slot].step(actions[row])
            observations.append(observation)
            over[row] = terminated or truncated
        returns[live] += rewards
        lengths[live] += 1
        tape.append(live, actions, rewards, np.stack(observations))
        kept = np.flatnonzero(~over)
        live = live[kept]
    return returns, lengths


class _Tape:
    """The last K steps of each environment. Live environments are in step, so one position serves all."""

    def __init__(self, first: Array, actions: Any, targets: Array, context: int, view: View) -> None:
        count = len(first)
        self.context = context
        self.view = view
        self.time = 0
        self.earlier = self.view.earlier_frames  # kept before the first step's: black until they have been seen
        seen = (count, self.earlier + self.context, *first.shape[1:])
        self.observations = np.zeros(seen, np.uint8 if self.view.frames else np.float32)
        kind = np.float32 if actions.dtype.kind == "f" else np.int64
        self.actions = np.zeros((count, self.context, *actions.shape), kind)
        self.returns_to_go = np.zeros((count, self.context), np.float32)
        self.observations[:, self.earlier] = first
        self.returns_to_go[:, 0] = targets

    def history(self, live: Array, device: torch.device) -> History:
        """The newest `min(time + 1, K)` steps of the live environments."""
        size = min(self.time + 1, self.context)
        timesteps = np.tile(np.arange(self.time + 1 - size, self.time + 1), (len(live), 1))
        seen = self.observations[live, : self.earlier + size]
        arrays = (seen, self.actions[live, :size], self.returns_to_go[live, :size], timesteps)
        return History(*(torch.from_numpy(array).to(device) for array in arrays))

    def append(self, live: Array, actions: Array, rewards: Array, observations: Array) -> None:
        """Complete the newest step and open the next."""
        now = min(self.time, self.context - 1)
        self.actions[live, now] = actions
        target = self.returns_to_go[live, now] - self.view.rewards(rewards)
        if self.time >= self.context - 1:
            for array in (self.observations, self.actions, self.returns_to_go):
                array[:, :-1] = array[:, 1:]
        following = min(self.time + 1, self.context - 1)
        self.observations[live, self.earlier + following] = observations
        self.returns_to_go[live, following] = target
        self.actions[live, following] = 0
        self.time += 1
