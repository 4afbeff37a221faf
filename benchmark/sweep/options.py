"""Options of a sweep: its engine and its workers. Light to import: the command line's help shows them."""

from dataclasses import dataclass, field

ENGINES = ["local", "ray"]


@dataclass(frozen=True)
class EngineOptions:
    """The place where runs are trained."""

    engine: str = "local"
    """Engine: local, processes on this machine; or ray, a Ray cluster (pip install "lamobench[ray]")."""
    address: str = ""
    """Address of an existing Ray cluster, HOST:PORT or auto; empty: Ray is started here, and stopped in the end."""
    cpus_per_run: float = 0.0
    """Cores that a run takes up in Ray; 0: as many as its threads."""
    gpus_per_run: float = -1.0
    """GPUs that a run takes up in Ray, 0.5 for two runs on one; -1: one where there are any, less if jobs are more."""


@dataclass(frozen=True)
class Workers:
    """Processes that train jobs: how many, what each has, and which engine starts them."""

    jobs: int = 0  # at a time; 0: one a core, or a GPU
    threads: int = 1  # processor threads of each
    device: str = "auto"  # auto, cpu or cuda
    engine: EngineOptions = field(default_factory=EngineOptions)
