"""Acting with a trajectory model in episodes that are played side by side: what is kept from step to step.

A Decision Transformer reads its last K steps anew for each action. What its tokens are embedded to stays the same as
the window slides, so that much is kept, and each step embeds the three tokens that are new (`EmbeddedWindow`).

What the backbone makes of them does not stay: every position in the window changes. `CachedContext` lets the window
grow instead: keys and values of what was read are kept and three tokens join them, until K steps are there; then it is
begun anew from the newer half of them. An action is chosen from the last K/2 to K steps, at the positions that training
gave windows of that length. That is another policy, a little: it has seen fewer steps, where the plain one always has
K. Up to the first K steps of an episode both are equal.

Shapes: E episodes side by side, L tokens, D width.
"""

from typing import Protocol

import torch
from torch import Tensor

from .policy import Actor, History
from .trajectory_model import NEWEST, TrajectoryModel


def acting(model: TrajectoryModel, context: int, cached_context: bool) -> Actor:
    """An actor (`Policy.begin_episodes`) of a model that has a context of K steps."""
    return CachedContext(model, context) if cached_context else EmbeddedWindow(model)


class EmbeddedWindow:
    """Chooses from the whole window, whose embedded tokens are kept."""

    def __init__(self, model: TrajectoryModel) -> None:
        self.model, self.tokens = model, torch.empty(0)

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are these episodes' places in the call before."""
        steps = history.returns_to_go.shape[1]
        if steps == 1 or not len(self.tokens):
            self.tokens = self.model.embed(history)[:, :-1]  # the newest action is not chosen yet
        else:
            before = self.tokens if len(kept) == len(self.tokens) else self.tokens[kept]
            window = torch.cat([before, self.model.embed_newest(history)], dim=1)
            self.tokens = window[:, 1 - 3 * steps :]
        return self.model.choose(self.model.backbone(self.tokens, NEWEST)[:, 0])


class Past(Protocol):
    """Keys and values of what a backbone has read (`extend`); transformers' `DynamicCache` is one."""

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these episodes, in this order."""


class CachedContext:
    """Chooses from a window that grows, of which keys and values are kept."""

    def __init__(self, model: TrajectoryModel, context: int) -> None:
        self.model, self.context, self.steps, self.episodes = model, context, 0, 0
        self.past: Past = model.backbone.new_past()  # type: ignore[operator]

    def __call__(self, history: History, kept: Tensor) -> Tensor:
        """The newest step's actions; `kept` (E,) int64 are these episodes' places in the call before."""
        if self.steps % self.context == 0:
            self.past = self.model.backbone.new_past()  # type: ignore[operator]
            self.steps = min(history.returns_to_go.shape[1], max(1, self.context // 2))
            tokens = self.model.embed(history.newest(self.steps))[:, :-1]
        else:
            if len(kept) < self.episodes:
                self.past.batch_select_indices(kept)
            self.steps += 1
            tokens = self.model.embed_newest(history)
        self.episodes = len(tokens)
        hidden: Tensor = self.model.backbone.extend(tokens, self.past, NEWEST)  # type: ignore[operator]
        return self.model.choose(hidden[:, 0])
