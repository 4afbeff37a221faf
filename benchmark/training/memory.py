"""Keep freed memory in this process; say what takes less memory when there is none left."""

import ctypes
import errno
import re
import sys
from dataclasses import fields, is_dataclass
from typing import Any

# Numbers of glibc's `mallopt`, in its malloc.h.
TRIM_THRESHOLD = -1
MMAP_THRESHOLD = -3
KEPT = 256 << 20  # bytes
LARGE = 64 << 20
SPENT = re.compile(r"out of memory|can't allocate memory")  # PyTorch's words, of a GPU and of a processor
TAKES_LESS = {  # by option
    "jobs": "fewer --jobs",
    "budget": "smaller batches with --budget batch_size=N",
    "batch_size": "smaller batches with --batch-size N",
    "episodes": "fewer --episodes",
    "parts": "more --parts",
}
ASKED = re.compile(r"(?:[Tt]ried|Unable) to allocate ([\d.]+ \w+)")  # PyTorch's and NumPy's


def keep_freed_memory() -> bool:
    """Let the C library keep up to 256 MB of freed memory, in blocks of up to 64 MB; return whether it can.

    By default, glibc returns an update's activations to the kernel, which gives them back for the next one page by
    page, zeroed: a sixth of an update of CQL. It concerns the whole process, and no results. C libraries other than
    Linux's usual one are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, LARGE))


def what_takes_less(command: Any) -> str:
    """Name what a command, whose options are its fields, can be asked for that takes less memory; empty for nothing."""
    options = [command] if is_dataclass(command) else []
    for value in options:
        options += [part for part in vars(value).values() if is_dataclass(part)]
    names = {field.name for value in options for field in fields(value)}
    return " or ".join(advice for name, advice in TAKES_LESS.items() if name in names)


def memory_line(error: BaseException, advice: str = "") -> str:
    """The line for a person when memory has run out, of the machine or of a GPU; empty if the error is another one.

    `advice` is what the command can be asked for that takes less memory.
    """
    system = isinstance(error, OSError) and error.errno == errno.ENOMEM
    words = isinstance(error, RuntimeError) and SPENT.search(str(error))
    if not (isinstance(error, MemoryError) or system or words):
        return ""
    asked = ASKED.search(str(error))
    more = f" for {asked[1]} more" if asked else ""
    otherwise = f", or ask for less at a time: {advice}" if advice else ""
    return f"no memory left{more}; free some and start the same command again{otherwise}"
