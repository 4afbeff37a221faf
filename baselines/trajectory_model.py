"""The parts of every Decision Transformer, whatever its backbone: embeddings, and reading actions from the outputs.

Each step of a trajectory becomes three tokens, (return-to-go, state, action), and the action of a step is read from the
backbone's output at its state token: it has seen the earlier steps, this return-to-go and this state.
Shapes: B batch, K context, S observation, A action, D width.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..datasets.windows import ContextBatch
from .networks import FrameEncoder
from .onednn import Linear
from .policy import ActionBounds, History, Normalizer, Spec
from .transformer import EVERY

# Slices of the backbone's outputs that are read.
STATES = slice(1, None, 3)
NEWEST = slice(-1, None)


class Past(Protocol):
    """Keys and values of what a backbone has read (`Backbone.extend`); transformers' `DynamicCache` is one."""

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these episodes, in this order."""


class Backbone(Protocol):
    """A module that maps embedded tokens (B, L, D) causally to outputs (B, R, D) at those that are read: each output
    depends on its own token and earlier ones."""

    def __call__(self, tokens: Tensor, read: slice = EVERY) -> Tensor:
        """The outputs at the tokens `read`."""

    def begin(self, tokens: Tensor) -> Tensor:
        """The part (B, L, W) of embedded tokens (B, L, D) that does not depend on where they stand in a window."""

    def finish(self, begun: Tensor, read: slice = EVERY) -> Tensor:
        """The outputs at the tokens `read`, from what `begin` made of all tokens."""

    def new_past(self) -> Any:
        """An empty `Past`, which `extend` fills."""

    def extend(self, tokens: Tensor, past: Any, read: slice = EVERY) -> Tensor:
        """The outputs of tokens that follow those in `past`; they attend to these too, and are added to `past`."""


@dataclass(frozen=True)
class TokenConfig:
    """The way of a trajectory into the backbone, and of its outputs to actions."""

    width: int  # D
    embedding: str  # "linear", or "mlp": LaMo's residual block for each modality
    head: str  # "linear", with tanh where actions are continuous, or "mlp" without
    norm_before_time: bool  # LayerNorm before the timestep embedding is added (LaMo on D4RL tasks) or after (DT; Atari)


class ResidualMLP(nn.Module):
    """LaMo's embedding: h = W0 x + b0, then h + W1 GELU(h) + b1."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = Linear(inputs, width)
        self.second = Linear(width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., inputs) to (..., D)."""
        hidden = self.first(inputs)
        return torch.as_tensor(hidden + self.second(nn.functional.gelu(hidden)))


class ResidualEmbedding(nn.Module):
    """LaMo's embedding of discrete actions: h = E[a], then h + W GELU(h) + b."""

    def __init__(self, actions: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(actions, width)
        self.second = Linear(width, width)

    def forward(self, actions: Tensor) -> Tensor:
        """Map (...) int64 to (..., D)."""
        hidden = self.table(actions)
        return torch.as_tensor(hidden + self.second(nn.functional.gelu(hidden)))


class TrajectoryModel(nn.Module):
    """Embeddings, a causal backbone (B, L, D) to (B, R, D), and an action head."""

    backbone: Backbone

    def __init__(self, tokens: TokenConfig, spec: Spec, backbone: Backbone) -> None:
        """`backbone` is an `nn.Module`."""
        super().__init__()
        self.embed_return = _embedding(tokens, 1)
        self.embed_state = _state_embedding(tokens, spec)
        self.embed_action = _action_embedding(tokens, spec)
        self.embed_time = nn.Embedding(spec.horizon, tokens.width)
        self.embed_norm = nn.LayerNorm(tokens.width)
        self.backbone = backbone
        self.discrete = spec.discrete
        self.unit_actions = spec.unit_actions
        self.head = _head(tokens, spec)
        self.normalize = nn.Identity() if spec.view.frames else Normalizer(spec)
        self.bounds = ActionBounds(spec)
        self.norm_before_time = tokens.norm_before_time
        self.return_scale = spec.return_scale

    @torch.no_grad()
    def scale_inputs(self, factor: float) -> None:
        """Multiply the first scale of the tokens that enter the backbone by `factor`."""
        self.embed_norm.weight.mul_(factor)  # its bias is 0
        if self.norm_before_time:
            self.embed_time.weight.mul_(factor)

    def embed(self, data: ContextBatch | History) -> Tensor:
        """Interleaved tokens (B, 3K, D)."""
        returns = self.embed_return(data.returns_to_go[..., None] / self.return_scale)
        states = self.embed_state(self.normalize(data.observations))
        actions = self.embed_action(self.scaled(data.actions))
        steps = torch.stack([returns, states, actions], dim=2)  # (B, K, 3, D)
        return self._place(steps, data.timesteps[:, :, None]).flatten(1, 2)

    def embed_newest(self, history: History) -> Tensor:
        """The tokens (E, 3, D) that are new since the step before: its action, the newest return-to-go and state."""
        newest = history.newest(2)
        frames = newest.observations[:, 1:]  # without the earliest: of vectors the last, of frames its stack
        returns = self.embed_return(newest.returns_to_go[:, 1:, None] / self.return_scale)
        states = self.embed_state(self.normalize(frames))
        actions = self.embed_action(self.scaled(newest.actions[:, :1]))
        return self._place(torch.cat([actions, returns, states], dim=1), newest.timesteps[:, [0, 1, 1]])

    def _place(self, tokens: Tensor, timesteps: Tensor) -> Tensor:
        """Add the timestep embedding to tokens (..., D); the shape of `timesteps` is theirs or broadcasts to it."""
        time = self.embed_time(timesteps)
        placed = self.embed_norm(tokens) + time if self.norm_before_time else self.embed_norm(tokens + time)
        return torch.as_tensor(placed)

    def scaled(self, actions: Tensor) -> Tensor:
        """Actions (..., A) as they are embedded and predicted: in [-1, 1].

        A box that is [-1, 1] already is left alone: mapping it would change the last bits, and so every result.
        """
        return self.bounds.to_unit(actions) if self.unit_actions else actions

    def action_error(self, batch: ContextBatch) -> Tensor:
        """The distance of the predicted actions from the data's (`action_error`)."""
        predicted = self.predict(batch)
        if self.unit_actions:
            batch = replace(batch, actions=self.scaled(batch.actions))
        return action_error(predicted, batch)

    def predict(self, batch: ContextBatch) -> Tensor:
        """Scaled actions, or logits of discrete ones, (B, K, A): one row for each step's state token."""
        tokens = self.embed(batch)[:, :-1]  # nothing that is read looks at the last action's token
        return torch.as_tensor(self.head(self.backbone(tokens, STATES)))

    def act(self, history: History) -> Tensor:
        """The newest step's action: (E, A) inside the action space's bounds, or the likeliest one, (E,) int64."""
        tokens = self.embed(history)[:, :-1]  # the newest action is not chosen yet, and nothing looks ahead to it
        return self.choose(self.backbone(tokens, NEWEST)[:, 0])

    def choose(self, hidden: Tensor) -> Tensor:
        """Turn the backbone's outputs (E, D) at state tokens into actions as those of `act`."""
        actions: Tensor = self.head(hidden)
        if self.discrete:
            return actions.argmax(-1)
        return self.bounds.clip(self.bounds.from_unit(actions.float()) if self.unit_actions else actions)


def action_error(predicted: Tensor, batch: ContextBatch) -> Tensor:
    """The distance of predictions (B, K, A) from the data's actions, in their scale, over real steps.

    Mean squared error, averaged over action dimensions too (LaMo, Equation 3, as its code averages it); the cross
    entropy of discrete actions.
    """
    if batch.actions.ndim == 2:
        errors = nn.functional.cross_entropy(predicted.flatten(0, 1), batch.actions.flatten(), reduction="none")
        errors = errors.view_as(batch.returns_to_go)
    else:
        errors = (predicted - batch.actions).square().mean(-1)  # (B, K)
    return (errors * batch.mask).sum() / batch.mask.sum()


def _embedding(tokens: TokenConfig, inputs: int) -> nn.Module:
    return ResidualMLP(inputs, tokens.width) if tokens.embedding == "mlp" else Linear(inputs, tokens.width)


def _state_embedding(tokens: TokenConfig, spec: Spec) -> nn.Module:
    if not spec.view.frames:
        return _embedding(tokens, spec.observation_dim)
    encoder = FrameEncoder(spec, tokens.width)
    return nn.Sequential(encoder, ResidualMLP(tokens.width, tokens.width)) if tokens.embedding == "mlp" else encoder


def _action_embedding(tokens: TokenConfig, spec: Spec) -> nn.Module:
    if not spec.discrete:
        return _embedding(tokens, spec.action_dim)
    table = ResidualEmbedding if tokens.embedding == "mlp" else nn.Embedding
    return table(spec.action_dim, tokens.width)


def _head(tokens: TokenConfig, spec: Spec) -> nn.Module:
    if tokens.head == "mlp":
        width = tokens.width
        return nn.Sequential(Linear(width, width), nn.GELU(), Linear(width, spec.action_dim))
    head = Linear(tokens.width, spec.action_dim)
    return head if spec.discrete else nn.Sequential(head, nn.Tanh())
