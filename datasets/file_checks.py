"""Checks a file before anything of it is read: that it is a file, where it is, how large it is."""

import stat
from pathlib import Path

from .errors import UserError

MB = 1_000_000  # bytes
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def check_regular_file(path: Path, most: int | None = None, within: Path | None = None) -> None:
    """Refuse, with a `UserError`, what is no regular file, is larger than `most` bytes, or lies outside `within`.

    A pipe or a device in a file's place would hang its reader. Links are followed; `within` is the folder, if it comes
    from elsewhere, that they must not leave.
    """
    try:
        facts = path.stat()
        outside = within is not None and not path.resolve().is_relative_to(within.resolve())
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); copy or download it again") from None
    except (ValueError, RuntimeError) as error:  # a zero byte in its name; links that lead in a circle
        raise UserError(f"{str(path)!r} can't be read ({error})") from None
    if not stat.S_ISREG(facts.st_mode):
        kind = KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
        raise UserError(f"{path} is {kind} where a regular file belongs; copy or download it again")
    if outside:
        raise UserError(f"{path} is a link that leads out of {within}; put the file itself in its place")
    if most is not None and facts.st_size > most:
        raise UserError(
            f"{path} has {facts.st_size / MB:.1f} MB, more than the {most / MB:g} MB that such a file may have"
        )
