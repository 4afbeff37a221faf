"""Find the places of files, and write files whole or not at all."""

import errno
import glob
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from .csv_text import csv_text
from .disk_errors import disk_line, errors_about
from .errors import UserError
from .locks import lock, try_lock

LOCK = ".lock"  # ends the name of a file beside a scratch folder, which is locked while its process lives
TEMPORARY = ".tmp"  # ends the name of what is to take a file's or folder's place, itself locked as long


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

    A disk's errors name `path`, which the user knows. What killed processes had half
    written of `path` is deleted first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with errors_about(path, f".{path.name}."), _temporary(path, _new_file) as temporary:
        try:
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())  # a rename may reach the disk before the data it names
            os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide results from a group that shares the folder
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it becomes `path`. Otherwise as `whole_file`.

    A folder that is there already is kept when a second process gets there first: both hold the same content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with errors_about(path, f".{path.name}."), _temporary(path, tempfile.mkdtemp) as temporary:
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


def _new_file(suffix: str, prefix: str, dir: Path) -> str:
    handle, name = tempfile.mkstemp(suffix, prefix, dir)
    os.close(handle)
    return name


@contextmanager
def _temporary(path: Path, make: Callable[[str, str, Path], str]) -> Iterator[Path]:
    """A new file or folder beside `path`, locked by this process; those that no living one holds are deleted first."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.????????{TEMPORARY}"):
        with suppress(OSError), _held(left):  # whose process lives, that one holds it
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()
    with ExitStack() as locks:
        while True:
            temporary = Path(make(TEMPORARY, f".{path.name}.", path.parent))
            try:
                locks.enter_context(_held(temporary))
            except (BlockingIOError, FileNotFoundError):  # another process took it for left over, and deletes it
                continue
            except OSError:  # a disk without locks, on which nobody deletes it
                pass
            if temporary.exists():
                break
        yield temporary


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Lock a file or folder until the end of the block, or of the process; an `OSError` if another one holds it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        if not try_lock(handle):
            raise BlockingIOError(errno.EWOULDBLOCK, "another process holds it", str(path))
        yield
    finally:
        os.close(handle)


@contextmanager
def alone(target: Path, work: str) -> Iterator[None]:
    """Let one process at a time make `target`; others say that they wait for the one that does `work`, and find it."""
    with target.with_name(f".{target.name}{LOCK}").open("w") as door:
        if not try_lock(door):
            print(f"waiting for another process that {work} {target.name}", file=sys.stderr)
            lock(door)
        yield


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """An empty folder in `parent`, deleted in the end. Those that killed processes left there are deleted first."""
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}*{LOCK}"):
        with suppress(FileNotFoundError, PermissionError), left.open("r+") as door:
            if try_lock(door):  # whose process lives, that one holds it
                shutil.rmtree(left.with_name(left.name.removesuffix(LOCK)), ignore_errors=True)
                left.unlink()
    with (
        errors_about(parent, prefix),
        tempfile.NamedTemporaryFile(dir=parent, prefix=f".{prefix}", delete=False) as door,
    ):
        lock(door)
        folder = Path(door.name).with_name(Path(door.name).name.removeprefix("."))
        held = folder.with_name(folder.name + LOCK)
        os.rename(door.name, held)  # seen by others only now that it is locked
        try:
            folder.mkdir()
            yield folder.resolve()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            held.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Delete a folder, gone in one step for whoever looks; and what a process that was killed left of others there."""
    with scratch_folder(path.parent, ".removed.") as aside:
        os.rename(path, aside / path.name)
        shutil.rmtree(aside / path.name)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def temporary_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process's environment inside the block; the whole process sees it, so not for threads."""
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
    cells = ([f"{v:.4g}" if isinstance(v, float) else v for v in row.values()] for row in rows)
    write_text(path, csv_text(rows[0], cells))


def check_folder(path: Path, wanted: str = "a folder of runs, e.g. --runs runs") -> None:
    """Raise a `UserError` if `path`, where the folder that is `wanted` is or is to be, is a file or lies below one."""
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise UserError(f"'{part}' is a file and no folder; give {wanted}")


def check_csv(path: Path) -> None:
    """Refuse the path of a table that can't be written, or does not end in .csv: a figure has its name and .png."""
    if path.suffix != ".csv":
        raise UserError(f"'{path}' is for a table; give a name that ends in .csv, e.g. {path.with_suffix('.csv')}")
    if path.is_dir():
        raise UserError(f"'{path}' is a folder; give a file for the table, e.g. {path / 'table.csv'}")
    check_folder(path.parent, "a folder for the table, e.g. results")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, whole or not at all; NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def check_room(folder: Path, name: str, needed: int) -> None:
    """Raise a `UserError` if the disk that `folder` is on has no room for `needed` bytes more."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{folder} has room for {free / 1e6:.0f} MB, but {name} takes {needed / 1e6:.0f} MB more; "
            "free some space, or set LAMOBENCH_HOME to a larger disk"
        )


@contextmanager
def plain_disk_errors() -> Iterator[None]:
    """Turn a full, limited or closed disk into a `UserError` of one line; every other error passes."""
    try:
        yield
    except Exception as error:
        if line := disk_line(error, home(), "set LAMOBENCH_HOME to a larger disk"):
            raise UserError(line) from None
        raise
