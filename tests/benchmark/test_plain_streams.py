"""Tests that no printed text can command a terminal, whoever wrote it."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tqdm import tqdm

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.cli.watch import CLEAR
from lamobench.benchmark.streams import control, plain_terminal, printable
from lamobench.datasets.errors import UserError

HOSTILE = "\x1b]0;title\x07\x1b[2J\x9b31m\x08\x00gone\rhere"
NAME = HOSTILE.replace("\x00", "")


def controls(text: str) -> set[str]:
    return {character for character in text if (character < " " or "\x7f" <= character <= "\x9f") and character != "\n"}


def test_control_characters_are_shown_instead_of_obeyed() -> None:
    assert printable(HOSTILE) == r"\x1b]0;title\x07\x1b[2J\x9b31m\x08\x00gone\x0dhere"
    assert printable("é\tû\n中文 █") == "é\tû\n中文 █"


def test_our_own_bars_and_cleared_lines_still_move(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    with plain_terminal():
        bar = tqdm(total=2, desc="bar", ascii=True)
        bar.update(2)
        bar.close()
        control(sys.stdout, CLEAR.format(lines=3))
    assert screen.getvalue().count("\rbar: ") >= 2
    assert "\\x" not in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[3A\x1b[J")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_command_s_output_is_plain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    monkeypatch.setattr(cli.Doctor, "run", lambda self: print(HOSTILE, file=getattr(sys, stream)))
    monkeypatch.setattr(sys, "argv", ["lamobench", "doctor"])
    before = sys.stdout, sys.stderr
    cli.main()
    assert (sys.stdout, sys.stderr) == before
    assert "".join(capsys.readouterr()) == printable(HOSTILE) + "\n"


def test_so_is_the_line_of_a_mistake(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(self: object) -> None:
        raise UserError(f"bad name {HOSTILE}")

    monkeypatch.setattr(cli.Doctor, "run", fail)
    monkeypatch.setattr(sys, "argv", ["lamobench", "doctor"])
    with pytest.raises(SystemExit):
        cli.main()
    assert capsys.readouterr().err == f"lamobench: bad name {printable(HOSTILE)}\n"


@pytest.mark.parametrize("command", ["runs list", "leaderboard --output b", "leaderboard --markdown --output b"])
def test_what_others_wrote_into_runs_is_plain(
    write_run: Callable[..., Path],
    runs_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    write_run([[1.0, 2.0]] * 2)
    failed = write_run([[1.0, 2.0]] * 2, seed=1)
    (failed / "done.json").unlink()
    (failed / "failed.json").write_text(json.dumps({"message": HOSTILE, "step": 3}))
    renamed = write_run([[1.0, 2.0]] * 2, seed=2)
    renamed.rename(renamed.with_name(f"{NAME}-{renamed.name}"))
    monkeypatch.chdir(runs_root.parent)
    monkeypatch.setattr(sys, "argv", ["lamobench", *command.split(), "--runs", str(runs_root)])
    cli.main()
    output, errors = capsys.readouterr()
    assert r"\x1b]0;title" in output + errors
    assert controls(output + errors) == set()
