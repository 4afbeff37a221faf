"""LaMo on images: the published network for Atari, written from its description."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from lamobench.baselines.policy import History, Spec
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.lamo import LaMo
from lamobench.benchmark.offline.build import policy_config
from lamobench.benchmark.offline.hyperparameters import overrides_for
from lamobench.datasets.windows import ContextBatch, View


@pytest.fixture
def make_atari_lamo(tiny_gpt2: Path) -> Callable[..., LaMo]:
    """LaMo as the paper's profile has it on Breakout, but for the size, with four actions and a return scale of 10."""
    nothing = np.zeros(0, np.float32)
    view = View(frames=4, clip_rewards=True)
    spec = Spec(0, 4, nothing, nothing, nothing, nothing, horizon=50, return_scale=10.0, discrete=True, view=view)

    def make(**changes: Any) -> LaMo:
        torch.manual_seed(0)
        settings = overrides_for("paper", "breakout", "lamo") | {"context": 3, "lora_rank": 2}
        policy = LaMo(policy_config("lamo", settings | changes), spec, load_language_model(str(tiny_gpt2)), None)
        return policy.eval()

    return make


def as_published_for_atari(policy: LaMo, stock: GPT2LMHeadModel, batch: ContextBatch) -> Tensor:
    """The logits of the published network for Atari with our weights, before its tanh, written from its description.

    Of frames from 0 to 1: convolutions of 8, 4 and 3 with strides 4, 2 and 1, a linear layer, a residual block. Of
    returns as they are and of actions: a residual block each. To each of a step's three tokens its timestep's embedding
    is added; then comes one LayerNorm, then GPT-2 with its own positions, then a linear layer at the states' tokens.
    """
    weights = {name.removeprefix("model."): tensor for name, tensor in policy.state_dict().items()}

    def linear(name: str, inputs: Tensor) -> Tensor:
        return inputs @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def residual(name: str, hidden: Tensor) -> Tensor:
        return hidden + linear(f"{name}.second", nn.functional.gelu(hidden))

    size, context = batch.actions.shape
    stacks = torch.stack([batch.observations[:, k : k + 4] for k in range(context)], dim=1)
    hidden = stacks.flatten(0, 1) / 255.0
    convolutions = [name for name, tensor in weights.items() if name.startswith("embed_state") and tensor.ndim == 4]
    for name, stride in zip(convolutions, (4, 2, 1), strict=True):
        bias = weights[name.replace("weight", "bias")]
        hidden = nn.functional.conv2d(hidden, weights[name], bias, stride).relu()
    (projection,) = (name for name, tensor in weights.items() if "embed_state.0" in name and tensor.ndim == 2)
    hidden = linear(projection.removesuffix(".weight"), hidden.flatten(1)).view(size, context, -1)

    time = weights["embed_time.weight"][batch.timesteps]
    returns = residual("embed_return", linear("embed_return.first", batch.returns_to_go[..., None])) + time
    states = residual("embed_state.1", linear("embed_state.1.first", hidden)) + time
    actions = residual("embed_action", weights["embed_action.table.weight"][batch.actions]) + time
    tokens = torch.stack([returns, states, actions], dim=2).flatten(1, 2)
    norm = (weights["embed_norm.weight"], weights["embed_norm.bias"])
    tokens = nn.functional.layer_norm(tokens, norm[0].shape, *norm)
    outputs = stock.transformer(inputs_embeds=tokens).last_hidden_state
    return linear("head", outputs[:, 1::3])


def test_on_atari_the_network_is_the_published_one(make_atari_lamo: Callable[..., LaMo], tiny_gpt2: Path) -> None:
    rng = np.random.default_rng(0)
    batch = ContextBatch(
        observations=torch.from_numpy(rng.integers(0, 256, (5, 6, 84, 84), np.uint8)),
        actions=torch.from_numpy(rng.integers(0, 4, (5, 3))),
        returns_to_go=torch.from_numpy(rng.uniform(0, 90, (5, 3)).astype(np.float32)),
        timesteps=torch.from_numpy(rng.integers(0, 48, (5, 1)) + np.arange(3)),
        mask=torch.ones(5, 3, dtype=torch.bool),
    )
    stock = load_language_model(str(tiny_gpt2)).eval()
    with torch.no_grad():
        policy = make_atari_lamo()
        expected = as_published_for_atari(policy, stock, batch)
        torch.testing.assert_close(policy.model.predict(batch), expected, rtol=0, atol=1e-5)
        for former in ({"norm_before_time": True}, {"return_scale": None}):  # each alone is another network
            assert (make_atari_lamo(**former).model.predict(batch) - expected).abs().max() > 1e-2, former
        # evaluations see the same network
        history = History(batch.observations, batch.actions, batch.returns_to_go, batch.timesteps)
        assert policy.act(history).tolist() == expected[:, -1].argmax(-1).tolist()
