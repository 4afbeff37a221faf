"""Plan a sweep: which runs are done, which go on, in what order, and how long it may take."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runs.config import RunConfig
from ..runs.damage import damage
from ..runs.tracks import Job, find_track
from .estimate import StepTimes, last_row, measured_times
from .typical_costs import LANGUAGE_MODEL, is_simulation_known

ELSEWHERE = "elsewhere"  # a device of another machine, which knows it (`job.train_job`)


@dataclass(frozen=True)
class Plan:
    """The work that is left of a set of runs."""

    runs: list[RunConfig]  # each once, longest first
    done: list[str]  # run ids
    begun: dict[str, int]  # run id -> optimiser steps done, of those that are not
    damaged: dict[str, str]  # run id -> what is wrong; its folder will be set aside
    jobs: list[Job]  # what is left, longest first
    times: StepTimes

    def seconds(self, jobs: int) -> float:
        """An estimate of the wall time with so many jobs at a time: no job is shared among workers."""
        costs = [sum(self.times.cost(run, self.begun) for run in job) for job in self.jobs]
        return max(sum(costs) / jobs, max(costs, default=0.0))


def make_plan(runs: Iterable[RunConfig], root: Path, seeds_together: bool = False, device: str = "auto") -> Plan:
    """Look at what of the runs is done under `root`; nothing is changed. Ten thousand take about a second.

    With `seeds_together`, runs that differ in their seeds alone are one job, where they can be on the device
    (`together.stackable`): one of this machine, or `ELSEWHERE`.
    """
    unique = {run.id: run for run in runs}
    present = os.listdir(root) if root.is_dir() else []
    done = []
    begun = {}
    damaged = {}
    for name in present:
        if name not in unique:
            continue
        if problem := damage(root / name):
            damaged[name] = problem
        elif (root / name / "done.json").exists():
            done.append(name)
        elif step := int(last_row(root / name).get("step", 0)):
            begun[name] = step
    times = measured_times(unique.values(), root, set(present) - damaged.keys())
    ordered = sorted(unique.values(), key=times.cost, reverse=True)
    over = set(done)
    left = sorted((run for run in ordered if run.id not in over), key=lambda run: times.cost(run, begun), reverse=True)
    return Plan(ordered, sorted(done), begun, damaged, jobs_of(left, times, device if seeds_together else None), times)


def jobs_of(runs: Sequence[RunConfig], times: StepTimes, stack_device: str | None) -> list[Job]:
    """The jobs that workers are given, the longest first; `stack_device`: the device where seeds are one job."""
    if stack_device is None:
        return [(run,) for run in runs]
    from ..training.devices import choose_device

    device = None if stack_device == ELSEWHERE else choose_device(stack_device).type
    jobs: list[Job] = []
    for track in dict.fromkeys(run.track for run in runs):
        jobs += find_track(track).open().groups([run for run in runs if run.track == track], device)
    return sorted(jobs, key=lambda job: sum(map(times.cost, job)), reverse=True)


def plan_rows(plan: Plan) -> list[dict[str, str]]:
    """One row a method, and data set if there are several: at each share of it, runs to do / to resume / done."""
    done = set(plan.done)
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    for run in plan.runs:
        state = "done" if run.id in done else "resume" if run.id in plan.begun else "do"
        counts.setdefault((run.subject, run.method), Counter())[run.share, state] += 1
    several = len({subject for subject, _ in counts}) > 1
    shares = sorted({run.share for run in plan.runs}, key=lambda share: float(share.removesuffix(" %") or 0))
    rows = []
    for (subject, method), own in sorted(counts.items()):
        row = {"data set": subject} if several else {}
        row["method"] = method
        for share in shares:
            parts = [own[share, state] for state in ("do", "resume", "done")]
            row[share or "runs"] = " / ".join(map(str, parts)) if any(parts) else "-"
        rows.append(row)
    return rows


def source_of_estimate(plan: Plan) -> str:
    """Say which methods' step times were measured, which are typical ones, and where these may be far off."""
    left = [run for job in plan.jobs for run in job]
    measured = {run.method for run in left if plan.times.is_measured(run)}
    guessed = [run for run in left if not plan.times.is_measured(run)]
    typical = {run.method for run in guessed}
    if not typical:
        return "step times measured in earlier runs"
    scaled = " scaled to this machine" if plan.times.measured else ""
    doubts = "".join(f"; {doubt}" for doubt in _doubts(guessed))
    if not measured:
        return f"typical step times{scaled}: no run of these methods on this task was found{doubts}"
    known = f"measured step times of {', '.join(sorted(measured))}"
    return f"{known}; typical ones{scaled} of {', '.join(sorted(typical))}{doubts}"


def _doubts(runs: Sequence[RunConfig]) -> list[str]:
    """Reasons why typical times may be far from those of the runs."""
    doubts = []
    if any(run.profile != "cpu" or run.lm not in ("", LANGUAGE_MODEL) for run in runs):
        doubts.append("typical ones are of the cpu profile as it is, and these runs are not")
    if unknown := {run.task for run in runs if not is_simulation_known(run.task)}:
        doubts.append(f"how long a step of {', '.join(sorted(unknown))} takes is a guess")
    return doubts
