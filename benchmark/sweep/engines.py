"""The choice of a sweep's engine: its options checked, what is known before it starts, and the engine itself."""

from ...datasets.errors import UserError, choose
from .engine import Engine, Workplace
from .options import ENGINES, EngineOptions, Workers
from .plan import ELSEWHERE
from .slots import slots_here, visible_gpus


def open_engine(place: Workplace) -> Engine:
    """The engine that was asked for."""
    if place.workers.engine.engine == "ray":
        from .ray import RayEngine

        return RayEngine(place)
    from .local import LocalEngine

    return LocalEngine(place)


def check_engine(workers: Workers) -> None:
    """Raise a `UserError` unless the options go together; nothing is started."""
    options = workers.engine
    choose("engine", options.engine, ENGINES)
    if workers.jobs < 0 or workers.threads < 1:
        given = f"jobs {workers.jobs} and threads {workers.threads}"
        raise UserError(f"{given}: give at least 0 jobs (0: one a core) and 1 thread")
    of_ray = [name for name in ("address", "cpus_per_run", "gpus_per_run") if getattr(options, name) != _DEFAULT[name]]
    if options.engine != "ray":
        if of_ray:
            raise UserError(f"--{of_ray[0].replace('_', '-')} is of the engine ray; add --engine ray, or leave it out")
        return
    if options.cpus_per_run < 0 or (options.gpus_per_run < 0 and options.gpus_per_run != -1):
        raise UserError(
            f"cpus per run {options.cpus_per_run:g} and gpus per run {options.gpus_per_run:g}: give 0 or more of each"
        )
    from .ray_cluster import import_ray

    import_ray(options.address)


_DEFAULT = vars(EngineOptions())


def device_of_plan(workers: Workers) -> str:
    """The device that a plan is made for: that of a cluster's nodes is not known here, nor what is fast there."""
    return ELSEWHERE if _joins_a_cluster(workers.engine) else workers.device


def expected_slots(workers: Workers) -> int:
    """Jobs at a time before anything is started; 0 if a cluster has yet to be asked."""
    options = workers.engine
    threads = workers.threads
    if _joins_a_cluster(options):
        return workers.jobs
    wide = max(1, round(options.cpus_per_run or threads)) if options.engine == "ray" else threads
    return slots_here(workers.jobs, wide, visible_gpus(workers.device))


def _joins_a_cluster(options: EngineOptions) -> bool:
    return options.engine == "ray" and bool(options.address)
