"""Observations of NetHack: a terminal screen, the numbers of its bottom lines, and the key before, as bytes.

Recorded games hold screens and keys, and nothing else, so live games are seen through the same screens.
Shapes: T screens, S bytes of an observation.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

ROWS = 24
COLUMNS = 80
CELLS = ROWS * COLUMNS
BOTTOM = ROWS - 2  # the first of the two bottom lines
# Of the score, which is in the same line, as many digits are shown as there is room for.
LABELS = ("St", "Dx", "Co", "In", "Wi", "Ch", "Dlvl", "$", "HP", "Pw", "AC", "Xp", "T")
SECOND = ("HP", "Pw", "Xp")  # whose number has another one behind it: the most of it, or points of experience
CONDITIONS = (b"Hungry", b"Weak", b"Faint", b"Burdened", b"Stressed", b"Conf", b"Stun", b"Blind", b"Hallu", b"Ill")
NAMES = (*LABELS, *(f"{label}/" for label in SECOND), "conditions")  # of the numbers, in order
NUMBERS = len(NAMES)
PLACES = {name.encode(): place for place, name in enumerate(NAMES)}
LARGEST = 2**31 - 1
FOUND = re.compile(rb"(St|Dx|Co|In|Wi|Ch|Dlvl|\$|HP|Pw|AC|Xp|T):(-?\d{1,10})(?:[(/](-?\d{1,10}))?")

# Where each part of an observation begins. The numbers come first, which keeps them at a multiple of four bytes.
CHARACTERS = 4 * NUMBERS
COLOURS = CHARACTERS + CELLS
CURSOR = COLOURS + CELLS
KEY = CURSOR + 2
SIZE = -(-(KEY + 1) // 4) * 4  # S


@dataclass(frozen=True)
class Screens:
    """T screens, and the key that was pressed before each."""

    characters: Bytes  # (T, 24, 80)
    colours: Bytes  # (T, 24, 80), 0 to 15
    cursors: Bytes  # (T, 2) row and column
    keys_before: Bytes  # (T,); 0 at the beginning of a game

    def observations(self) -> Bytes:
        """Observations (T, S) uint8."""
        count = len(self.characters)
        packed = np.zeros((count, SIZE), np.uint8)
        numbers = np.stack([numbers_of(screen) for screen in self.characters])
        packed[:, :CHARACTERS] = numbers.view(np.uint8)
        packed[:, CHARACTERS:COLOURS] = self.characters.reshape(count, CELLS)
        packed[:, COLOURS:CURSOR] = self.colours.reshape(count, CELLS)
        packed[:, CURSOR:KEY] = self.cursors
        packed[:, KEY] = self.keys_before
        return packed


def numbers_of(characters: Bytes) -> NDArray[np.int32]:
    """Numbers (NUMBERS,) in a screen's (24, 80) bottom lines, in the order of `NAMES`; 0 for what a menu hides."""
    numbers = np.zeros(NUMBERS, np.int32)
    line = characters[BOTTOM:].tobytes()
    for label, first, second in FOUND.findall(line):
        numbers[PLACES[label]] = _cut(first)
        if second and (place := PLACES.get(label + b"/")) is not None:
            numbers[place] = _cut(second)
    numbers[-1] = sum(1 << bit for bit, name in enumerate(CONDITIONS) if name in line)
    return numbers


def _cut(digits: bytes) -> int:
    return max(-LARGEST, min(int(digits), LARGEST))


def numbers_in(observations: Bytes) -> NDArray[np.int32]:
    """Numbers (T, NUMBERS) of observations (T, S)."""
    found: NDArray[np.int32] = np.ascontiguousarray(observations[:, :CHARACTERS]).view(np.int32)
    return found
