"""A program of `test_survival.py`: sweeps that are killed twenty times, parent or worker, at random moments.

Usage: python killed_sweeps.py ROOT SEED CONFIG.json... The last sweep is left alone; prints what it says as JSON.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from lamobench.benchmark import job, local_engine
from lamobench.benchmark import train as loop
from lamobench.benchmark.config import RunConfig
from lamobench.benchmark.ray_guard import descendants
from lamobench.benchmark.sweep import sweep

KILLS = 20
# Forked workers begin at once, with everything imported; nothing that a fork endangers has run before.
local_engine.START_METHOD = "fork"  # type: ignore[misc]
loop.LOG_EVERY, loop.CHECKPOINT_SECONDS = 5, 0.0


class SlowPace(job.Pace):
    """Runs that last long enough to be killed."""

    def report(self, step: int, total: int) -> None:
        time.sleep(0.02)
        super().report(step, total)


job.Pace = SlowPace  # type: ignore[misc]


def main(root: Path, seed: int, configs: list[RunConfig]) -> None:
    rng = random.Random(seed)
    victims = ["parent"] * (KILLS // 2) + ["worker"] * (KILLS - KILLS // 2)
    rng.shuffle(victims)
    kills = [(victim, rng.uniform(0.0, 0.3), rng.random()) for victim in victims]
    while kills:
        parent = os.fork()
        if parent == 0:
            sweep(configs, root, jobs=2, device="cpu")
            os._exit(0)
        disturb(parent, kills)
    time.sleep(1.0)  # forked workers share what their parent held; they follow it within moments
    outcome = sweep(configs, root, jobs=2, device="cpu")
    print(json.dumps({"kills": victims, "finished": outcome.finished, "failed": outcome.failed}))


def disturb(parent: int, kills: list[tuple[str, float, float]]) -> None:
    """Kill workers of a sweep until its own turn comes, or all kills are done."""
    while kills:
        victim, delay, which = kills.pop(0)
        time.sleep(delay)
        while not (workers := descendants(parent)) and victim == "worker":
            time.sleep(0.01)
        if os.waitpid(parent, os.WNOHANG) != (0, 0):
            sys.exit("the sweep was over before it could be killed")
        os.kill(parent if victim == "parent" else workers[int(which * len(workers))], signal.SIGKILL)
        if victim == "parent":
            break
    else:
        os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), int(sys.argv[2]), [RunConfig(**json.loads(Path(name).read_text())) for name in sys.argv[3:]]
    )
