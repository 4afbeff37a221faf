import pytest
import torch
from torch.nn import functional as F

from lamobench.baselines.transformer import CausalTransformer, causal_attention


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # float64 takes the path of plain products
def test_attention_equals_the_fused_kernel(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(3, 2, 9, 8, dtype=dtype, requires_grad=True) for _ in range(3))
    ours = causal_attention(query, key, value, 0.0)
    theirs = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(ours, theirs)
    inputs, weights = (query, key, value), torch.randn_like(ours)
    gradients = torch.autograd.grad((ours * weights).sum(), inputs)
    for mine, other in zip(gradients, torch.autograd.grad((theirs * weights).sum(), inputs), strict=True):
        torch.testing.assert_close(mine, other)


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    transformer, tokens = CausalTransformer(1, 2, 16, 0.5, "gelu"), torch.randn(2, 5, 16)
    assert not torch.equal(transformer(tokens), transformer(tokens))
    transformer.eval()
    assert torch.equal(transformer(tokens), transformer(tokens))


@pytest.mark.parametrize(("activation", "expected"), [("relu", 0.0), ("gelu", -0.158655), ("gelu_new", -0.158808)])
def test_activations(activation: str, expected: float) -> None:
    block = CausalTransformer(1, 1, 4, 0.0, activation).blocks[0]
    assert float(block.activation(torch.tensor(-1.0))) == pytest.approx(expected, abs=1e-6)
