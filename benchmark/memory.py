"""How this process keeps memory that it has freed."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # numbers of glibc's `mallopt`, in its malloc.h
KEPT, LARGE = 256 << 20, 64 << 20  # bytes


def keep_freed_memory() -> bool:
    """Let the C library keep up to 256 MB of freed memory, blocks of up to 64 MB among it; whether it can.

    Left alone, glibc hands an update's activations back to the kernel, which gives them back for the next one page by
    page, zeroed: a sixth of an update of CQL. It concerns the whole process, results not at all. Other C libraries
    than Linux's usual one are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, LARGE))
