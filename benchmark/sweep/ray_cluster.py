"""Ray itself: loaded, started on this machine and stopped again, or joined where it runs already."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.processes import cores
from .options import Workers
from .ray_guard import descendants, start_of
from .slots import slots_here, visible_gpus

INSTALL = 'Ray is not installed; type: pip install "lamobench[ray]", or leave out --engine ray'
STORE = 80_000_000  # bytes of shared memory for Ray's objects, near the least it takes: jobs and messages are small
ANSWER_SECONDS = 5.0
# For a Ray that is started here: its ports are open to the network, so who has no token can't give it work.
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
# Nothing is reported to anybody; workers are no less important than what the local engine starts.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}


def import_ray(address: str) -> Any:
    """Ray, for an existing cluster or one of our own; a `UserError` says what to type where it is not installed.

    Its variables are read when it is loaded, once in a process: whoever loaded it before has decided about the token.
    """
    os.environ.update(QUIET)
    if not address and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(TOKEN)
    try:
        import ray
    except ImportError as error:
        raise UserError(INSTALL) from error
    return ray


class OwnRay:
    """A Ray on this machine, with a guard that outlives us: see `ray_guard.py`."""

    def __init__(self, ray: Any, workers: Workers, cpus: float) -> None:
        gpus = visible_gpus(workers.device)
        room = cpus * slots_here(workers.jobs, max(1, round(cpus)), gpus)
        self.folder = Path(tempfile.mkdtemp(prefix="lamobench-ray-", dir=_short_folder()))
        guard = [sys.executable, "-I", "-S", str(Path(__file__).with_name("ray_guard.py")), str(self.folder)]
        self.guard = subprocess.Popen(guard, stdin=subprocess.PIPE, text=True, start_new_session=True)
        others = set(descendants(os.getpid()))
        try:
            with _own_signals():
                ray.init(
                    address="local",
                    num_cpus=max(1, round(room), cores()),
                    num_gpus=len(gpus),
                    include_dashboard=False,
                    object_store_memory=STORE,
                    _temp_dir=str(self.folder),
                    **_init_options(workers.threads),
                )
        except BaseException:
            self.close()
            raise
        finally:
            own = sorted(set(descendants(os.getpid())) - others)
            self._tell_guard([pid for pid in own if b"ray" in _command(pid)])

    def close(self) -> None:
        """Ray was shut down; what is left of it is the guard's."""
        assert self.guard.stdin is not None
        self.guard.stdin.close()
        self.guard.wait()

    def _tell_guard(self, processes: list[int]) -> None:
        stdin = self.guard.stdin
        if stdin is not None and not stdin.closed:
            stdin.write("".join(f"{pid} {start_of(pid)}\n" for pid in processes))
            stdin.flush()


def _command(pid: int) -> bytes:
    """The process's command line; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _short_folder() -> str | None:
    """A folder where Ray's sockets can be: their whole path has 107 characters at most."""
    return None if len(tempfile.gettempdir()) < 25 else "/tmp"


def _init_options(threads: int) -> dict[str, Any]:
    """The options for an existing Ray and for one of ours. Variables are set before a worker loads PyTorch."""
    variables = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
    variables |= {name: os.environ[name] for name in ("LAMOBENCH_HOME",) if name in os.environ}
    return {"log_to_driver": False, "logging_level": "error", "runtime_env": {"env_vars": variables}}


def connect(ray: Any, address: str, threads: int) -> None:
    """Join an existing cluster; a `UserError` if there is none at the address."""
    hint = (
        "give --address HOST:PORT, or auto, on a machine of the cluster (`ray start --address=HOST:PORT` makes it one)"
    )
    host, _, port = address.rpartition(":")
    if "://" in address or (address != "auto" and not (host and port.isdecimal())):
        raise UserError(f"{address} is no address that can be joined; {hint}")
    try:
        if address != "auto":
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()  # Ray would wait a minute
        with _own_signals():
            ray.init(address=address, **_init_options(threads))
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        raise UserError(f"no Ray cluster answers at {address} ({last_line(error)}); {hint}") from None


def last_line(error: BaseException) -> str:
    """The last line of an error's message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:200]


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray puts a handler of its own in the place of the program's."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
