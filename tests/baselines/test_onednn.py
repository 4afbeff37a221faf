"""What oneDNN multiplies equals what MKL does, forwards and backwards, in every network that goes through it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines import onednn
from lamobench.baselines.networks import Ensemble, mlp
from lamobench.baselines.onednn import ROWS, from_onednn, to_onednn
from lamobench.baselines.transformer import CausalTransformer

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch comes without oneDNN")


@contextmanager
def from_rows(rows: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "ROWS", rows)
        yield


def transformer(activation: str) -> nn.Module:
    return CausalTransformer(layers=2, heads=2, width=16, dropout=0.0, activation=activation)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: mlp((5, 16, 16, 3)), (40, 5)),
        (lambda: mlp((5, 16, 3)), (10, 4, 5)),
        (lambda: Ensemble(2, (5, 16, 16, 1)), (40, 5)),
        *[(lambda name=name: transformer(name), (3, 7, 16)) for name in ("relu", "gelu", "gelu_new")],
    ],
)
def test_values_and_gradients_are_the_same(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    network, inputs = make(), torch.randn(shape, requires_grad=True)

    def measured(rows: int) -> tuple[Tensor, ...]:
        with from_rows(rows):
            outputs = network(inputs)
        weights = torch.linspace(-1.0, 1.0, outputs.numel()).view_as(outputs)
        return outputs, *torch.autograd.grad((outputs * weights).sum(), [inputs, *network.parameters()])

    for ours, theirs in zip(measured(1), measured(10**9), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_an_ensemble_is_frozen_and_cut_there_too() -> None:
    torch.manual_seed(0)
    critic, inputs = Ensemble(3, (5, 16, 1)), torch.randn(40, 5, requires_grad=True)
    expected = critic(inputs, frozen=True, members=2)
    with from_rows(1):
        values = critic(inputs, frozen=True, members=2)
    torch.testing.assert_close(values, expected)
    (gradient,) = torch.autograd.grad(values.sum(), [inputs], retain_graph=True)
    assert gradient.abs().sum() > 0
    assert torch.autograd.grad(values.sum(), list(critic.parameters()), allow_unused=True) == (None,) * 4


def test_many_rows_of_float32_take_it_and_nothing_else_does() -> None:
    rows = torch.randn(ROWS, 4)
    assert to_onednn(rows).is_mkldnn
    assert to_onednn(rows.view(2, -1, 4)).is_mkldnn
    torch.testing.assert_close(from_onednn(to_onednn(rows)), rows)
    assert not to_onednn(rows[1:]).is_mkldnn
    assert not to_onednn(rows.double()).is_mkldnn
    assert not to_onednn(rows.to("meta")).is_mkldnn
    with torch.autocast("cpu", torch.bfloat16):
        assert not to_onednn(rows).is_mkldnn


def test_stacked_networks_are_left_to_pytorch() -> None:
    torch.manual_seed(0)
    network, inputs = mlp((4, 8, 2)), torch.randn(3, ROWS, 4)
    torch.testing.assert_close(torch.func.vmap(network)(inputs), torch.stack([network(part) for part in inputs]))


@pytest.mark.parametrize("make", [lambda: mlp((6, 32, 3)), lambda: Ensemble(2, (6, 32, 3))])
@pytest.mark.parametrize("shared", [False, True])
def test_seeds_in_one_pass_have_values_and_gradients_of_their_own(
    make: Callable[[], nn.Module], shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`shared`: all seeds see the same inputs, which `torch.vmap` then does not stack."""
    torch.manual_seed(0)
    seeds = [make() for _ in range(3)]
    inputs = torch.randn(3, 70, 6)[0 if shared else slice(None)].requires_grad_()
    tensors = {name: t.detach().requires_grad_() for name, t in torch.func.stack_module_state(seeds)[0].items()}

    def outputs(tensors: dict[str, Tensor], inputs: Tensor) -> Tensor:
        return torch.as_tensor(torch.func.functional_call(seeds[0], tensors, (inputs,)))

    def found() -> list[Tensor]:
        out = torch.vmap(outputs, in_dims=(0, None if shared else 0))(tensors, inputs)
        return [out, *torch.autograd.grad(out.square().sum(), [inputs, *tensors.values()])]

    stacked = found()
    counted = list[tuple[int, ...]]()
    product = onednn._product
    monkeypatch.setattr(onednn, "_product", lambda x, w, b: (counted.append(tuple(x.shape)), product(x, w, b))[1])
    monkeypatch.setattr(onednn, "MULTIPLICATIONS", 70 * 6 * 32)  # the last layer's are fewer
    for a, b in zip(stacked, found(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
    members = 3 * (2 if isinstance(seeds[0], Ensemble) else 1)
    assert counted.count((70, 6)) == members  # forward, one for each seed and member
    assert counted.count((6, 70)) == members  # the gradient of its weight
