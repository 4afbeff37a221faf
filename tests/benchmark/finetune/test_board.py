"""The leaderboard of runs whose evaluations are written by hand."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from lamobench.baselines.online.retention import RETENTIONS
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.finetune import tuning
from lamobench.benchmark.finetune.board import STRENGTHS
from lamobench.benchmark.finetune.config import FinetuneConfig
from lamobench.benchmark.finetune.measures import bounds_of
from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.episodes import Episode, episodes_csv
from lamobench.benchmark.runs.stages import HEADER, StageEpisode, stages_csv
from lamobench.benchmark.runs.tracks import find_track
from lamobench.benchmark.scores.statistics import summarise
from lamobench.benchmark.scores.tuning import Trial, tuning_rows

EPISODES = 10
# FULL and FAR at each of five evaluations, in episodes of ten that succeed; a seed adds its number to FULL.
OUTCOMES = {
    "finetune": ([0, 0, 1, 2, 2], [10, 4, 2, 5, 8]),
    "finetune-bc": ([0, 2, 4, 6, 6], [10, 10, 9, 10, 10]),
    "scratch": ([0, 0, 0, 0, 1], [0, 0, 0, 1, 1]),
}


def test_only_shares_of_successes_have_a_most() -> None:
    """A policy may have more of NetHack's points than the expert, and an interval must not be cut there."""
    assert find_track("finetune").range_of("grid-relay") == (0, 100)
    assert find_track("finetune").range_of("nethack-lite") == (0, math.inf)
    assert bounds_of("area", scored=False) == (0.0, 1.0)
    assert bounds_of("area", scored=True) == (0.0, math.inf)
    assert bounds_of("area_gain", scored=True) == bounds_of("cpu_seconds", scored=True) == (-math.inf, math.inf)


def test_rows_name_the_strength_of_every_retention() -> None:
    assert {f"retention.{row.strength}" for row in RETENTIONS.values()} == set(STRENGTHS)


def config_of(method: str, seed: int, coefficient: float = 0.1) -> FinetuneConfig:
    retention = {"retention.coefficient": coefficient} if method == "finetune-bc" else {}
    return FinetuneConfig(
        task="grid-relay",
        method=method,
        profile="cpu",
        seed=seed,
        precision="float32",
        steps=8,
        batch_size=32,
        evaluate_every=2,
        evaluation_episodes=EPISODES,
        headline_evaluations=5,
        policy={"learning_rate": 0.001, **retention},
        version="0.1.0",
        agent="ppo",
        environments=4,
        rollout_steps=8,
        pretraining_seed=seed,
        pretrained_hash=f"{seed:064d}",
        data_hash="d" * 64,
    )


def write_run(root: Path, config: FinetuneConfig, full: list[int], far: list[int]) -> Path:
    seed = config.seed
    folder = root / config.id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.stored()))
    played = []
    parts = []
    rows = []
    for number, step in enumerate(range(0, 10, 2)):
        good = full[number] + (seed % 1000 if number == 4 else 0)
        played += [Episode(step, 0.0, n, n, float(n < good), 9) for n in range(EPISODES)]
        parts += [StageEpisode(step, 0, n, n, int(n < number), 1.0, 9) for n in range(EPISODES)]
        parts += [StageEpisode(step, 1, n, n, int(n < far[number]), 1.0, 9) for n in range(EPISODES)]
        if step:
            rows.append(
                {"step": step, "environment_steps": 32 * step, "gradient_examples": 128 * step, "cpu_seconds": 2.5}
            )
    (folder / "episodes.csv").write_text(episodes_csv(played))
    (folder / "stages.csv").write_text(f"{HEADER}\n{stages_csv(parts)}")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = {"params_total": 10, "params_trainable": 10, "train_seconds": 1.0, "simulator": "numpy 2"}
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))
    return folder


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, str]]]:
    """The folder that the leaderboard was written to, and its rows by method."""
    folder = tmp_path_factory.mktemp("board")
    for method in OUTCOMES:
        for seed in (0, 1, 2):
            write_run(folder / "runs", config_of(method, seed), *OUTCOMES[method])
    parse(["leaderboard", "--runs", str(folder / "runs"), "--output", str(folder / "out")]).run()
    with (folder / "out" / "finetune.csv").open(newline="") as file:
        return folder, {row["method"]: row for row in csv.DictReader(file)}


def test_numbers_of_a_row_by_hand(board: tuple[Path, dict[str, dict[str, str]]]) -> None:
    row = {
        name: float(value)
        for name, value in board[1]["finetune"].items()
        if name.startswith(("far", "f", "a", "e")) and value and not name.endswith(("low", "high"))
    }
    assert row["far_before"] == 1.0
    assert row["far_least"] == 0.2
    assert row["forgetting"] == 0.8
    assert row["far_end"] == pytest.approx(0.5)
    assert row["area"] == pytest.approx(np.mean([0.1, 0.12, 0.14]))
    assert row["full_end"] == pytest.approx(np.mean([0.5, 0.6, 0.7]) / 3, abs=1e-4)
    assert row["environment_steps"] == 256
    assert board[1]["finetune"]["gradient_examples"] == "1024"
    assert board[1]["finetune"]["recovery_step"] == ""
    assert board[1]["finetune"]["recovered"] == "0"
    assert board[1]["finetune-bc"]["recovery_step"] == "192"  # the worst was the third; the fourth is back
    assert board[1]["finetune-bc"]["coefficient"] == "0.1"


def test_methods_are_compared_seed_by_seed(board: tuple[Path, dict[str, dict[str, str]]]) -> None:
    gains = board[1]["finetune-bc"]
    assert float(gains["area_gain"]) == pytest.approx(0.26)  # in every seed, though areas differ
    assert float(gains["area_gain_low"]) == pytest.approx(0.26)
    scratch = np.array([0.02, 0.04, 0.06])
    assert float(gains["forward_transfer"]) == pytest.approx(
        np.mean((np.array([0.36, 0.38, 0.4]) - scratch) / (1 - scratch)), abs=1e-4
    )
    assert board[1]["finetune"]["area_gain"] == ""
    assert board[1]["scratch"]["forward_transfer"] == ""


def test_an_interval_of_scores_is_cut_to_what_a_share_can_be(board: tuple[Path, dict[str, dict[str, str]]]) -> None:
    shares = np.zeros((3, 5 * EPISODES))
    for seed in range(3):
        shares[seed, : 1 + seed] = 100.0
    assert summarise(shares).ci_low < 0
    for table, column in (("leaderboard.csv", "ci_low"), ("aggregates.csv", "mean_low")):
        with (board[0] / "out" / table).open(newline="") as file:
            (row,) = (row for row in csv.DictReader(file) if row["method"] == "scratch")
        assert float(row[column]) == 0, table


def test_the_table_names_the_best_first_and_the_figure_is_there(
    board: tuple[Path, dict[str, dict[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = board
    parse(["leaderboard", "--runs", str(folder / "runs"), "--output", str(folder / "again")]).run()
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "grid-relay (cpu profile, 3 seeds)"
    assert [line.split("  ")[0] for line in lines[2:5]] == ["Fine-tuning + BC", "Fine-tuning", "Scratch"]
    assert "26 [26, 26] *" in lines[2]
    assert max(map(len, lines[: lines.index("")])) <= 100  # below stands where files were written to
    assert {path.name for path in (folder / "again").iterdir()} == {
        "leaderboard.csv",
        "aggregates.csv",
        "comparisons.csv",
        "finetune.csv",
        "grid-relay.png",
    }
    assert (folder / "again" / "finetune.csv").read_bytes() == (folder / "out" / "finetune.csv").read_bytes()


def test_tuning_chooses_the_largest_area_of_each_method(tmp_path: Path) -> None:
    every = []
    for coefficient, outcome in ((0.01, "finetune"), (0.1, "finetune-bc"), (1.0, "scratch")):
        runs = tuple(config_of("finetune-bc", seed, coefficient) for seed in (1000, 1001))
        for config in runs:
            write_run(tmp_path, config, *OUTCOMES[outcome])
        every.append(Trial("finetune-bc", "retention.coefficient", coefficient, runs))
    rows = tuning_rows(every, tmp_path, tuning)
    assert [(row["value"], row["chosen"]) for row in rows] == [(0.01, False), (0.1, True), (1.0, False)]
    assert [row["seeds"] for row in rows] == [2, 2, 2]
    assert rows[1]["area"] > rows[0]["area"] > rows[2]["area"]
