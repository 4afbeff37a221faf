"""What every Decision Transformer shares, whatever its backbone: embed a trajectory, run it, read the actions.

Each step of a trajectory becomes three tokens, (return-to-go, state, action), and the action of a step is read from the
backbone's output at its state token: it has seen the earlier steps, this return-to-go and this state.
Shapes: B batch, K context, S observation, A action, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..datasets.windows import ContextBatch
from .policy import ActionBounds, History, Normalizer, Spec


@dataclass(frozen=True)
class TokenConfig:
    """How trajectories enter and leave a backbone."""

    width: int  # D
    embedding: str  # "linear", or "mlp": LaMo's residual block for each modality
    head: str  # "linear" with tanh, or "mlp" without
    norm_before_time: bool  # LayerNorm before the timestep embedding is added (LaMo) or after (Decision Transformer)


class ResidualMLP(nn.Module):
    """LaMo's embedding: h = W0 x + b0, then h + W1 GELU(h) + b1."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., inputs) to (..., D)."""
        hidden = self.first(inputs)
        return torch.as_tensor(hidden + self.second(nn.functional.gelu(hidden)))


class TrajectoryModel(nn.Module):
    """Embeddings, a backbone that maps (B, 3K, D) to (B, 3K, D) causally, and an action head."""

    def __init__(self, tokens: TokenConfig, spec: Spec, backbone: nn.Module) -> None:
        super().__init__()
        embed = ResidualMLP if tokens.embedding == "mlp" else nn.Linear
        self.embed_return = embed(1, tokens.width)
        self.embed_state = embed(spec.observation_dim, tokens.width)
        self.embed_action = embed(spec.action_dim, tokens.width)
        self.embed_time = nn.Embedding(spec.horizon, tokens.width)
        self.embed_norm = nn.LayerNorm(tokens.width)
        self.backbone = backbone
        self.head = _head(tokens.head, tokens.width, spec.action_dim)
        self.normalize, self.bounds = Normalizer(spec), ActionBounds(spec)
        self.norm_before_time, self.return_scale = tokens.norm_before_time, spec.return_scale

    def embed(self, data: ContextBatch | History) -> Tensor:
        """Interleaved tokens (B, 3K, D)."""
        returns = self.embed_return(data.returns_to_go[..., None] / self.return_scale)
        states = self.embed_state(self.normalize(data.observations))
        actions = self.embed_action(data.actions)
        steps = torch.stack([returns, states, actions], dim=2)  # (B, K, 3, D)
        time = self.embed_time(data.timesteps)[:, :, None]  # (B, K, 1, D): the same for a step's three tokens
        steps = self.embed_norm(steps) + time if self.norm_before_time else self.embed_norm(steps + time)
        return torch.as_tensor(steps.flatten(1, 2))

    def predict(self, batch: ContextBatch) -> Tensor:
        """Actions (B, K, A), one for each step's state token."""
        hidden = self.backbone(self.embed(batch)[:, :-1])  # nothing that is read looks at the last action's token
        return torch.as_tensor(self.head(hidden[:, 1::3]))

    def act(self, history: History) -> Tensor:
        """The newest step's action (E, A), inside the action space's bounds."""
        tokens = self.embed(history)[:, :-1]  # the newest action is not chosen yet, and nothing looks ahead to it
        return self.bounds.clip(self.head(self.backbone(tokens)[:, -1]))


def masked_action_error(predicted: Tensor, batch: ContextBatch) -> Tensor:
    """Mean squared error over real steps and action dimensions (LaMo, Equation 3, as its code averages it)."""
    squared = (predicted - batch.actions).square().mean(-1)  # (B, K)
    return (squared * batch.mask).sum() / batch.mask.sum()


def _head(kind: str, width: int, action_dim: int) -> nn.Module:
    if kind == "mlp":
        return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, action_dim))
    return nn.Sequential(nn.Linear(width, action_dim), nn.Tanh())
