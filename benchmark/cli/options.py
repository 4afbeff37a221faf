"""The options that several commands share, and what they ask for. Imports no command."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import UseAppendAction, arg

from ...datasets.errors import UserError
from ..offline.faults import FAULTS
from ..runs.methods import METHODS, methods_of
from ..runs.tracks import TRACKS
from ..sweep.options import EngineOptions

if TYPE_CHECKING:
    from ..offline.resolve import RunRequest

RUNS = Path("runs")
STAGED = ", ".join(name for track in TRACKS.values() for name in track.subjects)
METHODS_BY_TRACK = "; ".join(
    f"{track}: {', '.join(methods_of(track))}" for track in dict.fromkeys(method.track for method in METHODS.values())
)
Plan = Annotated[
    bool, arg(aliases=("--dry-run",), help="Say what would be trained and how long it may take; train nothing.")
]


@dataclass(frozen=True)
class Study:
    """Options of a command that trains what its table needs: where, and whether at all."""

    jobs: int = 0
    """Runs at a time; 0: one a core."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)


@dataclass(frozen=True)
class RunOptions:
    """Options of every training command."""

    profile: str = "cpu"
    """Budgets and model sizes: cpu (a laptop, minutes), paper (a GPU, the published budgets), or gruppi2024, which
    text games have in its place."""
    source: str = "auto"
    """Source of the data; auto takes the first at hand."""
    selection: str = "uniform"
    """Selection of a fraction's episodes: uniform; weighted, in proportion to their lengths, as in LaMo's Atari data;
    or length, the same up to that share of the steps."""
    lm: str = ""
    """Language model of a method that has one (dt-matched has its shape): a name of `lamobench lm list`, or a folder;
    empty: the profile's."""
    precision: str = "float32"
    """Precision of matrix products: float32, or bfloat16, which is fast where the processor has it (rows say so)."""
    compiled: bool = False
    """Send training steps through torch.compile: a minute to begin with, then faster on a GPU; slower on a CPU."""
    cached_context: bool = False
    """Evaluate LaMo and Decision Transformers from half to all of the context, which is faster (rows say so)."""
    steps: int = 0
    """Optimiser steps; 0: the profile's. Evaluations stay as many, spread over these steps."""
    set: UseAppendAction[tuple[str, ...]] = ()
    """Field of the method's config as NAME=VALUE, e.g. --set learning_rate=1e-4; may be repeated."""
    budget: UseAppendAction[tuple[str, ...]] = ()
    """Field of the budget as NAME=VALUE, e.g. --budget evaluation_episodes=10; may be repeated."""
    legacy: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(help=f"Fault of LaMo's published code to put back, any of {', '.join(FAULTS)}; may be repeated."),
    ] = ()
    runs: Path = RUNS
    """Folder of the runs."""
    device: str = "auto"
    """Device: auto, cpu or cuda."""


def run_request(data: str, method: str, options: RunOptions) -> "RunRequest":
    """The run that the options ask for, with the first seed on all of the data."""
    from ..offline.resolve import RunRequest, shorter_budget

    budget = named_values("--budget", options.budget)
    if options.steps:
        budget = shorter_budget(data, method, options.profile, options.steps) | budget
    return RunRequest(
        dataset=data,
        method=method,
        source=options.source,
        profile=options.profile,
        lm=options.lm,
        precision=options.precision,
        compiled=options.compiled,
        cached_context=options.cached_context,
        budget=budget,
        settings=named_values("--set", options.set),
        legacy=options.legacy,
        selection=options.selection,
    )


def own_choices(options: RunOptions) -> dict[str, Any]:
    """The options of one track alone that were given, by the names of their fields."""
    own = ("source", "selection", "lm", "precision", "compiled", "cached_context", "legacy")
    defaults = RunOptions()
    return {name: value for name in own if (value := getattr(options, name)) != getattr(defaults, name)}


def named_choices(lm: str, precision: str) -> dict[str, Any]:
    """The choices of a language model and a precision, where they are not the track's own, as of `own_choices`."""
    return own_choices(RunOptions(lm=lm, precision=precision))


def named_values(option: str, given: Sequence[str]) -> dict[str, Any]:
    """Values by name of an option that may be repeated; a `UserError` for one that is not NAME=VALUE."""
    return dict(_named_value(option, text) for text in given)


def _named_value(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"{option} {text}: give NAME=VALUE, e.g. {option} learning_rate=1e-4")
    return name.replace("-", "_"), value


def check_threads(threads: int) -> None:
    """Raise a `UserError` unless there is a thread or more."""
    if threads < 1:
        raise UserError(f"threads is {threads}; give 1 or more")


def check_workers(jobs: int, threads: int) -> None:
    """Raise a `UserError` unless there can be as many runs at a time (0: one a core) with as many threads."""
    check_threads(threads)
    if jobs < 0:
        raise UserError(f"jobs is {jobs}; give 1 or more, or 0 for one a core")


def check_seeds(seeds: Sequence[int]) -> None:
    """Refuse an empty list of seeds: `--seeds` with nothing behind it would train nothing, and compare nothing."""
    if not seeds:
        raise UserError("--seeds names none; give one or more, e.g. --seeds 0 1 2, or leave it out")
