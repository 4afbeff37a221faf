"""Java under TextWorldExpress: who may talk to it, and what is said where it does not start, or ends."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.games import twc_java
from lamobench.datasets.games.families import make_games, missing

ENDED = "ended while TextWorldExpress was played, which needs it to the end; try again, and if that is no help, type: "
# Java is killed between two moves, and a new game is begun.
KILLED = """
import os
from lamobench.datasets.errors import UserError
from lamobench.datasets.games import twc_java
from lamobench.datasets.games.families import make_games

(game,) = make_games("twc-easy", "train", 1)
first = game.reset()
twc_java._machine(os.getpid()).java_process.kill()
for _ in range(2):
    try:
        game.step(0)
    except UserError as error:
        print(error)
(game,) = make_games("twc-easy", "train", 1)
print(game.reset() == first)
"""


@pytest.fixture(autouse=True)
def _express() -> None:
    if line := missing("twc-easy"):
        pytest.skip(line)


@pytest.fixture
def _another_java() -> Iterator[None]:
    """Java that was started before is forgotten, and so is what the test starts."""
    twc_java._machine.cache_clear()
    twc_java._generator.cache_clear()
    yield
    twc_java._machine.cache_clear()
    twc_java._generator.cache_clear()


@pytest.mark.parametrize("token", [None, "guessed"])
def test_java_answers_only_to_who_knows_the_token(token: str | None) -> None:
    from py4j.java_gateway import GatewayParameters, JavaGateway
    from py4j.protocol import Py4JError

    make_games("twc-easy", "train", 1)
    ours = twc_java._machine(os.getpid())
    assert ours.jvm.System.currentTimeMillis() > 0
    parameters = GatewayParameters(port=ours.gateway_parameters.port, auth_token=token)
    with pytest.raises(Py4JError):
        JavaGateway(gateway_parameters=parameters).jvm.System.currentTimeMillis()
    assert ours.jvm.System.currentTimeMillis() > 0


@pytest.mark.usefixtures("_another_java")
@pytest.mark.parametrize(
    ("script", "mode", "line"),
    [
        ("exit 1", 0o700, "does not start; expected Java that runs TextWorldExpress; type: "),
        ("echo Unrecognized option", 0o700, "does not start; expected Java that runs TextWorldExpress; type: "),
        ("exit 1", 0o600, "does not start; expected Java that runs TextWorldExpress; type: "),
        ("echo 1", 0o700, ENDED),  # a port, and nobody there
    ],
)
def test_java_that_is_broken_gets_one_line(
    script: str,
    mode: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    program = tmp_path / "java"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(mode)
    monkeypatch.setattr(twc_java, "java", lambda: str(program))
    with pytest.raises(UserError, match=re.escape(f"{program} {line}pip install 'lamobench[textworld]'")):
        make_games("twc-easy", "train", 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_another_java")
def test_java_that_hangs_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "java"
    program.write_text("#!/bin/sh\nexec cat > /dev/null\n")  # it ends with its input
    program.chmod(0o700)
    monkeypatch.setattr(twc_java, "java", lambda: str(program))
    monkeypatch.setattr(twc_java, "PATIENCE", 0.2)
    with pytest.raises(UserError, match=f"{program} does not start; expected Java"):
        make_games("twc-easy", "train", 1)


def test_java_that_is_killed_gets_one_line_and_another_is_started() -> None:
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True, check=True, timeout=240)
    line = f"{twc_java.java()} {ENDED}{twc_java.INSTALL}"
    assert done.stdout.splitlines() == [line, line, "True"]
    assert done.stderr == ""
