"""Where files live and how they are written: whole or not at all."""

import csv
import errno
import fcntl
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import UserError

LOCK = ".lock"  # ends the name of a file beside a scratch folder, locked as long as its process lives


def home() -> Path:
    """The folder for data sets, corpora and fetched models: `$LAMOBENCH_HOME`, or the user's cache folder."""
    given = os.environ.get("LAMOBENCH_HOME")
    if given:
        return Path(given).expanduser().resolve()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "lamobench"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it replaces `path` in one step, on failure nothing is left.

    An `OSError` about the temporary path names `path`, which is what the user knows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _errors_of(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # a rename may reach the disk before the data it names
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from a group that shares the folder
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Let an `OSError` about a temporary file or folder beside `path` be one about `path`."""
    try:
        yield
    except OSError as error:
        if Path(str(error.filename)).name.startswith(f".{path.name}."):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it becomes `path`.

    A folder that is there already is kept when a second process gets there first: both hold the same content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty folder in `parent`, deleted in the end. Those that killed processes left there are deleted first."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*{LOCK}"):
        with suppress(FileNotFoundError, BlockingIOError), left.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whose process lives, that one holds it
            shutil.rmtree(left.with_name(left.name.removesuffix(LOCK)), ignore_errors=True)
            left.unlink()
    with tempfile.NamedTemporaryFile(dir=parent, prefix=f".{prefix}", delete=False) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = Path(lock.name).with_name(Path(lock.name).name.removeprefix("."))
        held = folder.with_name(folder.name + LOCK)
        os.rename(lock.name, held)  # seen by others only now that it is locked
        try:
            folder.mkdir()
            yield folder.resolve()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            held.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def temporary_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process's environment for a while; the whole process sees it, so not for threads."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same keys as CSV, whole or not at all: four significant digits, None as nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    writer.writerows([f"{v:.4g}" if isinstance(v, float) else v for v in row.values()] for row in rows)
    write_text(path, text.getvalue())


def check_folder(path: Path) -> None:
    """A `UserError` if `path`, where a folder is or is to be, is a file or lies below one."""
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise UserError(f"'{part}' is a file and no folder; give a folder of runs, e.g. --runs runs")


def check_csv(path: Path) -> None:
    """A `UserError` unless `path`, where a table is to be, ends in .csv: a figure beside it has its name and .png."""
    if path.suffix != ".csv":
        raise UserError(f"'{path}' is for a table; give a name that ends in .csv, e.g. {path.with_suffix('.csv')}")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


# What NumPy says of a full disk, for which it sets no number.
FULL = re.compile(r"Not enough free space to write|\d+ requested and \d+ written")


def check_room(folder: Path, what: str, needed: int) -> None:
    """Raise a `UserError` if the disk that `folder` is on has no room for `needed` bytes more."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has room for {free / 1e6:.0f} MB, but {what} takes {needed / 1e6:.0f} MB more; "
            "free some space, or set LAMOBENCH_HOME to a larger disk"
        )


@contextmanager
def plain_disk_errors() -> Iterator[None]:
    """Turn a full or closed disk into a `UserError` of one line; every other error passes."""
    try:
        yield
    except OSError as error:
        place = error.filename or home()
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or FULL.match(str(error)):
            raise UserError(
                f"no space left for {place}; free some, or set LAMOBENCH_HOME to a larger disk, and type it again"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(f"{place} can't be read or written ({error.strerror}); mend its permissions") from None
        raise
