"""Archives of evaluations: the same bytes for the same runs, and every kind that must be refused."""

import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.recompute import archive as reading
from lamobench.benchmark.recompute.archive import read_archive
from lamobench.benchmark.recompute.runs import read_runs
from lamobench.benchmark.runs.layout import EVALUATIONS
from lamobench.benchmark.sharing import evaluations as writing
from lamobench.benchmark.sharing.archive import import_runs
from lamobench.benchmark.sharing.evaluations import write_evaluations
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import note_files, snapshot
from lamobench.tests.benchmark.recompute.archives import (
    Contents,
    contents_of,
    members_of,
    pack,
    pack_bytes,
    with_hashes,
    write_measured_run,
)

Change = Callable[[Contents], object]


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two finished runs."""
    return [write_measured_run(tmp_path / "runs", [[1.0, 2.0]] * 3, [0.5, 0.25], seed=seed) for seed in (0, 1)]


@pytest.fixture
def contents(runs: list[Path], tmp_path: Path) -> Contents:
    """The files in their archive."""
    return contents_of(write_evaluations(runs, tmp_path))


def test_it_holds_every_file_but_checkpoints(runs: list[Path], tmp_path: Path) -> None:
    (runs[0] / "checkpoint.safetensors").write_bytes(b"weights")
    (runs[0] / "episode.jpg").write_bytes(b"picture")
    found = read_archive(write_evaluations([runs[1]], tmp_path))
    assert {f"{run}/{name}": content for run, files in found.items() for name, content in files.items()} == {
        f"{runs[1].name}/{name}": content for name, content in snapshot(runs[1]).items()
    }


def test_the_same_runs_give_the_same_bytes(runs: list[Path], tmp_path: Path) -> None:
    archive = write_evaluations(runs, tmp_path)
    first = archive.read_bytes()
    archive.unlink()
    for path in (tmp_path / "runs").rglob("*"):
        os.utime(path, (1, 1))
    assert write_evaluations(runs[::-1], tmp_path).read_bytes() == first
    assert {path.name for path in tmp_path.iterdir()} == {"runs", EVALUATIONS}


def test_runs_that_took_other_times_leave_it_as_it_is(runs: list[Path], tmp_path: Path) -> None:
    first = write_evaluations(runs, tmp_path).read_bytes()
    metrics = runs[0] / "metrics.jsonl"
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    metrics.write_text("".join(json.dumps(row | {"seconds": 1.5}) + "\n" for row in rows))
    note_files(runs[0])
    assert write_evaluations(runs, tmp_path).read_bytes() == first
    metrics.write_text("".join(json.dumps(row | {"loss": 1.5}) + "\n" for row in rows))
    note_files(runs[0])
    second = write_evaluations(runs, tmp_path).read_bytes()
    assert second != first
    assert write_evaluations(runs[:1], tmp_path).read_bytes() not in (first, second)


def test_runs_come_back_from_it(runs: list[Path], tmp_path: Path) -> None:
    archive = write_evaluations(runs, tmp_path)
    (tmp_path / "plain.tar").write_bytes(lzma.decompress(archive.read_bytes()))
    import_runs(tmp_path / "plain.tar", tmp_path / "there")
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "runs")


@pytest.mark.parametrize("limit", ["EVALUATIONS_MOST", "EVALUATIONS_UNPACKED"])
def test_one_that_is_too_large_is_not_written(
    limit: str, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, limit, 1 << 9)
    with pytest.raises(UserError, match=r"may have 0 MB, and these runs make 0\.0; rank fewer"):
        write_evaluations(runs, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}


def refused(archive: Path, match: str) -> None:
    with pytest.raises(UserError, match=match) as refusal:
        read_runs(read_archive(archive))
    assert "\n" not in str(refusal.value)


def test_one_that_is_cut_short_changed_or_longer_is_refused(runs: list[Path], tmp_path: Path) -> None:
    archive = write_evaluations(runs, tmp_path)
    packed = archive.read_bytes()
    archive.write_bytes(packed[:-40])
    refused(archive, "it was cut short")
    archive.write_bytes(packed + b"more")
    refused(archive, "something behind its end")
    archive.write_bytes(packed[:200] + bytes([packed[200] ^ 1]) + packed[201:])
    refused(archive, "is no archive of evaluations, or damaged")
    archive.write_bytes(b"x" * 100)
    refused(archive, "is no archive of evaluations, or damaged")
    pack_bytes(tmp_path, b"no tar")
    refused(archive, "is no archive of evaluations, or damaged")
    archive.unlink()
    archive.mkdir()
    refused(archive, "is a folder where a regular file belongs")


def test_one_that_unpacks_to_more_than_any_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "EVALUATIONS_UNPACKED", 1 << 20)
    refused(pack_bytes(tmp_path, bytes(1 << 24)), "it unpacks to more than 1 MB")
    monkeypatch.setattr(reading, "EVALUATIONS_MOST", 100)
    refused(pack_bytes(tmp_path, bytes(1 << 24)), "more than the 0.0001 MB that such a file may have")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_plain_file_is_refused(kind: bytes, contents: Contents, tmp_path: Path) -> None:
    changes = {"type": kind, "linkname": "manifest.json", "size": 0}
    refused(pack(tmp_path, [*members_of(contents), ("runs/a/link.json", b"")], changes), "is no plain file")


def test_a_sparse_file_of_any_size_is_refused(contents: Contents, tmp_path: Path) -> None:
    content = io.BytesIO()
    headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 60)}
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as tar:
        info = tarfile.TarInfo("runs/a/config.json")
        info.size = 1
        info.pax_headers = headers
        tar.addfile(info, io.BytesIO(b"x"))
    refused(pack_bytes(tmp_path, content.getvalue()), "is no plain file")


@pytest.mark.parametrize("name", ["../config.json", "/runs/a/config.json", "runs/../config.json", "runs/a/b/c.json"])
def test_a_path_of_its_own_choice_is_refused(name: str, contents: Contents, tmp_path: Path) -> None:
    refused(pack(tmp_path, [*members_of(contents), (name, b"{}")]), "is no file of a run")


def test_a_file_that_stands_in_it_twice_is_refused(contents: Contents, tmp_path: Path) -> None:
    members = members_of(contents)
    refused(pack(tmp_path, [*members, members[-1]]), "stands in it twice")


def first(contents: Contents) -> dict[str, bytes]:
    return next(iter(contents.values()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda own: own.pop("episodes.csv"), r"run \S+ has no episodes.csv"),
        (lambda own: own.pop("done.json"), r"run \S+ has no done.json"),
        (lambda own: own.update({"done.json": b"[1]"}), "done.json of run .* is missing, or no JSON object"),
        (lambda own: own.update({"episodes.csv": b"x"}), "episodes.csv of run .* does not have the SHA-256"),
        (lambda own: own.update({"metrics.jsonl": b"x"}), "metrics.jsonl of run .* does not have the SHA-256"),
    ],
)
def test_files_that_do_not_fit_are_refused(change: Change, match: str, contents: Contents, tmp_path: Path) -> None:
    change(first(contents))  # type: ignore[arg-type]
    refused(pack(tmp_path, members_of(contents)), match)


def test_a_manifest_of_other_files_is_refused(contents: Contents, tmp_path: Path) -> None:
    manifest, *files = members_of(contents)
    refused(pack(tmp_path, files), "manifest.json is missing, or no JSON object")
    refused(pack(tmp_path, [manifest, *files[:4]]), "the runs in it are not those of its manifest.json")
    refused(pack(tmp_path, [manifest, *files[:-1]]), "the files of run .* are not those of its manifest.json")
    refused(pack(tmp_path, [("manifest.json", b'{"runs": {}}')]), "the runs in it are not those of its manifest.json")


def changed(name: str, old: str, text: str) -> Change:
    def change(own: Contents) -> None:
        assert old.encode() in own[name]  # type: ignore[operator]
        own[name] = own[name].replace(old.encode(), text.encode(), 1)  # type: ignore[attr-defined]

    return change


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (changed("config.json", '"method": "bc", ', ""), "KeyError: 'method'"),
        (changed("config.json", '"task": "reacher2d"', '"task": "walking"'), "walking"),
        (changed("episodes.csv", "100,76.0,0,0,1.0", "100,76.0,0,0,inf"), "lacks episodes of an evaluation"),
        (changed("episodes.csv", "100,76.0,0,0,1.0", "100,76.0,0,0,one"), "could not convert"),
        (changed("episodes.csv", "100,76.0,0,0,1.0,100\n", ""), "lacks episodes of an evaluation"),
        (changed("episodes.csv", "100,76.0,1,7", "100,76.0,0,7"), "episode 0 of step 100 stands twice"),
        (changed("metrics.jsonl", '"held_out_error": 0.5', '"held_out_error": NaN'), "NaN is no finite number"),
        (changed("metrics.jsonl", '"held_out_mean_action"', '"another"'), "KeyError: 'held_out_mean_action'"),
        (changed("done.json", '"params_total": 1000, ', ""), "KeyError: 'params_total'"),
    ],
)
def test_runs_that_do_not_say_what_they_scored_are_refused(
    change: Change, match: str, contents: Contents, tmp_path: Path
) -> None:
    change(first(contents))  # type: ignore[arg-type]
    refused(pack(tmp_path, members_of(with_hashes(contents))), match)


def test_hashes_are_those_that_were_noted_when_the_run_finished(contents: Contents, tmp_path: Path) -> None:
    own = first(contents)
    done = json.loads(own["done.json"])
    done["sha256"]["episodes.csv"] = "0" * 64
    own["done.json"] = json.dumps(done).encode()
    refused(pack(tmp_path, members_of(contents)), "episodes.csv of run .* does not have the SHA-256")
