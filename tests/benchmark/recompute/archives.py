"""Runs and archives for tests of `recompute`: made in a moment, of any numbers, and packed by hand."""

import hashlib
import io
import json
import lzma
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lamobench.benchmark.runs.layout import EVALUATIONS
from lamobench.benchmark.sharing.archive import MANIFEST, manifest_of
from lamobench.tests.benchmark.conftest import write_run
from lamobench.tests.benchmark.little_runs import note_files

TRIVIAL = {"held_out_mean_action": 0.5, "held_out_previous_action": 0.25}

Contents = dict[str, dict[str, bytes]]  # of files, by run and name


def write_measured_run(root: Path, returns: Any, errors: Sequence[float] = (), **changes: Any) -> Path:
    """A finished run, with hashes; `errors` are the held-out ones of its last evaluations."""
    folder = write_run(root, returns, **changes)
    first = len(returns) - len(errors)
    rows: list[dict[str, float]] = [{"step": 100 * (place + 1), "loss": 1.0} for place in range(len(returns))]
    for row, error in zip(rows[first:], errors, strict=True):
        row |= {"held_out_error": error, "held_out_loss": 2 * error, **TRIVIAL}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    note_files(folder)
    return folder


def contents_of(archive: Path) -> Contents:
    """Each run's files in an archive."""
    contents: Contents = {}
    with tarfile.open(archive) as tar:
        for info in tar.getmembers()[1:]:
            _, run, name = info.name.split("/")
            contents.setdefault(run, {})[name] = tar.extractfile(info).read()  # type: ignore[union-attr]
    return contents


def with_hashes(contents: Contents) -> Contents:
    """The files with the hashes in `done.json` brought to what they are now, as a forger would."""
    for files in contents.values():
        done = json.loads(files["done.json"])
        done["sha256"] |= {name: _hash(files[name]) for name in done["sha256"] if name in files}
        files["done.json"] = json.dumps(done).encode()
    return contents


def members_of(contents: Contents) -> list[tuple[str, bytes]]:
    """The names and contents of an archive's members; the manifest is the first."""
    facts = {
        run: {name: {"sha256": _hash(content), "size": len(content)} for name, content in files.items()}
        for run, files in contents.items()
    }
    files = [(f"runs/{run}/{name}", content) for run, own in contents.items() for name, content in own.items()]
    return [(MANIFEST, manifest_of(facts)), *files]


def pack(folder: Path, members: Sequence[tuple[str, bytes]], changes: Mapping[str, Any] | None = None) -> Path:
    """Write an archive of the members to a folder; `changes` to the header of the last."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for place, (name, data) in enumerate(members, start=1):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in (changes or {}).items() if place == len(members) else ():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return pack_bytes(folder, content.getvalue())


def pack_bytes(folder: Path, content: bytes) -> Path:
    """Write an archive that unpacks to these bytes to a folder."""
    archive = folder / EVALUATIONS
    archive.write_bytes(lzma.compress(content))
    return archive


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
