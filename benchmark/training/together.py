"""Several seeds of one method trained in one process, in one pass: what every track has in common there.

Every seed stays a run of its own, with its folder, logs and checkpoints, its batches and its random numbers: a run that
was begun together can be finished alone, and the other way round. A track says which runs go together, and how N of
them take a step in one pass: its `Stack`.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...datasets.errors import UserError
from ..runs.config import RunConfig
from ..runs.store import is_done, note_on_terminal
from .life import Life, Note, opened

Config = TypeVar("Config", bound=RunConfig)
Training = TypeVar("Training", bound=Life)
AnySeed = TypeVar("AnySeed", bound="Seed[Any, Any]")


def groups(runs: Iterable[Config], stackable: Callable[[Config], bool]) -> list[tuple[Config, ...]]:
    """Runs that can be trained together: equal but for their seeds and what follows them. Any other is by itself."""
    found: dict[str, list[Config]] = {}
    for run in runs:
        shared = asdict(run) | dict.fromkeys(run.per_seed)
        found.setdefault(json.dumps(shared) if stackable(run) else run.id, []).append(run)
    return [tuple(group) for group in found.values()]


class Seed(Generic[Config, Training]):
    """One of the runs."""

    def __init__(self, config: Config, training: Training) -> None:
        self.config = config
        self.training = training

    @property
    def steps_left(self) -> int:
        """Steps that the run has still to take."""
        return self.training.steps - self.training.progress.step

    @contextmanager
    def turn(self) -> Iterator[Training]:
        """Let the run draw, save or load by itself; a `UserError` is noted in its folder."""
        try:
            yield self.training
        except UserError as error:
            self.training.crash(error)
            raise


class Stack(ABC):
    """N runs at the same step, which take the next ones in one pass."""

    seeds: Sequence[Seed[Any, Any]]

    @abstractmethod
    def advance(self, steps: int, failed: dict[str, str]) -> None:
        """Take some steps, then do what is due for each run; a run that fails gets its line in `failed`."""


def train_together(
    configs: Sequence[Config],
    root: Path,
    make: Callable[[Config, Path], AnySeed],
    stack: Callable[[list[AnySeed]], Stack],
    wait: bool = False,
    note: Note = note_on_terminal,
) -> dict[str, str]:
    """Train the runs of a group, each from its last checkpoint; returns one line for each that failed.

    Finished runs are left as they are, damaged folders are set aside, and `wait` is patience with other processes that
    work on them (`life.opened`). `make` begins a run in its folder; `stack` makes one pass of runs at the same step.
    """
    failed = dict[str, str]()
    seeds: list[AnySeed] = []

    def life_in(config: Config, folder: Path) -> Life:
        made.append(make(config, folder))
        found: Life = made[-1].training
        return found

    with ExitStack() as locks:
        for config in sorted(configs, key=lambda config: config.id):  # in one order everywhere: no two wait in a ring
            made: list[AnySeed] = []
            with failures(config, failed):
                if locks.enter_context(opened(config, root, partial(life_in, config), wait, note)) is not None:
                    seeds += made
        try:
            _train(seeds, stack, failed)
        except Exception as error:
            for seed in seeds:
                if seed.config.id not in failed and not is_done(root, seed.config):
                    seed.training.crash(error)
            raise
    return failed


@contextmanager
def failures(config: RunConfig, failed: dict[str, str]) -> Iterator[None]:
    """Note what goes wrong with one run, and let the others go on."""
    try:
        yield
    except UserError as error:
        failed[config.id] = str(error)


def _train(seeds: Sequence[AnySeed], stack: Callable[[list[AnySeed]], Stack], failed: dict[str, str]) -> None:
    """Train the seeds: those that are behind go first, until all stand at the same step."""
    for seed in seeds:
        with failures(seed.config, failed), seed.turn() as training:
            training.begin()
    together: Stack | None = None
    while left := [seed for seed in seeds if seed.config.id not in failed and seed.steps_left]:
        most = max(seed.steps_left for seed in left)
        behind = [seed for seed in left if seed.steps_left == most]
        if len(behind) == 1:
            together = None
            with failures(behind[0].config, failed), behind[0].turn() as training:
                training.advance(training.due())
                training.settle()
            continue
        if together is None or together.seeds != behind:
            together = stack(behind)
        together.advance(behind[0].training.due(), failed)
    for seed in seeds:
        if seed.config.id not in failed:
            with seed.turn() as training:
                training.finish()
