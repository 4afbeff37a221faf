"""Retention of what an encoder's weights were before an agent trained them.

Pulls towards the first weights are those of `online/retention.py`; distillation holds vectors of sentences instead.
Shapes: M sentences, B of a batch, P of a group, D width.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ..online.retention import pull_back
from .encoders import Encoder

GROUP = 16  # sentences at a time


class Retention:
    """No retention, and the interface of every kind of it."""

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return a term of the loss."""
        return torch.zeros(())

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Correct the weights after their optimiser moved them."""


NOTHING = Retention()


class Anchor(Retention):
    """A pull of each weight towards where it began, by its importance: 1 (L2), or its Fisher information (EWC)."""

    def __init__(
        self, weights: Mapping[str, nn.Parameter], importance: Mapping[str, Tensor], coefficient: float
    ) -> None:
        self.weights = weights
        self.anchor = {name: parameter.detach().clone() for name, parameter in weights.items()}
        self.importance = importance
        self.coefficient = coefficient

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Go back towards the anchor (`pull_back`)."""
        pull_back(self.weights, self.anchor, self.importance, self.coefficient, optimizer)


class Distillation(Retention):
    """The mean squared distance of sentences' vectors from what they were, as a share of their mean squared length."""

    def __init__(self, encoder: Encoder, sentences: Sequence[str], coefficient: float, batch_size: int) -> None:
        """`sentences` (M) are those of which vectors are held, a batch in each update."""
        assert isinstance(encoder, nn.Module)  # as every encoder is that is trained
        self.encoder = encoder
        self.sentences = sentences
        self.coefficient = coefficient
        self.batch_size = batch_size
        with torch.no_grad():
            self.vectors = torch.cat([encoder.encode(group) for group in _groups(sentences)])  # (M, D)
        self.scale = float(self.vectors.square().sum(1).mean())

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the term, of sentences drawn with replacement."""
        rows = rng.integers(len(self.sentences), size=self.batch_size)
        found: Tensor = self.encoder([self.sentences[row] for row in rows])
        apart = (found - self.vectors[torch.from_numpy(rows)]).square().sum(1).mean()
        return self.coefficient * apart / self.scale


def sentence_fisher(
    encoder: Encoder,
    weights: Mapping[str, nn.Parameter],
    sentences: Sequence[str],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The Fisher information of each weight, where a sentence's vector is the mean of a normal distribution.

    Its diagonal is the sum over the vector's numbers of their squared derivatives: the expectation of
    (d e v / d weight)^2 over normal e (D,), of which each sentence draws one. Divided by its mean over all weights, so
    that a coefficient means the same for another encoder.
    """
    total = {name: torch.zeros_like(parameter) for name, parameter in weights.items()}
    for sentence in sentences:
        (vector,) = encoder.encode([sentence])
        direction = torch.randn(vector.shape, generator=generator)
        gradients = torch.autograd.grad(vector @ direction, list(weights.values()), allow_unused=True)
        for summed, gradient in zip(total.values(), gradients, strict=True):
            if gradient is not None:
                summed += gradient.square()
    mean = torch.cat([summed.flatten() for summed in total.values()]).mean()
    return {name: summed / mean for name, summed in total.items()}


def _groups(sentences: Sequence[str]) -> list[Sequence[str]]:
    return [sentences[start : start + GROUP] for start in range(0, len(sentences), GROUP)]
