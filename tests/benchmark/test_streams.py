"""The real program on terminals of any encoding, with readers that leave, with closed streams, and under Ctrl-C."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.streams import in_plain_signs

MAIN = "from lamobench.benchmark.cli.program import main; main()"
LOCALES: dict[str, dict[str, str]] = {
    "ascii": {"PYTHONIOENCODING": "ascii:strict"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
EVERY_LOCALE = pytest.mark.parametrize("locale", LOCALES)
# Asks every command for its help, as it finds them in the help of the groups above it.
EVERY_HELP = """
import contextlib, io, re, sys
from lamobench.benchmark.cli import main as cli
from lamobench.benchmark import streams as terminal
terminal.prepare_streams()
waiting = [[]]
while waiting:
    words, text = waiting.pop(), io.StringIO()
    for stream in (contextlib.redirect_stdout(text), contextlib.nullcontext()):
        with stream, contextlib.suppress(SystemExit):
            cli.parse([*words, "--help"])
    waiting += [[*words, name] for name in re.findall("^    . ([a-z-]+) {2,}", text.getvalue(), re.M)]
    print("helped:", *words)
"""
TINY = ["reacher2d-medium", "--device", "cpu", "--set", "hidden=[16]"]
BUDGET = {"steps": 20, "evaluate_every": 10, "evaluation_episodes": 1, "headline_evaluations": 1, "batch_size": 8}
TINY += [word for name, value in BUDGET.items() for word in ("--budget", f"{name}={value}")]


def environment(locale: str) -> dict[str, str]:
    """The environment of this process, with nothing said of encodings but by `locale`."""
    said = ("PYTHONIOENCODING", "PYTHONUTF8", "LC_ALL", "LC_CTYPE", "LANG")
    return {name: value for name, value in os.environ.items() if name not in said} | LOCALES.get(locale, {})


def run(
    arguments: Sequence[str | bytes | Path], locale: str = "", program: str = MAIN, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """The program in a process of its own; what it writes is read as bytes."""
    command = [sys.executable, "-c", program, *arguments]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(command, env=environment(locale), timeout=120, check=False, **streams)


def on_a_terminal(arguments: Sequence[str | Path], locale: str) -> tuple[int, bytes]:
    """The program's exit status, and what a terminal shows of it."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 100))
    command = [sys.executable, "-c", MAIN, *arguments]
    with subprocess.Popen(command, env=environment(locale), stdout=its, stderr=its) as process:
        os.close(its)
        shown = b""
        while part := _read(ours):
            shown += part
    os.close(ours)
    return process.returncode, shown


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has the other side any more
        return b""


@EVERY_LOCALE
def test_every_command_s_help_can_be_written(locale: str) -> None:
    done = run([], locale, EVERY_HELP)
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("ascii")
    helped = re.findall(r"^helped: ?(.*)$", text, re.M)
    assert len(helped) > 30
    assert {"", "train", "data", "data list", "hub push", "lm pretrain", "bench"} <= set(helped)
    assert "    * train " in text
    done = run(["--help"], locale)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("ascii") in text


@EVERY_LOCALE
def test_training_sweeping_and_tables_can_be_written(home: Path, tmp_path: Path, locale: str) -> None:
    status, shown = on_a_terminal(["train", *TINY, "--method", "bc", "--runs", tmp_path / "one"], locale)
    assert status == 0, shown
    assert b"bc on reacher2d-medium" in shown  # the bar
    sweep = ["sweep", *TINY, "--methods", "bc", "--fractions", "1", "--seeds", "0", "--runs", tmp_path / "runs"]
    status, shown = on_a_terminal(sweep, locale)
    assert status == 0, shown
    assert b"1 of 1 runs done" in shown
    assert re.search(rb"\r[#.]{20} +\d+%  0/1 runs", shown)  # the bar, whose own signs can't be shown
    for done in (
        run(["leaderboard", "--runs", tmp_path / "runs", "--output", tmp_path, "--no-figures"], locale),
        run(["watch", "--once", "--runs", tmp_path / "runs"], locale),
    ):
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Traceback" not in done.stdout


@EVERY_LOCALE
def test_a_mistake_with_signs_that_can_t_be_shown_is_still_one_line(home: Path, locale: str) -> None:
    for name in ("é", "数据", b"\xff"):
        done = run(["data", "show", name], locale)
        assert done.returncode == 2
        assert done.stderr.startswith(b"lamobench: unknown data set '")
        assert done.stderr.count(b"\n") == 1
    assert b"\\udcff" in done.stderr  # a name that is no text: its bytes can be read off


def test_what_a_worker_prints_can_be_written(home: Path, tmp_path: Path) -> None:
    program = f"""
import multiprocessing, sys
from pathlib import Path
from lamobench.benchmark.sweep.job import train_job
if __name__ == "__main__":
    train_job((), Path({str(tmp_path)!r}), "cpu", 1, print)
    print("50 % ± 3 …")
"""
    done = run([], "ascii", program)
    assert done.stdout.endswith(b"50 % +/- 3 ...\n")


def test_signs_that_are_unknown_are_written_as_their_codes() -> None:
    assert in_plain_signs(UnicodeEncodeError("ascii", "a█é数\udcff", 1, 5, "")) == ("#\\xe9\\u6570\\udcff", 5)
    with pytest.raises(UnicodeDecodeError):
        in_plain_signs(UnicodeDecodeError("ascii", b"\xff", 0, 1, ""))


@pytest.mark.parametrize("arguments", [["data", "list"], ["--help"], ["data", "show", "reacher2d-medium"]])
def test_a_reader_that_leaves_ends_it_without_a_word(home: Path, arguments: list[str]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.shutdown(socket.SHUT_RDWR)  # for all who hold it; a pipe stays open while any process just forked does
        done = run(arguments, stdout=theirs)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)])
def test_closed_streams_swallow_what_is_written(home: Path, closed: tuple[int, ...]) -> None:
    def close() -> None:
        for stream in closed:
            os.close(stream)

    done = run(["data", "show", "reacher2d-medium"], preexec_fn=close)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"episodes" in done.stdout) == (1 not in closed)
    assert run(["data", "show", "nothing"], preexec_fn=close).returncode == 2


# ---- Ctrl-C


# Does something when a module begins to be imported.
AT_IMPORT = f"""
import os, signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {{module!r}}:
            {{act}}
sys.modules.pop({{module!r}}, None)
sys.meta_path.insert(0, Finder())
{MAIN}
"""


def hearing() -> None:
    """Let the program hear Ctrl-C, whatever started this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.15, 0.3, 0.5])
@pytest.mark.parametrize("command", ["doctor", "train"])
def test_ctrl_c_while_modules_are_imported_is_quiet(home: Path, tmp_path: Path, command: str, seconds: float) -> None:
    program = AT_IMPORT.format(module="lamobench.benchmark.cli.main", act="print('begun', flush=True)")
    arguments = [command, *([*TINY, "--method", "bc", "--runs", str(tmp_path)] if command == "train" else [])]
    line = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hearing) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 or (seconds >= 0.5 and process.returncode == 0)  # it was quicker
    assert errors in (b"", b"\nstopped; start the same command again to go on\n")


@pytest.mark.parametrize(
    "module", ["signal", "tyro", "lamobench.benchmark.cli.data", "lamobench.benchmark.offline.loop", "numpy"]
)
def test_ctrl_c_at_the_import_of_a_module_is_quiet(home: Path, module: str) -> None:
    program = AT_IMPORT.format(module=module, act="os.kill(os.getpid(), signal.SIGINT)")
    done = run(["train", "reacher2d-medium", "--method", "bc"], program=program, preexec_fn=hearing)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_ctrl_c_in_a_callback_that_can_t_raise_it_is_not_lost() -> None:
    program = f"""
import os, signal
from lamobench.benchmark.cli import main as cli
class Fickle:
    def __del__(self):
        raise KeyboardInterrupt
cli.Doctor.run = lambda self: (Fickle(), None)[1]
{MAIN}
"""
    done = run(["doctor"], program=program)
    assert (done.returncode, done.stderr) == (130, b"")


def test_who_was_started_to_ignore_ctrl_c_does() -> None:
    def deaf() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    program = f"""
import os, signal
from lamobench.benchmark.cli import main as cli
cli.Doctor.run = lambda self: os.kill(os.getpid(), signal.SIGINT)
{MAIN}
"""
    assert run(["doctor"], program=program, preexec_fn=deaf).returncode == 0
    assert run(["doctor"], program=program, preexec_fn=hearing).returncode == 130
