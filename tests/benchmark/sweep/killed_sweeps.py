"""A program of `test_survival.py`: sweeps that are killed twenty times, parent or worker, at random moments.

Usage: python killed_sweeps.py ROOT SEED CONFIG.json... The last sweep is left alone; prints what it says as JSON.
"""

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.sweep import grid as sweeping
from lamobench.benchmark.sweep import job
from lamobench.benchmark.sweep import local as local_engine
from lamobench.benchmark.sweep.grid import sweep
from lamobench.benchmark.sweep.options import Workers
from lamobench.benchmark.training import life

KILLS = 20
# Forked workers begin at once, with everything imported; nothing that a fork endangers has run before.
local_engine.START_METHOD = "fork"  # type: ignore[misc]
life.LOG_EVERY = 5
life.CHECKPOINT_SECONDS = 0.0
sweeping.ATTEMPTS = 2 * KILLS  # nothing of what is killed here is to count as the run's own failure
OVER = Path(sys.argv[1]).with_name("over")


class SlowPace(job.Pace):
    """Runs that last until the kills are over, on however fast or busy a machine."""

    def report(self, step: int, total: int) -> None:
        if not OVER.exists():
            time.sleep(0.3)
        super().report(step, total)


job.Pace = SlowPace  # type: ignore[misc]


def main(root: Path, seed: int, configs: list[OfflineConfig]) -> None:
    rng = random.Random(seed)
    victims = ["parent"] * (KILLS // 2) + ["worker"] * (KILLS - KILLS // 2)
    rng.shuffle(victims)
    kills = [(victim, rng.uniform(0.0, 0.3), rng.random()) for victim in victims]
    while kills:
        parent = os.fork()
        if parent == 0:
            sweep(configs, root, Workers(2, device="cpu"))
            os._exit(0)
        disturb(parent, kills)
    OVER.touch()
    time.sleep(1.0)  # forked workers share what their parent held; they follow it within moments
    outcome = sweep(configs, root, Workers(2, device="cpu"))
    print(json.dumps({"kills": victims, "finished": outcome.finished, "failed": outcome.failed}))


def disturb(parent: int, kills: list[tuple[str, float, float]]) -> None:
    """Kill workers of a sweep until its own turn comes, or all kills are done."""
    while kills:
        victim, delay, which = kills.pop(0)
        time.sleep(delay)
        while (ended := os.waitpid(parent, os.WNOHANG)) == (0, 0):
            if killed([parent] if victim == "parent" else workers_of(parent), which):
                break
            time.sleep(0.01)
        else:
            sys.exit(
                f"the sweep was over, with status {ended[1]}, before it could be killed; {len(kills)} kills were left"
            )
        if victim == "parent":
            break
    else:
        os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)


def workers_of(parent: int) -> list[int]:
    """The children of a process. Theirs are left alone: glfw takes the death of its probe for a missing library."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return []


def killed(processes: list[int], share: float) -> bool:
    """Check whether there was one to kill: a share of the way through them, if it has not gone by itself meanwhile."""
    if not processes:
        return False
    with suppress(ProcessLookupError):
        os.kill(processes[int(share * len(processes))], signal.SIGKILL)
        return True
    return False


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        [OfflineConfig(**json.loads(Path(name).read_text())) for name in sys.argv[3:]],
    )
