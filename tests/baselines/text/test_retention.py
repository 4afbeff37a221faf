"""Retention of an encoder's weights, by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lamobench.baselines.text.drrn import trained_weights
from lamobench.baselines.text.retention import Anchor, Distillation, sentence_fisher
from lamobench.tests.baselines.text.conftest import Letters

PIECES = ["ab", "b", "ccc"]


class Linear(nn.Module):
    """The vector of a sentence is a matrix times (its length, 1)."""

    width = 2
    frozen = 0

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))

    def cut(self, text: str) -> Sequence[str]:
        return [text]

    def encode(self, pieces: Sequence[str]) -> Tensor:
        return self(pieces)  # type: ignore[no-any-return]

    def forward(self, pieces: Sequence[str]) -> Tensor:
        return torch.tensor([[float(len(piece)), 1.0] for piece in pieces]) @ self.matrix.T


def test_distillation_is_zero_at_first_and_a_share_of_the_length_afterwards() -> None:
    encoder = Linear()
    held = Distillation(encoder, PIECES, coefficient=3.0, batch_size=4)
    rng = np.random.default_rng(0)
    assert float(held.loss(rng).detach()) == 0.0
    lengths = [(x + 2) ** 2 + (3 * x + 4) ** 2 for x in (2.0, 1.0, 3.0)]
    with torch.no_grad():
        encoder.matrix[0, 1] += 1.0  # each vector moves by 1
    assert float(held.loss(rng).detach()) == pytest.approx(3.0 * 1.0 / np.mean(lengths))


def test_fisher_information_is_the_expected_square_of_derivatives() -> None:
    encoder = Linear()
    generator = torch.Generator().manual_seed(0)
    found = sentence_fisher(encoder, trained_weights(encoder), PIECES * 3000, generator)["matrix"]
    squares = torch.tensor([(2.0**2 + 1.0 + 3.0**2) / 3, 1.0])  # of the inputs; each weight has one output
    expected = squares.repeat(2, 1) / squares.mean()
    torch.testing.assert_close(found, expected, rtol=0.08, atol=0.0)


def test_an_anchor_pulls_back_by_importance() -> None:
    encoder = Letters()
    weights = trained_weights(encoder)
    start = encoder.table.detach().clone()
    importance = {"table": torch.zeros_like(start)}
    importance["table"][:, 0] = 1.0
    held = Anchor(weights, importance, coefficient=2.0)
    optimizer = torch.optim.SGD(weights.values(), lr=0.25)
    with torch.no_grad():
        encoder.table += 1.0
    held.after_step(optimizer)
    pull = 2.0 * 2.0 * 0.25
    torch.testing.assert_close(encoder.table[:, 0].detach(), start[:, 0] + 1.0 / (1.0 + pull))
    torch.testing.assert_close(encoder.table[:, 1:].detach(), start[:, 1:] + 1.0)
    assert float(held.loss(np.random.default_rng(0))) == 0.0
