"""Runs on a Ray cluster: an existing one, or one that is started on this machine and stopped in the end.

Every node reads and writes the same folder of runs, so a run that was begun on one goes on at another. Ray only places
jobs; that a run whose worker or node is lost is tried again is the sweep's own doing, as with the local engine.
"""

import importlib.metadata
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ..runs.tracks import Job
from .engine import Workplace
from .job import Died, Ended, Full, Message, Note, Step, train_job
from .ray_cluster import OwnRay, connect, import_ray, last_line

PROBE_SECONDS = 60.0
TELL_EVERY = 0.5  # seconds between a job's messages


@dataclass(frozen=True)
class Stranger:
    """A node that can't train: one line that says why."""

    line: str


class Mailbox:
    """A place where workers leave what they have to say, until the sweep asks."""

    def __init__(self) -> None:
        self.letters: list[tuple[int, Message]] = []

    def put(self, letters: list[tuple[int, Message]]) -> None:
        """Leave some, each with its job's number."""
        self.letters += letters

    def take(self) -> list[tuple[int, Message]]:
        """All that were left since the last time."""
        letters = self.letters
        self.letters = []
        return letters


def probe(mark: Path, version: str) -> Stranger | None:
    """Check whether this node sees the runs that the sweep sees, with the same lamobench."""
    host = socket.gethostname()
    until = time.monotonic() + 5.0  # network file systems may be late
    while not mark.exists():
        if time.monotonic() > until:
            store = mark.parents[2]
            return Stranger(
                f"node {host} can't see {store}; give --runs a folder that every node of the cluster shares"
            )
        time.sleep(0.2)
    here = importlib.metadata.version("lamobench")
    return Stranger(f"node {host} has lamobench {here}, but {version} is needed there") if here != version else None


def work(number: int, job: Job, place: Workplace, version: str, mailbox: Any) -> Ended | Full | Stranger:
    """A job, on whatever node."""
    if (stranger := probe(place.mark, version)) is not None:
        return stranger
    box: list[tuple[int, Message]] = []
    sent = [time.monotonic()]

    def tell(message: Step | Note) -> None:
        box.append((number, message))
        if time.monotonic() - sent[0] > TELL_EVERY:
            sent[0] = time.monotonic()
            mailbox.put.remote(box.copy())
            box.clear()

    ended = train_job(job, place.root, place.workers.device, place.workers.threads, tell)
    import ray

    with suppress(ray.exceptions.RayError):  # a message about progress may get lost, a result may not
        ray.get(mailbox.put.remote(box), timeout=30)
    return ended


class RayEngine:
    """Jobs as Ray's tasks."""

    def __init__(self, place: Workplace) -> None:
        workers = place.workers
        options = place.workers.engine
        self.ray = import_ray(options.address)
        self.place = _shared(place)
        self.workers = workers
        self.version = importlib.metadata.version("lamobench")
        self.cpus = options.cpus_per_run or float(workers.threads)
        self.running: dict[Any, tuple[int, Job]] = {}  # by the reference to what a task returns
        self.jobs: dict[int, Job] = {}  # by number
        self.local: OwnRay | None = None
        self.ours = not self.ray.is_initialized()
        try:
            if self.ours and not options.address:
                self.local = OwnRay(self.ray, workers, self.cpus)
            elif self.ours:
                connect(self.ray, options.address, workers.threads)
            self.gpus = self._gpus_per_run()
            self._check_nodes()
            actor = self.ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Mailbox)
            self.mailbox = actor.options(scheduling_strategy=self._here()).remote()
        except BaseException:
            self.close()
            raise
        resources = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_retries": 0}
        self.task = self.ray.remote(**resources)(work)

    @property
    def slots(self) -> int:
        """Jobs at a time: those asked for, or as many as the cluster has room for just now."""
        return self.workers.jobs or max(1, sum(self._room(node["Resources"]) for node in self._nodes()))

    @property
    def busy(self) -> int:
        """Jobs that were started and have not ended."""
        return len(self.running)

    def start(self, job: Job) -> None:
        """Hand a job to Ray, which waits until there is room."""
        number = len(self.jobs)
        self.jobs[number] = job
        self.running[self.task.remote(number, job, self.place, self.version, self.mailbox)] = (number, job)

    def messages(self, timeout: float) -> list[tuple[Job, Message]]:
        """The messages of workers within `timeout` seconds."""
        until = time.monotonic() + timeout
        while not (ready := self.ray.wait(list(self.running), timeout=0)[0]) and time.monotonic() < until:
            time.sleep(0.1)  # not in Ray's own wait: there an exception of a signal becomes another error
        ended = [(self.running.pop(reference)[1], self._ended(reference)) for reference in ready]
        return [*self._letters(), *ended]

    def close(self) -> None:
        """Stop every worker; a Ray that was here before goes on."""
        for reference in self.running:
            with suppress(self.ray.exceptions.RayError):
                self.ray.cancel(reference, force=True)
        self.running.clear()
        if self.ours:
            self.ray.shutdown()
        if self.local:
            self.local.close()

    def _letters(self) -> list[tuple[Job, Message]]:
        with suppress(self.ray.exceptions.RayError):  # its process was lost: another one begins, with an empty box
            return [(self.jobs[n], letter) for n, letter in self.ray.get(self.mailbox.take.remote(), timeout=10)]
        return []

    def _ended(self, reference: Any) -> Message:
        errors = self.ray.exceptions
        try:
            ended = self.ray.get(reference)
        except (errors.RayTaskError, errors.RaySystemError, errors.RuntimeEnvSetupError) as error:
            raise _unable(error) from None
        except errors.RayError as error:
            return Died(f"lost by Ray: {type(error).__name__}")
        if isinstance(ended, Stranger):
            raise UserError(ended.line)
        assert isinstance(ended, Ended | Full)
        return ended

    def _nodes(self) -> list[dict[str, Any]]:
        return [node for node in self.ray.nodes() if node["Alive"]]

    def _room(self, resources: dict[str, float]) -> int:
        """Jobs that fit on a node at a time."""
        by_gpus = resources.get("GPU", 0.0) / self.gpus if self.gpus else float("inf")
        return int(min(resources.get("CPU", 0.0) / self.cpus if self.cpus else float("inf"), by_gpus) + 1e-9)

    def _gpus_per_run(self) -> float:
        """The share asked for; else a GPU each where there are any, or less if more runs at a time are wanted."""
        asked = self.workers.engine.gpus_per_run
        there = self.ray.cluster_resources().get("GPU", 0.0)
        if asked >= 0 or self.workers.device == "cpu" or not there:
            return max(0.0, asked)
        return min(1.0, int(10_000 * there / self.workers.jobs) / 10_000) if self.workers.jobs else 1.0

    def _check_nodes(self) -> None:
        """Raise a `UserError` if a run fits on no node, or a node doesn't see the runs."""
        nodes = self._nodes()
        if not any(self._room(node["Resources"]) for node in nodes):
            most = {name: max(node["Resources"].get(name, 0.0) for node in nodes) for name in ("CPU", "GPU")}
            raise UserError(
                f"a run takes {self.cpus:g} cores and {self.gpus:g} GPUs, but the largest node has {most['CPU']:g} and "
                f"{most['GPU']:g}; give less with --cpus-per-run, --gpus-per-run or --threads"
            )
        task = self.ray.remote(num_cpus=0, max_retries=2)(probe)
        asked = [
            task.options(scheduling_strategy=self._at(n["NodeID"])).remote(self.place.mark, self.version) for n in nodes
        ]
        try:
            strangers = [found for found in self.ray.get(asked, timeout=PROBE_SECONDS) if found is not None]
        except self.ray.exceptions.GetTimeoutError:
            raise UserError(
                f"the cluster's nodes did not answer within {PROBE_SECONDS:g} s; see `ray status`"
            ) from None
        except self.ray.exceptions.RayError as error:
            raise _unable(error) from None
        if strangers:
            raise UserError(strangers[0].line)

    def _at(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node, soft=False)

    def _here(self) -> Any:
        return self._at(self.ray.get_runtime_context().get_node_id())


def _shared(place: Workplace) -> Workplace:
    """The same on every node: with whole paths."""
    return replace(place, root=place.root.resolve(), mark=place.mark.resolve())


def _unable(error: BaseException) -> UserError:
    return UserError(f"a node of the cluster can't run lamobench: {last_line(error)}; install it there")
