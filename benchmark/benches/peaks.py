"""Measure what this machine can do at most, to read other rows by: large matrix products, and a copy in memory."""

from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from .harness import Measure, Row, Settings, above, in_turn

SIZE = 2048  # rows and columns of the matrices
BYTES = 256 << 20  # of the block that is copied: larger than any cache


def products(settings: Settings, size: int = SIZE) -> dict[str, list[float]]:
    """GFLOP/s of one product of square matrices by each library and precision, one number a round.

    A number by PyTorch's default library for float32 (MKL), by oneDNN, and in bfloat16.
    """
    left = torch.randn(size, size)
    right = torch.randn(size, size)
    packed = left.to_mkldnn()
    weight = right.to_mkldnn()
    halves = left.bfloat16(), right.bfloat16()
    ways = {
        "float32, PyTorch's default": partial(torch.mm, left, right),
        "float32, oneDNN": partial(nn.functional.linear, packed, weight),
        "bfloat16": partial(torch.mm, *halves),
    }
    with torch.no_grad():
        rounds = in_turn(settings, *ways.values())
    flops = 2 * size**3 / 1e9
    return {
        name: [flops / seconds for seconds in column]
        for name, column in zip(ways, zip(*rounds, strict=True), strict=True)
    }


def best_float32(settings: Settings, size: int = SIZE) -> float:
    """GFLOP/s: the better library's median."""
    measured = products(settings, size)
    return max(sorted(measured[name])[len(measured[name]) // 2] for name in measured if name.startswith("float32"))


def peaks(settings: Settings, scratch: Path, size: int = SIZE, copied: int = BYTES) -> list[Row]:
    """Products by each library, and a copy."""
    source: Tensor = torch.ones(copied // 4)
    target = torch.empty_like(source)
    rounds = in_turn(settings, partial(target.copy_, source))
    rows = [
        above(f"product of {size} x {size}, {name}", "GFLOP/s", rates)
        for name, rates in products(settings, size).items()
    ]
    return [*rows, above("copy in memory, read and written", "GB/s", [2 * copied / 1e9 / s for (s,) in rounds])]


MEASUREMENTS: dict[str, Measure] = {"peaks": peaks}
