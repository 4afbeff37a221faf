import csv
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lamobench.benchmark.offline.language as language
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.cli.sweep import train_all
from lamobench.benchmark.lm.bits_per_byte import text_loss
from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.offline.ablation import (
    LANGUAGE,
    VARIANTS,
    Setting,
    Variant,
    compare,
    find_variants,
    plan,
    table,
)
from lamobench.benchmark.offline.ablation_figure import ablation_figure
from lamobench.benchmark.offline.resolve import RunRequest
from lamobench.benchmark.sweep.options import Workers
from lamobench.datasets.errors import UserError
from lamobench.datasets.measured_text import measured_text

pytestmark = pytest.mark.usefixtures("forked_workers")
TINY = {"context": 3}


@pytest.fixture(autouse=True)
def _little_english(english: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text that forgetting is measured on is there at once; `docs` takes half a minute to make."""
    genuine = language.load_corpus
    monkeypatch.setattr(language, "load_corpus", lambda _, tokenizer: genuine(str(english), tokenizer))


@pytest.fixture
def request_(tiny_request: Callable[..., RunRequest]) -> RunRequest:
    request = tiny_request("lamo")
    return RunRequest(request.dataset, lm=request.lm, budget=request.budget, settings=TINY)


@pytest.fixture
def published(home: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Tiny stand-ins for the published GPT-2 models are at hand, and nothing is in Hugging Face's cache."""
    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", lambda *_: None)
    for name in ("gpt2", "gpt2-medium"):
        shutil.copytree(tiny_gpt2, home / "models" / name)
    return home / "models"


@pytest.mark.usefixtures("published", "minilm_package")
def test_every_variant_can_be_planned_and_is_a_run_of_its_own(request_: RunRequest) -> None:
    variants = [variant for variant in VARIANTS.values() if "language_length" not in variant.settings]  # take a corpus
    request = RunRequest(request_.dataset, lm=request_.lm, budget=request_.budget)
    runs = plan([Setting("reacher2d-medium", 0.5)], variants, [0], request)
    ids = [config.id for group in runs.values() for config in group]
    assert len(set(ids)) == len(ids)
    changed = {name: config.policy for (_, name), (config,) in runs.items()}
    assert changed["full"] == changed["lamo"] | {"adaptation": "full"}
    assert changed["wiki-rl"] == changed["lamo"] | {"adaptation": "full", "embedding": "linear", "head": "linear"}
    assert changed["scratch"] == changed["full"]
    assert {runs[Setting("reacher2d-medium", 0.5), name][0].lm for name in ("minilm", "minilm-random")} == {"minilm"}


def names_of(variants: Sequence[Variant]) -> list[str]:
    return [variant.name for variant in variants]


@pytest.mark.usefixtures("published", "minilm_package")
def test_lamo_is_always_there_to_compare_with() -> None:
    variants, reasons = find_variants(["frozen", "lamo", "linear"])
    assert (names_of(variants), reasons) == (["lamo", "frozen", "linear"], [])
    variants, reasons = find_variants([])
    assert (names_of(variants), reasons) == ([name for name in VARIANTS if name != "medium"], [])
    assert {variant.lm for variant in find_variants([], lm="gpt2")[0]} == {"", "gpt2-medium", "minilm"}
    with pytest.raises(UserError, match="unknown variant 'lineer'; did you mean 'linear'"):
        find_variants(["lineer"])


@pytest.mark.usefixtures("no_minilm_package")
def test_what_is_not_on_this_machine_is_left_out_unless_it_was_asked_for(published: Path, request_: RunRequest) -> None:
    shutil.rmtree(published / "gpt2-medium")
    variants, reasons = find_variants([], "gpt2")
    assert not {"medium", "minilm", "minilm-random"} & set(names_of(variants))
    assert [reason.split(": ")[0] for reason in reasons] == ["medium", "minilm", "minilm-random"]
    assert reasons[0].startswith(
        "medium: language model 'gpt2-medium' is not on this machine; type: lamobench lm fetch"
    )
    assert reasons[1].startswith("minilm: language model 'minilm' is not on this machine; type: pip install ")
    named, reasons = find_variants(["minilm"])
    assert (names_of(named), reasons) == (["lamo", "minilm"], [])
    with pytest.raises(UserError, match="'minilm' is not on this machine; type: pip install"):
        plan([Setting("reacher2d-medium", 0.5)], named, [0], request_)
    with pytest.raises(UserError, match="'gpt2-medium' is not on this machine"):
        find_variants([], "gpt2-medium")


@pytest.mark.usefixtures("minilm_package")
def test_beside_an_encoder_there_is_no_language_loss() -> None:
    variants, reasons = find_variants([], "minilm")
    assert names_of(variants)[:2] == ["lamo", "dt"]
    assert not any(variant.settings.get("language_weight") for variant in variants)
    left_out = {"language-0.1", "language-0.5", "language-1", "language-2", "output-anchor"}
    assert {reason.split(": ")[0] for reason in reasons} == left_out
    assert "minilm" not in names_of(variants)


def test_variants_are_trained_and_compared_seed_by_seed(request_: RunRequest, tmp_path: Path, english: Path) -> None:
    request = replace(request_, settings=TINY | {"learning_rate": 0.05, "warmup_steps": 0})  # language changes fast
    runs = plan([Setting("reacher2d-medium", 0.5)], find_variants(["frozen", "dt"])[0], [1, 0], request)
    train_all([run for group in runs.values() for run in group], "", tmp_path / "runs", Workers(1, device="cpu"))
    text = measured_text(str(english), 2000)
    rows = compare(runs, tmp_path / "runs", text)
    assert [row["variant"] for row in rows] == ["lamo", "frozen", "dt"]
    lamo, frozen, dt = rows
    assert (lamo["minus_lamo"], lamo["minus_lamo_low"], lamo["minus_lamo_high"]) == (0.0, 0.0, 0.0)
    assert frozen["minus_lamo"] == pytest.approx(frozen["score"] - lamo["score"])
    assert [dt[column] for column in ("text", *LANGUAGE)] == [None] * 6
    tokenizer = load_tokenizer(request_.lm)
    before = text_loss(load_language_model(request_.lm), tokenizer, text, request_.lm)
    for row in (lamo, frozen):
        assert row["text"] == "english.txt"
        assert row["nats_before"] == pytest.approx(before.nats_per_token)
        assert row["nats_change"] == pytest.approx(row["nats_after"] - row["nats_before"])
        assert math.log(row["perplexity"]) == pytest.approx(row["nats_after"])
    assert frozen["nats_change"] == pytest.approx(0.0, abs=1e-5)
    assert abs(lamo["nats_change"]) > 1e-3
    assert lamo["bits_change"] == pytest.approx(
        lamo["nats_change"] * before.tokens / math.log(2) / before.bytes, rel=1e-5
    )
    assert frozen["params_trainable"] < lamo["params_trainable"]
    assert frozen["curves"].shape == (2, 2)
    assert not {"curves", "curve_steps"} & table(rows)[0].keys()


def fake_rows(count: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    names = list(VARIANTS)[:count]
    facts = {"dataset": "kitchen-complete", "source": "recorded", "fraction": 0.3, "episodes": 6, "seeds": 3}
    steps = np.array([250, 500, 750, 1000])
    return [
        facts
        | {"variant": name, "title": VARIANTS[name].title, "curve_steps": steps, "curves": rng.uniform(0, 50, (3, 4))}
        | {"minus_lamo": -3.24, "minus_lamo_low": -10.0, "minus_lamo_high": 3.5}
        | {"detectable": None if name == "linear" else 11.62}
        for name in names
    ]


@pytest.mark.parametrize("count", [3, 7, len(VARIANTS)])
def test_the_figure_is_a_png_for_a_column_of_text(tmp_path: Path, count: int) -> None:
    ablation_figure(fake_rows(count), tmp_path / "ablation.png")
    with Image.open(tmp_path / "ablation.png") as image:
        assert image.width == pytest.approx(1440, abs=2)
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_the_command_writes_table_and_figure(request_: RunRequest, tmp_path: Path, english: Path) -> None:
    budget = [word for name, value in request_.budget.items() for word in ("--budget", f"{name}={value}")]
    words = ["ablation", "reacher2d-medium", "--fractions", "0.5", "--variants", "frozen", "--seeds", "0", "1"]
    paths = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path), "--lm", request_.lm, "--set", "context=3"]
    parse([*words, *paths, *budget, "--text", str(english)]).run()
    rows = list(csv.DictReader((tmp_path / "ablation_lamo.csv").open()))
    assert [row["variant"] for row in rows] == ["lamo", "frozen"]
    assert not any("seconds" in column for column in rows[0]), "the same scores are the same bytes"
    assert (tmp_path / "ablation_lamo_reacher2d-medium.png").stat().st_size > 10_000


def test_one_fraction_for_each_data_set(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 data sets and 1 fraction; give one fraction for each"):
        parse(["ablation", "a", "b", "--fractions", "0.1", "--runs", str(tmp_path)]).run()


def test_english_is_looked_for_before_anything_is_trained(request_: RunRequest, tmp_path: Path) -> None:
    wordless = tmp_path / "wordless"
    shutil.copytree(request_.lm, wordless, ignore=shutil.ignore_patterns("tokenizer*"))
    budget = [word for name, value in request_.budget.items() for word in ("--budget", f"{name}={value}")]
    words = ["ablation", "reacher2d-medium", "--fractions", "0.5", "--variants", "frozen", "--lm", str(wordless)]
    with pytest.raises(UserError, match=r"has no tokenizer\.json"):
        parse([*words, *budget, "--runs", str(tmp_path / "runs"), "--output", str(tmp_path)]).run()
    assert not (tmp_path / "runs").exists()


def test_settings_reach_the_variants_that_have_them(request_: RunRequest) -> None:
    variants, _ = find_variants(["frozen", "dt"])
    request = replace(request_, settings=TINY | {"lora_rank": 3})
    runs = plan([Setting("reacher2d-medium", 0.5)], variants, [0], request)
    given = {name: config.policy for (_, name), (config,) in runs.items()}
    assert given["lamo"]["lora_rank"] == given["frozen"]["lora_rank"] == 3
    assert given["dt"]["context"] == 3
    assert "lora_rank" not in given["dt"]
    with pytest.raises(UserError, match="unknown setting of lamo 'lora_renk'"):
        plan([Setting("reacher2d-medium", 0.5)], variants, [0], replace(request_, settings={"lora_renk": 3}))


def test_without_a_panel_there_is_no_figure_and_one_each_for_two_fractions(
    request_: RunRequest, tmp_path: Path, english: Path
) -> None:
    budget = [word for name, value in request_.budget.items() for word in ("--budget", f"{name}={value}")]
    common = [*budget, "--seeds", "0", "--lm", request_.lm, "--set", "context=3", "--text", str(english)]
    common += ["--runs", str(tmp_path / "runs")]
    twice = ["ablation", "reacher2d-medium", "reacher2d-medium", "--fractions", "0.5", "1", "--jobs", "1"]
    parse([*twice, "--variants", "lamo", *common, "--output", str(tmp_path / "none")]).run()
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["ablation_lamo.csv"]
    parse([*twice, "--variants", "frozen", *common, "--output", str(tmp_path / "two")]).run()
    names = {f"ablation_lamo_reacher2d-medium_{fraction}.png" for fraction in ("0.5", "1")}
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"ablation_lamo.csv", *names}
