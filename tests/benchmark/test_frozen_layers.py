"""What is frozen of a wide GPT-2 is multiplied by oneDNN: the same losses and gradients, narrow models untouched."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from lamobench.baselines import onednn
from lamobench.benchmark import adapters
from lamobench.benchmark.adapters import FrozenLayer
from lamobench.benchmark.benches import policies
from lamobench.benchmark.lamo import LaMo, LaMoBatch

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 64, "n_positions": 64}
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch comes without oneDNN")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the weights that oneDNN was given."""
    seen, product = list[tuple[int, ...]](), onednn._product

    def remember(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(tuple(weight.shape))
        return product(inputs, weight, bias)

    monkeypatch.setattr(onednn, "_product", remember)
    return seen


def lamo(monkeypatch: pytest.MonkeyPatch, wide: int, **changes: Any) -> LaMo:
    monkeypatch.setitem(policies.SHAPES, "tiny", TINY)
    monkeypatch.setattr(adapters, "WIDE", wide)
    return policies.lamo("tiny", **changes)


def frozen_layers(policy: LaMo) -> list[str]:
    return [name for name, module in policy.language_model.named_modules() if isinstance(module, FrozenLayer)]


@needs_onednn
@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
@pytest.mark.parametrize("trained_bias", [False, True])
def test_values_and_gradients_are_the_same(kind: Any, trained_bias: bool, calls: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(24, 40) if kind is nn.Linear else Conv1D(40, 24)
    layer.requires_grad_(False)
    layer.bias.requires_grad_(trained_bias)
    layer.bias.data.normal_()
    inputs, frozen = torch.randn(4, 32, 24, requires_grad=True), FrozenLayer(deepcopy(layer))
    again = inputs.detach().clone().requires_grad_()
    expected, found = layer(inputs), frozen(again)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(again.grad, inputs.grad)
    torch.testing.assert_close(frozen.bias.grad, layer.bias.grad)
    assert calls == [(40, 24), (24, 40)]


@needs_onednn
def test_a_wide_gpt2_has_the_same_loss_and_gradients(
    monkeypatch: pytest.MonkeyPatch, calls: list[tuple[int, ...]]
) -> None:
    plain, ours = lamo(monkeypatch, wide=512).eval(), lamo(monkeypatch, wide=16).eval()
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in ours.named_parameters()]
    assert len(frozen_layers(ours)) == 2 * 6 + 1
    batch = LaMoBatch(policies.windows(4, 20), None)
    for policy in (plain, ours):
        policy.loss(batch)[0].backward()
    assert len(calls) > 12
    for (name, expected), found in zip(plain.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_narrow_model_is_left_alone(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[int, ...]]) -> None:
    policy = lamo(monkeypatch, wide=512)
    policy.loss(LaMoBatch(policies.windows(4, 20), None))[0].backward()
    assert not frozen_layers(policy) + calls


def test_what_is_trained_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not frozen_layers(lamo(monkeypatch, wide=16, adaptation="full"))
    assert frozen_layers(lamo(monkeypatch, wide=16, adaptation="frozen"))


@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
def test_elsewhere_it_is_the_layer_as_it_was(kind: Any, calls: list[tuple[int, ...]]) -> None:
    layer = (nn.Linear(24, 40) if kind is nn.Linear else Conv1D(40, 24)).requires_grad_(False)
    frozen, few, many = FrozenLayer(layer), torch.randn(2, 8, 24), torch.randn(2, 64, 24)
    assert torch.equal(frozen(few), layer(few))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(frozen(many), layer(many))
    assert not calls
