import errno
from pathlib import Path

import pytest

from lamobench.datasets.disk_errors import disk_error, disk_line, errors_about
from lamobench.datasets.errors import UserError

FULL = "no space left for runs/x; free some, or choose another place for it, and type it again"
LONG = "runs/x is larger than a file may be here; raise the limit (ulimit -f), or choose another place for it"
HDF5 = "Can't decrement id ref count (unable to extend file properly, errno = 27, error message = 'File too large')"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), FULL),
        (OSError(errno.EFBIG, "File too large"), LONG),
        (OSError("100000 requested and 1234 written"), FULL),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), FULL),
        (RuntimeError(HDF5), LONG),
        (PermissionError(errno.EACCES, "Permission denied"), "runs/x can't be read or written (Permission denied); "),
        (OSError(errno.EROFS, "Read-only file system"), "runs/x can't be read or written (Read-only file system); "),
        (OSError(errno.ENOSPC, "No space left on device", "from", None, "to"), FULL.replace("runs/x", "to")),
    ],
)
def test_what_a_disk_refuses_is_one_line(error: Exception, line: str) -> None:
    assert disk_line(error, "runs/x").startswith(line)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ValueError("shapes (28, 3) do not fit"),
        UserError("the file says: no space left (os error 28)"),
        MemoryError(),
    ],
)
def test_no_other_error_is_taken_for_it(error: Exception) -> None:
    assert disk_error(error) is None
    with pytest.raises(type(error)) as met, errors_about(Path("runs/x"), ".x."):
        raise error
    assert met.value is error


def test_a_temporary_name_is_told_by_what_it_is_for() -> None:
    with pytest.raises(IsADirectoryError) as met, errors_about(Path("runs/x"), ".x."):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", "runs/.x.abcdefgh.tmp/part")
    assert met.value.filename == "runs/x"
    with pytest.raises(OSError, match="Is a directory") as other, errors_about(Path("runs/x"), ".x."):
        raise IsADirectoryError(errno.EISDIR, "Is a directory", "elsewhere")
    assert other.value.filename == "elsewhere"
