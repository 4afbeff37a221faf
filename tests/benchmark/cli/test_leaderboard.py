"""`lamobench leaderboard` over many runs, and `lamobench fractions`."""

import csv
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.methods import methods_of
from lamobench.benchmark.runs.store import open_run
from lamobench.benchmark.scores.collect import uncollected
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.conftest import later_settings
from lamobench.tests.benchmark.little_runs import snapshot

Requests = Callable[..., RunRequest]
Run = Callable[..., str]
WriteRun = Callable[..., Path]
FRACTIONS = (0.01, 0.1, 0.3, 1.0)


def many_runs(root: Path, model: Path) -> int:
    """Ten data sets, four fractions, ten methods and 25 seeds like one run, in seconds; every 100th is not finished."""
    rng = np.random.default_rng(0)
    done = json.loads((model / "done.json").read_text())
    number = 0
    like = json.loads((model / "config.json").read_text())
    starts = [f"{step},76.0,{episode},{episode}," for step in (100, 200, 300) for episode in range(4)]
    for data in range(10):
        for method in ("lamo", "lamo-random", "dt", "bc", "cql", "iql", "td3-bc", "rebrac", "rvs", "bc-10"):
            for fraction in FRACTIONS:
                for seed in range(25):
                    config = like | {"dataset": f"data-{data}", "method": method, "fraction": fraction, "seed": seed}
                    config |= {"data_seed": seed, "subset_hash": f"{fraction} {seed}"}
                    config["policy"] = later_settings("cpu", "reacher2d", method)
                    folder = root / f"folder-{data}" / OfflineConfig(**config).id
                    folder.mkdir(parents=True)
                    (folder / "config.json").write_text(json.dumps(config))
                    rows = [
                        f"{start}{score:.6f},100" for start, score in zip(starts, rng.normal(50, 9, 12), strict=True)
                    ]
                    (folder / "episodes.csv").write_text(
                        "\n".join(["step,target_return,episode,seed,return,length", *rows, ""])
                    )
                    number += 1
                    if number % 100:
                        (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))
    return number


def seconds_of_reading(root: Path) -> float:
    """The processor time that it takes to read and parse the same files and to keep them, with nothing checked."""
    started = time.process_time()
    kept: list[Any] = []
    with uncollected():
        for folder in root.glob("*/*"):
            kept.append(json.loads((folder / "config.json").read_text()))
            if (folder / "done.json").exists():
                kept.append(json.loads((folder / "done.json").read_text()))
            kept.append(np.loadtxt((folder / "episodes.csv").read_text().splitlines()[1:], delimiter=","))
    return time.process_time() - started


def test_ten_thousand_runs_take_less_than_ten_seconds(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_run([[1.0] * 4] * 3).rename(tmp_path / "model")
    assert many_runs(runs_root, model) == 10_000
    arguments = ["leaderboard", "--runs", str(runs_root), "--output", str(tmp_path / "out"), "--no-figures"]
    reading = seconds_of_reading(runs_root)
    started = time.process_time()
    cli.parse(arguments).run()
    seconds = time.process_time() - started  # of the processor: others may be busy with it too
    output, errors = capsys.readouterr()
    assert "10 data sets at 100 % (recorded data, cpu profile), with 95 % intervals: data-0, data-1" in output
    (line,) = errors.splitlines()
    assert line.startswith("left out: 100 runs are unfinished (")
    counts = {}
    for name in ("leaderboard", "aggregates", "comparisons"):
        with (tmp_path / "out" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            counts[name] = sum(1 for _ in csv.DictReader(file))
    assert counts == {"leaderboard": 400, "aggregates": 440, "comparisons": 9 * 44}
    # Ranking is five times the reading, and seven times where memory is slow; growth faster than linear is far above.
    assert seconds < max(10.0, 8 * reading), "a slow processor takes longer to read alone, too"


@pytest.fixture
def two_data_sets(tmp_path: Path, runs_root: Path, write_run: WriteRun, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LaMo and DT at three fractions of two data sets, in a folder each, and one more at a single fraction."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for data in ("reacher2d-medium", "reacher2d-medium-large"):
        folder = runs_root / f"of-{data}"
        folder.mkdir(parents=True)
        for method in ("lamo", "dt"):
            for fraction in FRACTIONS[1:]:
                for seed in range(3):
                    scores = rng.normal(50.0 * fraction + 10.0 * seed, 5.0, (2, 4))
                    written = write_run(scores, dataset=data, method=method, fraction=fraction, seed=seed)
                    written.rename(folder / written.name)
    write_run([[1.0]] * 2, dataset="hopper-medium", task="hopper")
    return tmp_path


def panels(drawn: list[Any]) -> dict[str, list[int]]:
    """The titles of the panels, and how many points each line has."""
    return {axes.get_title("left"): [len(line.get_xdata()) for line in axes.get_lines()] for axes in drawn[-1].axes}


def run(*arguments: str) -> None:
    cli.parse(["fractions", *arguments]).run()


def test_fractions_make_a_panel_of_each_data_set(
    two_data_sets: Path, drawn: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    assert panels(drawn) == {"reacher2d-medium": [3, 3], "reacher2d-medium-large": [3, 3]}
    axes = drawn[-1].axes[0]
    assert (axes.get_xscale(), [tick.get_text() for tick in axes.get_xticklabels()]) == ("log", ["10", "30", "100"])
    assert len(axes.collections) == 8  # for each of two methods an interval at each share, and its seeds at three
    with (two_data_sets / "results" / "ablation.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["datasets"], row["method"], row["fraction"]) for row in rows][:3] == [
        ("reacher2d-medium", "lamo", "0.1"),
        ("reacher2d-medium", "dt", "0.1"),
        ("reacher2d-medium", "lamo", "0.3"),
    ]
    assert len(rows) == 12
    assert all(float(row["mean_low"]) < float(row["mean"]) < float(row["mean_high"]) for row in rows)
    assert (two_data_sets / "results" / "ablation.png").read_bytes().startswith(b"\x89PNG")
    assert "written to results: ablation.csv, ablation.png" in capsys.readouterr().out


def test_fractions_of_what_was_asked_for(two_data_sets: Path, drawn: list[Any]) -> None:
    run("--data", "reacher2d-medium", "hopper-medium", "--methods", "dt", "bc", "--fractions", "0.1", "1")
    assert panels(drawn) == {"hopper-medium": [1], "reacher2d-medium": [2]}
    run("--runs", "runs/of-reacher2d-medium", "--output", "out/one.csv", "--json")
    assert panels(drawn) == {"reacher2d-medium": [3, 3]}
    assert sorted(path.name for path in (two_data_sets / "out").iterdir()) == ["one.csv", "one.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--profile", "paper"),
            "no finished runs of profile 'paper' in runs, where there are some of profile 'cpu'; make some with `make",
        ),
        (
            ("--data", "walker2d-medium"),
            "on walker2d-medium in runs, where there are some on hopper-medium, ",
        ),
        (
            ("--source", "minari"),
            "on data from 'minari' in runs, where there are some on data from 'recorded'",
        ),
        (
            ("--fractions", "0.7"),
            "at fraction 0.7 in runs, where there are some at fraction 0.1, 0.3, 1;",
        ),
        (("--fractions", "7"), "fraction 7 is outside (0, 1]"),
        (("--methods", "cql"), "of profile 'cpu' of method cql in runs, where there are some of bc, dt, lamo"),
        (("--fractions", "1"), "of profile 'cpu' at fraction 1 at two fractions or more in runs; give --data, or make"),
        (
            ("--output", "results/f.png"),
            "'results/f.png' is for a table; give a name that ends in .csv",
        ),
        (("--data", "walker"), "walker"),
        (("--methods", "lama"), "did you mean"),
        (("--runs", "elsewhere"), "no runs in 'elsewhere'"),
    ],
)
def test_mistakes(two_data_sets: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as error:
        run(*arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (two_data_sets / "results").exists()


def test_fractions_name_the_methods_of_data_sets_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parse(["fractions", "--help"])
    text = re.sub(r"[\s│]", "", capsys.readouterr().out)
    assert "lamo,lamo-random," in text
    assert not [name for name in methods_of("finetune") + methods_of("text") if f",{name}," in text]
    with pytest.raises(
        UserError, match=r"unknown method 'drrn-hash'.*; only runs on data sets have a share of the data"
    ):
        cli.parse(["fractions", "--methods", "drrn-hash"]).run()


def test_runs_of_another_length_than_the_profile_s_are_found(
    tmp_path: Path,
    runs_root: Path,
    write_run: WriteRun,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Runs that `make ablation STEPS=...` trains and lists."""
    monkeypatch.chdir(tmp_path)
    for fraction in (0.1, 1.0):
        write_run([[1.0, 2.0]] * 2, fraction=fraction, profile="cpu (changed)")
        write_run([[1.0, 2.0]] * 3, fraction=fraction, profile="cpu")
    run("--profile", "cpu (changed)")
    with (tmp_path / "results" / "ablation.csv").open(encoding="utf-8", newline="") as file:
        assert [row["profile"] for row in csv.DictReader(file)] == ["cpu (changed)"] * 2
    assert "left out: runs of another profile; they are shown with --profile 'cpu'\n" in capsys.readouterr().err


def test_the_leaderboard_is_written_and_its_json_parses(
    run: Run, tiny_request: Requests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for method in ("bc", "dt"):
        train(resolve(tiny_request(method)), tmp_path / "runs", "cpu")
    with open_run(tmp_path / "runs", resolve(tiny_request("cql"))):  # unfinished: named, but not in the JSON
        pass
    cli.parse(["leaderboard", "--output", "out", "--json"]).run()
    output, errors = capsys.readouterr()
    assert {row["method"] for row in json.loads(output)} == {"bc", "dt"}
    assert errors.startswith("left out: ")
    assert "-cql-" in errors
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["aggregates.csv", "comparisons.csv", "leaderboard.csv", "learning_curves.png", "scores.png"]
    table = run("leaderboard", "--output", "out", "--no-figures")
    assert "written to out: leaderboard.csv, aggregates.csv, comparisons.csv" in table


def test_what_is_written_does_not_depend_on_how_long_runs_took(
    run: Run, write_run: WriteRun, runs_root: Path, tmp_path: Path
) -> None:
    """Committed tables and figures stay as they are where a run is repeated to the same scores."""
    for method, score in (("lamo", 40.0), ("bc", 20.0)):
        for seed in range(3):
            write_run([[score + seed, score - seed]] * 3, method=method, seed=seed)

    def written() -> dict[str, bytes]:
        run("leaderboard", "--runs", runs_root, "--output", "out")
        return snapshot(tmp_path / "out")

    first = written()
    for number, path in enumerate(runs_root.glob("*/done.json")):
        done = json.loads(path.read_text())
        took = {"train_seconds": done["train_seconds"] + number + 1.0, "evaluation_seconds": 1.0 + number}
        path.write_text(json.dumps(done | took))
    assert written() == first
    assert len(first) == 5
