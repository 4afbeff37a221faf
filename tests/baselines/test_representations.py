"""Measures of representations: what they are blind to, what they see, and by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor

from lamobench.baselines.representations import anisotropy, cosine_drift, cosines, linear_cka, neighbours_kept


@pytest.fixture
def layer() -> Tensor:
    return torch.randn(500, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def rotation() -> Tensor:
    return torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]


def other(layer: Tensor) -> Tensor:
    return torch.randn(layer.shape, generator=torch.Generator().manual_seed(2))


def test_cka_is_blind_to_rotation_and_size_and_sees_the_rest(layer: Tensor, rotation: Tensor) -> None:
    assert linear_cka(layer, 3.0 * layer @ rotation + 1.0) == pytest.approx(1.0)
    assert linear_cka(layer, other(layer)) < 0.1
    assert linear_cka(layer, torch.ones(500, 6)) == 0.0
    assert linear_cka(layer, layer[torch.randperm(500, generator=torch.Generator().manual_seed(3))]) < 0.1


def test_cka_of_few_unrelated_inputs_is_as_high_as_it_says() -> None:
    first, second = (torch.randn(60, 90, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert linear_cka(first, second) == pytest.approx(90 / 150, abs=0.03)


def test_drift_sees_rotations_and_not_size(layer: Tensor) -> None:
    assert cosine_drift(layer, 3.0 * layer) == pytest.approx(0.0, abs=1e-12)
    assert cosine_drift(layer, layer) >= 0.0
    assert cosine_drift(layer, -layer) == pytest.approx(2.0)
    turned = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    assert cosine_drift(turned, torch.tensor([[0.0, 1.0], [0.0, 2.0]])) == pytest.approx((1.0 + 1.0 - 0.5**0.5) / 2)


def test_neighbours_are_kept_by_rotations_and_lost_by_shuffles(layer: Tensor, rotation: Tensor) -> None:
    assert neighbours_kept(layer, 2.0 * layer @ rotation) == 1.0
    assert neighbours_kept(layer, other(layer)) == pytest.approx(10 / 499, abs=0.01)
    line = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])  # two pairs
    crossed = line[[0, 2, 1, 3]]
    assert neighbours_kept(line, line, 1) == 1.0
    assert neighbours_kept(line, crossed, 1) == 0.0
    assert neighbours_kept(line, crossed, 2) == 0.625  # of two one is the same, of the last input both


def test_neighbours_are_those_of_a_plain_loop(layer: Tensor) -> None:
    before = layer[:40].numpy().astype(float)
    after = before + 0.3 * other(layer)[:40].numpy()
    shares = []
    for number in range(40):
        sets = []
        for vectors in (before, after):
            norms = np.linalg.norm(vectors, axis=1)
            near = [vectors[n] @ vectors[number] / norms[n] / norms[number] if n != number else -9.0 for n in range(40)]
            sets.append(set(np.argsort(near)[-10:].tolist()))
        shares.append(len(sets[0] & sets[1]) / 10)
    assert neighbours_kept(torch.from_numpy(before), torch.from_numpy(after)) == pytest.approx(np.mean(shares))


def test_anisotropy_by_hand(layer: Tensor) -> None:
    assert anisotropy(torch.tensor([[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0]])) == pytest.approx(-1 / 3)
    assert anisotropy(torch.ones(5, 3)) == pytest.approx(1.0)
    assert anisotropy(layer) == pytest.approx(0.0, abs=0.01)
    assert anisotropy(layer + 100.0) > 0.99


def test_a_vector_of_zeros_is_like_nothing() -> None:
    assert cosines(torch.tensor([[0.0, 0.0], [1.0, 2.0]])).tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]
