"""Runs as one file: there and back."""

import json
import os
import signal
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from lamobench.benchmark.offline.loop import Training, train
from lamobench.benchmark.runs.damage import damage
from lamobench.benchmark.runs.layout import CHECKPOINT, run_folders
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.store import open_run
from lamobench.benchmark.scores.collect import collect, finished
from lamobench.benchmark.sharing import archive as run_archive
from lamobench.benchmark.sharing import files as run_files
from lamobench.benchmark.sharing.archive import MANIFEST, export_runs, import_runs
from lamobench.benchmark.sharing.files import check_run, checkpoint_state
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import folders, snapshot


def shared(root: Path) -> dict[str, bytes]:
    return {name: content for name, content in snapshot(root).items() if not name.endswith(".lock")}


def test_runs_arrive_as_they_were(shared_runs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "runs.tar"
    root = tmp_path / "there" / "runs"
    chosen = folders(shared_runs, 0, 1, 2)
    contents = export_runs(archive, chosen)
    placed = import_runs(archive, root)
    assert placed.added == sorted(contents) == sorted(path.name for path in chosen)
    assert placed.there == []
    assert shared(root) == shared(shared_runs)
    assert [check_run(root / path.name) for path in chosen] == ["finished", "finished", "unfinished"]
    assert (root / chosen[0].name).stat().st_mode & 0o777 == 0o755
    again = import_runs(archive, root)
    assert (again.added, again.there) == ([], placed.added)
    assert shared(root) == shared(shared_runs)


def test_runs_that_left_their_checkpoints_behind_are_whole(
    shared_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (chosen,) = folders(shared_runs, 0)
    export_runs(tmp_path / "runs.tar", [chosen], checkpoints=False)
    import_runs(tmp_path / "runs.tar", tmp_path / "there")
    arrived = tmp_path / "there" / chosen.name
    assert damage(arrived) == ""
    monkeypatch.setattr(Training, "live", lambda training: pytest.fail("it is trained again"))
    assert train(read_config(arrived), tmp_path / "there", "cpu") == arrived


def test_the_same_runs_give_the_same_bytes(shared_runs: Path, copied_runs: Path, tmp_path: Path) -> None:
    for path in copied_runs.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    export_runs(tmp_path / "a.tar", folders(shared_runs, 0, 1))
    export_runs(tmp_path / "b.tar", folders(copied_runs, 1, 0))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_any_program_can_look_inside_and_find_nothing_to_run(shared_runs: Path, tmp_path: Path) -> None:
    export_runs(tmp_path / "runs.tar", folders(shared_runs, 0))
    with tarfile.open(tmp_path / "runs.tar") as tar:
        infos = tar.getmembers()
        value = json.loads(tar.extractfile(infos[0]).read())  # type: ignore[union-attr]
    assert (value["format"], value["version"]) == ("lamobench runs", 1)
    ((run, files),) = value["runs"].items()
    assert [info.name for info in infos] == [MANIFEST, *(f"runs/{run}/{name}" for name in sorted(files))]
    assert all(info.isreg() and info.mode == 0o644 and not info.mtime and not info.uname for info in infos)
    assert {Path(info.name).suffix for info in infos} == {".json", ".jsonl", ".csv", ".safetensors"}


def test_a_run_that_was_stopped_goes_on_elsewhere_to_the_same_numbers(
    shared_runs: Path, copied_runs: Path, tmp_path: Path, home: Path
) -> None:
    (half_way,) = folders(shared_runs, 2)
    export_runs(tmp_path / "runs.tar", [half_way])
    import_runs(tmp_path / "runs.tar", tmp_path / "there")
    config = read_config(half_way)
    whole, moved = (train(config, root, "cpu") for root in (tmp_path / "anew", tmp_path / "there"))
    assert checkpoint_state(moved / CHECKPOINT)[1]["step"] == config.steps
    assert (whole / "episodes.csv").read_text() == (moved / "episodes.csv").read_text()
    before = load_file(whole / CHECKPOINT)
    after = load_file(moved / CHECKPOINT)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_without_checkpoints_the_scores_are_all_there(shared_runs: Path, tmp_path: Path) -> None:
    export_runs(tmp_path / "whole.tar", folders(shared_runs, 0, 1))
    export_runs(tmp_path / "runs.tar", folders(shared_runs, 0, 1), checkpoints=False)
    assert (tmp_path / "runs.tar").stat().st_size < (tmp_path / "whole.tar").stat().st_size
    import_runs(tmp_path / "runs.tar", tmp_path / "there")
    assert not list((tmp_path / "there").rglob(CHECKPOINT))
    ours = finished(collect(shared_runs))
    theirs = finished(collect(tmp_path / "there"))
    assert [run.result.score for run in theirs] == [run.result.score for run in ours]
    with pytest.raises(UserError, match=r"there already and has other content, or none, in checkpoint\.safetensors;"):
        import_runs(tmp_path / "whole.tar", tmp_path / "there")
    with pytest.raises(UserError, match=r"is unfinished and is nothing without its checkpoint"):
        export_runs(tmp_path / "c.tar", folders(shared_runs, 2), checkpoints=False)


def test_a_run_that_is_there_is_never_overwritten(shared_runs: Path, copied_runs: Path, tmp_path: Path) -> None:
    export_runs(tmp_path / "runs.tar", folders(shared_runs, 0, 1))
    (first, second) = folders(copied_runs, 0, 1)
    done = json.loads((second / "done.json").read_text())
    (second / "done.json").write_text(json.dumps(done | {"train_seconds": 99.0}))
    for path in first.iterdir():  # it would be new
        path.unlink()
    first.rmdir()
    before = snapshot(copied_runs)
    with pytest.raises(UserError, match=rf"{second.name} is there already and has other content, or none, in done\.js"):
        import_runs(tmp_path / "runs.tar", copied_runs)
    assert snapshot(copied_runs) == before


def test_what_fails_in_the_middle_moves_nothing(
    shared_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_runs(tmp_path / "runs.tar", folders(shared_runs, 0, 1))
    rename = os.rename
    calls = []

    def full(source: Any, target: Any) -> None:
        if Path(source).is_dir():  # a run, and no lock
            calls.append(target)
            if len(calls) == 2:
                raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(run_files.os, "rename", full)
    with pytest.raises(OSError, match="No space left") as met:
        import_runs(tmp_path / "runs.tar", tmp_path / "there")
    assert met.value.filename == str(tmp_path / "there")
    assert len(calls) == 2
    assert not list((tmp_path / "there").iterdir())


def killed_before(rename: int, archive: Path, root: Path) -> bool:
    """Import in a process that is killed before that rename of a folder; whether there was one."""
    child = os.fork()
    if child == 0:
        genuine = os.rename
        left = [rename]

        def count_down(source: Any, target: Any) -> None:
            if Path(source).is_dir():
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            genuine(source, target)

        run_files.os.rename = count_down  # type: ignore[attr-defined]
        import_runs(archive, root)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_an_import_that_is_killed_brings_all_runs_or_none_and_the_next_completes_it(
    shared_runs: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "runs.tar"
    seen = []
    chosen = folders(shared_runs, 0, 1, 2)
    names = sorted(folder.name for folder in chosen)
    export_runs(archive, chosen)
    for rename in range(1, 100):
        root = tmp_path / f"there-{rename}"
        if not killed_before(rename, archive, root):
            break
        found = sorted(folder.name for folder in run_folders(root))
        assert found in ([], names)
        assert found == [] or "damaged" not in {run.status for run in collect(root)}
        seen.append(len(found))
        placed = import_runs(archive, root)
        assert sorted(placed.added + placed.there) == names
        assert sorted(path.name for path in root.iterdir()) == names
        assert shared(root) == shared(shared_runs)
    assert seen == [0, 0, 0, 0, 3, 3, 3]  # three into a batch, the batch into sight, three to their places


def test_an_archive_that_was_half_written_goes_with_the_next(shared_runs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "runs.tar"
    child = os.fork()
    if child == 0:
        run_archive._header = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        export_runs(archive, folders(shared_runs, 0))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    (left,) = tmp_path.glob(".runs.tar.*")
    (tmp_path / ".runs.tar.swp").touch()  # a person's own
    export_runs(archive, folders(shared_runs, 0))
    assert not left.exists()
    assert sorted(path.name for path in tmp_path.glob("*runs.tar*")) == [".runs.tar.swp", "runs.tar"]


def test_what_a_killed_import_left_goes_with_the_next(shared_runs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "runs.tar"
    root = tmp_path / "there"
    export_runs(archive, folders(shared_runs, 0))
    child = os.fork()
    if child == 0:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run_archive, "check_run", lambda _: os.kill(os.getpid(), signal.SIGKILL))
            import_runs(archive, root)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(list(root.glob(".arriving.*/*/config.json"))) == 1
    with run_files.waiting_room(root) as living:
        assert import_runs(archive, root).added == [folders(shared_runs, 0)[0].name]
        assert list(root.glob(".arriving.*/")) == [living]
    assert [path.name for path in root.iterdir()] == [folders(shared_runs, 0)[0].name]


def test_what_can_not_be_exported(shared_runs: Path, copied_runs: Path, tmp_path: Path) -> None:
    archive = tmp_path / "runs.tar"
    with pytest.raises(UserError, match="no runs to export"):
        export_runs(archive, [])
    (run,) = folders(copied_runs, 0)
    episodes = (run / "episodes.csv").read_text()
    (run / "episodes.csv").write_text(episodes[:-4])
    with pytest.raises(UserError, match=rf"^run {run.name} is damaged: episodes\.csv has \d+ bytes instead of"):
        export_runs(archive, [run])
    (half_way,) = folders(copied_runs, 2)
    with open_run(copied_runs, read_config(half_way)), pytest.raises(UserError, match="worked on by another process"):
        export_runs(archive, [half_way])
    assert not archive.exists()
    archive.write_text("mine")
    with pytest.raises(UserError, match=r"there already; give another name, or --force"):
        export_runs(archive, folders(shared_runs, 0))
    assert archive.read_text() == "mine"
    export_runs(archive, folders(shared_runs, 0), force=True)
    assert import_runs(archive, tmp_path / "there").added
