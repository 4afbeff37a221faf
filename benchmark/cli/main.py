"""The command line: `lamobench`.

Every command is a dataclass: its fields are its options, `run` does the work. Nothing heavy is imported before a
command runs, so that `--help` answers at once.
"""

import contextlib
import io
import re
import signal
import sys
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from ...datasets.disk_errors import disk_line
from ...datasets.errors import UserError
from ..streams import let_go_of_streams, plain_terminal, prepare_streams, printable
from ..training.memory import memory_line, what_takes_less
from .bench import Bench
from .compare import Compare
from .data import DataGroup
from .degeneration import Degeneration
from .doctor import Doctor
from .hub import HubGroup
from .language_study import LanguageStudy
from .leaderboard import Fractions, Leaderboard
from .lm import LanguageModelGroup
from .play import Play
from .power import Power
from .recompute import Recompute
from .report import Report
from .rewind import RewindRuns
from .runs import RunsGroup
from .severity import Severity
from .studies import Ablation, Faults
from .sweep import Sweep
from .train import Evaluate, Train
from .tune import Tune
from .watch import Watch

DESCRIPTION = """Does what a model learned before reinforcement learning help it, and does it survive?

Language models as policies (LaMo) against DT, CQL and BC, on fractions of the data; policies that are fine-tuned
online, with what they forget; and agents that read text games with a language model, in other words too."""

Command = (
    Annotated[DataGroup, subcommand("data")]
    | Annotated[Train, subcommand("train")]
    | Annotated[Evaluate, subcommand("evaluate")]
    | Annotated[Play, subcommand("play")]
    | Annotated[Sweep, subcommand("sweep")]
    | Annotated[Watch, subcommand("watch")]
    | Annotated[Leaderboard, subcommand("leaderboard")]
    | Annotated[Recompute, subcommand("recompute")]
    | Annotated[Report, subcommand("report")]
    | Annotated[RewindRuns, subcommand("rewind")]
    | Annotated[Fractions, subcommand("fractions")]
    | Annotated[Compare, subcommand("compare")]
    | Annotated[Power, subcommand("power")]
    | Annotated[Ablation, subcommand("ablation")]
    | Annotated[Faults, subcommand("faults")]
    | Annotated[LanguageStudy, subcommand("language-study")]
    | Annotated[Tune, subcommand("tune")]
    | Annotated[Severity, subcommand("severity")]
    | Annotated[Degeneration, subcommand("degeneration")]
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
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit, so that temporary folders are cleared away
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
    """The line on an error of the machine: its memory or a disk; empty for a defect of the suite."""
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
            sys.stdout.flush()  # a reader that left before the help was over is found here
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
