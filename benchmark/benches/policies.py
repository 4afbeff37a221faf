"""The policies that measurements compare with the published code's, on hopper's sizes, with random weights."""

from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from ...baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from ...baselines.policy import Spec
from ...datasets.windows import ContextBatch
from ..lm.lamo import LaMo, LaMoConfig

SHAPES: dict[str, dict[str, Any]] = {  # layers, heads, width, vocabulary, positions
    "gpt2": {"n_layer": 12, "n_head": 12, "n_embd": 768, "vocab_size": 50_257, "n_positions": 1024},
    "gpt2-medium": {"n_layer": 24, "n_head": 16, "n_embd": 1024, "vocab_size": 50_257, "n_positions": 1024},
    "gpt2-mini": {"n_layer": 4, "n_head": 4, "n_embd": 128, "vocab_size": 4096, "n_positions": 256},
}


HOPPER = (11, 3)  # numbers of an observation and of an action


def hopper_spec(sizes: tuple[int, int] = HOPPER) -> Spec:
    """Hopper's sizes, or others; observations need no normalising."""
    observation, action = sizes
    return Spec(
        observation_dim=observation,
        action_dim=action,
        action_low=-np.ones(action, np.float32),
        action_high=np.ones(action, np.float32),
        observation_mean=np.zeros(observation, np.float32),
        observation_std=np.ones(observation, np.float32),
        horizon=1000,
        return_scale=1000.0,
    )


def random_gpt2(shape: str, positions: int = 0) -> GPT2LMHeadModel:
    """A GPT-2 of one of `SHAPES`, with `positions` if these are more than it has by itself."""
    torch.manual_seed(0)
    sizes = SHAPES[shape] | {"n_positions": max(positions, SHAPES[shape]["n_positions"])}
    config = GPT2Config(bos_token_id=0, eos_token_id=0, **sizes)
    return GPT2LMHeadModel._from_config(config, attn_implementation="sdpa")


def lamo(shape: str, positions: int = 0, **changes: Any) -> LaMo:
    """LaMo on a `random_gpt2`, its position embeddings zero, as the published code leaves them out.

    Low-rank updates begin at zero; here they don't, so that losses depend on them.
    """
    model = random_gpt2(shape, positions)
    model.transformer.wpe.weight.data.zero_()
    policy = LaMo(LaMoConfig(**changes), hopper_spec(), model, None)
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(std=0.02)
    return policy


def decision_transformer(**changes: Any) -> DecisionTransformer:
    """Decision Transformer at its original size."""
    torch.manual_seed(0)
    return DecisionTransformer(DecisionTransformerConfig(**changes), hopper_spec())


def windows(
    batch: int, context: int, shortest: int | None = None, seed: int = 0, sizes: tuple[int, int] = HOPPER
) -> ContextBatch:
    """Random windows of `context` steps; with `shortest`, of at least so many real ones."""
    rng = np.random.default_rng(seed)
    size = rng.integers(shortest or context, context + 1, batch)
    mask = torch.from_numpy(np.arange(context) < size[:, None])
    start = torch.from_numpy(rng.integers(900, size=(batch, 1)))

    def normal(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape, np.float32))

    return ContextBatch(
        observations=normal(batch, context, sizes[0]) * mask[..., None],
        actions=normal(batch, context, sizes[1]).clamp(-1, 1) * mask[..., None],
        returns_to_go=1000 * normal(batch, context).abs() * mask,
        timesteps=(start + torch.arange(context)) * mask,
        mask=mask,
    )
