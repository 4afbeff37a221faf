"""The choice of a sweep's engine: its options checked, what is known before it starts, and the engine itself."""

from ...datasets.errors import UserError, choose
from .engine import Engine, Workplace
from .options import ENGINES, EngineOptions
from .plan import ELSEWHERE
from .slots import slots_here, visible_gpus


def open_engine(place: Workplace) -> Engine:
    """The engine that was asked for."""
    if place.options.engine == "ray":
        from .ray import RayEngine

        return RayEngine(place)
    from .local import LocalEngine

    return LocalEngine(place)


def check_engine(options: EngineOptions, jobs: int, threads: int) -> None:
    """A `UserError` unless the options go together; nothing is started."""
    choose("engine", options.engine, ENGINES)
    if jobs < 0 or threads < 1:
        raise UserError(f"jobs {jobs} and threads {threads}: give at least 0 jobs (0: one a core) and 1 thread")
    given = [name for name in ("address", "cpus_per_run", "gpus_per_run") if getattr(options, name) != _DEFAULT[name]]
    if options.engine != "ray":
        if given:
            raise UserError(f"--{given[0].replace('_', '-')} is of the engine ray; add --engine ray, or leave it out")
        return
    if options.cpus_per_run < 0 or (options.gpus_per_run < 0 and options.gpus_per_run != -1):
        raise UserError(
            f"cpus per run {options.cpus_per_run:g} and gpus per run {options.gpus_per_run:g}: give 0 or more of each"
        )
    from .ray_cluster import import_ray

    import_ray(options.address)


_DEFAULT = vars(EngineOptions())


def device_of_plan(options: EngineOptions, device: str) -> str:
    """The device that a plan is made for: that of a cluster's nodes is not known here, nor what is fast there."""
    return ELSEWHERE if options.engine == "ray" and options.address else device


def expected_slots(options: EngineOptions, jobs: int, threads: int, device: str) -> int:
    """Jobs at a time before anything is started; 0 if a cluster has yet to be asked."""
    if options.engine == "ray" and options.address:
        return jobs
    wide = max(1, round(options.cpus_per_run or threads)) if options.engine == "ray" else threads
    return slots_here(jobs, wide, visible_gpus(device))
