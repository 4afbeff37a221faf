"""Texts by number, and batches of states as tensors: each text and each piece stands in a batch once.

Shapes: B states, C commands of them all, N different texts of a kind, L pieces of the longest, P different pieces,
D width of a piece's vector.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from ...datasets.games.game import Scene
from .encoders import Encoder

PADDING = 0  # the row of a batch's vectors that stands for nothing: zeros

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class State:
    """A scene as numbers of texts."""

    observation: int
    inventory: int
    commands: tuple[int, ...]  # empty where the game is over


class Texts:
    """The texts that were read so far, and their pieces, each with a number."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.numbers: dict[str, int] = {}
        self.pieces: list[tuple[int, ...]] = []  # of each text
        self.piece_numbers: dict[str, int] = {}
        self.piece_names: list[str] = []

    def state(self, scene: Scene) -> State:
        """The scene in numbers; of one that is over, without commands."""
        commands = () if scene.over else tuple(map(self.number, scene.commands))
        return State(self.number(scene.observation), self.number(scene.inventory), commands)

    def number(self, text: str) -> int:
        """The number of a text, a new one if it is new."""
        known = self.numbers.get(text)
        if known is None:
            known = self.numbers[text] = len(self.pieces)
            self.pieces.append(tuple(map(self._piece_number, self.encoder.cut(text))))
        return known

    def names(self, pieces: Iterable[int]) -> list[str]:
        """The pieces of these numbers."""
        return [self.piece_names[piece] for piece in pieces]

    def _piece_number(self, piece: str) -> int:
        known = self.piece_numbers.get(piece)
        if known is None:
            known = self.piece_numbers[piece] = len(self.piece_names)
            self.piece_names.append(piece)
        return known


@dataclass(frozen=True)
class Sequences:
    """N texts as rows of a batch's vectors."""

    rows: Tensor  # (N, L), `PADDING` behind a text's end
    last: Tensor  # (N,) the place of its last piece; of an empty text 0, where padding stands for it


@dataclass(frozen=True)
class Batch:
    """B states, and C of their commands."""

    pieces: list[int]  # P different ones, in order of first use; rows 1 to P of the vectors
    observations: Sequences
    inventories: Sequences
    commands: Sequences
    observation_of: Tensor  # (B,) the state's row in `observations`
    inventory_of: Tensor  # (B,)
    command_of: Tensor  # (C,) the command's row in `commands`
    state_of: Tensor  # (C,) the state that the command is of


def make_batch(texts: Texts, states: Sequence[State], commands: Sequence[Sequence[int]] | None = None) -> Batch:
    """The states with the given commands of each, or with all that they have."""
    offered = [state.commands for state in states] if commands is None else commands
    observations, observation_of = _distinct(state.observation for state in states)
    inventories, inventory_of = _distinct(state.inventory for state in states)
    chosen, command_of = _distinct(command for each in offered for command in each)
    rows: dict[int, int] = {}
    counts = torch.tensor([len(each) for each in offered])
    return Batch(
        observations=_sequences(texts, observations, rows),
        inventories=_sequences(texts, inventories, rows),
        commands=_sequences(texts, chosen, rows),
        pieces=list(rows),  # after those lines, which fill it
        observation_of=observation_of,
        inventory_of=inventory_of,
        command_of=command_of,
        state_of=torch.repeat_interleave(torch.arange(len(states)), counts),
    )


def _distinct(keys: Iterable[Key]) -> tuple[list[Key], Tensor]:
    """The different keys in order of first use, and the place of each key among them."""
    places: dict[Key, int] = {}
    found = [places.setdefault(key, len(places)) for key in keys]
    return list(places), torch.tensor(found, dtype=torch.int64)


def _sequences(texts: Texts, numbers: Sequence[int], rows: dict[int, int]) -> Sequences:
    """The texts as rows of vectors; pieces that have no row yet get the next ones."""
    every = [[rows.setdefault(piece, len(rows) + 1) for piece in texts.pieces[number]] for number in numbers]
    longest = max(map(len, every), default=0) or 1
    padded = [row + [PADDING] * (longest - len(row)) for row in every]
    last = [max(len(row) - 1, 0) for row in every]
    return Sequences(torch.tensor(padded, dtype=torch.int64).view(-1, longest), torch.tensor(last, dtype=torch.int64))


def make_sequences(texts: Texts, numbers: Sequence[int]) -> tuple[list[int], Sequences]:
    """The texts of these numbers alone, as a batch has them, and their pieces."""
    rows: dict[int, int] = {}
    found = _sequences(texts, numbers, rows)
    return list(rows), found


class VectorTable:
    """Vectors (D,) by number, one behind the other in a tensor that doubles where it is full."""

    def __init__(self, width: int) -> None:
        self.places: dict[int, int] = {}
        self.vectors = torch.zeros(256, width)  # the first stands for nothing, and stays 0

    def lacking(self, numbers: Iterable[int]) -> list[int]:
        """Numbers that have no vector yet, each once."""
        return [number for number in dict.fromkeys(numbers) if number not in self.places]

    def add(self, numbers: Sequence[int], vectors: Tensor) -> None:
        """Add the vectors (N, D) of different numbers that were lacking."""
        start = len(self.places) + 1
        end = start + len(numbers)
        while end > len(self.vectors):
            self.vectors = torch.cat([self.vectors, torch.zeros_like(self.vectors)])
        self.vectors[start:end] = vectors
        self.places |= {number: start + place for place, number in enumerate(numbers)}

    def rows(self, numbers: Iterable[int]) -> Tensor:
        """The vectors (N, D) of numbers, any of them as often as it stands there."""
        return self.vectors[torch.tensor([self.places[number] for number in numbers], dtype=torch.int64)]


class PieceVectors:
    """Vectors of pieces under weights that stand still: each is computed once, beside others that are new with it."""

    def __init__(self, texts: Texts, compute: Callable[[Sequence[str]], Tensor]) -> None:
        """`compute`: the vectors (P, D) of pieces."""
        self.texts = texts
        self.compute = compute
        self.clear()

    def clear(self) -> None:
        """Forget all vectors, since the weights moved."""
        self.known = VectorTable(self.texts.encoder.width)

    @torch.no_grad()
    def __call__(self, pieces: Sequence[int]) -> Tensor:
        """Return the vectors (1 + P, D) of different pieces, behind a row of zeros."""
        if new := self.known.lacking(pieces):
            self.known.add(new, self.compute(self.texts.names(new)))
        return torch.cat([self.known.vectors[:1], self.known.rows(pieces)])
