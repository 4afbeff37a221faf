"""Runs that learn from recorded games: what they are given, what they refuse, and that they go on bitwise."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.text import track
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.loop import Learning
from lamobench.benchmark.text.measures import measure
from lamobench.benchmark.text.recorded import recorded_episodes
from lamobench.benchmark.text.resolve import listed_methods, resolve
from lamobench.datasets.errors import UserError
from lamobench.datasets.games.families import FAMILIES
from lamobench.datasets.games.recordings import _hash, path_of, record
from lamobench.tests.benchmark.cut_short import assert_goes_on
from lamobench.tests.benchmark.text.conftest import train

BUDGET = {
    "steps": 4,
    "evaluate_every": 2,
    "evaluation_episodes": 1,
    "view_episodes": 1,
    "headline_evaluations": 1,
}
SETTINGS: dict[str, dict[str, Any]] = {"text-bc": {"hidden": 8}, "text-lamo": {"adaptation.rank": 2}}
Tiny = Callable[..., TextConfig]


@pytest.fixture(scope="module", autouse=True)
def recordings(home: Path) -> None:
    """The recorded games of an easy family."""
    for grade in ("mixed", "expert"):
        record(f"tidy-easy-{grade}")


@pytest.fixture
def short_games(monkeypatch: pytest.MonkeyPatch) -> None:
    """Games that end after eight moves."""
    monkeypatch.setitem(FAMILIES, "tidy-easy", replace(FAMILIES["tidy-easy"], move_limit=8))


@pytest.fixture
def cloning(tiny_gpt2: Path) -> Tiny:
    """A configuration of a second."""

    def make(method: str, **settings: Any) -> TextConfig:
        own = SETTINGS["text-bc" if "bc" in method else "text-lamo"] | {"batch_size": 3} | settings
        choices = {"lm": str(tiny_gpt2)}
        (config,) = resolve(Wanted("tidy-easy", (method,), (0,), budget=BUDGET, settings=own, choices=choices))
        return replace(config, parts=["train/orig", "ood/paraphrase"])

    return make


def test_a_recording_is_part_of_a_run_s_identity(cloning: Tiny) -> None:
    mixed = cloning("text-bc-hash")
    expert = cloning("text-bc-hash", recording="expert")
    assert (mixed.dataset, expert.dataset) == ("tidy-easy-mixed", "tidy-easy-expert")
    assert mixed.id != expert.id != replace(expert, dataset_hash="a" * 64).id
    assert mixed.dataset_hash == record("tidy-easy-mixed").sha256
    assert cloning("text-lamo").target_returns == [1.0]
    assert {name for name in listed_methods() if name.startswith("text-")} == set()


def test_only_the_games_of_the_task_are_learned_from(cloning: Tiny) -> None:
    episodes = recorded_episodes(cloning("text-bc-hash"))
    assert sorted({episode.game for episode in episodes}) == [f"tidy-easy/train/{number}" for number in range(5)]
    assert len(episodes) == 15
    (many,) = resolve(Wanted("tidy-easy-40", ("text-bc-hash",), (0,)))
    assert len(recorded_episodes(many)) == 120


@pytest.mark.usefixtures("short_games")
@pytest.mark.parametrize("method", ["text-bc-fixed", "text-lamo"])
def test_a_run_that_is_cut_short_goes_on_to_the_same_numbers(method: str, cloning: Tiny, tmp_path: Path) -> None:
    config = cloning(method)
    whole = assert_goes_on(partial(train, config), tmp_path, 2)
    run = read_finished(whole)
    assert (run.data.dataset, run.data.dataset_hash) == (config.dataset, config.dataset_hash)
    assert measure(run).moves >= 1
    assert run.result.target_return == config.target_returns[0]
    assert 0 < run.done["params_trainable"] < run.done["params_total"]
    assert [played.seed for played in track.play(whole, read_config(whole), "cpu", "", 5, 2)] == [0, 1]


def test_cloning_experts_of_the_same_games_wins_them(cloning: Tiny, tmp_path: Path) -> None:
    config = cloning("text-bc-hash", recording="expert", hidden=32, batch_size=16)
    training = Learning(config, tmp_path, lambda *_: None)
    training.advance(60)
    policy = training.agent.policy()
    for episode in recorded_episodes(config):
        for scene, index in zip(episode.scenes, episode.chosen, strict=False):
            (probabilities,) = policy.probabilities([training.agent.texts.state(scene)])
            assert int(probabilities.argmax()) == index


def test_without_the_recording_one_line_says_what_to_type() -> None:
    line = r"recorded game 'tidy-hard-mixed' is not in .*; to get it, type: lamobench data record tidy-hard-mixed"
    for method in ("text-bc-hash", "text-lamo"):
        with pytest.raises(UserError, match=line):
            resolve(Wanted("tidy-hard", (method,), (0,), choices={"lm": "gpt2-mini"}))


@pytest.mark.parametrize(
    ("method", "changes", "line"),
    [
        ("text-bc-hash", {"settings": {"recording": "best"}}, r"unknown recording 'best'.*valid: expert, medium"),
        ("drrn-hash", {"settings": {"recording": "mixed"}}, r"unknown setting of drrn 'recording'"),
        ("text-bc-fixed", {"settings": {"adaptation.layers": 1}}, r"unknown setting of fixed 'layers'"),
        ("text-lamo", {"settings": {"hidden": 8}}, r"unknown setting of text-lamo 'hidden'"),
    ],
)
def test_what_does_not_fit_is_one_line(method: str, changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        resolve(replace(Wanted("tidy-easy", (method,), (0,), choices={"lm": "gpt2-mini"}), **changes))


def test_an_encoder_predicts_no_commands(tiny_bert: Path) -> None:
    with pytest.raises(UserError, match=r"is an encoder \(BERT\); give a language model that predicts words"):
        resolve(Wanted("tidy-easy", ("text-lamo",), (0,), choices={"lm": str(tiny_bert)}))


def test_a_recording_that_changed_is_refused(cloning: Tiny, tmp_path: Path) -> None:
    other = replace(cloning("text-bc-hash"), dataset_hash="a" * 64)
    with pytest.raises(UserError, match=r"'tidy-easy-mixed' holds other games than run .* began with"):
        Learning(other, tmp_path, lambda *_: None)
    path = path_of("tidy-easy-mixed")
    content = path.read_text()
    path.write_text(content.replace("kitchen", "kitchin", 1))
    try:
        with pytest.raises(UserError, match="is damaged"):
            cloning("text-bc-hash")
    finally:
        path.write_text(content)
    assert json.loads(content)["name"] == "tidy-easy-mixed"


def test_a_recording_without_games_of_the_task_is_refused(cloning: Tiny, tmp_path: Path) -> None:
    """A right hash, and episodes of other games of the family than the first five."""
    path = path_of("tidy-easy-mixed")
    before = path.read_text()
    content = json.loads(before)
    others = [f"tidy-easy/train/{number}" for number in range(5, 40)]
    content["episodes"] = [episode for episode in content["episodes"] if episode["game"] in others]
    del content["sha256"]
    path.write_text(json.dumps(content | {"sha256": _hash(content)}))
    line = (
        "'tidy-easy-mixed' has no episode of the 5 games that tidy-easy learns from; to make it again, type: lamobench"
    )
    try:
        with pytest.raises(UserError, match=line):
            Learning(cloning("text-bc-hash"), tmp_path, lambda *_: None)
    finally:
        path.write_text(before)
