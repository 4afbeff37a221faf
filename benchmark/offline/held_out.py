"""Held-out action error: how far a policy's actions are from the data's where it did not learn from them.

Measured at every evaluation on the steps of `datasets/held_out.py`, with nothing drawn at random, so that it changes no
result. A policy acts as it does in evaluation, but after the data's own history and returns-to-go.

Shapes: W held-out steps, w of them at a time, k steps of history, A action.
"""

from dataclasses import replace

import numpy as np
import torch

from ...baselines.policy import History, Policy
from ...datasets.fractions import Subset
from ...datasets.held_out import HeldOutSteps, HeldOutWindows, held_out_steps
from ...datasets.trajectories import Array
from ...datasets.windows import ContextBatch
from ..runs.held_out import ERROR, LOSS, MEAN_ACTION, PREVIOUS_ACTION

AT_A_TIME = 32  # windows: frames of more would take more memory than a batch of training


class HeldOutError:
    """Measures the policies of one run."""

    def __init__(self, held_out: HeldOutSteps, subset: Subset, policy: Policy) -> None:
        """`subset` is what the run trains on; `policy` says how much of the history it sees, and how."""
        self.windows = HeldOutWindows(held_out, policy.context, replace(policy.view, padding_steps=0))
        self.actions = held_out.actions()
        self.trivial = trivial_errors(held_out, subset)

    @torch.no_grad()
    def measure(self, policy: Policy) -> dict[str, float]:
        """The error and, of a method that has it, the loss of predicting the windows' actions; and the trivial errors.

        `policy` has to be in evaluation mode. The error is of the action in each window's last step, the loss of all
        its steps.
        """
        device = next(policy.parameters()).device
        chosen = np.zeros_like(self.actions)
        losses = []
        steps = []
        for rows, windows in self.windows.batches(AT_A_TIME):
            there = windows.to(device)
            actions = policy.act(history_of(there))
            chosen[rows] = (actions.float() if actions.is_floating_point() else actions).cpu().numpy()
            losses.append(policy.action_loss(there))
            steps.append(windows.mask.numel())
        known = [float(loss) for loss in losses if loss is not None]
        own = {LOSS: float(np.average(known, weights=steps))} if len(known) == len(steps) else {}
        return {ERROR: action_error(chosen, self.actions), **own, **self.trivial}


def held_out_error(drawn: Subset, policy: Policy) -> HeldOutError | None:
    """Make the measure of `policy`, which trains on `drawn`; None if it trains on all data and no others can be had."""
    held_out = held_out_steps(drawn)
    return None if held_out is None else HeldOutError(held_out, drawn, policy)


def history_of(windows: ContextBatch) -> History:
    """Return what is known in the last step of windows of one length, before its action is chosen."""
    actions = windows.actions.clone()
    actions[:, -1] = 0
    return History(windows.observations, actions, windows.returns_to_go, windows.timesteps)


def action_error(chosen: Array, actions: Array) -> float:
    """The mean squared error of actions (W, A), averaged over both; of discrete ones (W,) the share that differs."""
    if actions.ndim == 1:
        return float((chosen != actions).mean())
    return float(np.square(chosen.astype(np.float64) - actions).mean())


def trivial_errors(held_out: HeldOutSteps, subset: Subset) -> dict[str, float]:
    """The errors of the subset's mean action, or its commonest, and of the action of the step before.

    At an episode's first step, which has none before it, the latter is the former.
    """
    actions = held_out.actions()
    usual = usual_action(subset)
    previous = held_out.previous_actions(usual)
    return {
        MEAN_ACTION: action_error(np.broadcast_to(usual, actions.shape), actions),
        PREVIOUS_ACTION: action_error(previous, actions),
    }


def usual_action(subset: Subset) -> Array:
    """The mean action (A,) of a subset's steps; the commonest one () where actions are discrete."""
    data = subset.trajectories
    spans = [data.actions[data.offsets[n] : data.offsets[n + 1]] for n in subset.episodes]
    if data.discrete:
        return np.asarray(np.bincount(np.concatenate(spans)).argmax())
    total = sum(span.sum(axis=0, dtype=np.float64) for span in spans)
    mean: Array = (total / subset.num_steps).astype(np.float32)
    return mean
