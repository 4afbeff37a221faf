"""Turn a disk's error, in the words of whatever library, into one error about the path that the user knows."""

import errno
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
REFUSALS = FULL | CLOSED | {errno.EFBIG}
NUMBER = re.compile(r"\(os error (\d+)\)|\berrno = (\d+)")  # safetensors' and HDF5's words
SHORT = re.compile(r"Not enough free space to write|\d+ requested and \d+ written")  # NumPy's, which set no number


def disk_error(error: BaseException) -> OSError | None:
    """The `OSError`, with its number, from a full, limited or closed disk; None for another error.

    Its `filename` is the file that was written, where a copy names two; None where the library names none.
    """
    number = _number(error)
    if number not in REFUSALS:
        return None
    file = getattr(error, "filename2", None) or getattr(error, "filename", None)
    return OSError(number, os.strerror(number), file)


def disk_line(
    error: BaseException, place: object = "what is to be written", advice: str = "choose another place for it"
) -> str:
    """The line for a person about a disk's error; empty if it is another one. `place` stands for a file unnamed."""
    met = disk_error(error)
    if met is None:
        return ""
    place = met.filename or place
    if met.errno in FULL:
        return f"no space left for {place}; free some, or {advice}, and type it again"
    if met.errno == errno.EFBIG:
        return f"{place} is larger than a file may be here; raise the limit (ulimit -f), or {advice}"
    return f"{place} can't be read or written ({met.strerror}); mend its permissions, or {advice}"


@contextmanager
def errors_about(path: Path, prefix: str) -> Iterator[None]:
    """Let a disk's errors name `path` if they name no file, or one at or below a name that begins with `prefix`.

    Such names are those of temporary files and folders, which mean nothing to the user.
    """
    try:
        yield
    except Exception as error:
        met = disk_error(error) or error
        if not isinstance(met, OSError) or isinstance(error, UserError):
            raise
        temporary = any(part.startswith((prefix, f".{prefix}")) for part in Path(str(met.filename)).parts)
        if temporary or (met.filename is None and met.errno in REFUSALS):
            raise OSError(met.errno, met.strerror, str(path)) from error
        raise


def _number(error: BaseException) -> int | None:
    if isinstance(error, UserError):  # a line already, which may quote the words
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if found := NUMBER.search(str(error)):
        return int(found[1] or found[2])
    if not SHORT.match(str(error)):
        return None
    limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
    return errno.EFBIG if limited else errno.ENOSPC
