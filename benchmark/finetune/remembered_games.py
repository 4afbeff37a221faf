"""The part of recorded games that is kept for retention, and how well a clone of them foretells others.

Shapes: T keys of a game or of a part of it, S bytes of an observation, H width of the memory.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ...baselines.online.nethack_networks import RecurrentActor
from ...baselines.online.sequences import SequenceMemory, Sequences
from ...datasets.environments.nethack_lite import DEEP, START
from ...datasets.environments.nethack_screens import NAMES, numbers_in
from ...datasets.errors import UserError
from ...datasets.sources.ttyrec import keys_of, screens_of
from .cloning import IGNORED, actions_of
from .settings import GamePretrainingConfig

LEVEL = NAMES.index("Dlvl")
BEFORE = 128  # most keys before a stretch that is kept, from which pi* knows where it is


@torch.no_grad()
def remembered_games(
    actor: RecurrentActor, files: list[Path], recipe: GamePretrainingConfig, seed: int, far_level: int
) -> SequenceMemory:
    """Stretches from all over the games, drawn as many of each, with what pi* remembers before them.

    A bot stays on the first levels for thousands of keys, so that the beginnings of games would hold no FAR. No more
    games are read, in random order, than `recipe.stretches` of each take.
    """
    rng = np.random.default_rng([seed, recipe.memory])
    wanted = -(-recipe.memory // recipe.sequence)
    share = max(recipe.stretches, -(-wanted // len(files)))
    rows: list[SequenceMemory] = []
    for number in rng.permutation(len(files)):
        if len(rows) == wanted:
            break
        drawn = rng.permutation(len(keys_of(files[number])) // recipe.sequence)[: min(share, wanted - len(rows))]
        starts = np.sort(drawn) * recipe.sequence
        for observations, actions in _parts(files[number], starts, recipe.sequence):
            rows.append(_row(actor, observations, actions, recipe.sequence, far_level))
    if not rows:
        raise UserError(f"no recorded game has {recipe.sequence} keys; give a smaller pretraining.sequence")
    columns = zip(*(vars(row).values() for row in rows), strict=True)
    return SequenceMemory(*map(torch.cat, columns)).rows(torch.from_numpy(rng.permutation(len(rows))))


def _parts(path: Path, starts: NDArray[np.int64], length: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Observations (T, S) and actions (T,) of stretches with some keys before them; `starts` are in rising order."""
    found: list[list[tuple[NDArray[np.uint8], NDArray[np.int64]]]] = [[] for _ in starts]
    passed = 0
    for screens, pressed in screens_of(path, int(starts[-1]) + length if len(starts) else 0):
        first = np.clip(starts - BEFORE, 0, None) - passed
        last = starts + length - passed
        inside = np.flatnonzero((first < len(pressed)) & (last > 0))
        if len(inside):
            observations = screens.observations()
            actions = actions_of(pressed)
            for number in inside:
                part = slice(max(0, int(first[number])), int(last[number]))
                found[number].append((observations[part], actions[part]))
        passed += len(pressed)
    for pieces in found:
        seen, chosen = (torch.from_numpy(np.concatenate(column)) for column in zip(*pieces, strict=True))
        yield seen, chosen


def _row(actor: RecurrentActor, observations: Tensor, actions: Tensor, length: int, far_level: int) -> SequenceMemory:
    """The last `length` of some steps, with what pi* remembers of those before them."""
    before = len(actions) - length
    begins = torch.zeros(1, len(actions), dtype=torch.bool)
    states = actor.first_states(1)
    if before:
        _, states = actor.remember(Sequences(observations[None, :before], begins[:, :before], states))
    level = int(numbers_in(observations[before : before + 1].numpy())[0, LEVEL])
    return SequenceMemory(
        screens=observations[None, before:],
        begins=begins[:, before:],
        states=states,
        chosen=actions[None, before:].clamp(min=0),
        stages=torch.tensor([DEEP if level >= far_level else START]),
    )


@torch.no_grad()
def clone_quality(actor: RecurrentActor, files: list[Path]) -> dict[str, float]:
    """Cross entropy in nats a key, and the share of keys that are the clone's likeliest, on whole games."""
    loss = 0.0
    right = 0
    count = 0
    for path in files:
        states = actor.first_states(1)
        for screens, pressed in screens_of(path):
            begins = torch.zeros(1, len(pressed), dtype=torch.bool)
            seen = Sequences(torch.from_numpy(screens.observations())[None], begins, states)
            outputs, states = actor.remember(seen)
            log_probabilities = actor.choose(outputs[0]).log_probabilities
            actions = torch.from_numpy(actions_of(pressed))
            loss += float(F.nll_loss(log_probabilities, actions, ignore_index=IGNORED, reduction="sum"))
            right += int((log_probabilities.argmax(-1) == actions).sum())
            count += int((actions != IGNORED).sum())
    return {"clone_loss": loss / max(1, count), "clone_accuracy": right / max(1, count)}
