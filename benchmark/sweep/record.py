"""Record a running sweep for `lamobench watch`: files beside the runs, which any process and any node can read.

`.sweeps/NAME/plan.json` what it will do, written once; `state.json` where it stands, every few seconds; `.lock` held as
long as the sweep lives. The folder goes when the sweep ends; one whose sweep was killed stays until the next begins.
"""

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from ...baselines.fields import Amount, Count
from ...datasets.errors import UserError
from ...datasets.json_files import read_json
from ...datasets.locks import lock, try_lock
from ...datasets.storage import write_json
from ..runs.config import RunConfig
from ..runs.kinds import Fields, fits
from ..runs.records import Total
from .plan import Plan
from .state import State

FOLDER = ".sweeps"
LOCK = ".lock"
WRITE_EVERY = 2.0  # seconds
SHOWN_FAILURES = 20

RUN_KINDS = (str, str, str, int, Count, str)  # id, method, share, seed, steps, subject
PLAN_KINDS: Fields = {"engine": str, "runs": list[list[Any]], "done": Total}
STATE_KINDS: Fields = {  # of what `watch` shows
    "slots": Total,
    "finished": Total,
    "last_finished": str,
    "failed": dict[str, Any],
    "failures": Total,
    "running": dict[str, Total],
    "seconds_per_step": dict[str, Amount],
    "seconds_left": Amount | None,
    "share": float,
}


class Record:
    """The record of this sweep, as long as it lives."""

    def __init__(self, root: Path, plan: Plan, engine: str) -> None:
        self.parent = root / FOLDER
        self.plan = plan
        self.engine = engine
        self.written = -WRITE_EVERY

    def __enter__(self) -> "Record":
        self.parent.mkdir(parents=True, exist_ok=True)
        with (self.parent / LOCK).open("w") as door:
            lock(door)  # a folder that is not locked yet is not taken for a killed sweep's
            for folder in self.parent.glob("[!.]*"):
                if not is_alive(folder):
                    shutil.rmtree(folder, ignore_errors=True)
            name = f"{socket.gethostname()}-{os.getpid()}-"
            self.folder = Path(tempfile.mkdtemp(dir=self.parent, prefix=name))
            self.lock = (self.folder / LOCK).open("w")
            lock(self.lock)
        os.chmod(self.folder, 0o755)
        runs = [[run.id, run.method, run.share, run.seed, run.steps, run.subject] for run in self.plan.runs]
        write_json(self.mark, {"engine": self.engine, "runs": runs, "done": len(self.plan.done)})
        return self

    @property
    def mark(self) -> Path:
        """A file that is there as long as the sweep lives."""
        return self.folder / "plan.json"

    @property
    def shared(self) -> bool:
        """Tell whether another sweep lives in the folder."""
        return any(is_alive(folder) for folder in self.parent.glob("[!.]*") if folder != self.folder)

    def write(self, state: State) -> None:
        """Say where the sweep stands, if it is time to."""
        if time.monotonic() - self.written >= WRITE_EVERY:
            self.written = time.monotonic()
            write_json(self.folder / "state.json", snapshot(state))

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()


def read_plan(folder: Path) -> Fields:
    """The plan of the sweep that `folder` is the record of; empty if it can't be told."""
    plan = _read(folder / "plan.json", PLAN_KINDS)
    sound = all(len(run) == len(RUN_KINDS) and all(map(fits, run, RUN_KINDS)) for run in plan.get("runs", []))
    return plan if sound and all(Path(run[0]).name == run[0] for run in plan.get("runs", [])) else {}


def read_state(folder: Path, plan: Fields) -> Fields:
    """The state of that sweep; empty if it can't be told, as before it has looked at itself."""
    state = _read(folder / "state.json", STATE_KINDS)
    known = {run[0] for run in plan["runs"]}
    return state if state.get("running", {}).keys() <= known else {}


def _read(path: Path, kinds: Fields) -> Fields:
    try:
        value = read_json(path)
    except UserError:
        return {}
    sound = isinstance(value, dict) and all(name in value and fits(value[name], kind) for name, kind in kinds.items())
    return {name: value[name] for name in kinds} if sound else {}


def is_alive(folder: Path) -> bool:
    """Check whether the sweep that this is the record of goes on."""
    try:
        with (folder / LOCK).open("r+") as door:
            return not try_lock(door, shared=True)
    except OSError:
        return False


def snapshot(state: State) -> dict[str, Any]:
    """The values that change while a sweep goes on."""
    running: list[RunConfig] = [run for run in state.runs if run.id in state.running]
    return {
        "slots": state.slots,
        "finished": len(state.finished),
        "last_finished": state.finished[-1] if state.finished else "",
        "failed": dict(list(state.failed.items())[-SHOWN_FAILURES:]),
        "failures": len(state.failed),
        "running": {run.id: state.steps.get(run.id, 0) for run in running},
        "seconds_per_step": {run.id: state.rates[run.id] for run in running if run.id in state.rates},
        "seconds_left": state.seconds_left(state.slots or 1),
        "share": state.share_done(),
        "notes": state.notes[-SHOWN_FAILURES:],
    }
