"""A program of `test_resume.py`: trains runs in processes of their own and kills each one twice, wherever it stands.

Usage: python killed_runs.py ROOT CONFIG.json... The runs are left unfinished.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from safetensors import safe_open

from lamobench.benchmark.offline import language as language  # before anything forks: it takes seconds
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.training import life

life.LOG_EVERY = 5
life.CHECKPOINT_SECONDS = 0.0


def main(root: Path, configs: list[OfflineConfig]) -> None:
    torch.set_num_threads(1)
    for config in configs:
        step = 0
        for _ in range(2):
            child = os.fork()  # nothing that a fork endangers has run yet, and another import would take seconds
            if child == 0:
                loop.train(config, root, "cpu", lambda step, total: time.sleep(0.02))
                os._exit(0)
            step = wait_for_checkpoint(run_folder(root, config) / "checkpoint.safetensors", step, child)
            time.sleep(0.01 * (step % 7))  # not always right after a checkpoint
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):
                sys.exit(f"{config.id} was over before it could be killed")
        print(config.method, "killed; last checkpoint seen at step", step, flush=True)


def wait_for_checkpoint(path: Path, last: int, child: int) -> int:
    """The step of the first checkpoint that is found beyond step `last`."""
    while True:
        if path.exists():
            with safe_open(path, framework="pt") as file:
                step = int(json.loads(file.metadata()["state"])["step"])
            if step > last:
                return step
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            sys.exit("training ended by itself")
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [OfflineConfig(**json.loads(Path(name).read_text())) for name in sys.argv[2:]])
