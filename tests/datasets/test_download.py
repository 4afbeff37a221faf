import http.server
import json
import os
import shutil
import threading
from collections import namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lamobench.datasets import download as module
from lamobench.datasets.download import download
from lamobench.datasets.errors import UserError

CONTENT = bytes(range(256)) * 4000  # about 1 MB


@dataclass
class Behaviour:
    """The way in which the server answers; `cuts` says after how many bytes each of the next answers breaks off."""

    content: bytes = CONTENT
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    status: int = 200
    claimed: int | None = None  # a Content-Length that is not the true one
    lengths: bool = True  # whether it says a Content-Length
    mark: str = '"first"'
    asked: list[str] = field(default_factory=list)  # the Range header of each request


class Server(http.server.ThreadingHTTPServer):
    behaviour: Behaviour


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        does = self.server.behaviour
        asked = self.headers.get("Range", "")
        does.asked.append(asked)
        if does.status != 200:
            self.send_error(does.status)
            return
        current = self.headers.get("If-Range") in (None, does.mark)
        start = int(asked[6:-1]) if asked and does.ranges and current else 0
        if start >= len(does.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(does.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = does.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(does.content) - 1}/{len(does.content)}")
        if does.lengths:
            self.send_header("Content-Length", str(len(body) if does.claimed is None else does.claimed - start))
        if does.mark:
            self.send_header("ETag", does.mark)
        self.end_headers()
        self.wfile.write(body[: does.cuts.pop(0)] if does.cuts else body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as server:
        server.behaviour = Behaviour()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server: Server, target: Path, force: bool = False, expected: bytes | None = CONTENT) -> None:
    def check(path: Path) -> None:
        if expected is not None and path.read_bytes() != expected:
            raise UserError("not what was expected")

    download(f"http://127.0.0.1:{server.server_port}/file.hdf5", target, check, force)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_comes_whole_and_alone(server: Server, tmp_path: Path, lengths: bool) -> None:
    server.behaviour.lengths = lengths
    get(server, tmp_path / "new" / "file.hdf5")
    assert (tmp_path / "new" / "file.hdf5").read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["file.hdf5"]


def test_what_is_there_is_not_asked_for_again_unless_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.hdf5").write_bytes(b"mine")
    get(server, tmp_path / "file.hdf5")
    assert (server.behaviour.asked, (tmp_path / "file.hdf5").read_bytes()) == ([], b"mine")
    get(server, tmp_path / "file.hdf5", force=True)
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


def test_a_download_that_is_cut_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.behaviour.cuts = [300_000, 200_000]
    get(server, tmp_path / "file.hdf5")
    assert server.behaviour.asked == ["", "bytes=300000-", "bytes=500000-"]
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


def test_a_download_that_is_stuck_ends_and_goes_on_next_time(server: Server, tmp_path: Path) -> None:
    server.behaviour.cuts = [300_000, 0]
    with pytest.raises(UserError, match="the server closed the connection after 300000 of 1024000 bytes"):
        get(server, tmp_path / "file.hdf5")
    assert names(tmp_path) == ["file.hdf5.part", "file.hdf5.part.json"]
    get(server, tmp_path / "file.hdf5")
    assert server.behaviour.asked[-1] == "bytes=300000-"
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT
    assert names(tmp_path) == ["file.hdf5"]


@pytest.mark.parametrize("mark", ['"first"', "", 'W/"weak"'])
def test_a_server_that_ignores_ranges_sends_it_all_again(server: Server, tmp_path: Path, mark: str) -> None:
    server.behaviour.mark = mark
    server.behaviour.ranges = False
    server.behaviour.cuts = [300_000]
    get(server, tmp_path / "file.hdf5")
    assert server.behaviour.asked == ["", "bytes=300000-"]
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


def test_two_versions_of_a_file_are_never_put_together(server: Server, tmp_path: Path) -> None:
    server.behaviour.cuts = [300_000, 0]
    with pytest.raises(UserError):
        get(server, tmp_path / "file.hdf5")
    server.behaviour.content = CONTENT[::-1]
    server.behaviour.mark = '"second"'
    get(server, tmp_path / "file.hdf5", expected=None)
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT[::-1]


def test_a_part_that_was_complete_is_not_downloaded_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.hdf5.part").write_bytes(CONTENT)
    get(server, tmp_path / "file.hdf5")
    assert server.behaviour.asked == [f"bytes={len(CONTENT)}-"]
    assert names(tmp_path) == ["file.hdf5"]


def test_a_part_that_is_too_long_is_begun_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.hdf5.part").write_bytes(CONTENT + b"more")
    get(server, tmp_path / "file.hdf5")
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("claimed", "message"),
    [
        (len(CONTENT) + 5, "closed the connection after 1024000 of 1024005 bytes"),
        (len(CONTENT) - 5, "gave a file that is no good: not what was expected"),
    ],
)
def test_a_wrong_length_is_found(server: Server, tmp_path: Path, claimed: int, message: str) -> None:
    server.behaviour.claimed = claimed
    server.behaviour.ranges = False
    with pytest.raises(UserError, match=message):
        get(server, tmp_path / "file.hdf5")
    assert not (tmp_path / "file.hdf5").exists()


def test_a_file_that_fails_its_check_leaves_nothing_and_what_was_there(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.hdf5").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"^http://127.*/file.hdf5 gave a file that is no good: not what was expected$"):
        get(server, tmp_path / "file.hdf5", force=True, expected=b"other")
    assert names(tmp_path) == ["file.hdf5"]
    assert (tmp_path / "file.hdf5").read_bytes() == b"mine"


@pytest.mark.parametrize("status", [404, 403, 500])
def test_what_the_server_refuses_is_said(server: Server, tmp_path: Path, status: int) -> None:
    server.behaviour.status = status
    with pytest.raises(UserError, match=f"can't be downloaded: the server says {status} "):
        get(server, tmp_path / "file.hdf5")
    assert names(tmp_path) == []


def test_no_server_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(UserError, match=r"can't be downloaded: .*refused"):
        download("http://127.0.0.1:9/file.hdf5", tmp_path / "file.hdf5", lambda path: None)


def test_too_small_a_disk_is_said_before_anything_is_written(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 500_000))
    with pytest.raises(UserError, match=r"has room for 0 MB, but file.hdf5 takes 1 MB more; free some space"):
        get(server, tmp_path / "file.hdf5")
    assert names(tmp_path) == []


def test_two_at_once_download_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = threading.Event()
    go_on = threading.Event()
    complete = module._complete

    def slow(address: str, part: Path) -> None:
        inside.set()
        assert go_on.wait(20)
        complete(address, part)

    monkeypatch.setattr(module, "_complete", slow)
    threads = [threading.Thread(target=get, args=(server, tmp_path / "file.hdf5")) for _ in range(2)]
    threads[0].start()
    assert inside.wait(20)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT
    assert server.behaviour.asked == [""]


def test_a_damaged_mark_does_no_harm(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.hdf5.part").write_bytes(CONTENT[:1000])
    (tmp_path / "file.hdf5.part.json").write_text(json.dumps([]))
    get(server, tmp_path / "file.hdf5")
    assert server.behaviour.asked == ["bytes=1000-"]
    assert (tmp_path / "file.hdf5").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["file.bin", "file.bin.part"])
def test_a_pipe_in_the_place_of_a_file_is_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} is a named pipe where a regular file belongs"):
        download("http://localhost/file.bin", tmp_path / "file.bin", lambda path: None)
