"""The number of jobs that this machine has room for, and the GPUs that they may use."""

import os
from collections.abc import Sequence

from ...datasets.processes import cores

GPUS = "CUDA_VISIBLE_DEVICES"


def visible_gpus(device: str) -> list[str]:
    """The GPUs that runs on `device` may use, as `CUDA_VISIBLE_DEVICES` names them."""
    if device == "cpu":
        return []
    import torch

    count = torch.cuda.device_count()  # asks the driver, without a context on any GPU
    named = [name.strip() for name in os.environ.get(GPUS, "").split(",") if name.strip()]
    return (named or [str(number) for number in range(count)])[:count]


def slots_here(jobs: int, threads: int, gpus: Sequence[str]) -> int:
    """Jobs at a time on this machine: as many as asked for, else one a GPU, else one for each `threads` cores."""
    return jobs or len(gpus) or max(1, cores() // threads)
