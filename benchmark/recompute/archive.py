"""Read the raw evaluations that lie beside tables: `evaluations.tar.xz`, in memory, nothing unpacked to a disk.

    manifest.json
    runs/<run id>/config.json, metrics.jsonl, episodes.csv, done.json ...

Archives come from elsewhere: sizes are bounded before they are read, names are keys and never paths, and each file must
have the SHA-256 that the manifest gives, and that `done.json` noted when the run finished. Hashes tell damage, not a
forger, who would write them anew; what a changed return does to a table is told by computing it again.
"""

import hashlib
import io
import lzma
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...datasets.errors import UserError
from ...datasets.file_checks import check_regular_file
from ...datasets.json_files import parse_json
from ..runs.layout import EVALUATIONS_MOST, EVALUATIONS_UNPACKED, MB

MANIFEST = "manifest.json"
MEMBER = re.compile(r"runs/([A-Za-z0-9][A-Za-z0-9._-]{0,255})/([a-z_]{1,40}\.(?:json|jsonl|csv))")
NEEDED = ("config.json", "episodes.csv", "done.json")
DICTIONARY_MOST = 128 * MB  # of memory that unpacking may take; xz's largest preset needs 65

Files = Mapping[str, bytes]  # the content of a run's files, by name


def read_archive(path: Path) -> dict[str, Files]:
    """Each run's files, by run id; a `UserError` for anything but an archive with every byte in its place."""
    check_regular_file(path, EVALUATIONS_MOST)
    try:
        members = _members(_unpacked(path.read_bytes()))
        return _checked(members)
    except (OSError, lzma.LZMAError, tarfile.TarError, ValueError) as error:
        raise UserError(f"{path} is no archive of evaluations, or damaged: {error}") from None


def _unpacked(packed: bytes) -> bytes:
    unpacking = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DICTIONARY_MOST)
    content = unpacking.decompress(packed, EVALUATIONS_UNPACKED + 1)
    if len(content) > EVALUATIONS_UNPACKED:
        raise ValueError(f"it unpacks to more than {EVALUATIONS_UNPACKED // MB} MB")
    if not unpacking.eof:
        raise ValueError("it was cut short")
    if unpacking.unused_data:
        raise ValueError("there is something behind its end")
    return content


def _members(content: bytes) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for info in tar:
            name = info.name[:200]
            if info.type != tarfile.REGTYPE or info.issparse():  # a sparse file may say that it has any size
                raise ValueError(f"{name!r} is no plain file")
            if name != MANIFEST and not MEMBER.fullmatch(info.name):
                raise ValueError(f"{name!r} is no file of a run")
            if name in members:
                raise ValueError(f"{name!r} stands in it twice")
            file = tar.extractfile(info) if info.size <= len(content) else None
            members[name] = file.read() if file else b""
            if len(members[name]) != info.size:
                raise ValueError(f"{name!r} is cut short")
    return members


def _checked(members: dict[str, bytes]) -> dict[str, Files]:
    """The members by run; a `ValueError` unless they are those of the manifest, unchanged."""
    manifest = _object(members.pop(MANIFEST, b""), MANIFEST).get("runs")
    runs: dict[str, dict[str, bytes]] = {}
    for name, content in members.items():
        _, run, file = name.split("/")
        runs.setdefault(run, {})[file] = content
    if not isinstance(manifest, dict) or not manifest or manifest.keys() != runs.keys():
        raise ValueError(f"the runs in it are not those of its {MANIFEST}")
    for run, files in runs.items():
        if lacking := [file for file in NEEDED if file not in files]:
            raise ValueError(f"run {run} has no {lacking[0]}")
        facts = manifest[run] if isinstance(manifest[run], dict) else {}
        if facts.keys() != files.keys():
            raise ValueError(f"the files of run {run} are not those of its {MANIFEST}")
        noted = _object(files["done.json"], f"done.json of run {run}").get("sha256", {})
        for file, content in files.items():
            promised = facts[file].get("sha256") if isinstance(facts[file], dict) else None
            wanted = {promised, noted.get(file, promised) if isinstance(noted, dict) else None}
            if wanted != {hashlib.sha256(content).hexdigest()}:
                raise ValueError(f"{file} of run {run} does not have the SHA-256 that was noted of it")
    return dict(runs)


def _object(content: bytes, name: str) -> dict[str, Any]:
    value = parse_json(content.decode("utf-8")) if content else None
    if not isinstance(value, dict):
        raise ValueError(f"{name} is missing, or no JSON object")
    return value
