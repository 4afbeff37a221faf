"""Five seeds of a small network in one pass, and what of a training step is the drawing of its batch."""

import statistics
from functools import partial
from pathlib import Path

from ..finetune.config import finetune_config
from ..finetune.loop import Finetuning
from ..finetune.resolve import resolve
from ..finetune.together import shared_rounds
from ..offline.together import Seed, Stack
from ..runs.methods import METHODS
from ..runs.tracks import Wanted
from ..training.memory import keep_freed_memory
from .harness import Measure, Row, Settings, below, faster, in_turn
from .trainings import DATA, SMALL_NETWORKS, configurations, stock, training

SEEDS = 5
STEP = 1  # its learning rates are used for all steps


def seeds_together(settings: Settings, scratch: Path, methods: tuple[str, ...] = ()) -> list[Row]:
    """Steps of five seeds together, in steps of one; beside them the five one by one."""
    keep_freed_memory()
    stock()
    chosen = [(dataset, method) for dataset in DATA for method in methods or SMALL_NETWORKS]
    return [_seeds_row(settings, scratch, *pair) for pair in chosen]


def _seeds_row(settings: Settings, scratch: Path, dataset: str, method: str) -> Row:
    configs = configurations(dataset, method, SEEDS)
    alone = [training(config, scratch) for config in configs]
    stack = Stack([Seed(training(config, scratch)) for config in configs])

    def one_by_one() -> None:
        for each in alone:
            each.update(STEP)

    rounds = in_turn(settings, partial(alone[0].update, STEP), partial(stack.update, STEP), one_by_one)
    what = f"{SEEDS} seeds of {METHODS[method].title} in one pass, {dataset}"
    every = statistics.median(third / first for first, _, third in rounds)
    return below(what, "steps of one seed", [second / first for first, second, _ in rounds], 2.0, every, "one by one")


def sampling_share(settings: Settings, scratch: Path, methods: tuple[str, ...] = ()) -> list[Row]:
    """Measure the share of a `cpu` step that its batch takes to draw: the largest of all methods' shares."""
    keep_freed_memory()
    stock()
    shares: dict[str, list[float]] = {}
    for dataset in DATA:
        for method in methods or (*SMALL_NETWORKS, "dt", "lamo"):
            made = training(configurations(dataset, method)[0], scratch)
            rounds = in_turn(settings, partial(made.draw, made.config.batch_size), partial(made.update, STEP))
            shares[f"{METHODS[method].title}, {dataset}"] = [100 * drawn / step for drawn, step in rounds]
    worst = max(shares, key=lambda name: statistics.median(shares[name]))
    return [below(f"share of its batch in a training step, the largest: {worst}", "%", shares[worst], 2.0)]


def online_seeds(settings: Settings, scratch: Path) -> list[Row]:
    """Rounds of fine-tuning of five seeds together, and one by one."""
    return [_online_row(settings, scratch, *task) for task in (("apple-retrieval", "bc"), ("grid-relay", "bc"))]


def _online_row(settings: Settings, scratch: Path, task: str, retention: str) -> Row:
    """A row of a task at its own size; pi* is made in a moment, since it doesn't matter what it can do."""
    quick = {"pretraining.updates": 20}
    wanted = Wanted(task, (f"finetune-{retention}",), tuple(range(SEEDS)), settings=quick)
    configs = [finetune_config(run) for run in resolve(wanted)]
    alone, together = (
        [Finetuning(config, scratch / side, lambda done, total: None) for config in configs] for side in ("a", "b")
    )
    shared = shared_rounds(together)

    def one_by_one() -> None:
        for life in alone:
            life.rounds.learn()

    what = f"{SEEDS} seeds of {METHODS[configs[0].method].title} in one pass, a round of {task}"
    return faster(what, "one by one", in_turn(settings, shared.learn, one_by_one), 1.5)


MEASUREMENTS: dict[str, Measure] = {
    "seeds": seeds_together,
    "seeds-online": online_seeds,
    "sampling-share": sampling_share,
}
