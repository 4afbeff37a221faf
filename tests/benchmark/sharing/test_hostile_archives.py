"""Every kind of archive that must be refused, and leaves nothing behind."""

import gzip
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.runs.damage import damage, sizes_and_hashes
from lamobench.benchmark.runs.layout import CHECKPOINT
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.sharing.archive import MANIFEST, Contents, export_runs, import_runs, manifest_of
from lamobench.benchmark.sharing.files import checkpoint_state, file_facts
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import folders, snapshot

Member = tuple[tarfile.TarInfo, bytes]
Change = Callable[[Path], object]


def member(name: str, content: bytes = b"", **changes: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in changes.items():
        setattr(info, field, value)
    return info, content


def contents_of(run: Path) -> Contents:
    return {run.name: {path.name: file_facts(path) for path in sorted(run.iterdir()) if path.name != ".lock"}}


def members_of(run: Path) -> list[Member]:
    """The members of an archive of one run, whatever state it is in."""
    contents = contents_of(run)
    files = [member(f"runs/{run.name}/{name}", (run / name).read_bytes()) for name in contents[run.name]]
    return [member(MANIFEST, manifest_of(contents)), *files]


def pack(archive: Path, members: list[Member], form: int = tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(archive, "w", format=form) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return archive


def keep_sizes(run: Path) -> None:
    """Let a changed run's done.json have the sizes of its files, as a forger would."""
    with suppress(ValueError, RecursionError):
        done = json.loads((run / "done.json").read_text())
        if "files" in done:
            (run / "done.json").write_text(json.dumps(done | sizes_and_hashes(run)))


@pytest.fixture
def run(copied_runs: Path) -> Path:
    """A finished run, to be spoiled."""
    return folders(copied_runs, 0)[0]


@pytest.fixture
def refused(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Import what must be refused and leave nothing behind, here or anywhere near; the line."""
    root = tmp_path / "here" / "deep" / "runs"
    root.mkdir(parents=True)

    def refused(archive: Path) -> str:
        before = snapshot(tmp_path)
        with pytest.raises(UserError) as mistake:
            import_runs(archive, root)
        assert snapshot(tmp_path) == before
        assert not list(root.iterdir())
        assert "\n" not in str(mistake.value)
        assert ".arriving." not in str(mistake.value)
        return str(mistake.value)

    return refused


# Archives that no export writes. Each is whole but for one thing.

ODD_MEMBERS: dict[str, tuple[Member, str]] = {
    "absolute": (member("/etc/passwd", b"x"), r"holds '/etc/passwd' of 1 bytes where its manifest\.json has runs/"),
    "parents": (member("runs/../../../evil", b"x"), r"holds 'runs/\.\./\.\./\.\./evil'"),
    "elsewhere": (member("evil.py", b"x"), r"holds 'evil\.py' of 1 bytes"),
    "odd name": (member("runs/\x1b[2Jx", b"x"), r"holds 'runs/\\x1b\[2Jx'"),
    "symbolic link": (member("runs/x", type=tarfile.SYMTYPE, linkname="/etc"), r"holds a symbolic link, 'runs/x'"),
    "hard link": (member("runs/x", type=tarfile.LNKTYPE, linkname=MANIFEST), r"holds a hard link, 'runs/x'"),
    "character device": (member("runs/x", type=tarfile.CHRTYPE, devmajor=1, devminor=5), r"holds a device"),
    "block device": (member("runs/x", type=tarfile.BLKTYPE), r"holds a device"),
    "pipe": (member("runs/x", type=tarfile.FIFOTYPE), r"holds a pipe"),
    "folder": (member("runs/x", type=tarfile.DIRTYPE), r"holds a folder"),
    "sparse file": (member("runs/x", type=tarfile.GNUTYPE_SPARSE), r"holds a sparse file"),
    "extended header": (member("runs/x", type=tarfile.XGLTYPE), r"holds an extended header"),
    "unknown kind": (member("runs/x", type=b"Q"), r"holds something that is no file"),
}


@pytest.mark.parametrize("kind", ODD_MEMBERS)
def test_what_has_no_place_in_an_archive(run: Path, tmp_path: Path, refused: Callable[[Path], str], kind: str) -> None:
    odd, line = ODD_MEMBERS[kind]
    good = members_of(run)
    assert re.search(line, refused(pack(tmp_path / "a.tar", [good[0], odd, *good[1:]])))
    assert re.search(line.split(" of 1 bytes")[0], refused(pack(tmp_path / "b.tar", [*good, odd])))
    assert refused(pack(tmp_path / "c.tar", [odd, *good]))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_headers_of_other_formats_are_refused(
    run: Path, tmp_path: Path, refused: Callable[[Path], str], form: int
) -> None:
    long = member("runs/" + "x" * 300, b"x")
    good = members_of(run)
    assert "holds an extended header" in refused(pack(tmp_path / "a.tar", [good[0], long, *good[1:]], form))


def test_files_that_are_missing_doubled_or_in_another_order(
    run: Path, tmp_path: Path, refused: Callable[[Path], str]
) -> None:
    manifest, first, *rest = members_of(run)
    assert "where its manifest.json has" in refused(pack(tmp_path / "a.tar", [manifest, first, first, *rest]))
    assert "where its manifest.json has" in refused(pack(tmp_path / "b.tar", [manifest, *rest, first]))
    assert "it was cut short" in refused(pack(tmp_path / "c.tar", [manifest, first, *rest[:-1]]))
    assert "it promises more than it holds" in refused(pack(tmp_path / "d.tar", [manifest]))
    assert "does not begin with a manifest.json" in refused(pack(tmp_path / "e.tar", [first, manifest, *rest]))
    assert "does not begin with a manifest.json" in refused(pack(tmp_path / "f.tar", []))


def test_an_archive_that_was_cut_short_anywhere(run: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    whole = pack(tmp_path / "whole.tar", members_of(run)).read_bytes()
    end = len(whole.rstrip(b"\0"))
    cuts = [1, 100, 511, 512, 700, 2000, *range(3000, end, end // 12), end - 1, end]
    for length in cuts:
        (tmp_path / "cut.tar").write_bytes(whole[:length])
        line = refused(tmp_path / "cut.tar")
        assert "cut short" in line or "promises more" in line, length


def test_a_byte_that_changed_anywhere(run: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    good = members_of(run)
    for number, (info, content) in enumerate(good[1:], 1):
        changed = bytearray(content)
        changed[len(changed) // 2] ^= 1
        spoiled = [*good[:number], (info, bytes(changed)), *good[number + 1 :]]
        assert f"{info.name} does not have the SHA-256" in refused(pack(tmp_path / "a.tar", spoiled))


def test_what_is_no_archive(run: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    whole = pack(tmp_path / "whole.tar", members_of(run)).read_bytes()
    path = tmp_path / "a.tar"
    for content, line in (
        (b"", "was cut short, or is no tar"),
        (b"x" * 5000, "is no tar, or damaged"),
        (gzip.compress(whole), "is compressed; unpack it with gunzip first"),
        (whole + b"x", "something behind its end"),
        (whole + bytes(20_000), "something behind its end"),
    ):
        path.write_bytes(content)
        assert line in refused(path)
    assert "is a folder" in refused(run)
    assert "there is no file" in refused(tmp_path / "none.tar")


def forged(value: Any) -> list[Member]:
    return [member(MANIFEST, value if isinstance(value, bytes) else json.dumps(value).encode())]


RUN = "reacher2d-medium-1-bc-s0-0123456789"
FACTS = {"sha256": "0" * 64, "size": 3}


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        ({"../../evil-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({"/evil-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({".hidden-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({"a/b-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({"a\nb-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({"x" * 500 + "-s0-0123456789": {"config.json": FACTS}}, "is no run's id"),
        ({RUN: {"config.json": FACTS, "../evil": FACTS}}, "'../evil' in run"),
        ({RUN: {"config.json": FACTS, "run.py": FACTS}}, "'run.py' in run"),
        ({RUN: {"config.json": FACTS, "checkpoint.pt": FACTS}}, "'checkpoint.pt' in run"),
        ({RUN: {"config.json": FACTS, ".lock": FACTS}}, "'.lock' in run"),
        ({RUN: {"done.json": FACTS}}, "has no config.json"),
        ({RUN: {"config.json": FACTS | {"size": 2 << 20}}}, "has no SHA-256 and size of at most 1048576 bytes"),
        ({RUN: {"config.json": FACTS | {"size": -1}}}, "has no SHA-256 and size"),
        ({RUN: {"config.json": FACTS | {"size": True}}}, "has no SHA-256 and size"),
        ({RUN: {"config.json": FACTS | {"sha256": "0" * 63 + "G"}}}, "has no SHA-256 and size"),
        ({RUN: {"config.json": {}}}, "has no SHA-256 and size"),
        ({RUN: {"config.json": FACTS | {"size": 1 << 20}}}, "promises more than it holds"),
        ({RUN: []}, "has no config.json"),
        ({}, "names no runs"),
        ([RUN], "names no runs"),
    ],
)
def test_a_manifest_that_promises_what_no_run_has(
    tmp_path: Path, refused: Callable[[Path], str], runs: Any, line: str
) -> None:
    value = {"format": "lamobench runs", "version": 1, "runs": runs}
    assert line in refused(pack(tmp_path / "a.tar", forged(value)))


def test_a_manifest_of_another_kind(tmp_path: Path, refused: Callable[[Path], str]) -> None:
    for value, line in (
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[" * 200_000, "is not JSON (it is nested too deeply"),
        (b'{"format": NaN}', "is not JSON (NaN is no finite number"),
        ([], "is not one of 'lamobench runs'"),
        ({"format": "other"}, "is not one of 'lamobench runs'"),
        ({"format": "lamobench runs", "version": 2}, "has version 2, expected 1"),
    ):
        assert line in refused(pack(tmp_path / "a.tar", forged(value)))
    big = member(MANIFEST, b"")
    big[0].size = 1 << 33
    (tmp_path / "b.tar").write_bytes(big[0].tobuf(tarfile.GNU_FORMAT) + bytes(5000))
    assert "more than any has" in refused(tmp_path / "b.tar")


# Archives whose every hash is right, around a run that is not.


def rewrite(name: str, edit: Callable[[Any], Any]) -> Change:
    """Edit a JSON file of a run."""

    def change(run: Path) -> None:
        (run / name).write_text(json.dumps(edit(json.loads((run / name).read_text()))))

    return change


def renamed(**changes: Any) -> Change:
    """Edit the configuration, and give the run the id that goes with it, where that can be had."""

    def change(run: Path) -> Path:
        config = replace(read_config(run), **changes)
        (run / "config.json").write_text(json.dumps(asdict(config)))
        return run.rename(run.parent / _id_of(config))

    return change


def _id_of(config: OfflineConfig) -> str:
    try:
        return config.id.replace("/", "_")
    except (TypeError, ValueError):
        digest = hashlib.sha256(json.dumps(asdict(config)).encode()).hexdigest()
        return f"reacher2d-medium-1-bc-s0-{digest[:10]}"


def replace_in(name: str, old: str, new: str) -> Change:
    def change(run: Path) -> None:
        content = (run / name).read_text()
        assert old in content
        (run / name).write_text(content.replace(old, new, 1))

    return change


def checkpoint(edit: Callable[[dict[str, Any], dict[str, Any]], object]) -> Change:
    """Edit the tensors and the state of a checkpoint."""

    def change(run: Path) -> None:
        tensors = load_file(run / CHECKPOINT)
        (_, state) = checkpoint_state(run / CHECKPOINT)
        edit(tensors, state)
        save_file(tensors, run / CHECKPOINT, metadata={"state": json.dumps(state)})

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (rewrite("config.json", lambda c: c | {"seed": 7}), "has the configuration of another run"),
        (rewrite("config.json", lambda c: c | {"steps": 30}), "has the configuration of another run"),
        (lambda run: run.rename(run.parent / RUN), "has the configuration of another run"),
        (rewrite("config.json", lambda c: c | {"exec": "x"}), "is no run's configuration"),
        (rewrite("config.json", lambda c: [c]), "is no run's configuration"),
        (lambda run: (run / "config.json").write_text("[" * 100_000), "can't be read (it is nested too deeply"),
        (lambda run: (run / "done.json").write_text("[" * 100_000), "can't be read (it is nested too deeply"),
        (
            lambda run: (run / "done.json").write_text("1" * (1 << 20)),
            "can't be read (1111111111... has 1048576 digits)",
        ),
        (renamed(dataset="../../evil"), "is no run's id"),
        (renamed(task="unheard-of"), "unknown task 'unheard-of'"),
        (renamed(fraction="1"), "is no run's configuration (fraction is '1'; expected"),
        (renamed(fraction=-0.5), "fraction is '-0.5'; expected a finite number, just above 0 to 1"),
        (renamed(evaluation_episodes=-1), "evaluation_episodes is '-1'; expected a whole number, 1 to 10000"),
        (renamed(evaluation_episodes=10**18), "evaluation_episodes is '1000000000000000000'; expected"),
        (renamed(selection="../../evil"), "selection is '../../evil'; expected one of uniform, length"),
        (renamed(method="evil"), "unknown method 'evil'"),
        (renamed(policy=[]), "is no run's configuration (policy is '[]'; expected an object"),
        (renamed(target_returns=[]), "target_returns is []; expected one or more"),
        (renamed(evaluation_episodes=0), "evaluation_episodes is '0'; expected a whole number, 1 to 1000000000000000"),
        (renamed(batch_size=True), "is no run's configuration (batch_size is 'True'; expected"),
        (replace_in("episodes.csv", "10,76.0,1", "10,76.0,0"), "episodes.csv holds an episode twice"),
        (lambda run: (run / "episodes.csv").write_text(""), "episodes.csv can't be read"),
        (lambda run: (run / "episodes.csv").unlink(), "episodes.csv is missing"),
        (lambda run: (run / "metrics.jsonl").write_text("{}\n"), "one JSON object a line, with steps that grow"),
        (lambda run: (run / "metrics.jsonl").write_text("{"), "metrics.jsonl can't be read"),
        (lambda run: (run / "metrics.jsonl").write_bytes(b"\xff"), "metrics.jsonl can't be read"),
        (lambda run: (run / "metrics.jsonl").unlink(), "is finished, but there is no metrics.jsonl"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 10, "loss": 1}\n'), "does not reach the run's last"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 20, "loss": NaN}'), "NaN is no finite number"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 20, "loss": 1e999}'), "1e999 is no finite number"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 20, "loss": "x"}'), "that are not finite numbers"),
        (replace_in("metrics.jsonl", '"loss": 0', '"loss": 1'), "other metrics or episodes than its checkpoint"),
        (replace_in("episodes.csv", "10,76.0,0,", "10,76.0,0,9"), "other metrics or episodes than its checkpoint"),
        (rewrite("done.json", lambda d: {}), "done.json lacks params_total"),
        (
            rewrite("done.json", lambda d: d | {"params_total": "many"}),
            "params_total is 'many'; expected a whole number",
        ),
        (
            rewrite("done.json", lambda d: d | {"train_seconds": None}),
            "train_seconds is 'None'; expected a finite number",
        ),
        (lambda run: (run / CHECKPOINT).write_bytes(b"\x80\x04cposix\nsystem\n"), "can't be read"),
        (lambda run: (run / CHECKPOINT).write_bytes((run / CHECKPOINT).read_bytes()[:-1]), "cut short or is no check"),
        (lambda run: save_file({"policy.x": np.zeros(1)}, run / CHECKPOINT), "cut short or is no checkpoint"),
        (checkpoint(lambda tensors, state: tensors.update(evil=np.zeros(1))), "it holds other tensors"),
        (checkpoint(lambda tensors, state: state.clear()), "says nothing of where the run stands"),
    ],
)
def test_a_run_that_does_not_fit_together(
    run: Path, tmp_path: Path, refused: Callable[[Path], str], change: Change, line: str
) -> None:
    made = change(run)
    forged_run = made if isinstance(made, Path) else run
    keep_sizes(forged_run)
    pack(tmp_path / "a.tar", members_of(forged_run))
    assert line in refused(tmp_path / "a.tar")
    with pytest.raises(UserError, match=r"\S"):  # nor does it leave its own machine
        export_runs(tmp_path / "b.tar", [forged_run])


def test_one_bad_run_keeps_the_good_ones_out(copied_runs: Path, tmp_path: Path, refused: Callable[[Path], str]) -> None:
    good, bad = folders(copied_runs, 0, 1)
    (bad / "episodes.csv").write_text("")
    contents = contents_of(good) | contents_of(bad)
    members = [*members_of(good)[1:], *members_of(bad)[1:]]
    members.sort(key=lambda one: one[0].name)
    pack(tmp_path / "a.tar", [member(MANIFEST, manifest_of(contents)), *members])
    assert f"run {bad.name} is damaged" in refused(tmp_path / "a.tar")


def test_a_run_without_the_sizes_it_had_is_refused(run: Path, refused: Callable[[Path], str], tmp_path: Path) -> None:
    """The next command would set it aside otherwise."""
    (run / "metrics.jsonl").write_bytes((run / "metrics.jsonl").read_bytes() + b"\n")
    pack(tmp_path / "a.tar", members_of(run))
    line = refused(tmp_path / "a.tar")
    assert "is damaged: metrics.jsonl has" in line
    assert "start the same command" not in line


def test_sizes_are_of_a_run_s_own_files_alone(run: Path) -> None:
    done = json.loads((run / "done.json").read_text())
    (run / "done.json").write_text(json.dumps(done | {"files": {"../evil": 5, "config.json/x": 5, "x" * 999: 5}}))
    assert damage(run) == ""
