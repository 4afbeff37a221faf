"""A language model with the suite's linear layers and dropout: the same values and gradients, and names."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from lamobench.baselines import onednn
from lamobench.baselines.dropout import Dropout
from lamobench.benchmark.benches import policies
from lamobench.benchmark.lm.adapters import FastLinear, use_fast_layers
from lamobench.benchmark.lm.lamo import LaMo, LaMoBatch

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 64, "n_positions": 64}
needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch comes without oneDNN")


def lamo(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> LaMo:
    monkeypatch.setitem(policies.SHAPES, "tiny", TINY)
    return policies.lamo("tiny", **changes)


@needs_onednn
@pytest.mark.parametrize("kind", [nn.Linear, Conv1D])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("threshold", [0, 1 << 60])
@pytest.mark.parametrize("outputs", [40, 8])  # the weight's longer side is that of the outputs, or of the inputs
def test_values_and_gradients_are_the_same(
    kind: Any, trained: bool, threshold: int, outputs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onednn, "faster_here", lambda: True)
    monkeypatch.setattr(onednn, "MULTIPLICATIONS", threshold)
    torch.manual_seed(0)
    layer = nn.Linear(24, outputs) if kind is nn.Linear else Conv1D(outputs, 24)
    layer.weight.requires_grad_(trained)
    layer.bias.data.normal_()
    inputs = torch.randn(4, 32, 24, requires_grad=True)
    ours = FastLinear(deepcopy(layer))
    again = inputs.detach().clone().requires_grad_()
    expected = layer(inputs)
    found = ours(again)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    torch.testing.assert_close(again.grad, inputs.grad)
    torch.testing.assert_close(ours.bias.grad, layer.bias.grad)
    torch.testing.assert_close(ours.weight.grad, layer.weight.grad)
    assert torch.equal(ours.weight, layer.weight)
    assert ours.weight.is_contiguous() == (trained or kind is nn.Linear or outputs > 24)


@needs_onednn
@pytest.mark.parametrize("adaptation", ["lora", "full", "frozen"])
def test_lamo_has_the_same_loss_and_gradients(adaptation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "faster_here", lambda: True)
    policy = lamo(monkeypatch, adaptation=adaptation).eval()
    batch = LaMoBatch(policies.windows(4, 20), None)
    found = []
    for least in (0, 1 << 60):
        monkeypatch.setattr(onednn, "MULTIPLICATIONS", least)
        policy.zero_grad()
        loss = policy.loss(batch)[0]
        loss.backward()
        found.append([loss, *(p.grad for p in policy.parameters() if p.grad is not None)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_every_layer_is_ours_and_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("lamobench.benchmark.lm.lamo.use_fast_layers", lambda model: None)
        plain = lamo(patch)
    policy = lamo(monkeypatch)
    assert [name for name, _ in plain.named_parameters()] == [name for name, _ in policy.named_parameters()]
    kinds = {type(module) for module in policy.language_model.modules()}
    assert kinds & {nn.Linear, Conv1D, nn.Dropout} == set()
    rates = [[m.p for m in each.modules() if isinstance(m, nn.Dropout)] for each in (plain, policy)]
    assert rates[0] == rates[1]
    assert all(type(m) is Dropout for m in policy.language_model.modules() if isinstance(m, nn.Dropout))


def test_tied_weights_stay_tied(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lamo(monkeypatch).language_model
    use_fast_layers(model)  # once more: nothing is left to replace
    assert model.lm_head.weight is model.transformer.wte.weight
