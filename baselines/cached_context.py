"""Acting from a cached context: each step costs the tokens that are new, not the whole context.

A Decision Transformer reads its last K steps anew for each action. As the window slides, every position in it changes,
so nothing of the last pass can be kept. Here the window grows instead: keys and values of what was read are kept and
three tokens join them, until K steps are there; then it is begun anew from the newer half of them. An action is chosen
from the last K/2 to K steps, at the positions that training gave windows of that length. That is another policy, a
little: it has seen fewer steps, where the plain one always has K. Up to the first K steps of an episode both are equal.

Shapes: E episodes side by side, L tokens, D width.
"""

from dataclasses import replace
from typing import Protocol

from torch import Tensor

from .policy import History
from .trajectory_model import TrajectoryModel


class Past(Protocol):
    """Keys and values of what a backbone has read (`extend`); transformers' `DynamicCache` is one."""

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these episodes, in this order."""


class CachedContext:
    """An actor (`Policy.begin_episodes`) on top of a trajectory model."""

    def __init__(self, model: TrajectoryModel, context: int) -> None:
        self.model, self.context, self.steps = model, context, 0
        self.past: Past = model.backbone.new_past()  # type: ignore[operator]

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are these episodes' places in the call before."""
        if self.steps % self.context == 0:
            self.past = self.model.backbone.new_past()  # type: ignore[operator]
            self.steps = min(history.returns_to_go.shape[1], max(1, self.context // 2))
            tokens = self.model.embed(newest(history, self.steps))[:, :-1]
        else:
            self.past.batch_select_indices(kept)
            self.steps += 1
            tokens = self.model.embed(newest(history, 2))[:, 2:-1]  # the last action, what is left to reach, the state
        hidden: Tensor = self.model.backbone.extend(tokens, self.past)  # type: ignore[operator]
        return self.model.choose(hidden[:, -1])


def newest(history: History, steps: int) -> History:
    """The last so many steps of a history; of frames, with those that the first one's stack reaches back to."""
    earlier = history.observations.shape[1] - history.returns_to_go.shape[1]
    return replace(
        history,
        observations=history.observations[:, -(earlier + steps) :],
        actions=history.actions[:, -steps:],
        returns_to_go=history.returns_to_go[:, -steps:],
        timesteps=history.timesteps[:, -steps:],
    )
