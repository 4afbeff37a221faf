"""Download one file over HTTP: whole or not at all. An interrupted download goes on where it stopped.

What has arrived waits beside the target as `<name>.part`, with the server's mark of the file's version in
`<name>.part.json`, so that no file mixes two versions. Only `data fetch` and similar commands use it.
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from . import storage
from .errors import UserError
from .file_checks import check_regular_file
from .json_files import read_json

TIMEOUT = 30.0  # seconds without an answer or a byte
BLOCK = 1 << 20  # bytes
CONNECTION_ERRORS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


def download(address: str, target: Path, check: Callable[[Path], None], force: bool = False) -> None:
    """Download `address` to `target`, unless it is there; with `force`, replace what is there.

    A broken connection is opened again as long as each attempt brings something. `check` sees the finished file
    before it gets its name, and refuses it with a `UserError`; it is then deleted. Raises a `UserError` that names the
    address and the reason if the file can't be had; what has arrived is kept for the next time.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with storage.alone(target, "downloads"):
        for path in (target, part):
            if path.exists():
                check_regular_file(path)
        if target.exists() and not force:
            return
        _complete(address, part)
        try:
            check(part)
        except UserError as error:
            _forget(part)
            raise UserError(f"{address} gave a file that is no good: {error}") from None
        part.replace(target)
        _mark_of(part).unlink(missing_ok=True)


def _complete(address: str, part: Path) -> None:
    """Bring `part` to its full length, in as many attempts as make progress."""
    while True:
        before = _size(part)
        reason = ""
        try:
            total = _transfer(address, part)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                if error.headers.get("Content-Range", "").endswith(f"/{before}"):
                    return  # all of it had arrived
                _forget(part)
                continue
            raise UserError(f"{address} can't be downloaded: the server says {error.code} {error.reason}") from None
        except CONNECTION_ERRORS as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        else:
            if total is None or _size(part) == total:
                return
            reason = f"the server closed the connection after {_size(part)} of {total} bytes"
        if _size(part) <= before:  # a transfer that moves is taken up again, one that is stuck is not
            raise UserError(f"{address} can't be downloaded: {' '.join(reason.split())}")


def _transfer(address: str, part: Path) -> int | None:
    """One request: append to `part` what it lacks, or begin anew if the server prefers. The file's length, if known."""
    have = _size(part)
    request = urllib.request.Request(address, headers={"User-Agent": "lamobench", "Accept-Encoding": "identity"})
    if have:
        request.add_header("Range", f"bytes={have}-")
        if mark := _mark(part):
            request.add_header("If-Range", mark)
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-") and response.status == 206
        start = have if resumed else 0
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        storage.check_room(part.parent, part.stem, (total or 0) - start)
        if not resumed:
            _begin(part, response.headers["ETag"] or response.headers["Last-Modified"] or "")
        bar = tqdm(total=total, initial=start, desc=part.stem, unit="B", unit_scale=True, leave=False, disable=None)
        with part.open("ab") as file, bar:
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    return total


def _begin(part: Path, mark: str) -> None:
    part.write_bytes(b"")  # before the mark: one version's bytes never stand under another's mark
    storage.write_json(_mark_of(part), {"mark": "" if mark.startswith("W/") else mark})  # weak ones can't be resumed by


def _mark(part: Path) -> str:
    try:
        return str(read_json(_mark_of(part))["mark"])
    except (UserError, KeyError, TypeError):
        return ""  # the check of the finished file is then all that guards against two versions


def _mark_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _mark_of(part).unlink(missing_ok=True)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
