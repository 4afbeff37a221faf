import pytest
import torch
from torch import nn

from lamobench.baselines.dropout import Dropout, dropout


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.9])
@pytest.mark.parametrize("shape", [(1000, 1001), (3, 7, 50_001)])
def test_elements_are_dropped_at_the_rate_and_the_mean_stays(rate: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    outputs = dropout(torch.ones(shape), rate)
    assert outputs.shape == shape
    zeros = outputs == 0
    count = outputs.numel()
    assert abs(float(zeros.double().mean()) - rate) < 5 * (rate * (1 - rate) / count) ** 0.5 + 2**-16
    torch.testing.assert_close(outputs[~zeros], torch.full_like(outputs[~zeros], 1 / (1 - rate)), rtol=1e-3, atol=0)
    kept = float(outputs[~zeros].flatten()[0])
    assert kept * (1 - round(rate * 65536) / 65536) == pytest.approx(1.0, rel=1e-6)  # unbiased to the bit's rate


def test_neighbours_are_independent() -> None:
    """Neighbours that share a random number are independent too."""
    torch.manual_seed(0)
    kept = (dropout(torch.ones(4_000_000), 0.5) > 0).double() - 0.5
    for lag in (1, 2, 3, 4, 8):
        assert abs(float((kept[lag:] * kept[:-lag]).mean())) < 5 * 0.25 / 2000
    for lane in range(4):
        assert abs(float(kept[lane::4].mean())) < 5 * 0.5 / 1000


def test_gradients_pass_where_values_do() -> None:
    inputs = torch.randn(50, 3, requires_grad=True)
    outputs = dropout(inputs, 0.5)
    outputs.sum().backward()
    assert inputs.grad is not None
    torch.testing.assert_close(inputs.grad * inputs.detach(), outputs.detach())


def test_draws_are_pytorchs_random_state() -> None:
    inputs = torch.ones(10, 10)
    torch.manual_seed(3)
    first = dropout(inputs, 0.5)
    second = dropout(inputs, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(inputs, 0.5), first)
    assert not torch.equal(first, second)


def test_precision_and_order_in_memory_do_not_matter() -> None:
    inputs = torch.ones(6, 8, dtype=torch.bfloat16).T
    outputs = dropout(inputs, 0.5)
    assert outputs.dtype == torch.bfloat16
    assert set(outputs.flatten().tolist()) == {0.0, 2.0}
    assert dropout(torch.ones(0, 4), 0.5).shape == (0, 4)


@pytest.mark.parametrize("rate", [1.0, 1 - 2**-20])
def test_everything_can_be_dropped(rate: float) -> None:
    inputs = torch.ones(5, 3, requires_grad=True)
    outputs = Dropout(rate)(inputs)
    outputs.sum().backward()
    assert torch.equal(outputs, torch.zeros(5, 3))
    assert torch.equal(inputs.grad, torch.zeros(5, 3))


def test_nothing_is_dropped_outside_training_or_at_rate_zero() -> None:
    inputs = torch.randn(9)
    state = torch.get_rng_state()
    assert torch.equal(Dropout(0.5).eval()(inputs), inputs)
    assert torch.equal(Dropout(0.0)(inputs), inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(Dropout(0.5), nn.Dropout)
