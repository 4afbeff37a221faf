"""Measures of representations: what a layer makes of inputs, and what two layers make of the same ones.

Shapes: M inputs, W width of a layer, which may be another one in the second.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURS = 10


def linear_cka(first: Tensor, second: Tensor) -> float:
    """Linear centred kernel alignment of two layers (M, W) on the same inputs: 1 for the same up to a rotation.

    Kornblith et al. 2019 (arXiv 1905.00414), Section 3; 0 where a layer doesn't vary. Of unrelated layers it is about
    W / (M + W), not 0, where all directions vary alike.
    """
    first = (first - first.mean(0)).double()
    second = (second - second.mean(0)).double()
    norms = torch.linalg.norm(first.T @ first) * torch.linalg.norm(second.T @ second)
    return float(torch.linalg.norm(first.T @ second).square() / norms) if norms > 0 else 0.0


def cosine_drift(first: Tensor, second: Tensor) -> float:
    """The mean over inputs of 1 - cosine between the vectors (M, W) that a layer had for them, and has now."""
    cosine = F.cosine_similarity(first.double(), second.double(), dim=1)
    return float((1.0 - cosine.clamp(max=1.0)).mean())


def neighbours_kept(first: Tensor, second: Tensor, count: int = NEIGHBOURS) -> float:
    """The share of each input's `count` nearest by cosine that still are so, mean over inputs (M, W).

    Wendlandt et al. 2018 (arXiv 1804.09692), Section 3: stability, there of ten neighbours too.
    """
    ours = _nearest(first, count)  # (M, count)
    theirs = _nearest(second, count)
    return float((ours[:, :, None] == theirs[:, None, :]).any(2).double().mean())


def _nearest(vectors: Tensor, count: int) -> Tensor:
    """The numbers (M, count) of the inputs with the highest cosine to each, itself left out."""
    similar = cosines(vectors)
    similar.fill_diagonal_(-torch.inf)
    return similar.topk(count, dim=1).indices


def anisotropy(vectors: Tensor) -> float:
    """The mean cosine of two different inputs (M, W): 0 where directions are spread evenly, 1 where all are one.

    Ethayarajh 2019 (arXiv 1909.00512), Section 3.3, there of words drawn at random.
    """
    count = len(vectors)
    return float((cosines(vectors).sum() - count) / (count * (count - 1)))


def cosines(vectors: Tensor) -> Tensor:
    """The cosines (M, M), float64, of each two inputs (M, W)."""
    unit = F.normalize(vectors.double(), dim=1)
    return unit @ unit.T
