"""Decision Transformer (Chen et al. 2021, arXiv 2106.01345), trained from scratch."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..datasets.errors import UserError
from ..datasets.fractions import Subset
from ..datasets.windows import ContextBatch, ContextSampler
from .acting import acting
from .fields import Amount, Count, Delay, Share
from .policy import Actor, History, OptimizerSettings, Policy, Spec
from .trajectory_model import TokenConfig, TrajectoryModel
from .transformer import CausalTransformer


@dataclass(frozen=True)
class DecisionTransformerConfig:
    """Settings of DT; the defaults are the published code's for Gym tasks."""

    context: Count = 20  # K, steps of history; published: 20, Reacher2d 5
    layers: Count = 3
    heads: Count = 1
    width: Count = 128
    activation: Literal["relu", "gelu", "gelu_new", "silu"] = "relu"
    dropout: Share = 0.1  # in attention, after attention and network, and on the embedded tokens
    embedding: Literal["linear", "mlp"] = "linear"  # "linear" as published, or "mlp" as in LaMo
    head: Literal["linear", "mlp"] = "linear"  # "linear" with tanh as published, or "mlp" without
    learning_rate: Amount = 1e-4
    weight_decay: Amount = 1e-4
    warmup_steps: Delay = 10_000
    decay: Literal["constant", "cosine"] = "constant"  # learning-rate schedule after warm-up, "constant" as published
    gradient_clip: Amount = 0.25


class DecisionTransformer(Policy):
    """A transformer that predicts the data's actions from states and returns-to-go."""

    def __init__(self, config: DecisionTransformerConfig, spec: Spec) -> None:
        super().__init__()
        if config.width % config.heads:
            raise UserError(f"width {config.width} is no multiple of heads {config.heads}; change one of them")
        self.config = config
        self.context = config.context
        self.view = spec.view
        backbone = CausalTransformer(config.layers, config.heads, config.width, config.dropout, config.activation)
        tokens = TokenConfig(config.width, config.embedding, config.head, norm_before_time=False)
        self.model = TrajectoryModel(tokens, spec, backbone)

    def sampler(self, subset: Subset) -> ContextSampler:
        """Windows of K steps."""
        return ContextSampler(subset, self.context, self.view)

    def loss(self, batch: ContextBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error of the predicted actions; cross entropy of discrete ones."""
        loss = self.model.action_error(batch)
        return loss, {"action_error": loss.detach()}

    def action_loss(self, windows: ContextBatch) -> Tensor:
        """The loss of these windows."""
        return self.model.action_error(windows)

    def act(self, history: History) -> Tensor:
        """Condition on the target return that is left."""
        return self.model.act(history)

    def begin_episodes(self, cached_context: bool = False) -> Actor:
        """Begin to act in episodes that are played side by side."""
        return acting(self.model, self.context, cached_context)

    def optimizer_settings(self) -> OptimizerSettings:
        """Settings with one group, all of it with weight decay, as published."""
        c = self.config
        group = {"params": list(self.parameters()), "lr": c.learning_rate, "weight_decay": c.weight_decay}
        return OptimizerSettings([group], c.gradient_clip, c.warmup_steps, c.decay)
