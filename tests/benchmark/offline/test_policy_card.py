"""The card of a policy says what its run's files say, and the Hub can read its head."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from scipy import stats

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.policy_card import policy_card
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.sharing.hub import local_paths
from lamobench.datasets.catalog import find_task

FILES = {"config.json": {"sha256": "a" * 64, "size": 1234}}


@pytest.fixture
def run(copied_runs: Path) -> Path:
    """A finished run whose last evaluation's returns are 12 and 20."""
    folder = next(iter(copied_runs.glob("*-s0-*")))
    rows = [line.split(",") for line in (folder / "episodes.csv").read_text().splitlines()]
    rows[-2][4] = "12.0"
    rows[-1][4] = "20.0"
    (folder / "episodes.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    done = json.loads((folder / "done.json").read_text())
    del done["files"], done["sha256"]  # of what was changed, and will be
    (folder / "done.json").write_text(json.dumps(done))
    return folder


def edit(folder: Path, **changes: Any) -> Path:
    """Change a run's configuration, and with it its id; its folder."""
    config = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder.rename(folder.with_name(OfflineConfig(**config).id))


def test_the_numbers_are_the_run_s(run: Path) -> None:
    card = policy_card(run, "somebody/policy", FILES)
    config = read_config(run)
    found = read_finished(run)
    half = stats.t.ppf(0.975, 1) * np.std([12, 20], ddof=1) / np.sqrt(2)  # 50.8, by hand: 12.706 * 4
    assert half == pytest.approx(50.82, abs=0.01)
    assert "2 episodes at target return 76 | **16.00** [-34.82, 66.82] |" in card
    assert f"what the leaderboard ranks | {found.result.score:.2f} |" in card
    for step, score in zip(found.result.curve_steps, found.result.curve_scores, strict=True):
        assert f"| {step} | {score:.2f} |" in card
    for value in (config.dataset_hash, config.subset_hash, config.id, "mujoco", f"| {config.steps}, batches of 8 |"):
        assert value in card
    assert f"| `config.json` | 1,234 | `{'a' * 64}` |" in card
    assert "lamobench hub pull somebody/policy\nlamobench evaluate runs/" in card
    assert not re.search(r"\{\w+\}|None|nan", card)


def test_the_hub_reads_its_head(run: Path) -> None:
    data = ModelCard(policy_card(run, "somebody/policy", FILES)).data
    assert (data.library_name, data.pipeline_tag) == ("lamobench", "reinforcement-learning")
    assert {"offline-rl", "bc", "reacher2d-medium", "lamobench/Reacher2d-v0"} <= set(data.tags)
    reward, score = data.eval_results
    assert (reward.metric_type, reward.metric_value) == ("mean_reward", "16.00 +/- 50.82")
    assert (score.metric_type, score.metric_value) == ("normalized_score", "16.00 +/- 50.82")
    assert reward.dataset_revision == read_config(run).dataset_hash
    assert reward.dataset_args["fraction"] == 1.0


def test_scores_are_the_task_s_own(run: Path) -> None:
    run = edit(run, task="hopper")
    normalise = find_task("hopper").normalise
    card = policy_card(run, "somebody/policy", FILES)
    assert f"| **{normalise(16.0):.2f}** [{normalise(-34.82):.2f}, {normalise(66.82):.2f}] |" in card


def test_one_episode_has_no_interval(run: Path) -> None:
    rows = (run / "episodes.csv").read_text().splitlines()
    (run / "episodes.csv").write_text("\n".join([rows[0], *rows[1::2]]) + "\n")
    run = edit(run, evaluation_episodes=1)
    card = policy_card(run, "somebody/policy", FILES)
    assert "**12.00** (one episode: no interval)" in card
    assert ModelCard(card).data.eval_results[0].metric_value == "12.00"


def test_how_to_train_it_again_only_where_that_is_known(run: Path) -> None:
    assert "Trained with settings of its own" in policy_card(run, "p/q", FILES)  # a tiny budget
    run = edit(run, profile="cpu", fraction=0.3, data_seed=5)
    card = policy_card(run, "p/q", FILES)
    command = "reacher2d-medium --method bc --fraction 0.3 --seed 0 --data-seed 5 --source recorded --profile cpu\n"
    assert f"lamobench train {command}" in card
    assert "on 30% of the data set" in card
    run = edit(run, fraction=0.005)
    assert "on 0.5% of the data set" in policy_card(run, "p/q", FILES)


def test_limits_are_those_of_the_run(run: Path) -> None:
    card = policy_card(run, "p/q", FILES)
    assert "They are not D4RL's" in card
    assert "`gpt2-mini` is not GPT-2" not in card
    run = edit(
        run, source="d4rl", profile="paper", method="lamo", lm="gpt2-mini", lm_hash="b" * 64, legacy=["tanh-logits"]
    )
    card = policy_card(run, "p/q", FILES)
    assert "They are not D4RL's" not in card
    assert "The `cpu` profile is small" not in card
    assert "`gpt2-mini` is not GPT-2" in card
    assert "faults of the published code: tanh-logits" in card
    assert f"| language model | `gpt2-mini`, pretrained weights, hash `{'b' * 64}` |" in card


def test_where_files_lay_is_not_told(run: Path) -> None:
    assert local_paths(read_config(run)) == []
    settings = {"corpus": "/data/secret/english.txt", "adaptation": "lora"}
    run = edit(run, method="lamo", lm="/data/secret/model", lm_hash="b" * 64, policy=settings)
    card = policy_card(run, "p/q", FILES)
    assert "secret" not in card
    assert '"corpus": "english.txt"' in card
    assert "language model | `model`, pretrained" in card
    assert local_paths(read_config(run)) == ["/data/secret/model", "/data/secret/english.txt"]
