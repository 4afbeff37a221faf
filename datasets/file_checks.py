"""Check a file before anything of it is read: that it is a file, where it is, how large it is, also unpacked."""

import math
import os
import stat
from pathlib import Path

from .errors import UserError

MB = 1_000_000  # bytes
GB = 1_000_000_000
LIMIT = "LAMOBENCH_MAX_GB"  # the environment variable with which a user raises the limit
MOST_GB = 4.0  # unless it is set; the largest of D4RL's files, two million steps of Ant, has 2.1 GB
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def check_regular_file(path: Path, max_bytes: int | None = None, folder: Path | None = None) -> None:
    """Refuse, with a `UserError`, what is no regular file, is larger than `max_bytes`, or lies outside `folder`.

    A pipe or a device in a file's place would hang its reader. Links are followed; `folder` is the folder, if it comes
    from elsewhere, that they must not leave.
    """
    try:
        facts = path.stat()
        outside = folder is not None and not path.resolve().is_relative_to(folder.resolve())
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); copy or download it again") from None
    except (ValueError, RuntimeError) as error:  # a zero byte in its name; links that lead in a circle
        raise UserError(f"{str(path)!r} can't be read ({error})") from None
    if not stat.S_ISREG(facts.st_mode):
        kind = KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
        raise UserError(f"{path} is {kind} where a regular file belongs; copy or download it again")
    if outside:
        raise UserError(f"{path} is a link that leads out of {folder}; put the file itself in its place")
    if max_bytes is not None and facts.st_size > max_bytes:
        raise UserError(
            f"{path} has {facts.st_size / MB:.1f} MB, more than the {max_bytes / MB:g} MB that such a file may have"
        )


def check_unpacked_size(path: Path, needed: int) -> None:
    """Refuse, with a `UserError`, a file whose arrays say that they take `needed` bytes, if that is above the limit.

    A file of some kilobytes can declare any number of rows, and one of some megabytes unpack to gigabytes. The limit is
    `MOST_GB`, or what the environment variable `LIMIT` says.
    """
    most = _most_gigabytes()
    if needed > most * GB:
        holds = f"{needed / GB:,.1f} GB" if needed < 10**6 * GB else "more than a million GB"
        raise UserError(
            f"{path} says that it holds {holds}, more than the {most:g} GB that are read from one file; "
            f"if that is right, put {LIMIT}={min(-(-needed // GB), 10**6)} before the command"
        )


def _most_gigabytes() -> float:
    given = os.environ.get(LIMIT) or str(MOST_GB)
    try:
        most = float(given)
    except ValueError:
        most = math.nan
    if not 0 < most < math.inf:
        raise UserError(f"{LIMIT} is {given!r}; expected a number of gigabytes above 0, e.g. {LIMIT}=8")
    return most
