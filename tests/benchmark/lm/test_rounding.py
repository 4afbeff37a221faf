"""Frozen weights are rounded once under autocast, to what they would be rounded to at every use."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from lamobench.benchmark.lm.adapters import FastLinear, add_lora, use_fast_layers
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.gpt2 import SplitProjection, read_tokens
from lamobench.benchmark.lm.rounding import RoundedOnce


def autocast() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def test_without_autocast_weights_stay_as_they_are() -> None:
    weight = torch.randn(3, 4)
    assert RoundedOnce()(weight) is weight


def test_it_is_rounded_once_and_again_when_it_has_changed() -> None:
    rounded = RoundedOnce()
    weight = torch.randn(3, 4)
    with autocast():
        first = rounded(weight)
        assert rounded(weight) is first
        assert torch.equal(first, weight.bfloat16())
        weight.mul_(2)
        assert torch.equal(rounded(weight), weight.bfloat16())


def test_another_weight_is_not_taken_for_it() -> None:
    layer = FastLinear(nn.Linear(4, 3).requires_grad_(False))
    weights = torch.randn(3, 4)
    inputs = torch.randn(2, 4)
    with autocast():
        layer(inputs)
        copy = deepcopy(layer)
        for each, assign in ((copy, False), (layer, True)):
            each.load_state_dict({"weight": weights, "bias": torch.zeros(3)}, assign=assign)
            assert torch.equal(each(inputs), inputs.bfloat16() @ weights.bfloat16().T)


def test_it_can_be_trained_through_after_inference() -> None:
    plain = nn.Linear(4, 3).requires_grad_(False)
    layer = FastLinear(plain)
    inputs = torch.randn(2, 4, requires_grad=True)
    with autocast():
        with torch.inference_mode():
            layer(inputs)
        layer(inputs).float().sum().backward()
    torch.testing.assert_close(inputs.grad, plain.weight.sum(0).expand(2, 4), rtol=0.02, atol=0.02)


def test_what_is_trained_is_left_to_autocast() -> None:
    weight = nn.Parameter(torch.randn(3, 4))
    with autocast():
        assert RoundedOnce()(weight) is weight


@pytest.mark.parametrize("adaptation", ["separate", "joint", "frozen"])
def test_values_and_gradients_are_those_of_autocast(
    adaptation: str, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model: Any = load_language_model(str(tiny_gpt2)).requires_grad_(False)
    if adaptation != "frozen":
        add_lora(model, adaptation, rank=2, alpha=8.0, dropout=0.0)
    use_fast_layers(model)
    tokens = torch.randn(3, 11, 16, requires_grad=True)
    trained = [tokens, *(p for p in model.transformer.parameters() if p.requires_grad)]

    def found() -> list[torch.Tensor]:
        with autocast():
            outputs = read_tokens(model.transformer, tokens)
        return [outputs, *torch.autograd.grad(outputs.square().sum(), trained)]

    ours = found()
    kinds = {type(layer) for layer in model.modules() if len(getattr(layer, "rounded", RoundedOnce()).kept)}
    assert kinds == ({FastLinear, SplitProjection} if adaptation == "separate" else {FastLinear})
    monkeypatch.setattr(RoundedOnce, "__call__", lambda self, weight: weight)
    for one, other in zip(ours, found(), strict=True):
        assert torch.equal(one, other)
