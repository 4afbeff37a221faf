"""Measure how cost grows: a training step with context and width, a batch with the data, runs with runs.

Time is measured here, memory in processes that do nothing else.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...datasets import cache
from ...datasets.errors import choose
from ..lm.lamo import LaMoBatch
from ..offline.resolve import RunRequest, resolve
from ..sweep.grid import sweep
from ..sweep.options import Workers
from ..training.memory import keep_freed_memory
from . import policies
from .harness import Settings, in_turn, memory_of, quartiles
from .sampling import BATCH, CONTEXT, TRANSITIONS, draws_from, random_vectors
from .steps import our_step
from .suite import empty_home, here, threads_of
from .trainings import stock

CONTEXTS = (5, 10, 20, 50, 100)
SHAPES = ("gpt2-mini", "gpt2", "gpt2-medium")
FEW_WINDOWS = 8  # in a batch of the wider models: an eighth of the published one
DATA = (10**3, 10**4, 10**5, 10**6, 10**7)
EPISODE = 500  # steps
RUNS = (1, 2, 4, 8, 16, 32, 64)
DATASET = "reacher2d-medium-large"  # of the runs

DT = "DT step"
LAMO = "LaMo step"
BC = "runs of BC"
SAMPLES = {"transitions": f"batch of {TRANSITIONS} transitions", "windows": f"batch of {BATCH} windows"}

STEP = """
import sys, torch
from lamobench.benchmark.benches.growth import step_of
torch.set_num_threads(int(sys.argv[4]))
step_of(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))()
"""
SAMPLING = """
import sys
from pathlib import Path
from lamobench.benchmark.benches.sampling import draws_from
draw = draws_from(Path(sys.argv[2]), sys.argv[1])
for _ in range(200):
    draw()
"""


@dataclass(frozen=True)
class Point:
    """One line of `growth.csv`."""

    x: int  # where on its axis
    what: str
    value: float  # median over rounds
    low: float | None  # quartiles over rounds
    high: float | None
    unit: str
    gb: float | None  # of a process that does this and nothing else
    clock: str
    threads: int
    rounds: int


Axis = Callable[[Settings, Path], list[Point]]  # is given an empty folder, where $LAMOBENCH_HOME is


def over_contexts(
    settings: Settings, scratch: Path, contexts: Sequence[int] = CONTEXTS, windows: int = BATCH
) -> list[Point]:
    """A step over K: DT at its original size, and LaMo on gpt2-mini's shape."""
    models = {f"{DT}, {windows} windows": "dt", f"{LAMO}, gpt2-mini, {windows} windows": "gpt2-mini"}
    chosen = {(context, what): (model, context, windows) for what, model in models.items() for context in contexts}
    return _steps(settings, scratch, chosen)


def over_widths(
    settings: Settings, scratch: Path, shapes: Sequence[str] = SHAPES, windows: int = FEW_WINDOWS
) -> list[Point]:
    """LaMo's step over the width of its language model, which grows deeper with it."""
    what = f"{LAMO}, {windows} windows of {CONTEXT}"
    width = {shape: int(policies.SHAPES[shape]["n_embd"]) for shape in shapes}
    return _steps(settings, scratch, {(width[shape], what): (shape, CONTEXT, windows) for shape in shapes})


def _steps(settings: Settings, scratch: Path, chosen: Mapping[tuple[int, str], tuple[str, int, int]]) -> list[Point]:
    """Points of the steps (model, context, windows) at each (x, what)."""
    keep_freed_memory()
    gigabytes = {
        place: memory_of([*map(str, step), str(settings.threads)], scratch, script=STEP)
        for place, step in chosen.items()
    }
    return _timed(settings, {place: step_of(*step) for place, step in chosen.items()}, gigabytes)


def step_of(model: str, context: int, windows: int) -> Callable[[], None]:
    """A step of "dt", at its original size, or of LaMo on a model of another of `policies.SHAPES`."""
    batch = policies.windows(windows, context)
    if model == "dt":
        return our_step(policies.decision_transformer(context=context), [batch])
    return our_step(policies.lamo(model, positions=3 * context, context=context), [LaMoBatch(batch, None)])


def over_data(settings: Settings, scratch: Path, sizes: Sequence[int] = DATA) -> list[Point]:
    """A batch over the number of transitions, memory-mapped: of transitions, and of windows."""
    ways = dict[tuple[int, str], Callable[[], Any]]()
    gigabytes = dict[tuple[int, str], float]()
    for size in sizes:
        episodes = max(1, size // EPISODE)
        data = random_vectors(
            "hopper-medium", "Hopper-v5", (11, 3), episodes, size // episodes, source=f"random-{size}"
        )
        folder = cache.save(data)
        del data
        for kind, what in SAMPLES.items():
            ways[size, what] = draws_from(folder, kind)
            gigabytes[size, what] = memory_of([kind, str(folder)], scratch, script=SAMPLING, kind="RssAnon")
    return _timed(settings, ways, gigabytes)


def over_runs(
    settings: Settings, scratch: Path, counts: Sequence[int] = RUNS, budget: Mapping[str, int] | None = None
) -> list[Point]:
    """Short runs on the local pool, as many at a time as there are cores: how many an hour, the pool's start included.

    Evaluations are part of a run. Seconds that passed, each number of runs once.
    """
    stock()
    points = []
    for count in counts:
        requests = [RunRequest(DATASET, "bc", seed=seed, budget=dict(budget or {})) for seed in range(count)]
        runs = [resolve(request) for request in requests]
        started = time.perf_counter()
        outcome = sweep(runs, scratch / f"runs-{count}", Workers(threads=settings.threads, device="cpu"))
        hours = (time.perf_counter() - started) / 3600
        if outcome.failed:
            raise RuntimeError(f"a measurement failed: {outcome.failed}")
        rate = count / hours
        points.append(Point(count, BC, rate, None, None, "runs an hour", None, "wall", settings.threads, rounds=1))
    return points


AXES: dict[str, Axis] = {"context": over_contexts, "width": over_widths, "data": over_data, "runs": over_runs}


def chosen_axes(names: Sequence[str]) -> dict[str, Axis]:
    """The axes of the given names, all if none is given; a `UserError` for a name that there is not."""
    wanted = {choose("axis", name, list(AXES)) for name in names} or set(AXES)
    return {name: axis for name, axis in AXES.items() if name in wanted}


def measure_growth(
    settings: Settings, axes: Mapping[str, Axis], report: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one axis after the other; `report` is told which is being measured."""
    with threads_of(settings):
        for name, measure in axes.items():
            report(name)
            with empty_home() as scratch:
                points = measure(settings, scratch)
            yield [{"axis": name, **asdict(point), **here()} for point in points]


def _timed(
    settings: Settings, ways: Mapping[tuple[int, str], Callable[[], Any]], gigabytes: Mapping[tuple[int, str], float]
) -> list[Point]:
    """Milliseconds of each way, all of them in turn."""
    rounds = in_turn(settings, *ways.values())
    points = []
    for place, seconds in zip(ways, zip(*rounds, strict=True), strict=True):
        low, middle, high = (1000 * value for value in quartiles(seconds))
        point = Point(
            *place, middle, low, high, "ms", gigabytes[place], settings.clock, settings.threads, settings.rounds
        )
        points.append(point)
    return points
