"""Our pass over GPT-2's layers gives what transformers' own gives."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from lamobench.baselines.onednn import linear
from lamobench.baselines.transformer import KeysAndValues
from lamobench.benchmark.lm.adapters import add_lora, use_fast_layers
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.gpt2 import SplitProjection, read_tokens

READ = [slice(None), slice(1, None, 3), slice(-1, None)]
Make = Callable[..., Any]


@pytest.fixture
def make(tiny_gpt2: Path) -> Make:
    """A tiny GPT-2 with updates that are not zero, without dropout."""

    def make(adaptation: str, dropout: float = 0.0) -> Any:
        model = load_language_model(str(tiny_gpt2), attention="sdpa").requires_grad_(adaptation == "full")
        if adaptation in ("separate", "joint"):
            add_lora(model, adaptation, rank=2, alpha=8.0, dropout=dropout)
        torch.manual_seed(0)
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.data.normal_(std=0.5)
        return model

    return make


def one_by_one(projection: SplitProjection, hidden: Tensor) -> Tensor:
    """The outputs of peft's three layers."""
    return torch.cat([projection.q(hidden), projection.k(hidden), projection.v(hidden)], dim=-1)


def by_transformers(model: Any, monkeypatch: pytest.MonkeyPatch, tokens: Tensor) -> Tensor:
    """The outputs of transformers' own pass, with peft's own layers."""
    with monkeypatch.context() as patch:
        patch.setattr(SplitProjection, "forward", one_by_one)
        hidden: Tensor = model.transformer(inputs_embeds=tokens, use_cache=False).last_hidden_state
    return hidden


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("adaptation", ["frozen", "full", "separate", "joint"])
@pytest.mark.parametrize("fast", [False, True])
def test_outputs_and_gradients(
    make: Make, monkeypatch: pytest.MonkeyPatch, read: slice, adaptation: str, fast: bool
) -> None:
    theirs = make(adaptation).eval()
    ours = deepcopy(theirs)
    if fast:
        use_fast_layers(ours)
    tokens = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(0)).requires_grad_()
    expected = by_transformers(theirs, monkeypatch, tokens)[:, read]
    outputs = read_tokens(ours.transformer, tokens, read=read)
    torch.testing.assert_close(outputs, expected, rtol=1e-4, atol=1e-5)
    directions = torch.randn_like(expected)
    gradients = []
    for model, hidden in ((ours, outputs), (theirs, expected)):
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        found = torch.autograd.grad((hidden * directions).sum(), [tokens, *trained.values()], allow_unused=True)
        gradients.append(dict(zip(["tokens", *trained], found, strict=True)))
    assert gradients[0].keys() == gradients[1].keys()
    assert (len(gradients[0]) > 1) == (adaptation != "frozen")
    for name, gradient in gradients[1].items():
        torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-3, atol=1e-4)
    with torch.no_grad():  # where updates are added to the weights first
        torch.testing.assert_close(read_tokens(ours.transformer, tokens, read=read), outputs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("adaptation", ["frozen", "separate", "joint"])
@torch.no_grad()
def test_tokens_join_those_that_were_read(make: Make, read: slice, adaptation: str) -> None:
    gpt2 = make(adaptation).eval().transformer
    tokens = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(0))
    past = KeysAndValues.of(2)
    expected = read_tokens(gpt2, tokens)
    torch.testing.assert_close(read_tokens(gpt2, tokens[:, :4], past), expected[:, :4], rtol=1e-4, atol=1e-5)
    later = read_tokens(gpt2, tokens[:, 4:], past, read)
    torch.testing.assert_close(later, expected[:, 4:][:, read], rtol=1e-4, atol=1e-5)
    assert past.lengths == [11, 11]


@pytest.mark.parametrize("switch", ["merge", "disable"])
def test_updates_that_peft_merged_or_disabled_are_not_added(make: Make, switch: str) -> None:
    model = make("separate").eval()
    hidden = torch.randn(3, 11, 16)
    projection = model.transformer.h[0].attn.c_attn
    before = projection(hidden)
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        if switch == "merge":
            layer.merge()
        else:
            layer.enable_adapters(False)
    torch.testing.assert_close(projection(hidden), one_by_one(projection, hidden), rtol=1e-4, atol=1e-5)
    assert torch.allclose(projection(hidden), before, atol=1e-4) == (switch == "merge")


@pytest.mark.parametrize("place", ["drop", "attn_dropout", "resid_dropout", "mlp.dropout"])
def test_dropout_is_where_transformers_has_it(make: Make, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Dropout at a rate of 1 has no randomness."""
    model = make("separate").train()
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            module.p = float(name.endswith(f".{place}"))
    tokens = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(0))
    without = read_tokens(deepcopy(model).eval().transformer, tokens)
    outputs = read_tokens(model.transformer, tokens)
    assert not torch.allclose(outputs, without, atol=0.01)
    torch.testing.assert_close(outputs, by_transformers(model, monkeypatch, tokens), rtol=1e-4, atol=1e-5)


def test_the_scale_of_attention_is_the_checkpoint_s(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("frozen").eval()
    tokens = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(0))
    before = read_tokens(model.transformer, tokens)
    for layer, block in enumerate(model.transformer.h):
        block.attn.scaling = 1 / (layer + 1)
    outputs = read_tokens(model.transformer, tokens)
    assert not torch.allclose(outputs, before, atol=1e-3)
    torch.testing.assert_close(outputs, by_transformers(model, monkeypatch, tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adaptation", ["frozen", "separate", "joint"])
def test_the_last_layer_is_computed_where_it_is_read(make: Make, adaptation: str) -> None:
    model = make(adaptation)
    rows = list[int]()
    for block in model.transformer.h:
        block.mlp.register_forward_hook(lambda module, given, outputs: rows.append(outputs.shape[1]))
    read_tokens(model.transformer, torch.randn(3, 11, 16), read=READ[1])
    assert rows == [11, 4]


@pytest.mark.parametrize(("tokens", "learning", "products"), [(11, True, 2), (11, False, 1), (5, False, 2)])
def test_updates_are_added_to_the_weights_where_that_is_less_to_multiply(
    make: Make, monkeypatch: pytest.MonkeyPatch, tokens: int, learning: bool, products: int
) -> None:
    """The width is 16: it is less for 33 tokens, not for 15."""
    projection = make("separate").eval().transformer.h[0].attn.c_attn
    made = list[Tensor]()

    def spy(*given: Any) -> Tensor:
        made.append(linear(*given))
        return made[-1]

    hidden = torch.randn(3, tokens, 16)
    monkeypatch.setattr("lamobench.benchmark.lm.gpt2.linear", spy)
    with torch.set_grad_enabled(learning):
        torch.testing.assert_close(projection(hidden), one_by_one(projection, hidden), rtol=1e-4, atol=1e-5)
    assert len(made) == products


@pytest.mark.parametrize("parts", ["q", "k", "v", "qk", "kv", "qkv"])
def test_some_of_the_three(make: Make, parts: str) -> None:
    projection = make("separate").eval().transformer.h[0].attn.c_attn
    hidden = torch.randn(3, 4, 16)
    expected = torch.cat([getattr(projection, part)(hidden) for part in parts], dim=-1)
    torch.testing.assert_close(projection.only(parts, hidden, hidden), expected, rtol=1e-4, atol=1e-5)


def test_frozen_weights_are_held_once(make: Make) -> None:
    projection = make("separate").transformer.h[0].attn.c_attn
    ends = [part.base_layer.weight.untyped_storage().data_ptr() for part in (projection.q, projection.k, projection.v)]
    assert set(ends) == {projection.fused.untyped_storage().data_ptr()}


def test_one_dropout_is_that_of_queries_keys_and_values(make: Make) -> None:
    projection = make("separate", dropout=0.5).train().transformer.h[0].attn.c_attn
    for part in (projection.k, projection.v):
        part.load_state_dict(projection.q.state_dict())
    hidden = torch.randn(3, 11, 16)
    query, key, value = projection(hidden).split(16, dim=-1)
    torch.testing.assert_close(query, key)
    torch.testing.assert_close(query, value)
    assert not torch.allclose(query, projection(hidden)[..., :16])


def test_the_last_layer_has_one_dropout_too(make: Make) -> None:
    """Updates of queries, keys and values from zeros are zero, as without any."""
    model = make("separate", dropout=1.0).train()
    model.transformer.eval()
    tokens = torch.randn(3, 11, 16, generator=torch.Generator().manual_seed(0))
    drawn = list[tuple[int, ...]]()
    for block in model.transformer.h:
        block.attn.c_attn.train()
        for part in (block.attn.c_attn.q, block.attn.c_attn.k, block.attn.c_attn.v):
            part.lora_dropout["default"].register_forward_hook(lambda module, given, result: drawn.append(result.shape))
    outputs = read_tokens(model.transformer, tokens, read=READ[1])
    assert drawn == [(3, 11, 16)] * 2
    for layer in [module for module in model.modules() if isinstance(module, LoraLayer)]:
        layer.enable_adapters(False)
    torch.testing.assert_close(outputs, read_tokens(model.transformer, tokens, read=READ[1]), rtol=1e-4, atol=1e-5)
