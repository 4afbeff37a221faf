"""Runs as one file: a tar whose first member says what every other one is, by size and SHA-256.

    manifest.json
    runs/<run id>/config.json, metrics.jsonl, episodes.csv, done.json, checkpoint.safetensors ...

The same runs give the same bytes. Plain tar, so that any program can look inside; but only archives of exactly this
shape are read, header by header: a link, a device, an extended header or a path of its own choice has no place in it.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from ...datasets.errors import UserError
from ...datasets.json_files import parse_json
from ...datasets.storage import whole_file
from ..runs.config import RUN_ID
from ..runs.layout import CHECKPOINT, MB
from ..runs.store import open_run
from .files import LIMITS, Facts, Placed, check_run, checked_config, file_facts, known_files, place, waiting_room

FORMAT = "lamobench runs"
VERSION = 1
MANIFEST = "manifest.json"
MANIFEST_LIMIT = 256 * MB
BLOCK = tarfile.BLOCKSIZE
COPIED = MB  # bytes at a time

Contents = dict[str, dict[str, Facts]]  # run id -> file -> size and hash

KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
    tarfile.XHDTYPE: "an extended header",
    tarfile.XGLTYPE: "an extended header",
    tarfile.GNUTYPE_LONGNAME: "an extended header",
    tarfile.GNUTYPE_LONGLINK: "an extended header",
}


def export_runs(archive: Path, folders: Sequence[Path], checkpoints: bool = True, force: bool = False) -> Contents:
    """Write runs to `archive`, whole or not at all; what is in it.

    Raises a `UserError` if a run is damaged or being worked on, if the file is there already (but for `force`), or,
    without `checkpoints`, for a run that is not finished: it could not go on from what is left.
    """
    if archive.exists() and not force:
        raise UserError(f"{archive} is there already; give another name, or --force to replace it")
    if not folders:
        raise UserError("no runs to export; name some, or finish some with `lamobench sweep`")
    with ExitStack() as held:
        contents: Contents = {}
        places = {folder.name: folder for folder in sorted(map(Path.resolve, folders), key=lambda path: path.name)}
        for name, folder in places.items():
            if not (folder / "done.json").is_file():  # finished ones never change
                held.enter_context(open_run(folder.parent, checked_config(folder)))
            status = check_run(folder)
            if status != "finished" and not checkpoints:
                raise UserError(
                    f"run {name} is {status} and is nothing without its checkpoint; finish it, or leave out"
                )
            shared = [path for path in known_files(folder) if checkpoints or path.name != CHECKPOINT]
            contents[name] = {path.name: file_facts(path) for path in sorted(shared)}
        with whole_file(archive) as temporary, temporary.open("wb") as file:
            _write(file, contents, places)
    return contents


def import_runs(archive: Path, root: Path) -> Placed:
    """Bring the runs of an archive to `root`: all of them, or none. Runs that are there and equal stay as they are.

    Raises a `UserError`, and changes nothing, for anything but an archive of `export_runs` with every byte in its
    place, for a run whose files do not fit its id or one another, and for one that is there with other content.
    """
    with waiting_room(root) as arriving:
        try:
            with archive.open("rb") as file:
                contents = read_manifest(_first_member(file))
                needed = sum(facts["size"] for files in contents.values() for facts in files.values())
                if needed > os.fstat(file.fileno()).st_size:
                    raise UserError("it promises more than it holds: it was cut short")
                _unpack(file, contents, arriving)
            for name in contents:
                check_run(arriving / name)
        except FileNotFoundError:
            raise UserError(f"there is no file {archive}") from None
        except IsADirectoryError:
            raise UserError(f"{archive} is a folder; give the file that `lamobench runs export` wrote") from None
        except UserError as error:
            told = str(error).replace(f"{arriving}/", "")
            raise UserError(f"{archive} can't be imported: {told}; nothing was changed") from None
        return place([arriving / name for name in contents], root)


def manifest_of(contents: Contents) -> bytes:
    """The manifest of files whose facts are given, the same bytes for the same facts."""
    value = {"format": FORMAT, "version": VERSION, "runs": contents}
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def read_manifest(content: bytes) -> Contents:
    """The inverse of `manifest_of`; a `UserError` for anything that no run of this suite could be."""
    try:
        value = parse_json(content.decode("utf-8"))
    except ValueError as error:
        raise UserError(f"its {MANIFEST} is not JSON ({error})") from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise UserError(f"its {MANIFEST} is not one of '{FORMAT}'")
    if value.get("version") != VERSION:
        raise UserError(
            f"its format has version {value.get('version')!r}, expected {VERSION}; use the lamobench that wrote it"
        )
    runs = value.get("runs")
    if not isinstance(runs, dict) or not runs:
        raise UserError(f"its {MANIFEST} names no runs")
    for name, files in runs.items():
        _check_names(name, files)
    return {name: dict(files) for name, files in runs.items()}


def _check_names(run: str, files: Any) -> None:
    if not RUN_ID.fullmatch(run):
        raise UserError(f"{run[:200]!r} is no run's id")
    if not isinstance(files, dict) or "config.json" not in files:
        raise UserError(f"run {run} has no config.json")
    for name, facts in files.items():
        if name not in LIMITS:
            raise UserError(f"{name[:200]!r} in run {run} is no file of a run ({', '.join(LIMITS)})")
        size = facts.get("size") if isinstance(facts, dict) else None
        if type(size) is not int or not 0 <= size <= LIMITS[name] or not _is_hash(facts.get("sha256")):
            raise UserError(f"{name} of run {run} has no SHA-256 and size of at most {LIMITS[name]} bytes")


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _write(file: BinaryIO, contents: Contents, places: Mapping[str, Path]) -> None:
    manifest = manifest_of(contents)
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(_header(MANIFEST, len(manifest)), io.BytesIO(manifest))
        for run, files in contents.items():
            for name, facts in files.items():
                with (places[run] / name).open("rb") as source:
                    copied = _Hashing(source)
                    tar.addfile(_header(f"runs/{run}/{name}", facts["size"]), copied)
                if copied.digest.hexdigest() != facts["sha256"]:
                    raise UserError(f"{places[run] / name} changed while it was exported; type it again")


def _header(name: str, size: int) -> tarfile.TarInfo:
    """No time, no owner: the same file gives the same bytes everywhere."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o644
    return info


class _Hashing(io.RawIOBase):
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Some bytes, counted into the digest."""
        content = self.file.read(size)
        self.digest.update(content)
        return content


def _first_member(file: BinaryIO) -> bytes:
    """The manifest's content."""
    start = file.read(2)
    file.seek(0)
    if start == b"\x1f\x8b":
        raise UserError("it is compressed; unpack it with gunzip first")
    info = _next_header(file)
    if info is None or info.name != MANIFEST:
        raise UserError(f"it does not begin with a {MANIFEST}: it is not from `lamobench runs export`")
    if not 0 <= info.size <= MANIFEST_LIMIT:
        raise UserError(f"its {MANIFEST} has {info.size} bytes, more than any has")
    return b"".join(_content(file, info.size))


def _unpack(file: BinaryIO, contents: Contents, arriving: Path) -> None:
    """Write every file that the manifest names, and nothing else, below `arriving`: names come from our own table."""
    for run in sorted(contents):
        (arriving / run).mkdir()
        for name in sorted(contents[run]):
            facts = contents[run][name]
            info = _next_header(file)
            if info is None:
                raise UserError(f"runs/{run}/{name} is missing: it was cut short")
            if (info.name, info.size) != (f"runs/{run}/{name}", facts["size"]):
                raise UserError(
                    f"it holds {info.name[:200]!r} of {info.size} bytes where its {MANIFEST} has runs/{run}/{name} of "
                    f"{facts['size']}"
                )
            digest = hashlib.sha256()
            with (arriving / run / name).open("xb") as target:
                for part in _content(file, info.size):
                    digest.update(part)
                    target.write(part)
                target.flush()
                os.fsync(target.fileno())
            if digest.hexdigest() != facts["sha256"]:
                raise UserError(f"runs/{run}/{name} does not have the SHA-256 that its {MANIFEST} gives: it is damaged")
    if (extra := _next_header(file)) is not None:
        raise UserError(f"it holds {extra.name[:200]!r}, which its {MANIFEST} does not name")
    rest = file.read(tarfile.RECORDSIZE + 1)
    if len(rest) > tarfile.RECORDSIZE or rest.strip(b"\0"):
        raise UserError("there is something behind its end")


def _next_header(file: BinaryIO) -> tarfile.TarInfo | None:
    """The next member, a regular file; None at the end of the archive."""
    block = file.read(BLOCK)
    if len(block) < BLOCK:
        raise UserError("it ends in the middle: it was cut short, or is no tar")
    if not block.strip(b"\0"):
        return None
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
    except (tarfile.HeaderError, ValueError) as error:
        raise UserError(f"it is no tar, or damaged ({error})") from None
    if info.type != tarfile.REGTYPE:
        raise UserError(f"it holds {KINDS.get(info.type, 'something that is no file')}, {info.name[:200]!r}")
    return info


def _content(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The `size` bytes that follow a header, and the rest of their last block."""
    left = size
    while left:
        part = file.read(min(COPIED, left))
        if not part:
            raise UserError("it ends in the middle of a file: it was cut short")
        left -= len(part)
        yield part
    padding = -size % BLOCK
    if len(file.read(padding)) < padding:
        raise UserError("it ends in the middle of a file: it was cut short")
