"""The state of a sweep: kept by the sweep, shown by its display, written to its record."""

from dataclasses import dataclass, field, replace

from ..runs.config import RunConfig
from ..runs.tracks import Job
from .estimate import Kind, StepTimes


@dataclass
class State:
    """The step that each run has reached, and its speed."""

    runs: list[RunConfig]  # all of them, longest first
    steps: dict[str, int] = field(default_factory=dict)  # run id -> optimiser steps done
    running: set[str] = field(default_factory=set)  # run ids
    pace: dict[Kind, float] = field(default_factory=dict)  # seconds per step, as measured in this sweep
    usual: dict[Kind, float] = field(default_factory=dict)  # what is typical of these kinds
    finished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)  # runs that one worker trains together; any other is by itself
    before: StepTimes = field(default_factory=lambda: StepTimes({}))  # as measured before this sweep
    rates: dict[str, float] = field(default_factory=dict)  # run id -> seconds per step of its own, while it runs
    notes: list[str] = field(default_factory=list)  # what a person should read, in order
    slots: int = 0  # jobs at a time, once the engine has said so

    def step_times(self) -> StepTimes:
        """The times measured in this sweep, else before it, else typical ones."""
        return replace(self.before, paces=self.pace, usual=self.usual)

    def seconds_left(self, jobs: int) -> float | None:
        """An estimate of the wall time left; None until something was measured."""
        times = self.step_times()
        if not (times.measured or times.paces):
            return None
        over = {*self.finished, *self.failed}
        costs = {run.id: times.cost(run, self.steps) for run in self.runs if run.id not in over}
        of_jobs = [sum(costs.get(run.id, 0.0) for run in job) for job in self.jobs]
        return max(sum(costs.values()) / jobs, max([*costs.values(), *of_jobs], default=0.0))

    def share_done(self) -> float:
        """The share of the work that is done, in [0, 1]: by what the runs' steps cost, not by their number."""
        times = self.step_times()
        over = {*self.finished, *self.failed}
        every = sum(times.cost(run) for run in self.runs)
        left = sum(times.cost(run, self.steps) for run in self.runs if run.id not in over)
        return 1.0 - left / every if every else 1.0
