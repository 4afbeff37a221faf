import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import grid
from lamobench.benchmark.runs.methods import METHODS
from lamobench.benchmark.runs.store import is_done, open_run, run_folder
from lamobench.benchmark.sweep import grid as sweeping
from lamobench.benchmark.sweep.grid import Outcome, sweep
from lamobench.benchmark.sweep.job import Ended, Pace, Step, train_job
from lamobench.benchmark.sweep.local import LocalEngine
from lamobench.benchmark.sweep.options import Workers
from lamobench.benchmark.sweep.plan import make_plan
from lamobench.benchmark.sweep.record import Record
from lamobench.benchmark.sweep.state import State
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import Numbers, little_request, little_run, numbers

BASE = little_request(steps=1000, evaluate_every=500)
pytestmark = pytest.mark.usefixtures("forked_workers")
run_of = partial(little_run, steps=1000, evaluate_every=500)


def long_run(seed: int = 0) -> OfflineConfig:
    """A run that has several checkpoints, and lasts long enough to be killed in between."""
    return run_of(seed, steps=2000)


@pytest.fixture(scope="module")
def undisturbed(forked_workers: None, tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    """The numbers of `long_run()`, trained in this process."""
    root = tmp_path_factory.mktemp("undisturbed")
    train(long_run(), root, "cpu")
    return numbers(root, long_run())


def kill_worker() -> None:
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()


def kill_once(condition: Callable[[State], bool]) -> Callable[[State], None]:
    """A display that kills the only worker, once, when the sweep's state is as wanted."""
    kills: list[float] = []

    def show(state: State) -> None:
        if not kills and condition(state):
            kills.append(time.monotonic())
            kill_worker()

    show.kills = kills  # type: ignore[attr-defined]
    return show


def test_a_grid_is_every_combination_in_order() -> None:
    runs = grid(replace(BASE, settings={"hidden": (16,)}), [0.5, 1.0], [3, 4])
    assert [(run.fraction, run.seed, run.data_seed) for run in runs] == [
        (fraction, seed, seed) for fraction in (0.5, 1.0) for seed in (3, 4)
    ]
    assert len({run.id for run in runs}) == 4


def test_a_grid_needs_settings_that_its_method_has() -> None:
    with pytest.raises(UserError, match="unknown setting of cql 'learning_rate'"):
        grid(replace(BASE, method="cql", settings={"learning_rate": 1e-3}), [1.0], [0])


def test_a_sweep_trains_what_is_not_done_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [run_of(seed) for seed in range(3)]
    train(runs[1], tmp_path, "cpu")
    before = {path: path.stat().st_mtime_ns for path in run_folder(tmp_path, runs[1]).iterdir()}
    states: list[State] = []
    outcome = sweep([*runs, runs[0]], tmp_path, Workers(2, device="cpu"), show=states.append)
    assert outcome.finished == sorted(run.id for run in runs)
    assert outcome.failed == {}
    assert {path: path.stat().st_mtime_ns for path in run_folder(tmp_path, runs[1]).iterdir()} == before
    assert runs[1].id not in states[-1].steps
    assert states[-1].steps[runs[0].id] == 1000
    assert not states[-1].running
    assert not multiprocessing.active_children()
    assert numbers(tmp_path, runs[0]) == numbers(train(runs[0], tmp_path / "alone", "cpu").parent, runs[0])

    everything = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(LocalEngine, "_spawn", None)  # were a worker started
    assert sweep(runs, tmp_path, Workers(2, device="cpu")) == outcome
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == everything


def test_a_killed_worker_is_replaced_and_its_run_ends_with_the_same_numbers(
    tmp_path: Path, undisturbed: Numbers
) -> None:
    run = long_run()
    kill = kill_once(lambda state: state.steps.get(run.id, 0) >= 600)
    outcome = sweep([run], tmp_path, Workers(1, device="cpu"), show=kill)
    assert len(kill.kills) == 1  # type: ignore[attr-defined]
    assert (outcome.finished, outcome.failed) == ([run.id], {})
    assert numbers(tmp_path, run) == undisturbed


def test_seeds_that_train_together_are_one_job_that_outlives_its_worker(tmp_path: Path, undisturbed: Numbers) -> None:
    runs = [long_run(0), long_run(1)]
    kill = kill_once(lambda state: min(state.steps.get(run.id, 0) for run in runs) >= 600)  # there is one worker only
    outcome = sweep(runs, tmp_path, Workers(2, device="cpu"), show=kill, seeds_together=True)
    assert len(kill.kills) == 1  # type: ignore[attr-defined]
    assert (outcome.finished, outcome.failed) == (sorted(run.id for run in runs), {})
    rows = numbers(tmp_path, runs[0])[1]
    expected = undisturbed[1]
    assert [row["step"] for row in rows] == [row["step"] for row in expected]
    assert [row["loss"] for row in rows] == pytest.approx([row["loss"] for row in expected], rel=1e-3)


def test_of_seeds_that_train_together_each_fails_by_itself(tmp_path: Path) -> None:
    good = run_of(0)
    moved = replace(run_of(1), subset_hash="0")
    outcome = sweep([good, moved], tmp_path, Workers(1, device="cpu"), seeds_together=True)
    assert outcome.finished == [good.id]
    assert "data set 'reacher2d-medium' (recorded) has changed" in outcome.failed[moved.id]


def test_a_worker_that_is_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    runs = [run_of(0), run_of(1)]
    kill = kill_once(lambda state: len(state.finished) == 1)
    outcome = sweep(runs, tmp_path, Workers(1, device="cpu"), show=kill)
    assert len(kill.kills) == 1  # type: ignore[attr-defined]
    assert len(outcome.finished) == 2


def test_a_run_whose_process_always_dies_fails_and_the_others_go_on(tmp_path: Path) -> None:
    deadly = run_of(0, steps=3000, evaluate_every=3000)  # no checkpoint on the way
    harmless = run_of(1)
    kills = []

    def show(state: State) -> None:
        if deadly.id in state.running and state.steps.get(deadly.id):
            kills.append(time.monotonic())
            state.steps.clear()
            kill_worker()

    outcome = sweep([harmless, deadly], tmp_path, Workers(1, device="cpu"), show=show)
    assert len(kills) == sweeping.ATTEMPTS == 3
    assert outcome.finished == [harmless.id]
    assert outcome.failed == {deadly.id: f"run {deadly.id}: its process died 3 times (exit code -9)"}


def test_deaths_between_which_a_run_gets_further_do_not_count(tmp_path: Path, undisturbed: Numbers) -> None:
    run = run_of(0, steps=2500)
    kills = []

    def show(state: State) -> None:
        if len(kills) < 4 and state.running and state.steps.get(run.id, 0) > 500 * (len(kills) + 1):
            kills.append(state.steps[run.id])
            kill_worker()

    outcome = sweep([run], tmp_path, Workers(1, device="cpu"), show=show)
    assert len(kills) > sweeping.ATTEMPTS
    assert (outcome.finished, outcome.failed) == ([run.id], {})


def test_a_run_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    diverging = run_of(settings={"hidden": (16,), "learning_rate": 1e38})
    good = run_of(2)
    outcome = sweep([diverging, good], tmp_path, Workers(1, device="cpu"))
    assert outcome.finished == [good.id]
    assert outcome.failed.keys() == {diverging.id}
    assert "it had no checkpoint yet; try a lower learning rate" in outcome.failed[diverging.id]
    assert not any("\n" in line for line in outcome.failed.values())


def test_a_sweep_waits_for_a_run_that_another_process_works_on(tmp_path: Path) -> None:
    """A killed `make` leaves its sweep going on: the next one must end with every run done."""
    held = run_of(1)
    good = run_of(2)
    outcomes: list[Outcome] = []
    with open_run(tmp_path, held):
        waiting = threading.Thread(
            target=lambda: outcomes.append(sweep([held, good], tmp_path, Workers(2, device="cpu"))), daemon=True
        )
        waiting.start()
        deadline = time.monotonic() + 120
        while not is_done(tmp_path, good):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert waiting.is_alive()
    waiting.join(120)
    assert outcomes[0].finished == sorted([held.id, good.id])


def test_a_defect_in_a_run_is_one_line_too(tmp_path: Path) -> None:
    broken = replace(run_of(), target_returns=[])  # as no config of ours is: the evaluation has nothing to play
    outcome = sweep([broken, run_of(1)], tmp_path, Workers(1, device="cpu"))
    assert outcome.finished == [run_of(1).id]
    assert outcome.failed[broken.id].startswith(f"run {broken.id}: ValueError: ")
    assert "\n" not in outcome.failed[broken.id]


def test_memory_that_has_run_out_is_one_line_of_each_run(tmp_path: Path) -> None:
    runs = [replace(run_of(seed), batch_size=10**15) for seed in (0, 1)]
    said: list[object] = []
    for job in (tuple(runs), (runs[0],)):
        ended = train_job(job, tmp_path, "cpu", 1, said.append)
        assert isinstance(ended, Ended)
        assert ended.failed.keys() == {run.id for run in job}
        for name, line in ended.failed.items():
            assert line.startswith(f"run {name}: no memory left")
            assert "\n" not in line
    assert said == []


def test_workers_follow_a_killed_parent_and_the_next_sweep_goes_on(tmp_path: Path, undisturbed: Numbers) -> None:
    """The real command line with its real start method, killed as hard as can be."""
    run = long_run()
    budget = {**BASE.budget, "steps": run.steps}
    arguments = ["sweep", "reacher2d-medium", "--methods", "bc", "--seeds", "0", "--jobs", "1", "--device", "cpu"]
    arguments += ["--runs", str(tmp_path), "--set", "hidden=[16]", "--set", "learning_rate=1e-3"]
    arguments += [word for name, value in budget.items() for word in ("--budget", f"{name}={value}")]
    command = [sys.executable, "-c", "from lamobench.benchmark.cli.main import main; main()", *arguments]
    checkpoint = run_folder(tmp_path, run) / "checkpoint.safetensors"
    with (tmp_path / "output").open("w") as output, subprocess.Popen(command, stdout=output, stderr=output) as parent:
        deadline = time.monotonic() + 120
        while not checkpoint.exists():
            assert parent.poll() is None, (tmp_path / "output").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        parent.kill()
    killed = time.monotonic()
    with (checkpoint.parent / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # granted once the worker is gone
    assert time.monotonic() - killed < 5
    assert not is_done(tmp_path, run)  # it did not merely come to its end

    assert sweep([run], tmp_path, Workers(1, device="cpu")).finished == [run.id]
    assert numbers(tmp_path, run) == undisturbed


def test_a_worker_in_the_middle_of_a_long_step_follows_too() -> None:
    """The worker does not wait for the next time that it would report: here it never would."""
    program = (
        "import multiprocessing, threading, time\n"
        "from lamobench.datasets.processes import follow_parent\n"
        "def work():\n"
        "    threading.Thread(target=follow_parent, daemon=True).start()\n"
        "    print('working', flush=True)\n"
        "    time.sleep(60)\n"
        "multiprocessing.get_context('fork').Process(target=work).start()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "working\n"
        parent.kill()
        killed = time.monotonic()
        assert parent.stdout.read() == ""  # the end: nobody holds the other side any more
    assert time.monotonic() - killed < 10


@pytest.mark.parametrize(("jobs", "threads"), [(-1, 1), (1, 0)])
def test_jobs_and_threads_are_numbers_that_make_sense(tmp_path: Path, jobs: int, threads: int) -> None:
    with pytest.raises(UserError, match=r"give at least 0 jobs \(0: one a core\) and 1 thread"):
        sweep([run_of()], tmp_path, Workers(jobs, threads))


def test_the_longest_runs_start_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slowest = replace(METHODS["dt"].on_vectors, update=1e6)
    monkeypatch.setitem(METHODS, "dt", replace(METHODS["dt"], on_vectors=slowest))
    slow = replace(run_of(), method="dt")
    plan = make_plan([run_of(), long_run(), slow], tmp_path)
    assert plan.jobs == [(slow,), (long_run(),), (run_of(),)]
    assert plan.times.cost(long_run()) > plan.times.cost(run_of())


def test_pace_is_measured_between_reports() -> None:
    sent: list[Any] = []
    alone = Pace(sent.append, "a")
    shared = Pace(sent.append, "b", 5)
    for pace in (alone, shared):
        pace.report(300, 1000)  # resumed: the steps before are not this worker's
    time.sleep(0.05)
    for pace in (alone, shared):
        pace.report(310, 1000)
        pace.report(311, 1000)  # too soon after the other to be told
    assert [(type(step), step.run, step.step) for step in sent] == [(Step, "a", 310), (Step, "b", 310)]
    assert 0.005 <= sent[0].seconds < 0.1
    assert 0.001 <= sent[1].seconds < 0.02  # the share of one of five runs
    alone.report(1000, 1000)  # the last step always is
    assert sent[-1].step == 1000


def test_sweeps_that_share_a_folder_do_not_choose_alike(tmp_path: Path) -> None:
    """Two that are told at once that a run has ended would both take the next, and one would always wait."""
    jobs = [(run_of(seed),) for seed in range(50)]
    assert sweeping._next(list(jobs), tmp_path, shared=False) == jobs[0]
    taken = [sweeping._next(list(jobs), tmp_path, shared=True) for _ in range(20)]
    assert len({run.seed for (run,) in taken}) > 5
    with open_run(tmp_path, jobs[0][0], wait=False):
        assert sweeping._next(list(jobs[:2]), tmp_path, shared=False) == jobs[1]
        assert sweeping._next(list(jobs[:2]), tmp_path, shared=True) == jobs[1]
        assert sweeping._next(list(jobs[:1]), tmp_path, shared=True) == jobs[0]


def test_a_sweep_knows_of_another_in_its_folder(tmp_path: Path) -> None:
    plan = make_plan([run_of()], tmp_path)
    with Record(tmp_path, plan, "local") as first:
        assert not first.shared
        with Record(tmp_path, plan, "local") as second:
            assert first.shared
            assert second.shared
        assert not first.shared
