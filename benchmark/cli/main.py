"""The command line: `lamobench`.

Every command is a dataclass: its fields are its options, `run` does the work. Nothing heavy is imported before a
command runs, so that `--help` answers at once.
"""

import contextlib
import io
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg, subcommand

from ...datasets.disk_errors import disk_line
from ...datasets.errors import UserError
from ..runs.methods import METHODS
from ..streams import let_go_of_streams, plain_terminal, prepare_streams, printable
from ..sweep.options import EngineOptions
from ..training.memory import memory_line, what_takes_less
from .bench import Bench
from .compare import Compare
from .data import DataGroup
from .faults import Faults
from .hub import HubGroup
from .leaderboard import Fractions, Leaderboard
from .models import LanguageModelGroup
from .options import Plan, RunOptions
from .report import Report
from .runs import RunsGroup
from .watch import Watch

DESCRIPTION = """Does what a model learned before reinforcement learning help it, and does it survive?

An offline-RL benchmark: language models as policies (LaMo) against DT, CQL and BC, on fractions of the data."""


@dataclass(frozen=True)
class Train:
    """Train and evaluate one run; goes on where it was if it was killed, does nothing if it is done."""

    data: Positional[str]
    """Data set to train on, a name of `lamobench data list`."""
    method: Annotated[str, arg(help=f"One of {', '.join(METHODS)}.")] = "lamo"
    fraction: float = 1.0
    """Share of whole episodes to train on, in (0, 1]."""
    seed: int = 0
    """Of weights, batches, evaluation starts and, unless --data-seed is given, of the subset."""
    data_seed: int | None = None
    """Of the subset alone."""
    threads: int = 1
    """Processor threads."""
    options: RunOptions = field(default_factory=RunOptions)
    describe: bool = False
    """Train nothing; print what the policy is made of, and what of it would be trained."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        """Train with a progress bar, then print the score."""
        from .commands import describe_run, train_one

        if self.describe:
            describe_run(self)
        else:
            train_one(self)


@dataclass(frozen=True)
class Evaluate:
    """Play a finished run's policy again, on fresh starts, for any target returns."""

    run_folder: Positional[Path]
    """The run's folder, e.g. runs/reacher2d-medium-1-bc-s0-0123456789."""
    episodes: int = 100
    """Episodes for each target return."""
    targets: tuple[float, ...] = ()
    """Target returns; none given: all of the task's."""
    seed: int = 1_000_000
    """Of the starts; training evaluations use the run's own seed."""
    lm: str = ""
    """Where the run's language model lies, if not where it was trained: a name or a folder with the same weights."""
    cached_context: bool = False
    """Of LaMo and Decision Transformers: act from half to all of the context; always so if training did."""
    threads: int = 1
    """Processor threads."""
    device: str = "auto"
    """auto, cpu or cuda."""
    render: bool = False
    """Also keep frames of an episode beside the run, for `lamobench report`."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print one row a target."""
        from .commands import evaluate_run

        evaluate_run(self)


@dataclass(frozen=True)
class Sweep:
    """Train a grid of runs, here or on a cluster: every method, fraction and seed. Finished runs are skipped."""

    data: Positional[str]
    """Data set to train on."""
    methods: Annotated[
        tuple[str, ...],
        arg(help=f"Any of {', '.join(METHODS)}; none given: LaMo, lamo-random and every baseline that applies."),
    ] = ()
    fractions: tuple[float, ...] = ()
    """Shares of whole episodes; none given: those of the published tables, or all of it where there are none."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    jobs: int = 0
    """Runs at a time; 0: one a core, or a GPU where there are any."""
    threads: int = 1
    """Processor threads of each."""
    seeds_together: bool = False
    """Train the seeds of each small-network method in one pass: less work in all, but on one core."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    options: RunOptions = field(default_factory=RunOptions)

    def run(self) -> None:
        """Sweep; ends with status 2 if a run failed, after all others were trained."""
        from .commands import run_sweep

        run_sweep(self)


@dataclass(frozen=True)
class Ablation:
    """Train LaMo with one part changed at a time, and compare each variant with LaMo, seed by seed: a table as CSV and
    a figure for each data set. Finished runs are skipped."""

    data: Positional[tuple[str, ...]] = ("reacher2d-medium-large", "kitchen-complete")
    """Data sets."""
    fractions: tuple[float, ...] = (0.1, 0.3)
    """Share of whole episodes, one for each data set."""
    variants: tuple[str, ...] = ()
    """Variants; none given: all of them."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds; seed s trains on subset s."""
    jobs: int = 0
    """Runs at a time; 0: one a core."""
    plan: Plan = False
    engine: EngineOptions = field(default_factory=EngineOptions)
    output: Path = Path("results")
    """Folder for ablation_lamo.csv and the figures."""
    options: RunOptions = field(default_factory=RunOptions)

    def run(self) -> None:
        """Train, compare, print the table."""
        from .commands import ablate

        ablate(self)


@dataclass(frozen=True)
class Doctor:
    """Say what is installed, which data and models are at hand, and what each make target would need."""

    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the findings."""
        from ..terminal import print_rows
        from .doctor import findings

        print_rows(findings(), self.json)


Command = (
    Annotated[DataGroup, subcommand("data")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Watch, subcommand("watch")]
    | Annotated[Leaderboard, subcommand("leaderboard")]
    | Annotated[Report, subcommand("report")]
    | Annotated[Fractions, subcommand("fractions")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Ablation, subcommand("ablation")]
    | Annotated[Faults, subcommand("faults")]
    | Annotated[RunsGroup, subcommand("runs")]
    | Annotated[HubGroup, subcommand("hub")]
    | Annotated[LanguageModelGroup, subcommand("lm")]
    | Annotated[Doctor, subcommand("doctor")]
    | Annotated[Bench, subcommand("bench")]
)


def main() -> None:
    """Do what the arguments say, for `program.main`.

    A user's mistake ends in one line on standard error and status 2, an interrupt in status 130, and a reader that has
    gone in status 141: as a signal would end it, for a shell.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as any exit, it clears temporary folders away
    prepare_streams()
    command: Any = None
    try:
        command = parse(sys.argv[1:])
        with plain_terminal():
            command.run()
    except UserError as error:
        sys.exit(_complain(str(error)))
    except KeyboardInterrupt:
        print("\nstopped; start the same command again to go on", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader, `head` for instance, has seen enough
        sys.exit(141)
    except Exception as error:
        if not (line := _line_of(error, command)):
            raise
        sys.exit(_complain(line))
    finally:
        let_go_of_streams()


def _line_of(error: Exception, command: Any) -> str:
    """What a person is told of an error of the machine: its memory or a disk; empty for a defect of the suite."""
    if line := memory_line(error, what_takes_less(command)) or disk_line(error):
        return line
    if not isinstance(error, OSError):
        return ""
    about = f": {error.filename}" if error.filename else ""
    return f"{error.strerror or error}{about}; choose another place for it"


def parse(arguments: list[str]) -> Any:
    """The command that the arguments name. Help exits with status 0, a mistake with status 2 and one line."""
    mistake = io.StringIO()
    try:
        with contextlib.redirect_stderr(mistake):
            return tyro.cli(
                Command,  # type: ignore[arg-type]
                args=arguments or ["--help"],
                prog="lamobench",
                description=DESCRIPTION,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        sys.exit(_complain(one_line(mistake.getvalue())))


def one_line(box: str) -> str:
    """The message of one of tyro's boxes, without its frame, its second help text and its title."""
    lines = [re.sub(r"[│╭╮╰╯─]+", " ", line).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line)
    text = re.split(r" (?:Argument helptext:|For full helptext)", text)[0]
    return re.sub(r"\s+", " ", text) + "; see `lamobench --help`"


def _complain(message: str) -> int:
    print(f"lamobench: {printable(message)}", file=sys.stderr)
    return 2
