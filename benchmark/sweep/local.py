"""Runs on processes of this machine: one a core, or one a GPU where there are any.

Each worker is one process with one thread of its own (more with `threads`) and trains one job at a time. A worker that
dies (killed, out of memory) is replaced; when the parent dies, its workers follow at once.
"""

import multiprocessing
import signal
import threading
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ...datasets.processes import START_METHOD, follow_parent
from ...datasets.storage import temporary_variable
from ..runs.tracks import Job
from .engine import Workplace
from .job import Died, Message, Note, Step, train_job
from .slots import GPUS, slots_here, visible_gpus


@dataclass(frozen=True)
class _Worker:
    process: Any  # multiprocessing's SpawnProcess
    pipe: Connection
    gpu: str  # its only one; "" where there is none


class LocalEngine:
    """Worker processes; idle ones are used again, since importing PyTorch takes seconds."""

    def __init__(self, place: Workplace) -> None:
        self.root = place.root
        self.workers = place.workers
        self.gpus = visible_gpus(self.workers.device)
        self.slots = slots_here(self.workers.jobs, self.workers.threads, self.gpus)
        self.context = multiprocessing.get_context(START_METHOD)
        self.idle: list[_Worker] = []
        self.working: dict[Connection, tuple[_Worker, Job]] = {}

    @property
    def busy(self) -> int:
        """Jobs that were started and have not ended."""
        return len(self.working)

    def start(self, job: Job) -> None:
        """Hand a job to an idle worker, or to a new one."""
        worker = self.idle.pop() if self.idle else self._spawn()
        with suppress(ConnectionError):  # it died while it was idle: `messages` will say so
            worker.pipe.send(job)
        self.working[worker.pipe] = (worker, job)

    def messages(self, timeout: float) -> list[tuple[Job, Message]]:
        """The messages of busy workers within `timeout` seconds; a worker that ends a job becomes idle."""
        heard: list[tuple[Job, Message]] = []
        for pipe in wait(list(self.working), timeout):
            assert isinstance(pipe, Connection)
            worker, job = self.working[pipe]
            try:
                message: Message = pipe.recv()
            except (EOFError, OSError):  # also in the middle of a message
                worker.process.join()
                message = Died(f"exit code {worker.process.exitcode}")
            if not isinstance(message, Step | Note):
                del self.working[pipe]
                if not isinstance(message, Died):
                    self.idle.append(worker)
            heard.append((job, message))
        return heard

    def close(self) -> None:
        """Stop every worker; one in the middle of a run loses what came after its last checkpoint."""
        for worker in [*self.idle, *(worker for worker, _ in self.working.values())]:
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()

    def _spawn(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        threads = str(self.workers.threads)
        gpu = self._free_gpu()
        # OpenMP and CUDA read these when the child loads them; threads that spin while they wait take others' cores
        variables = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "PASSIVE"} | ({GPUS: gpu} if gpu else {})
        arguments = (theirs, self.root, self.workers.threads, self.workers.device)
        process = self.context.Process(target=_work, args=arguments, daemon=True)
        with ExitStack() as stack:
            for name, value in variables.items():
                stack.enter_context(temporary_variable(name, value))
            process.start()
        theirs.close()  # so that the worker's death closes the pipe
        return _Worker(process, ours, gpu)

    def _free_gpu(self) -> str:
        """The GPU with the fewest workers."""
        taken = Counter(worker.gpu for worker in [*self.idle, *(worker for worker, _ in self.working.values())])
        return min(self.gpus, key=lambda gpu: taken[gpu], default="")


def _work(pipe: Connection, root: Path, threads: int, device: str) -> None:
    """A worker's life: take a job, train its runs, say how it went; end when the parent does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=follow_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # tqdm's own is a semaphore, which a worker that is ended would leave behind
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        pipe.send(train_job(job, root, device, threads, pipe.send))
