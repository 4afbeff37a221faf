"""Colours as every kind of eye sees them: for tests of the palettes of figures."""

import itertools

import numpy as np

from lamobench.benchmark.runs.methods import METHODS
from lamobench.datasets.trajectories import Array

# Machado, Oliveira and Fernandes 2009, severity 1.
MACHADO = {
    "protanopia": "0.152286 1.052583 -0.204868  0.114503 0.786281 0.099216  -0.003882 -0.048116 1.051998",
    "deuteranopia": "0.367322 0.860646 -0.227968  0.280085 0.672501 0.047413  -0.011820 0.042940 0.968881",
    "tritanopia": "1.255528 -0.076749 -0.178779  -0.078411 0.930809 0.147602  0.004733 0.691367 0.303900",
    "full": "1 0 0  0 1 0  0 0 1",
}
LEAST = 15  # distance in CIELAB of any two colours that can meet


def assert_apart(palette: dict[str, str], vision: str) -> None:
    """The colours of methods that can meet on some task are told apart by such an eye."""
    matrix = np.asarray(MACHADO[vision].split(), float).reshape(3, 3)
    seen = {method: _lab(matrix @ _linear_rgb(colour)) for method, colour in palette.items()}
    pairs = [pair for pair in itertools.combinations(seen, 2) if _meet(*pair)]
    distances = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in pairs}
    assert min(distances.values()) > LEAST, min(distances, key=distances.__getitem__)


def contrast(first: str, second: str) -> float:
    """The contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    dark, light = sorted(float(np.asarray([0.2126, 0.7152, 0.0722]) @ _linear_rgb(name)) for name in (first, second))
    return (light + 0.05) / (dark + 0.05)


def _linear_rgb(colour: str) -> Array:
    values = np.asarray([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _lab(linear: Array) -> Array:
    matrix = np.asarray([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    scaled = matrix @ np.clip(linear, 0, 1) / np.asarray([0.9505, 1.0, 1.089])
    f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.asarray([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _meet(*methods: str) -> bool:
    """Tell whether some table can have them all: of a task with either kind of actions, or of recorded text games."""
    return len({METHODS[name].recorded for name in methods}) == 1 and any(
        all(METHODS[name].plays(discrete=kind) for name in methods) for kind in (True, False)
    )
