"""The language study on tiny data: what is searched, what is chosen, and its tables made again from raw evaluations."""

import csv
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.figures.card import DPI, WIDTH
from lamobench.benchmark.offline import language_study
from lamobench.benchmark.offline.language_study import (
    FIRST_TUNING_SEED,
    INPUT_SCALES,
    LEARNING_RATES,
    PARTS,
    REFERENCE,
    Arm,
    Choice,
    Part,
    choices,
    chosen,
    find_part,
)
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.methods import METHODS
from lamobench.datasets.entries import DATASETS, SECOND_RECORDINGS
from lamobench.datasets.errors import UserError

RUNS = 8 + 8 + 4  # of the tiny search: two rates, two seeds, and for a language model two scales


@pytest.fixture
def tiny_study(home: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch, forked_workers: None) -> Part:
    """A part of three arms on the data set of the tests, on which it is searched too."""
    arms = (Arm(REFERENCE, "pre-trained", "lamo"), Arm("random", "random", "lamo-random"), Arm("dt", "DT", "dt"))
    part = Part(
        str(tiny_gpt2),
        arms,
        seeds=(0, 1),
        steps=4,
        evaluations=2,
        episodes=2,
        search_steps=2,
        search_data=("reacher2d-medium",),
        rewound=1,
        core_hours=2,
        batch_size=4,
    )
    monkeypatch.setattr(language_study, "PARTS", {part.lm: part})
    monkeypatch.setattr(language_study, "DATA", {"reacher2d-medium": 0.5})
    monkeypatch.setattr(language_study, "TUNING", "")
    monkeypatch.setattr(language_study, "LEARNING_RATES", (1e-3, 3e-3))
    return part


def _table(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_study_searches_trains_compares_and_goes_on(
    tiny_study: Part, english: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    study: Any = cli.parse(["language-study", tiny_study.lm, "--jobs", "1", "--text", str(english)])
    study.run()
    shown = capsys.readouterr().out
    assert f"{RUNS} runs on {tiny_study.lm}, search, 0 done already" in shown
    assert "6 runs on" in shown
    searched = _table(Path("results/language/search/search.csv"))
    for method in ("lamo", "lamo-random", "dt"):
        own = [row for row in searched if row["method"] == method]
        best = min(own, key=lambda row: float(row["held_out_error"]))
        assert [row["chosen"] for row in own].count("1") == 1
        assert best["chosen"] == "1" or float(best["held_out_error"]) == pytest.approx(
            float(next(row for row in own if row["chosen"] == "1")["held_out_error"]), rel=1e-3
        )
        for row in _table(Path("results/language/language.csv")):
            if row["method"] == method:
                assert row["learning_rate"] == next(r for r in own if r["chosen"] == "1")["learning_rate"]
    rows = _table(Path("results/language/language.csv"))
    assert [(row["method"], row["step"]) for row in rows] == [
        (method, step) for method in ("lamo", "lamo-random", "dt") for step in ("2", "4")
    ]
    by_arm = {(row["method"], row["step"]): row for row in rows}
    for step in ("2", "4"):
        reference = by_arm["lamo", step]
        assert reference["held_out_error_less"] == ""
        for method in ("lamo-random", "dt"):
            row = by_arm[method, step]
            apart = float(row["held_out_error"]) - float(reference["held_out_error"])
            assert float(row["held_out_error_less"]) == pytest.approx(apart, abs=2e-3)
            assert float(row["held_out_error_less_low"]) <= float(row["held_out_error_less_high"])
            assert float(row["held_out_error_sees"]) > 0
    rewinds = _table(Path("results/language/rewind.csv"))
    assert [(row["method"], row["seed"], row["text"]) for row in rewinds] == [("lamo", "0", "english.txt")] * 6
    assert [float(row["alpha"]) for row in rewinds] == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert float(rewinds[0]["nats_change"]) == pytest.approx(0.0, abs=1e-5)
    with Image.open("results/language/language.png") as image:
        assert image.width == round(WIDTH * DPI)
    study.run()
    assert f"{RUNS} runs on {tiny_study.lm}, search, {RUNS} done already" in capsys.readouterr().out

    for runs, output in (("runs/language", "results/language"), ("runs/language-search", "results/language/search")):
        ranked: Any = cli.parse(["leaderboard", "--runs", runs, "--output", output, "--no-figures", "--archive"])
        ranked.run()
    for folder, name in ((Path("results/language"), "language.csv"), (Path("results/language/search"), "search.csv")):
        checked = {each.path.name: each for each in check_folder(folder)}
        assert checked[name].cells > 0
        assert [fault for each in checked.values() for fault in each.faults] == []
        path = folder / name
        path.write_text(path.read_text().replace(",4,", ",9,", 1).replace(",2,", ",7,", 1))
        assert next(each for each in check_folder(folder) if each.path == path).faults


def test_every_arm_has_the_same_search_and_none_of_it_is_reported() -> None:
    for part in PARTS.values():
        assert set(part.tuning_seeds).isdisjoint(part.seeds)
        assert max(part.seeds) < FIRST_TUNING_SEED
        for arm in part.arms:
            if METHODS[arm.method].weights:
                assert choices(arm) == [Choice(r, s) for r in LEARNING_RATES for s in INPUT_SCALES]
            else:
                assert choices(arm) == [Choice(r) for r in LEARNING_RATES]
        assert part.arms[0].name == REFERENCE
        assert part.steps % part.evaluations == 0
        for name in part.search_data:
            assert name in DATASETS
            assert f"{name}{language_study.TUNING}" in {**DATASETS, **SECOND_RECORDINGS}


def test_the_least_error_is_chosen() -> None:
    search: Any = {("a", Choice(1e-3)): [], ("a", Choice(3e-3)): [], ("b", Choice(1e-3, "words")): []}
    rows = [{"chosen": 0}, {"chosen": 1}, {"chosen": 1}]
    assert chosen(search, rows) == {"a": Choice(3e-3), "b": Choice(1e-3, "words")}
    assert math.isclose(language_study._geometric_mean([1.0, 4.0]), 2.0)


def test_an_unknown_language_model_is_named() -> None:
    with pytest.raises(UserError, match="no part for language model 'gpt3'; choose from: gpt2-mini, smollm2"):
        find_part("gpt3")
