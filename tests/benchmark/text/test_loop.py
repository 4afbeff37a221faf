"""Whole runs with tiny budgets: what every method does, and that a run which is cut short goes on bitwise."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lamobench.benchmark.runs.episodes import parse_episodes
from lamobench.benchmark.runs.records import read_metrics
from lamobench.benchmark.runs.stages import read_stages
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.text import loop, track
from lamobench.benchmark.text.loop import Learning
from lamobench.benchmark.text.measures import METERS, NOT_CHANGES, ends, measure, meters
from lamobench.benchmark.text.pairs import read_pairs
from lamobench.datasets.json_files import read_json
from lamobench.tests.benchmark.cut_short import assert_goes_on
from lamobench.tests.benchmark.text.conftest import Tiny, train

METHODS = ("random", "gold", "drrn-fixed-random", "drrn-lora", "drrn-top-k-random", "drrn-ewc")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_trained_and_measured(method: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(method)
    run = read_finished(train(config, tmp_path))
    assert run.result.curve_steps.tolist() == [0, 10, 20, 30]
    found = measure(run)
    assert found.area == pytest.approx(run.result.curve_scores.mean() / 100)
    assert list(ends(run)) == config.parts
    assert 1 <= found.moves <= 50
    stages = read_stages((run.folder / "stages.csv").read_bytes())
    assert len(stages) == 2 * len(config.parts)
    assert set(stages[:, 0]) == {20, 30}
    assert (run.done["params_trainable"] > 0) == method.startswith("drrn")
    metered = meters(run)
    assert bool(metered) == (run.folder / "meters.csv").exists() == (config.adaptation not in ("", "fixed"))
    assert set(metered) <= {*METERS, *(f"{name}_before" for name in NOT_CHANGES)}
    if method == "gold":
        assert set(ends(run).values()) == {1.0}
        assert found.robustness == 1.0
    told = read_json(run.folder / "transcript.json")
    last = parse_episodes((run.folder / "episodes.csv").read_bytes())[-config.evaluation_episodes]
    assert (told["share"], told["moves"]) == (pytest.approx(last.episode_return, abs=1e-4), last.length)
    assert len(told["kept"]) == min(last.length, 60)
    assert all(move["given"] in move["commands"] for move in told["kept"])
    assert all(0 < sum(move["commands"].values()) <= 1.001 for move in told["kept"])
    pairs = read_pairs(run)
    assert (pairs is not None) == bool(metered)
    if pairs is not None:
        np.testing.assert_allclose(pairs.before.diagonal(), 1.0, atol=1e-5)
        assert (pairs.rewarded <= pairs.read).all()
        assert 0 < pairs.read.diagonal().max() <= config.steps
        assert np.abs(pairs.rise).max() > 0
    again = track.play(run.folder, config, "cpu", "", 5, 3)
    assert [played.seed for played in again] == [0, 1, 2]


@pytest.mark.parametrize(
    ("method", "family", "precision"),
    [
        ("drrn-hash", "tiny_gpt2", "float32"),
        ("drrn-fixed", "tiny_gpt2", "float32"),
        ("drrn-distill", "tiny_gpt2", "float32"),
        ("actor-critic-top-k", "reading_bert", "bfloat16"),
    ],
)
def test_a_run_that_is_cut_short_goes_on_to_the_same_numbers(
    method: str, family: str, precision: str, tiny: Tiny, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    layers = {"adaptation.layers": 1} if family == "reading_bert" else {}  # what lies below is kept
    config = tiny(method, lm=request.getfixturevalue(family), precision=precision, **layers)
    whole = assert_goes_on(partial(train, config), tmp_path, 10)
    metered = {"meters.csv", "pairs.csv"} if method == "drrn-distill" else set()
    assert {"transcript.json", "stages.csv", *metered} <= {path.name for path in whole.iterdir()}


@pytest.mark.parametrize("method", ["drrn-top-k", "drrn-lora", "drrn-full", "drrn-warm-head"])
def test_what_is_said_to_be_trained_moves_and_nothing_else(method: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(method, warm_up=2) if method == "drrn-warm-head" else tiny(method)
    training = Learning(config, tmp_path, lambda *_: None)
    model = training.agent.encoder.model  # type: ignore[attr-defined]
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    moved: list[set[str]] = []
    while training.agent.updates < 3:
        updates = training.agent.updates
        training.advance(1)
        if training.agent.updates > updates:
            moved.append({n for n, weight in model.named_parameters() if not torch.equal(weight, before[n])})
    if method == "drrn-warm-head":
        assert moved[1] == set()
    elif method == "drrn-lora":
        assert all("lora_" in name or name.endswith("bias") for name in moved[2])
    parts = {name.split(".")[2] for name in moved[2] if name.startswith("transformer.h.")}
    assert parts == {"0", "1"}
    assert any(not name.startswith("transformer.h.") for name in moved[2]) == (method == "drrn-full")


def test_choices_that_are_played_again_fill_the_buffer_as_it_was(tiny: Tiny, tmp_path: Path) -> None:
    first, second = (Learning(tiny(), tmp_path, lambda *_: None) for _ in range(2))
    for _ in range(70):
        first.experience.collector.step(first.agent, first.rng)
    second.experience.load(first.experience.tensors())
    assert second.experience.replay.ring == first.experience.replay.ring
    assert second.experience.replay.best == first.experience.replay.best
    for ours, theirs in zip(first.experience.collector.places, second.experience.collector.places, strict=True):
        assert ours is theirs is None or (ours and theirs and ours.scene == theirs.scene)


def test_games_that_no_longer_offer_what_was_chosen_are_one_line(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / tiny().id
    training = Learning(tiny(), folder, lambda *_: None)
    training.experience.collector.choices = [10_000]
    training.write()
    with pytest.raises(ValueError, match=r"no longer offers command 10000\); delete .* to start that run again"):
        Learning(tiny(), folder, lambda *_: None).load()


def test_a_game_s_own_score_is_logged_with_each_evaluation(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    played = loop.play
    monkeypatch.setattr(loop, "play", lambda *given: replace(played(*given), own_score=0.25))
    folder = train(tiny("random"), tmp_path)
    rows = read_metrics(folder, 30)
    assert [(row["step"], row["own_score"]) for row in rows] == [(10, 0.25), (20, 0.25), (30, 0.25)]


def test_a_seed_is_the_same_again_and_another_is_not(tiny: Tiny, tmp_path: Path) -> None:
    folders = [train(tiny(seed=seed), tmp_path / place) for seed, place in ((0, "a"), (0, "b"), (1, "c"))]
    texts = [(folder / "episodes.csv").read_bytes() for folder in folders]
    assert texts[0] == texts[1] != texts[2]


def test_weights_that_are_no_numbers_stop_the_run_with_a_line(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(learning_rate=1e38)
    (line,) = track.train((config,), tmp_path, "cpu", lambda *_: None, print).values()
    assert "no longer finite" in line or "became" in line
    assert line.endswith("try a lower learning rate, e.g. --set learning_rate=1e-4")
    assert not (tmp_path / config.id / "done.json").exists()
