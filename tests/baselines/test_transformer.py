from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lamobench.baselines.transformer import EVERY, FEW_TOKENS, Block, CausalTransformer, Places, causal_attention

READ = [EVERY, slice(1, None, 3), slice(-1, None)]  # as a language loss, training and acting read


def test_a_later_token_leaves_earlier_outputs_alone() -> None:
    torch.manual_seed(0)
    transformer = CausalTransformer(layers=2, heads=2, width=16, dropout=0.1, activation="relu").eval()
    tokens = torch.randn(3, 7, 16)
    before = transformer(tokens)
    changed = tokens.clone()
    changed[:, 4] = torch.randn(3, 16)
    after = transformer(changed)
    assert torch.equal(after[:, :4], before[:, :4])
    assert ((after - before)[:, 4:].abs().amax(-1) > 1e-5).all()  # and every later one sees it


# Few tokens are fewer than a vector of the processor, some are plain products, many go to the fused kernel.
@pytest.mark.parametrize("seen", [9, 40, FEW_TOKENS + 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # float64 always takes the path of plain products
@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("start", [0, 4])  # tokens that are earlier than those that ask
@pytest.mark.parametrize("share", [1, 3])  # queries' heads for one of keys and values
def test_attention_equals_plain_arithmetic(seen: int, dtype: torch.dtype, read: slice, start: int, share: int) -> None:
    torch.manual_seed(0)
    query = torch.randn(3, 2 * share, seen, 8, dtype=dtype, requires_grad=True)
    key, value = (torch.randn(3, 2, seen, 8, dtype=dtype, requires_grad=True) for _ in range(2))
    asking = query[:, :, start:][:, :, read]
    ours = causal_attention(asking, key, value, Places(seen - start, read), scale=0.3)
    scores = 0.3 * query @ key.repeat_interleave(share, dim=1).transpose(-2, -1)
    weights = scores.masked_fill(torch.ones(seen, seen).triu(1).bool(), -torch.inf).softmax(-1)
    theirs = (weights @ value.repeat_interleave(share, dim=1))[:, :, start:][:, :, read].transpose(1, 2).flatten(2)
    torch.testing.assert_close(ours, theirs)
    inputs = (query, key, value)
    directions = torch.randn_like(ours)
    gradients = torch.autograd.grad((ours * directions).sum(), inputs)
    for mine, other in zip(gradients, torch.autograd.grad((theirs * directions).sum(), inputs), strict=True):
        torch.testing.assert_close(mine, other)


def test_attention_s_own_scale_is_that_of_the_fused_kernel() -> None:
    query, key, value = torch.randn(3, 1, 2, 7, 8).unbind()
    theirs = F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)
    torch.testing.assert_close(causal_attention(query, key, value, Places(7, EVERY)), theirs)


def test_attention_drops_weights_and_keeps_their_mean() -> None:
    torch.manual_seed(0)
    query = torch.zeros(500, 4, 1, 8)
    key = torch.zeros(500, 4, 20, 8)
    value = torch.ones(500, 4, 20, 8)
    mixed = causal_attention(query, key, value, Places(1, EVERY), dropout=0.25)
    assert mixed.min() < 0.9 < 1.1 < mixed.max() <= 1 / 0.75 + 1e-6
    assert float(mixed.mean()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("tiles", [False, True])
@pytest.mark.parametrize("rounded", [False, True])
def test_every_layer_attends_by_what_is_fast_in_the_precision_of_its_products(
    monkeypatch: pytest.MonkeyPatch, rounded: bool, tiles: bool
) -> None:
    """The first layer does so too, whose queries acting keeps in float32 under autocast."""
    fused = F.scaled_dot_product_attention
    calls = []
    monkeypatch.setattr(
        F, "scaled_dot_product_attention", lambda *args, **options: calls.append(1) or fused(*args, **options)
    )
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    transformer = CausalTransformer(layers=3, heads=2, width=16, dropout=0.0, activation="relu")
    expected = {FEW_TOKENS: 0, FEW_TOKENS + 1: 3 if tiles or not rounded else 0}
    for seen, layers in expected.items():
        calls.clear()
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            transformer.finish(transformer.begin(torch.randn(2, seen, 16)), slice(-1, None))
        assert len(calls) == layers
    calls.clear()
    with torch.autocast("cpu", torch.bfloat16, enabled=rounded):  # learning
        transformer(torch.randn(2, FEW_TOKENS + 1, 16))
    assert len(calls) == (0 if rounded else 3)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("start", [0, 4])
def test_outputs_that_are_read_are_those_of_all(read: slice, start: int) -> None:
    torch.manual_seed(0)
    transformer = CausalTransformer(layers=2, heads=2, width=16, dropout=0.1, activation="relu").eval()
    for parameter in transformer.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    tokens = torch.randn(3, 11, 16)
    expected = transformer(tokens)[:, start:][:, read]
    past = transformer.new_past()
    if start:
        transformer.extend(tokens[:, :start], past)
    some = transformer.extend(tokens[:, start:], past, read) if start else transformer(tokens, read)
    torch.testing.assert_close(some, expected, rtol=1e-5, atol=1e-5)
    if not start:
        begun = torch.cat([transformer.begin(part) for part in tokens.split(4, dim=1)], dim=1)
        torch.testing.assert_close(transformer.finish(begun, read), expected, rtol=1e-5, atol=1e-5)
    parameters = list(transformer.parameters())
    directions = torch.randn_like(expected)
    if not start:
        mine = torch.autograd.grad((some * directions).sum(), parameters)
        for one, other in zip(mine, torch.autograd.grad((expected * directions).sum(), parameters), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_one_layer_alone_is_begun_and_finished() -> None:
    transformer = CausalTransformer(layers=1, heads=2, width=16, dropout=0.0, activation="relu").eval()
    tokens = torch.randn(3, 11, 16)
    for read in READ:
        finished = transformer.finish(transformer.begin(tokens), read)
        torch.testing.assert_close(finished, transformer(tokens, read), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_tokens_join_few_at_a_time_and_rows_leave() -> None:
    torch.manual_seed(0)
    transformer = CausalTransformer(layers=2, heads=2, width=16, dropout=0.0, activation="relu").eval()
    tokens = torch.randn(4, 20, 16)
    past = transformer.new_past()
    rows = torch.tensor([0, 2, 3])
    expected = transformer(tokens)
    for start in range(0, 20, 2):
        if start == 10:
            past.batch_select_indices(rows)
        live = rows if start >= 10 else torch.arange(4)
        some = transformer.extend(tokens[live, start : start + 2], past)
        torch.testing.assert_close(some, expected[live, start : start + 2], rtol=1e-5, atol=1e-5)
    assert past.lengths == [20, 20]


def test_the_last_layer_computes_nothing_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = list[int]()

    def spy(block: Block, hidden: Tensor, *given: Any) -> Tensor:
        outputs = forward(block, hidden, *given)
        rows.append(outputs.shape[1])
        return outputs

    forward = Block.forward
    monkeypatch.setattr(Block, "forward", spy)
    CausalTransformer(layers=3, heads=2, width=16, dropout=0.0, activation="relu")(torch.randn(2, 11, 16), READ[1])
    assert rows == [11, 11, 4]


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    transformer = CausalTransformer(1, 2, 16, 0.5, "gelu")
    tokens = torch.randn(2, 5, 16)
    assert not torch.equal(transformer(tokens), transformer(tokens))
    transformer.eval()
    assert torch.equal(transformer(tokens), transformer(tokens))


@pytest.mark.parametrize(("activation", "expected"), [("relu", 0.0), ("gelu", -0.158655), ("gelu_new", -0.158808)])
def test_activations(activation: str, expected: float) -> None:
    block = CausalTransformer(1, 1, 4, 0.0, activation).blocks[0]
    assert float(block.activation(torch.tensor(-1.0))) == pytest.approx(expected, abs=1e-6)
