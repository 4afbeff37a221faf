"""Products of oneDNN equal MKL's, forwards and backwards, in every network that goes through it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines import onednn
from lamobench.baselines.networks import Ensemble, mlp
from lamobench.baselines.onednn import MULTIPLICATIONS, Linear, linear, pays
from lamobench.baselines.transformer import CausalTransformer

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch comes without oneDNN")

Shapes = list[tuple[int, ...]]


@pytest.fixture
def multiplied(monkeypatch: pytest.MonkeyPatch) -> Shapes:
    """Let oneDNN multiply everything; the shapes (rows, in) of what it was given."""
    seen = Shapes()
    multiply = onednn._multiply

    def remember(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append(tuple(inputs.shape))
        return multiply(inputs, weight, bias)

    monkeypatch.setattr(onednn, "faster_here", lambda: True)
    monkeypatch.setattr(onednn, "_multiply", remember)
    monkeypatch.setattr(onednn, "MULTIPLICATIONS", 0)
    monkeypatch.setattr(onednn, "ROWS", 0)
    return seen


def transformer(activation: str) -> nn.Module:
    return CausalTransformer(layers=2, heads=2, width=16, dropout=0.0, activation=activation)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: mlp((5, 16, 16, 3)), (40, 5)),
        (lambda: mlp((5, 16, 3)), (10, 4, 5)),
        (lambda: Ensemble(2, (5, 16, 16, 1)), (40, 5)),
        (lambda: Ensemble(2, (5, 16, 16, 1), layer_norm=True), (40, 5)),
        *[(lambda name=name: transformer(name), (3, 7, 16)) for name in ("relu", "gelu", "gelu_new")],
    ],
)
def test_values_and_gradients_are_the_same(
    make: Callable[[], nn.Module], shape: tuple[int, ...], request: pytest.FixtureRequest
) -> None:
    torch.manual_seed(0)
    network = make()
    inputs = torch.randn(shape, requires_grad=True)

    def measured() -> tuple[Tensor, ...]:
        outputs = network(inputs)
        weights = torch.linspace(-1.0, 1.0, outputs.numel()).view_as(outputs)
        return outputs, *torch.autograd.grad((outputs * weights).sum(), [inputs, *network.parameters()])

    theirs = measured()
    multiplied: Shapes = request.getfixturevalue("multiplied")
    for ours, other in zip(measured(), theirs, strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)
    assert len(multiplied) >= 6


def test_an_ensemble_is_frozen_and_cut_there_too(request: pytest.FixtureRequest) -> None:
    torch.manual_seed(0)
    critic = Ensemble(3, (5, 16, 1))
    inputs = torch.randn(40, 5, requires_grad=True)
    expected = critic(inputs, frozen=True, members=2)
    multiplied: Shapes = request.getfixturevalue("multiplied")
    values = critic(inputs, frozen=True, members=2)
    torch.testing.assert_close(values, expected)
    assert len(multiplied) == 4  # two layers of two members
    (gradient,) = torch.autograd.grad(values.sum(), [inputs], retain_graph=True)
    assert gradient.abs().sum() > 0
    assert torch.autograd.grad(values.sum(), list(critic.parameters()), allow_unused=True) == (None,) * 4


def test_large_products_of_float32_take_it_and_nothing_else_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "faster_here", lambda: True)
    rows = torch.randn(MULTIPLICATIONS // (64 * 32), 64)
    weight = torch.randn(32, 64)
    assert pays(rows, weight)
    assert pays(rows.view(2, -1, 64), weight)
    assert not pays(rows[1:], weight)
    assert not pays(rows.double(), weight.double())
    assert not pays(rows.to("meta"), weight.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(rows, weight)


@pytest.mark.parametrize(
    ("name", "mkl", "expected"),
    [("AMD EPYC", True, True), ("AMD EPYC", False, True), ("Intel(R) Xeon(R)", True, False), ("Intel", False, True)],
)
def test_intels_processors_keep_mkl(name: str, mkl: bool, expected: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "processor", lambda: name)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: mkl)
    assert onednn.faster_here.__wrapped__() == expected


def test_what_it_leaves_is_pytorchs_own(multiplied: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "MULTIPLICATIONS", 1 << 60)
    layer = Linear(8, 4)
    inputs = torch.randn(6, 8)
    assert torch.equal(layer(inputs), nn.functional.linear(inputs, layer.weight, layer.bias))
    assert not multiplied


@pytest.mark.parametrize("trained", [(True, False, False), (False, True, False), (True, False, True)])
def test_only_the_gradients_that_are_asked_for_are_computed(trained: tuple[bool, ...], multiplied: Shapes) -> None:
    shapes = ((10, 6), (5, 6), (5,))
    tensors = [torch.randn(shape, requires_grad=grad) for shape, grad in zip(shapes, trained, strict=True)]
    linear(*tensors).sum().backward()
    assert [tensor.grad is not None for tensor in tensors] == list(trained)
    assert len(multiplied) == 1 + trained[0] + trained[1]


@pytest.mark.parametrize("sizes", [(6, 32), (32, 6)])
def test_a_weight_may_be_a_view_of_its_transpose(sizes: tuple[int, int], multiplied: Shapes) -> None:
    inputs = torch.randn(3, 10, sizes[0])
    weight = torch.randn(sizes, requires_grad=True)
    bias = torch.randn(sizes[1], requires_grad=True)

    def found(product: Callable[..., Tensor]) -> list[Tensor]:
        out = product(inputs, weight.T, bias)
        return [out, *torch.autograd.grad(out.square().sum(), [weight, bias])]

    for ours, theirs in zip(found(linear), found(nn.functional.linear), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert multiplied


def with_gaps(*shape: int) -> list[Tensor]:
    """Tensors of a shape that oneDNN's fast kernels don't take as they lie in memory."""
    rows, columns = shape[-2:]
    return [
        torch.randn(*shape[:-1], 3 * columns)[..., columns : 2 * columns],
        torch.randn(*shape[:-2], 2 * rows, columns)[..., ::2, :],
        torch.randn(*shape[:-1], 2 * columns)[..., ::2],
        torch.randn(*shape[:-1], 1).expand(shape),
    ]


@pytest.mark.parametrize("case", range(4))
def test_factors_with_gaps_in_memory_are_copied(case: int, multiplied: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = onednn.torch.ops.mkldnn._linear_pointwise
    given = []

    def watch(inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        assert weight.is_contiguous() or weight.T.is_contiguous()
        assert bias is None or bias.is_contiguous()
        given.append(weight.shape)
        return fast(inputs, weight, bias, "none", [], "")

    monkeypatch.setattr(onednn, "_contiguous_product", watch)
    inputs, weight = (with_gaps(*shape)[case].detach().requires_grad_() for shape in ((2, 9, 6), (5, 6)))
    bias = with_gaps(5, 5)[case][0].detach().requires_grad_()
    upstream = with_gaps(2, 9, 5)[case]
    found, expected = (
        [out, *torch.autograd.grad(out, [inputs, weight, bias], upstream)]
        for out in (linear(inputs, weight, bias), nn.functional.linear(inputs, weight, bias))
    )
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert len(given) == 3


@pytest.mark.parametrize("places", [(0, 0, 0), (1, 1, 1), (2, 0, 1), (None, 1, None), (0, None, None)])
def test_seeds_may_be_any_dimension(places: tuple[int | None, ...], multiplied: Shapes) -> None:
    shapes = ((9, 6), (5, 6), (5,))
    tensors = [
        torch.randn(shape) if place is None else torch.randn(4, *shape).movedim(0, place).contiguous()
        for shape, place in zip(shapes, places, strict=True)
    ]
    expected = torch.vmap(nn.functional.linear, in_dims=places)(*tensors)
    torch.testing.assert_close(torch.vmap(linear, in_dims=places)(*tensors), expected, rtol=1e-4, atol=1e-5)
    assert len(multiplied) == 4


def test_other_transformations_are_left_to_pytorch(multiplied: Shapes) -> None:
    inputs = torch.randn(3, 9, 6)
    weights = torch.randn(2, 5, 6)

    def loss(product: Callable[..., Tensor], x: Tensor, w: Tensor) -> Tensor:
        return product(x, w, None).square().sum()

    for each in (
        lambda product: torch.func.grad(lambda x: loss(product, x, weights[0]))(inputs),
        lambda product: torch.vmap(torch.func.grad(lambda x: loss(product, x, weights[0])))(inputs),
        lambda product: torch.vmap(lambda w: torch.vmap(lambda x: product(x, w, None))(inputs))(weights),
        lambda product: torch.vmap(lambda x: x.sum() * product(inputs, weights[0], None))(inputs),
        lambda product: product(inputs[0, 0], weights[0], None),
        lambda product: product(inputs[:, :0], weights[0], None),
    ):
        torch.testing.assert_close(each(linear), each(nn.functional.linear), rtol=1e-4, atol=1e-5)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        linear(inputs, weights[0, :, :4], None)


@pytest.mark.parametrize("make", [lambda: mlp((6, 32, 3)), lambda: Ensemble(2, (6, 32, 3))])
@pytest.mark.parametrize("shared", [False, True])
def test_seeds_in_one_pass_have_values_and_gradients_of_their_own(
    make: Callable[[], nn.Module], shared: bool, request: pytest.FixtureRequest
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
    multiplied: Shapes = request.getfixturevalue("multiplied")
    for a, b in zip(stacked, found(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
    members = 3 * (2 if isinstance(seeds[0], Ensemble) else 1)
    assert multiplied.count((70, 6)) == members  # forward, one for each seed and member
