import json
import math
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.runs.damage import damage as found_by_size
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.scores.collect import collect, finished, left_out
from lamobench.benchmark.scores.leaderboard import leaderboard
from lamobench.benchmark.scores.run import Run
from lamobench.datasets.errors import UserError

WriteRun = Callable[..., Path]


def statuses(runs: Sequence[Run]) -> list[str]:
    return [run.status for run in runs]


RETURNS = [[50.0, 60.0], [1.0, 2.0], [3.0, 6.0]]  # three evaluations of two episodes


def test_scores_by_hand(runs_root: Path, write_run: WriteRun) -> None:
    write_run(RETURNS)  # on reacher2d the score is the return; the headline is the last two evaluations
    (run,) = finished(collect(runs_root))
    assert (run.status, run.problem) == ("finished", "")
    result = run.result
    assert result.score == result.return_mean == 3.0  # of 1, 2, 3, 6; the other target's -1000 is left out
    assert (result.target_return, result.best_score) == (76.0, 55.0)
    assert result.headline_scores.tolist() == [1.0, 2.0, 3.0, 6.0]
    assert result.curve_steps.tolist() == [100, 200, 300]
    assert result.curve_scores.tolist() == [55.0, 1.5, 4.5]
    assert (run.config.seed, run.config.policy, run.done["params_total"]) == (0, {"hidden": 256}, 1000)


def test_scores_do_not_depend_on_the_order_of_the_rows(runs_root: Path, write_run: WriteRun) -> None:
    path = write_run(RETURNS) / "episodes.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    (run,) = finished(collect(runs_root))
    assert run.result.headline_scores.tolist() == [1.0, 2.0, 3.0, 6.0]


def test_what_was_read_cannot_be_changed(runs_root: Path, write_run: WriteRun) -> None:
    write_run(RETURNS)
    (run,) = finished(collect(runs_root))
    for record, name in ((run, "status"), (run.result, "score"), (run.data, "fraction"), (run.config, "seed")):
        with pytest.raises(FrozenInstanceError):
            setattr(record, name, 1)


@pytest.mark.parametrize("exists", [True, False])
def test_no_runs_is_a_clear_error(runs_root: Path, exists: bool) -> None:
    if exists:
        (runs_root / ".half-written").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no runs in '.*runs'; make some with `lamobench sweep`"):
        collect(runs_root)


def test_folders_inside_are_read_and_are_no_runs(runs_root: Path, write_run: WriteRun) -> None:
    """An advice to delete them would, if followed, cost every run in them."""
    run = write_run(RETURNS)
    (runs_root / "a-folder" / "of-others").mkdir(parents=True)
    (runs_root / "link").symlink_to(runs_root)
    assert [found.folder for found in collect(runs_root.parent)] == [run]
    hidden = runs_root / ".half-written"
    run.rename(hidden)
    with pytest.raises(UserError, match="no runs in"):
        collect(runs_root.parent)


def test_a_run_in_two_folders_counts_once_and_finished(runs_root: Path, write_run: WriteRun) -> None:
    first = write_run(RETURNS, seed=0)
    second = write_run(RETURNS, seed=1)
    for name in ("demo", "hopper"):
        for folder in (first, second):
            shutil.copytree(folder, runs_root / name / folder.name)
    for folder in (first, second):
        shutil.rmtree(folder)
    (runs_root / "demo" / first.name / "done.json").unlink()
    runs = collect(runs_root, runs_root / "hopper")
    assert statuses(runs) == ["finished", "finished"]
    assert [run.folder.parent.name for run in runs] == ["hopper", "demo"]
    assert left_out(runs) == []
    assert leaderboard(runs)["seeds"].tolist() == [2]


def test_unfinished_and_failed_runs_are_reported(runs_root: Path, write_run: WriteRun) -> None:
    write_run(RETURNS, seed=0)
    (write_run(RETURNS, seed=1) / "done.json").unlink()
    failed = write_run(RETURNS, seed=2)
    (failed / "done.json").unlink()
    (failed / "failed.json").write_text(json.dumps({"message": "the loss became nan; lower the learning rate"}))
    runs = collect(runs_root)
    assert statuses(runs) == ["finished", "unfinished", "failed"]
    unfinished, failure = left_out(runs)
    assert unfinished.startswith("1 run is unfinished (reacher2d-medium-large-")
    assert re.search(r"-s1-[0-9a-f]{10}\); start the same command again to go on$", unfinished)
    assert failure == f"{failed.name}: failed: the loss became nan; lower the learning rate"
    assert leaderboard(runs)["seeds"].tolist() == [1]


def cut(text: str) -> str:
    return text[:-20]


def drop_last_row(text: str) -> str:
    return text[: text.rstrip("\n").rindex("\n") + 1]


def repeat_an_episode(text: str) -> str:
    return text.replace("300,76.0,1,7,", "300,76.0,0,7,")


DAMAGE = [
    ("config.json", cut, "config.json can't be read"),
    (
        "config.json",
        lambda text: text.replace('"steps"', '"stops"'),
        "config.json has 'stops', which is no field of this version's",
    ),
    ("config.json", lambda text: "[]", "config.json can't be read (it holds no object)"),
    ("done.json", lambda text: "", "done.json can't be read"),
    ("done.json", lambda text: "{}", "done.json lacks params_total"),
    ("episodes.csv", cut, "episodes.csv can't be read (it is cut short"),
    ("episodes.csv", lambda text: text[:-2] + "\n", ""),  # "100" to "10" in a column that no score needs
    ("episodes.csv", lambda text: text[:-1], "it is cut short"),
    ("episodes.csv", lambda text: drop_last_row(drop_last_row(drop_last_row(text))), "holds 2 at step 100"),
    ("episodes.csv", lambda text: text + text.split("\n", 1)[1], "holds 4 at step 100"),
    ("episodes.csv", repeat_an_episode, "holds an episode twice"),
    ("episodes.csv", lambda text: text.replace("6.0,100", "nan,100"), "not 6 finite numbers"),
    ("episodes.csv", lambda text: text.replace("6.0,100", "six,100"), "episodes.csv can't be read"),
    ("episodes.csv", lambda text: text.replace("6.0,100", "6.0"), "episodes.csv can't be read"),
    ("episodes.csv", lambda text: text.replace("return,length", "reward,length"), "its first line is not"),
    ("episodes.csv", lambda text: text.split("\n")[0] + "\n", "can't be read"),
    ("episodes.csv", lambda text: text.replace("300,", "400,"), "the last at step 300; it holds"),
    ("episodes.csv", lambda text: text.replace("76.0", "75.0"), "it holds none"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("file", "damage", "problem"), DAMAGE)
def test_damage_is_named_with_what_to_do(
    runs_root: Path, write_run: WriteRun, file: str, damage: Callable[[str], str], problem: str
) -> None:
    write_run(RETURNS, seed=0)
    folder = write_run(RETURNS, seed=1)
    (folder / file).write_text(damage((folder / file).read_text()))
    runs = collect(runs_root)
    assert statuses(runs) == ["finished", "damaged" if problem else "finished"]
    if problem:
        (line,) = left_out(runs)
        assert line.startswith(f"{folder.name}: damaged: ")
        assert problem in line
        advice = "which sets its folder aside" if found_by_size(folder) else f"; delete '{folder}' and start the same"
        assert advice in line
        assert "\n" not in line
        assert leaderboard(runs)["seeds"].tolist() == [1]  # the sound run still counts


@pytest.mark.parametrize("name", ["metrics.jsonl", "episodes.csv"])
def test_what_a_sweep_would_set_aside_does_not_count(runs_root: Path, write_run: WriteRun, name: str) -> None:
    write_run(RETURNS, seed=0)
    folder = write_run(RETURNS, seed=1)
    (folder / "metrics.jsonl").write_text('{"step": 300}\n')
    done = json.loads((folder / "done.json").read_text())
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))
    assert statuses(collect(runs_root)) == ["finished", "finished"]
    cut_file = folder / name
    cut_file.write_text(cut_file.read_text()[:-5])
    runs = collect(runs_root)
    assert statuses(runs) == ["finished", "damaged"]
    (line,) = left_out(runs)
    assert name in line
    assert line.endswith("; start the same command again, which sets its folder aside")
    assert leaderboard(runs)["seeds"].tolist() == [1]


def test_an_unfinished_run_without_a_whole_checkpoint_is_damaged(runs_root: Path, write_run: WriteRun) -> None:
    folder = write_run(RETURNS)
    (folder / "done.json").unlink()
    (folder / "checkpoint.safetensors").write_bytes(b"cut")
    (run,) = collect(runs_root)
    assert (run.status, run.problem) == ("damaged", "checkpoint.safetensors is cut short")


def test_event_files_are_no_runs(runs_root: Path, write_run: WriteRun) -> None:
    run = write_run(RETURNS)
    (runs_root / "tensorboard" / run.name.replace("bc", "dt")).mkdir(parents=True)
    assert [found.folder for found in collect(runs_root)] == [run]


def test_unfinished_runs_are_counted_and_named_in_one_line(runs_root: Path, write_run: WriteRun) -> None:
    for seed in range(13):
        (write_run(RETURNS, seed=seed) / "done.json").unlink()
    (line,) = left_out(collect(runs_root))
    assert line.startswith("13 runs are unfinished (")
    assert line.count("-s") == 10
    assert line.endswith(" and 3 more); start the same command again to go on")


def test_missing_files_are_damage(runs_root: Path, write_run: WriteRun) -> None:
    for seed, name in enumerate(("config.json", "episodes.csv")):
        (write_run(RETURNS, seed=seed) / name).unlink()
    assert statuses(collect(runs_root)) == ["damaged", "damaged"]


def test_a_thousand_runs_take_about_a_second(runs_root: Path, write_run: WriteRun) -> None:
    rng = np.random.default_rng(0)
    for group in range(100):
        for seed in range(10):
            write_run(rng.uniform(0, 100, (3, 5)), seed=seed, method=f"method{group}")
    started = time.process_time()
    frame = leaderboard(collect(runs_root))
    seconds = time.process_time() - started
    assert (len(frame), math.isnan(frame["ci_low"].sum())) == (100, False)
    assert seconds < 3.0  # ten thousand must stay below ten seconds; the margin is for a busy machine
