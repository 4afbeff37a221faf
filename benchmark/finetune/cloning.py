"""Clone a policy that remembers from recorded games: the actor of NetHack's pi*.

Games are read as streams, side by side; each goes on from batch to batch, and so does what the policy remembers of it.
Shapes: B streams, T steps of a batch, S bytes of an observation, H width of the memory.
"""

import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from ...baselines.online.recurrent_ppo import RecurrentPPO
from ...baselines.online.sequences import Sequences
from ...baselines.optimizers import load_moments, moments
from ...datasets.environments.nethack_game import keys
from ...datasets.errors import UserError
from ...datasets.sources.ttyrec import screens_of
from ...datasets.storage import whole_file
from .settings import GamePretrainingConfig

IGNORED = -1  # stands for a key that NLE has no action for
SAVE_EVERY = 200  # updates
MOST_SKIPPED = 2000  # keys of a stream's first game


@functools.cache
def _action_table() -> NDArray[np.int64]:
    table = np.full(256, IGNORED)
    table[list(keys())] = np.arange(len(keys()))
    return table


def actions_of(pressed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The actions (T,) that press those keys, or `IGNORED`."""
    found: NDArray[np.int64] = _action_table()[pressed]
    return found


@dataclass(frozen=True)
class Batch:
    """T steps of B streams."""

    observations: Tensor  # (B, T, S) uint8
    begins: Tensor  # (B, T) bool: whether a game begins with the step
    actions: Tensor  # (B, T) int64, or `IGNORED`


class GameStreams:
    """B streams of games, each drawn from all files by a generator of its own.

    The first game of each is entered a little later, so that the streams do not all begin to play at once.
    """

    def __init__(self, files: list[Path], streams: int, steps: int, seed: int) -> None:
        self.steps = steps
        self.streams = [self._stream(files, np.random.default_rng([seed, number])) for number in range(streams)]

    def batch(self) -> Batch:
        """The next T steps of each."""
        columns = zip(*(next(stream) for stream in self.streams), strict=True)
        return Batch(*(torch.from_numpy(np.stack(column)) for column in columns))

    def _stream(self, files: list[Path], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        """Observations (T, S), beginnings and actions (T,), without an end."""
        parts: list[tuple[np.ndarray, ...]] = []
        count = 0
        for part in self._parts(files, rng):
            parts.append(part)
            count += len(part[1])
            if count < self.steps:
                continue
            joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
            whole = count - count % self.steps
            for start in range(0, whole, self.steps):
                yield tuple(column[start : start + self.steps] for column in joined)
            parts = [tuple(column[whole:] for column in joined)]
            count -= whole

    def _parts(self, files: list[Path], rng: np.random.Generator) -> Iterator[tuple[np.ndarray, ...]]:
        skip = None
        while True:
            path = files[rng.integers(len(files))]
            skip = int(rng.integers(MOST_SKIPPED)) if skip is None else 0
            first = True
            passed = 0
            for screens, pressed in screens_of(path):
                passed += len(pressed)
                if passed <= skip:
                    continue
                begins = np.zeros(len(pressed), bool)
                begins[0] = first
                first = False
                yield screens.observations(), begins, actions_of(pressed)
            if not passed:
                raise UserError(f"{path} holds no keys, and there is nothing to clone; take it out of its folder")


def clone_games(agent: RecurrentPPO, files: list[Path], recipe: GamePretrainingConfig, seed: int, kept: Path) -> None:
    """Imitate the games: cross entropy, by Adam. What is done is in the file `kept`, from which it goes on."""
    streams = GameStreams(files, recipe.streams, recipe.sequence, seed)
    optimizer = torch.optim.Adam(agent.actor.parameters(), recipe.learning_rate, fused=True)
    states = agent.actor.first_states(recipe.streams)
    done = 0
    if kept.exists():
        done, states = _go_on(kept, agent, optimizer)
    losses: list[Tensor] = []
    bar = tqdm(total=recipe.updates, desc="cloning", unit=" updates", disable=None)
    with bar:
        for update in range(recipe.updates if done < recipe.updates else 0):
            batch = streams.batch()  # read again where it was learned from before: the streams come to the same place
            bar.update()
            if update < done:
                continue
            states = imitate(agent, optimizer, batch, states, losses, recipe.gradient_clip)
            if (update + 1) % SAVE_EVERY == 0 or update + 1 == recipe.updates:
                _keep(kept, agent, optimizer, states, update + 1)
                print(f"cloning: loss {torch.stack(losses[-SAVE_EVERY:]).mean():.3f}", file=sys.stderr)


def imitate(
    agent: RecurrentPPO,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    states: Tensor,
    losses: list[Tensor],
    gradient_clip: float,
) -> Tensor:
    """Take one step; adds its loss to `losses` and returns what is remembered (B, 2, H), without its past."""
    outputs, states = agent.actor.remember(Sequences(batch.observations, batch.begins, states))
    log_probabilities = agent.actor.choose(outputs).log_probabilities.flatten(0, 1)
    loss = F.nll_loss(log_probabilities, batch.actions.flatten(), ignore_index=IGNORED)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_(agent.actor.parameters(), gradient_clip)
    optimizer.step()
    losses.append(loss.detach())
    return states.detach()


def _go_on(kept: Path, agent: RecurrentPPO, optimizer: torch.optim.Optimizer) -> tuple[int, Tensor]:
    """Load what `_keep` wrote; the updates that are done, and the states (B, 2, H) after them."""
    try:
        tensors = load_file(kept)
        named = {name.removeprefix("actor."): tensor for name, tensor in tensors.items() if name.startswith("actor.")}
        agent.actor.load_state_dict(named)
        load_moments(optimizer, tensors, "clone")
        return int(tensors["done"]), tensors["states"]
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{kept} can't be read ({error}); delete it, and the games are cloned from the start") from None


def _keep(kept: Path, agent: RecurrentPPO, optimizer: torch.optim.Optimizer, states: Tensor, done: int) -> None:
    tensors = {f"actor.{name}": tensor for name, tensor in agent.actor.state_dict().items()}
    tensors |= moments(optimizer, "clone") | {"states": states.contiguous(), "done": torch.tensor(done)}
    with whole_file(kept) as temporary:
        save_file(tensors, temporary)
