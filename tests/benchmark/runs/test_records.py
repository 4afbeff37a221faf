"""Tests of a run's files: every field replaced by what it can't be, beside a run that must still be seen."""

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.cli.watch import last_score
from lamobench.benchmark.offline.config import LATER_FIELDS, OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.layout import CHECKPOINT
from lamobench.benchmark.runs.records import DONE_KINDS, LATER_DONE_KINDS, check_checkpoint, read_config, read_metrics
from lamobench.benchmark.scores.collect import collect, finished, read_finished, unverified
from lamobench.benchmark.sharing.archive import export_runs
from lamobench.benchmark.sharing.events import points_of
from lamobench.benchmark.sharing.files import check_run, checkpoint_state
from lamobench.benchmark.sweep.plan import make_plan
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import folders

Change = Callable[[dict[str, Any]], object]

NESTED: Any = "[" * 100_000 + "]" * 100_000
HOSTILE: dict[str, Any] = {
    "null": None,
    "list": [None, {"a": [1]}],
    "object": {"a": {"b": 1}},
    "huge": 10**30,
    "negative": -1,
    "infinite": math.inf,
    "nested": NESTED,
    "path": "../../../etc/passwd",
    "escape": "\x1b[2J\n",
    "half a character": "\ud800",
}
FIELDS = {"config.json": [field.name for field in fields(OfflineConfig)], "done.json": [*DONE_KINDS, *LATER_DONE_KINDS]}


def rewrite(run: Path, name: str, change: Change) -> None:
    """Change the object in one of a run's files."""
    values = json.loads((run / name).read_text())
    change(values)
    (run / name).write_text(json.dumps(values).replace(json.dumps(NESTED), NESTED))


def forge(run: Path, **changes: Any) -> Path:
    """Change a run's configuration as a forger would: its folder's name, sizes and hashes fit what it says then."""
    rewrite(run, "config.json", lambda config: config.update(changes))
    forged = run.rename(run.with_name(OfflineConfig(**json.loads((run / "config.json").read_text())).id))
    rewrite(forged, "done.json", lambda done: done.update(sizes_and_hashes(forged)))
    return forged


@pytest.fixture
def good(copied_runs: Path) -> Path:
    """A finished run, by itself in its folder."""
    for other in folders(copied_runs, 1, 2):
        shutil.rmtree(other)
    return folders(copied_runs, 0)[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_hostile_field_hides_a_good_run(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    root = good.parent
    score = read_finished(good).result.score
    names = []
    for name, field in [(name, field) for name, known in FIELDS.items() for field in known]:
        copy = root / f"{name[:-5]}-{field}-s1-{len(names):010x}"
        shutil.copytree(good, copy)
        rewrite(copy, name, lambda values, field=field: values.update({field: HOSTILE[kind]}))  # type: ignore[misc]
        names.append(copy.name)
    runs = collect(root)
    assert {run.id: run.status for run in runs} == {good.name: "finished", **dict.fromkeys(names, "damaged")}
    assert [run.result.score for run in finished(runs)] == [score]
    assert all(run.problem.isprintable() for run in runs)
    for command in ("leaderboard --no-figures", "report", "compare"):
        output = [] if command == "compare" else ["--output", str(tmp_path / command.split()[0])]
        cli.parse([*command.split(), "--runs", str(root), *output]).run()
        assert capsys.readouterr().err.count(": damaged: ") == len(names)
    with (tmp_path / "leaderboard" / "leaderboard.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["seeds"], float(row["score_mean"])) == ("1", pytest.approx(score, abs=1e-3))
    assert [len(row.runs) for row in read_contents(root).rows] == [1]
    cli.parse(["runs", "list", "--runs", str(root), "--json"]).run()
    listed = {run["run"]: run for run in json.loads(capsys.readouterr().out)}
    assert {listed[name]["status"] for name in names} == {"damaged"}
    cli.parse(["runs", "export", str(tmp_path / "all.tar"), "--runs", str(root)]).run()
    cli.parse(["watch", "--runs", str(root), "--once"]).run()
    config = read_config(good)
    assert make_plan([config], root).done == [good.name]
    assert train(config, root, "cpu") == good


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_field_is_named(good: Path, name: str, kind: str) -> None:
    """The hash finds what the field's own kind lets through, or the name of the folder does."""
    unnamed = []
    for field in FIELDS[name]:
        before = (good / name).read_text()
        rewrite(good, name, lambda values, field=field: values.update({field: HOSTILE[kind]}))  # type: ignore[misc]
        (run,) = collect(good.parent)
        (good / name).write_text(before)
        if f"{name}: {field} is " not in run.problem and f"{name}: the setting " not in run.problem:
            unnamed.append(field)
            shown = f"{name} can't be read|has the configuration of another run|{name} was changed|{name} has .* bytes"
            assert run.status == "finished" or re.search(shown, run.problem), run.problem
    if kind in ("null", "list"):
        assert unnamed == []


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"fraction": -0.5}, "fraction is '-0.5'; expected a finite number"),
        ({"fraction": 0}, "fraction is '0'; expected a finite number"),
        ({"evaluation_episodes": -1}, "evaluation_episodes is '-1'; expected a whole number, 1 to 1000000000000000"),
        ({"evaluation_episodes": 10**18}, "evaluation_episodes is '1000000000000000000'; expected a whole number"),
        ({"steps": True}, "steps is 'True'; expected a whole number"),
        ({"seed": 2**32}, "seed is '4294967296'; expected a whole number, 0 to"),
        ({"selection": "../../evil"}, "selection is '../../evil'; expected one of uniform, length"),
        ({"precision": "float8"}, "precision is 'float8'; expected one of float32, bfloat16"),
        ({"legacy": ["evil"]}, "legacy is 'evil'; expected one of "),
        ({"target_returns": []}, "target_returns is []; expected one or more"),
        ({"policy": {"hidden": [[1]]}}, "the setting 'hidden' is '[[1]]'; expected a number or a text"),
    ],
)
def test_values_out_of_range_are_refused_however_well_forged(good: Path, changes: dict[str, Any], line: str) -> None:
    forged = forge(good, **changes)
    (run,) = collect(forged.parent)
    assert (run.status, line in run.problem) == ("damaged", True), run.problem
    for read in (read_config, check_run):
        with pytest.raises(UserError) as mistake:
            read(forged)
        assert line in str(mistake.value)


def test_a_run_from_before_there_were_later_fields_is_read(good: Path) -> None:
    config = read_config(good)
    rewrite(good, "config.json", lambda values: [values.pop(name, None) for name in LATER_FIELDS])
    rewrite(good, "done.json", lambda done: [done.pop(name) for name in LATER_DONE_KINDS])
    assert read_config(good) == config
    assert not read_finished(good).verified


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("config.json", '"batch_size": 8', '"batch_size": 9'),
        ("config.json", '"seed": 0', '"seed": 7'),
        ("episodes.csv", "10,76.0,0,", "10,76.0,0,9"),
    ],
)
def test_a_changed_digit_does_not_count(good: Path, name: str, old: str, new: str) -> None:
    text = (good / name).read_text()
    place = text.index(old)
    (good / name).write_text(text[:place] + new + text[place + len(new) :])  # as long as before
    (run,) = collect(good.parent)
    assert run.status == "damaged"
    assert run.problem.startswith(f"{name} was changed after the run finished")
    assert f"delete '{good}'" in run.advice  # no sweep would set it aside


def test_hashes_are_of_the_bytes_on_the_disk(good: Path) -> None:
    done = json.loads((good / "done.json").read_text())
    assert {name: done[name] for name in ("files", "sha256")} == sizes_and_hashes(good)
    assert set(done["sha256"]) == {"config.json", "metrics.jsonl", "episodes.csv", CHECKPOINT}


def test_runs_with_sizes_alone_count_and_are_said_to_be_unverified(
    copied_runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert unverified(collect(copied_runs)) == []
    rewrite(folders(copied_runs, 1)[0], "done.json", lambda done: done.pop("sha256"))
    assert [run.status for run in collect(copied_runs)] == ["finished", "finished", "unfinished"]
    for command in ("leaderboard", "report"):
        options = ["--no-figures"] if command == "leaderboard" else []
        cli.parse([command, "--runs", str(copied_runs), "--output", str(tmp_path / command), *options]).run()
        (note,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
        assert note.startswith("note: 1 of 2 finished runs are unverified")


def test_a_renamed_run_is_no_second_one(good: Path) -> None:
    shutil.copytree(good, good.with_name(f"copy-{good.name}"))
    copy, original = collect(good.parent)
    assert (original.id, original.status) == (good.name, "finished")
    assert f"has the configuration of another run, '{good.name}'" in copy.problem


def spoil(run: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> None:
    """Change tensors and state of a checkpoint."""
    tensors = load_file(run / CHECKPOINT)
    (_, state) = checkpoint_state(run / CHECKPOINT)
    change(tensors, state)
    save_file(tensors, run / CHECKPOINT, metadata={"state": json.dumps(state).replace(json.dumps(NESTED), NESTED)})


def first(tensors: dict[str, Any], prefix: str) -> str:
    return next(name for name in sorted(tensors) if name.startswith(prefix) and tensors[name].ndim)


def moments(tensors: dict[str, Any]) -> None:
    tensors[first(tensors, "optimizer.")] = torch.zeros(3, 1, 7)


def not_finite(prefix: str) -> Callable[[dict[str, Any], dict[str, Any]], object]:
    return lambda tensors, state: tensors[first(tensors, prefix)].fill_(math.nan)


@pytest.mark.parametrize(
    "change",
    [
        *(
            lambda tensors, state, field=field, value=value: state.update({field: value})
            for field in ("step", "train_seconds", "metrics", "episodes", "random")
            for value in (None, [None], -1, 10**30, NESTED)
        ),
        lambda tensors, state: state["random"].update(state={"state": "x", "inc": -1}),
        lambda tensors, state: state.update(evaluation_seconds="x"),
        lambda tensors, state: state.pop("random"),
        lambda tensors, state: state["metrics"][0].update(step="x"),
        lambda tensors, state: tensors.pop("random.torch"),
        lambda tensors, state: tensors.update({"random.torch": torch.zeros(3)}),
        lambda tensors, state: tensors.update({"optimizer.999.exp_avg": torch.zeros(3)}),
        lambda tensors, state: tensors.update({"optimizer.x": torch.zeros(3)}),
        lambda tensors, state: moments(tensors),
        not_finite("policy."),
        not_finite("optimizer."),
    ],
)
@pytest.mark.usefixtures("home")
def test_hostile_checkpoints_end_in_one_line(copied_runs: Path, change: Any) -> None:
    run = folders(copied_runs, 2)[0]
    spoil(run, change)
    with pytest.raises(UserError) as mistake:
        train(read_config(run), copied_runs, "cpu")
    assert "cannot be read" in str(mistake.value)
    assert str(mistake.value).isprintable()
    assert [run.status for run in collect(copied_runs)] == ["finished", "finished", "failed"], "why is kept beside it"


@pytest.mark.usefixtures("home")
def test_a_finished_checkpoint_is_what_was_written(good: Path, tmp_path: Path) -> None:
    check_checkpoint(good)
    spoil(good, lambda tensors, state: tensors[first(tensors, "policy.")].add_(1.0))
    size = (good / CHECKPOINT).stat().st_size
    rewrite(good, "done.json", lambda done: done["files"].update({CHECKPOINT: size}))
    for use in (check_checkpoint, check_run, lambda run: export_runs(tmp_path / "a.tar", [run])):
        with pytest.raises(UserError, match=rf"{CHECKPOINT} was changed after the run finished"):
            use(good)  # type: ignore[operator]
    with pytest.raises(UserError, match=rf"{CHECKPOINT} was changed after the run finished"):
        cli.parse(["evaluate", str(good), "--episodes", "1"]).run()


@pytest.mark.parametrize("line", ["null", "[1]", '{"step": null}', '{"step": 1e400}', NESTED, '{"step": 20, "x": {}}'])
def test_hostile_metrics_are_named(good: Path, line: str) -> None:
    (good / "metrics.jsonl").write_text(f"{line}\n")
    config = read_config(good)
    with pytest.raises(UserError, match=r"metrics\.jsonl (can't be read|must hold|holds values)"):
        read_metrics(good, config.steps)
    with pytest.raises(UserError, match="look at `lamobench runs list`"):
        list(points_of(good, config))
    (good / "done.json").unlink()
    assert make_plan([config], good.parent).begun == {}
    cli.parse(["runs", "list", "--runs", str(good.parent)]).run()


@pytest.mark.parametrize("row", ["10,76.0,0,1,1e300,5", "10,76.0,0,1,nan,5", "1" * 200_000, "a,b,c,d,e,f", "\0", ""])
def test_hostile_episodes_are_no_score(good: Path, row: str) -> None:
    (good / "episodes.csv").write_text(f"step,target_return,episode,seed,return,length\n{row}\n")
    rewrite(good, "done.json", lambda done: done.update(sizes_and_hashes(good)))
    (run,) = collect(good.parent)
    assert run.problem.startswith("episodes.csv ")
    assert last_score(good) is None
