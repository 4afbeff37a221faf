import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli.display import print_plan
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.resolve import RunRequest, grid, resolve, resolve_each
from lamobench.benchmark.runs.methods import methods_for
from lamobench.benchmark.runs.store import open_run, run_folder
from lamobench.benchmark.sweep import typical_costs
from lamobench.benchmark.sweep.estimate import StepTimes, kind, measured_times
from lamobench.benchmark.sweep.plan import Plan, make_plan, plan_rows, source_of_estimate
from lamobench.benchmark.sweep.typical_costs import typical_evaluation, typical_update
from lamobench.tests.benchmark.conftest import DONE

Requests = Callable[..., RunRequest]


def finish(root: Path, run: OfflineConfig, train: float, evaluation: float = 0.0) -> Path:
    """A finished run that took so many seconds, as far as plans look at it."""
    with open_run(root, run) as folder:
        (folder / "episodes.csv").write_text("step\n")
        (folder / "metrics.jsonl").write_text("{}\n")
        done = DONE | {"train_seconds": train, "evaluation_seconds": evaluation}
        (folder / "done.json").write_text(json.dumps(done))
    return folder


def begin(root: Path, run: OfflineConfig, step: int, seconds: float) -> None:
    with open_run(root, run) as folder:
        (folder / "metrics.jsonl").write_text(json.dumps({"step": step, "seconds": seconds}) + "\n")


def names_of(root: Path) -> list[str]:
    return [path.name for path in root.iterdir()]


@pytest.fixture
def runs(tiny_request: Requests) -> list[OfflineConfig]:
    """bc and dt, 2 seeds at each of 2 fractions, 20 steps each."""
    return [run for method in ("bc", "dt") for run in grid(tiny_request(method), [0.5, 1.0], [0, 1])]


def test_runs_of_a_grid_are_what_each_would_be_alone(tiny_request: Requests) -> None:
    for method in ("bc", "dt-matched", "lamo", "lamo-random"):
        request = tiny_request(method, data_seed=5 if method == "bc" else None)
        together = resolve_each(request, [(0.5, 0), (1.0, 3)])
        alone = [resolve(replace(request, fraction=f, seed=s)) for f, s in ((0.5, 0), (1.0, 3))]
        assert together == alone
        assert [run.id for run in together] == [run.id for run in alone]


def test_a_plan_tells_what_is_done_begun_damaged_and_left(tmp_path: Path, runs: list[OfflineConfig]) -> None:
    done, begun, damaged, *_ = runs
    finish(tmp_path, done, 1.0)
    begin(tmp_path, begun, 10, 1.0)
    (finish(tmp_path, damaged, 1.0) / "done.json").write_text("{")
    (tmp_path / f"{damaged.id}.broken-1").mkdir()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    plan = make_plan([*runs, *runs], tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert (plan.done, plan.begun) == ([done.id], {begun.id: 10})
    assert list(plan.damaged) == [damaged.id]
    assert plan.damaged[damaged.id].startswith("done.json can't be read (")
    assert len(plan.runs) == 8
    assert {run.id for job in plan.jobs for run in job} == {run.id for run in runs} - {done.id}
    assert plan_rows(plan) == [
        {"method": "bc", "50 %": "0 / 1 / 1", "100 %": "2 / 0 / 0"},
        {"method": "dt", "50 %": "2 / 0 / 0", "100 %": "2 / 0 / 0"},
    ]


def test_of_several_data_sets_each_has_rows(tmp_path: Path, runs: list[OfflineConfig]) -> None:
    plan = make_plan([*runs, replace(runs[0], dataset="another", fraction=0.25)], tmp_path)
    assert plan_rows(plan)[0] == {
        "data set": "another",
        "method": "bc",
        "25 %": "1 / 0 / 0",
        "50 %": "-",
        "100 %": "-",
    }
    assert [row["data set"] for row in plan_rows(plan)] == ["another", "reacher2d-medium", "reacher2d-medium"]


def test_step_times_come_from_finished_and_unfinished_runs_of_the_method_and_task(
    tmp_path: Path, tiny_request: Requests, runs: list[OfflineConfig]
) -> None:
    bc = runs[0]
    dt = runs[-1]
    finish(tmp_path, bc, 3.0, 1.0)  # a planned one: 3 s for 20 steps, 1 for 2 evaluations
    other = resolve(tiny_request("dt", budget={"steps": 200, "evaluate_every": 100}))  # not planned, by its name
    begin(tmp_path, other, 100, 50.0)
    times = measured_times(runs, tmp_path, names_of(tmp_path))
    assert times.measured == {kind(bc): pytest.approx(0.15), kind(dt): pytest.approx(0.5)}
    assert times.cost(bc) == pytest.approx(4.0)
    assert times.cost(bc, {bc.id: 15}) == pytest.approx(0.75 + 0.5)
    more = replace(bc, evaluation_episodes=2 * bc.evaluation_episodes, steps=40, evaluate_every=10)
    assert 6.0 + 4 * 0.5 < times.cost(more) < 6.0 + 4 * 1.0
    scale = (0.15 + 0.5) / (typical_update("bc", "reacher2d") + typical_update("dt", "reacher2d"))
    assert times.cost(dt) == pytest.approx(20 * 0.5 + 2 * scale * typical_evaluation("dt", "reacher2d", 2))
    larger = replace(dt, batch_size=256)
    assert (times.of(larger), times.is_measured(larger)) == (pytest.approx(0.5), True)
    elsewhere = replace(dt, task="hopper")
    assert times.of(elsewhere) == pytest.approx(scale * typical_update("dt", "hopper"))
    assert not times.is_measured(elsewhere)


def test_a_run_of_a_task_that_is_gone_is_no_sample(
    tmp_path: Path, tiny_request: Requests, runs: list[OfflineConfig]
) -> None:
    """The run's name says that it is of the method; what it was measured on, nobody can say."""
    other = replace(resolve(tiny_request("dt", budget={"steps": 200, "evaluate_every": 100})), task="my-own")
    begin(tmp_path, other, 100, 50.0)
    times = measured_times(runs, tmp_path, names_of(tmp_path))
    assert times.measured == {}
    assert times.cost(runs[0]) > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"train_seconds": 5}'])
def test_what_can_t_be_read_is_no_sample(tmp_path: Path, runs: list[OfflineConfig], content: str) -> None:
    with open_run(tmp_path, runs[0]) as folder:
        (folder / "metrics.jsonl").write_text(content)
    assert measured_times(runs, tmp_path, names_of(tmp_path)).measured == {}


def plan_of(runs: list[OfflineConfig], seconds: dict[str, float], **facts: Any) -> Plan:
    measured = {kind(run): seconds[run.method] for run in runs if run.method in seconds}
    times = StepTimes(measured, dict.fromkeys(measured, 0.0))  # evaluations take no time
    given: dict[str, Any] = {"done": [], "begun": {}, "damaged": {}} | facts
    return Plan(runs, jobs=[(run,) for run in runs], times=times, **given)


def test_the_estimate_by_hand(runs: list[OfflineConfig]) -> None:
    plan = plan_of(runs, {"bc": 0.1, "dt": 1.0}, begun={runs[-1].id: 10})
    assert plan.seconds(1) == pytest.approx(4 * 2 + 3 * 20 + 10)
    assert plan.seconds(2) == pytest.approx(39)
    assert plan.seconds(100) == pytest.approx(20)  # a run is not shared among workers


def test_the_plan_says_what_its_estimate_is_based_on(runs: list[OfflineConfig]) -> None:
    assert source_of_estimate(plan_of(runs, {"bc": 0.1, "dt": 1.0})) == "step times measured in earlier runs"
    runs = [replace(run, profile="cpu") for run in runs]
    assert source_of_estimate(plan_of(runs, {"bc": 0.1})) == (
        "measured step times of bc; typical ones scaled to this machine of dt"
    )
    plain = "typical step times: no run of these methods on this task was found"
    assert source_of_estimate(plan_of(runs, {})) == plain
    assert source_of_estimate(plan_of([replace(run, lm="gpt2-mini") for run in runs], {})) == plain
    others = f"{plain}; typical ones are of the cpu profile as it is, and these runs are not"
    for changes in ({"profile": "paper"}, {"profile": "cpu (changed)"}, {"lm": "gpt2"}):
        assert source_of_estimate(plan_of([replace(run, **changes) for run in runs], {})) == others


def test_the_plan_says_where_a_simulator_was_never_measured(
    runs: list[OfflineConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [replace(run, profile="cpu") for run in runs]
    monkeypatch.delitem(typical_costs.SIMULATION, "reacher2d")
    assert source_of_estimate(plan_of(runs, {})).endswith("; how long a step of reacher2d takes is a guess")
    assert source_of_estimate(plan_of(runs, {"bc": 0.1, "dt": 1.0})) == "step times measured in earlier runs"


def test_of_a_short_run_evaluations_are_most_of_the_estimate(runs: list[OfflineConfig]) -> None:
    """Ten steps of training between two evaluations of 100 episodes of 100 steps."""
    short = replace(runs[0], evaluation_episodes=100, target_returns=[76.0, 40.0])
    evaluations = 2 * typical_evaluation("bc", "reacher2d", 200)
    assert StepTimes({}).cost(short) == pytest.approx(20 * typical_update("bc", "reacher2d") + evaluations)
    assert evaluations > 0.9 * StepTimes({}).cost(short)


def test_the_plan_is_printed_before_anything_begins(
    runs: list[OfflineConfig], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    plan = plan_of(runs, {"bc": 0.1, "dt": 1.0}, damaged={runs[0].id: "done.json can't be read"})
    print_plan(plan, "reacher2d-medium", Path("runs"), 2)
    assert capsys.readouterr().out.splitlines() == [
        "8 runs on reacher2d-medium, 0 done already, 2 at a time, in runs",
        f"damaged: {runs[0].id}: done.json can't be read; its folder will be set aside, and the run starts anew",
        "to do / to resume / done:",
        "  method  50 %       100 %",
        "  bc      2 / 0 / 0  2 / 0 / 0",
        "  dt      2 / 0 / 0  2 / 0 / 0",
        "about 44 s, by step times measured in earlier runs",
    ]
    print_plan(plan_of(runs, {}), "it", Path("runs"), 0)
    output = capsys.readouterr().out
    assert "as many at a time as the cluster has room for" in output
    assert " of one run at a time, by typical step times" in output


def test_ten_thousand_runs_are_planned_in_two_seconds(tmp_path: Path, tiny_request: Requests) -> None:
    """The time is that from the request to the table, with a part of the runs finished or begun."""
    requests = [tiny_request(method) for method in methods_for(discrete=False)]
    fractions = [0.01, 0.03, 0.1, 0.3, 1.0]
    seeds = range(2000 // len(requests) + 1)
    present = [run for request in requests for run in grid(request, [1.0], seeds)]
    for run in present[:1000]:
        folder = run_folder(tmp_path, run)
        folder.mkdir()
        for name in ("config.json", "metrics.jsonl", "episodes.csv"):
            (folder / name).write_text("\n")
        files = dict.fromkeys(("config.json", "metrics.jsonl", "episodes.csv"), 1)
        (folder / "done.json").write_text(json.dumps(DONE | {"train_seconds": 1.0, "files": files}))
    started = time.process_time()
    runs = [run for request in requests for run in grid(request, fractions, seeds)]
    plan = make_plan(runs, tmp_path)
    rows = plan_rows(plan)
    assert plan.seconds(2) > 0
    took = time.process_time() - started
    assert len(plan.runs) >= 10_000
    assert len(plan.done) == 1000
    assert len(rows) == len(requests)
    assert took < 2.0
    print(f"{len(plan.runs)} runs planned in {took:.2f} s")
