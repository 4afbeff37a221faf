from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.sweep.engine import Workplace
from lamobench.benchmark.sweep.engines import check_engine, expected_slots, open_engine
from lamobench.benchmark.sweep.local import LocalEngine
from lamobench.benchmark.sweep.options import EngineOptions, Workers
from lamobench.datasets.errors import UserError
from lamobench.datasets.processes import cores


def test_jobs_at_a_time_are_known_beforehand_but_for_a_cluster() -> None:
    def slots(jobs: int, threads: int, *engine: Any, **options: Any) -> int:
        return expected_slots(Workers(jobs, threads, "cpu", EngineOptions(*engine, **options)))

    assert slots(0, 1) == cores()
    assert slots(0, cores(), "ray") == 1
    assert slots(0, 1, "ray", cpus_per_run=float(cores())) == 1
    assert slots(0, 1, "ray", address="auto") == 0
    assert slots(5, 1, "ray", address="auto") == 5


def test_the_local_engine_is_the_default(tmp_path: Path) -> None:
    engine = open_engine(Workplace(tmp_path, Workers(), tmp_path))
    assert isinstance(engine, LocalEngine)
    assert engine.busy == 0
    engine.close()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (EngineOptions("rya"), "unknown engine 'rya'; did you mean 'ray'"),
        (EngineOptions(address="auto"), "--address is of the engine ray; add --engine ray"),
        (EngineOptions(cpus_per_run=2.0), "--cpus-per-run is of the engine ray"),
        (EngineOptions(gpus_per_run=0.0), "--gpus-per-run is of the engine ray"),
        (EngineOptions("ray", cpus_per_run=-1.0), "cpus per run -1 and gpus per run -1: give 0 or more of each"),
        (EngineOptions("ray", gpus_per_run=-0.5), "cpus per run 0 and gpus per run -0.5: give 0 or more of each"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(options: EngineOptions, line: str) -> None:
    with pytest.raises(UserError, match=line):
        check_engine(Workers(1, engine=options))


def test_without_ray_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(UserError, match=r'Ray is not installed; type: pip install "lamobench\[ray\]"'):
        check_engine(Workers(1, engine=EngineOptions("ray")))
