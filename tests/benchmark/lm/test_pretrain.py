import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lamobench.benchmark.lm import pretrain as room
from lamobench.benchmark.lm.checkpoints import EMBEDDED, held_out_loss, load_language_model, load_tokenizer
from lamobench.benchmark.lm.model_card import command, model_card
from lamobench.benchmark.lm.pretrain import learning_rate, pretrain
from lamobench.benchmark.lm.pretrain_config import PretrainConfig
from lamobench.benchmark.lm.pretrain_summary import PretrainSummary
from lamobench.datasets import synthetic
from lamobench.datasets.corpora import load_corpus
from lamobench.datasets.errors import UserError
from lamobench.datasets.wikitext import fetch_wikitext

TINY = PretrainConfig(
    vocabulary=280,
    layers=1,
    width=16,
    heads=2,
    context=16,
    batch_size=4,
    steps=9,
    warmup_steps=2,
    dropout=0.1,
    precision="float32",
    checkpoint_every=3,
)
TEXT = "the a cat robot sailor leaf road sea and or but over with of sees follows forgets small old bright"
WORDS = TEXT.split()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    lines = np.random.default_rng(0).choice(WORDS, size=(400, 14))
    (tmp_path / "story.txt").write_text("\n".join(f"{' '.join(line).capitalize()}." for line in lines))
    return replace(TINY, corpus=str(tmp_path / "story.txt"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(folder / "model.safetensors"))


def test_writes_a_model_that_loads_and_a_card_with_its_numbers(config: PretrainConfig, tmp_path: Path) -> None:
    output = tmp_path / "mini"
    summary = pretrain(config, output)
    names = [
        "README.md",
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "training.json",
    ]
    assert sorted(path.name for path in output.iterdir()) == names
    model = load_language_model(str(output))
    tokenizer = load_tokenizer(str(output))
    corpus = load_corpus(config.corpus, tokenizer)
    assert held_out_loss(model, corpus.held_out) == pytest.approx(summary.held_out_loss, rel=1e-5)
    assert summary.tokens_seen == 9 * 4 * 16
    assert [point["step"] for point in summary.curve] == [3, 6, 9]
    card = (output / "README.md").read_text()
    for expected in (
        f"**{summary.held_out_loss:.3f}**",
        f"{summary.bigram_loss:.3f}",
        summary.train_sha256,
        "not GPT-2",
    ):
        assert expected in card
    assert f"lamobench lm pretrain mini --corpus {config.corpus} --vocabulary 280" in card


def test_the_card_of_a_model_of_wikitext_names_the_published_split(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (tmp_path / "story.txt").read_text()
    for part in ("train", "valid"):
        (tmp_path / f"{part}.txt").write_text(f" = A Story = \n{text}")
    fetch_wikitext("wikitext-2", [tmp_path / "train.txt", tmp_path / "valid.txt"])
    summary = pretrain(replace(config, corpus="wikitext-2"), tmp_path / "mini")
    assert summary.paragraphs == {"train": 1, "held_out": 1, "dropped": 0}
    card = (tmp_path / "mini" / "README.md").read_text()
    assert "what is held out is the published validation part" in card
    assert "| part | articles | tokens |" in card
    assert summary.sources["wikitext-2 train"] in card
    assert "A hash of the paragraph" not in card


def test_learns(config: PretrainConfig, tmp_path: Path) -> None:
    longer = replace(config, steps=150, checkpoint_every=50, learning_rate=0.02, dropout=0.0)
    summary = pretrain(longer, tmp_path / "mini")
    assert summary.held_out_loss < summary.unigram_loss - 0.5
    assert summary.curve[-1]["held_out"] < summary.curve[0]["held_out"]


def test_interrupted_and_resumed_equals_uninterrupted(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pretrain(config, tmp_path / "whole")
    update = room.Pretraining.update

    def interrupted(training: room.Pretraining, step: int) -> float:
        if step == 7:
            raise KeyboardInterrupt
        return update(training, step)

    torch.manual_seed(99)  # another process's global state
    monkeypatch.setattr(room.Pretraining, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "parts")
    monkeypatch.setattr(room.Pretraining, "update", update)
    parts = pretrain(config, tmp_path / "parts")
    first = weights(tmp_path / "whole")
    second = weights(tmp_path / "parts")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert replace(parts, seconds=0.0) == replace(whole, seconds=0.0)


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(config: PretrainConfig, tmp_path: Path) -> None:
    config = replace(config, steps=100, checkpoint_every=5)
    pretrain(config, tmp_path / "whole")
    program = (
        "import sys; from pathlib import Path; from lamobench.benchmark.lm.pretrain import pretrain; "
        "from lamobench.benchmark.lm.pretrain_config import PretrainConfig; "
        f"pretrain({config!r}, Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "parts")], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "parts" / "checkpoint.safetensors").exists() and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "parts" / "training.json").exists()
    pretrain(config, tmp_path / "parts")
    first = weights(tmp_path / "whole")
    second = weights(tmp_path / "parts")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_leaves_the_global_stream_alone_and_ignores_it(config: PretrainConfig, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    pretrain(config, tmp_path / "first")
    assert torch.equal(torch.get_rng_state(), before)
    pretrain(replace(config, seed=1), tmp_path / "second")
    first = weights(tmp_path / "first")
    second = weights(tmp_path / "second")
    assert not torch.equal(first["transformer.wte.weight"], second["transformer.wte.weight"])


def test_early_stopped_is_the_whole_run_cut_short(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = room.Pretraining.update

    def interrupted(training: room.Pretraining, step: int) -> float:
        if step == 6:
            raise KeyboardInterrupt
        return update(training, step)

    monkeypatch.setattr(room.Pretraining, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config, tmp_path / "whole")
    monkeypatch.setattr(room.Pretraining, "update", update)
    early = pretrain(replace(config, stop_at=6), tmp_path / "early")
    checkpoint = load_file(tmp_path / "whole" / "checkpoint.safetensors")  # of step 6
    stopped = weights(tmp_path / "early")
    assert all(torch.equal(stopped[name], checkpoint[f"model.{name}"]) for name in stopped)
    assert (early.tokens_seen, early.curve[-1]["step"]) == (6 * 4 * 16, 6)
    card = (tmp_path / "early" / "README.md").read_text()
    assert "after 6 of the 9 steps" in card
    assert "--stop-at 6" in card


def test_shuffled_text_gives_a_model_of_frequencies_alone(config: PretrainConfig, tmp_path: Path) -> None:
    longer = replace(config, steps=150, checkpoint_every=50, learning_rate=0.02, dropout=0.0)
    in_order = pretrain(longer, tmp_path / "in_order")
    shuffled = pretrain(replace(longer, order="shuffled"), tmp_path / "shuffled")
    assert shuffled.tokenizer_sha256 == in_order.tokenizer_sha256
    assert shuffled.unigram_loss == pytest.approx(in_order.unigram_loss, abs=0.05)
    assert abs(shuffled.held_out_loss - shuffled.unigram_loss) < 0.1
    assert in_order.held_out_loss < shuffled.held_out_loss - 0.5
    assert "learned no language, only how frequent" in (tmp_path / "shuffled" / "README.md").read_text()


def test_a_markov_model_has_a_borrowed_tokenizer_and_learns_the_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic, "TRAIN_TOKENS", 50_000)
    monkeypatch.setattr(synthetic, "HELD_OUT_TOKENS", 2_000)
    config = replace(TINY, corpus="markov", tokenizer="gpt2-mini", vocabulary=4096, markov_states=8, storage="float16")
    config = replace(config, markov_temperature=0.1, steps=200, checkpoint_every=100, learning_rate=0.03, dropout=0.0)
    summary = pretrain(config, tmp_path / "markov")
    floor = float(summary.sources["entropy rate"].split()[0])
    assert floor - 0.1 < summary.held_out_loss < (floor + summary.unigram_loss) / 2
    assert load_tokenizer(str(tmp_path / "markov"))("A mean") == load_tokenizer("gpt2-mini")("A mean")
    card = (tmp_path / "markov" / "README.md").read_text()
    assert "never saw language" in card
    assert summary.sources["entropy rate"] in card


def test_float16_halves_the_file_and_is_what_was_measured(config: PretrainConfig, tmp_path: Path) -> None:
    pretrain(config, tmp_path / "whole")
    summary = pretrain(replace(config, storage="float16"), tmp_path / "half")
    whole = weights(tmp_path / "whole")
    half = weights(tmp_path / "half")
    assert all(torch.equal(half[name], whole[name].half()) for name in whole)
    model = load_language_model(str(tmp_path / "half"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    corpus = load_corpus(config.corpus, load_tokenizer(str(tmp_path / "half")))
    assert held_out_loss(model, corpus.held_out) == pytest.approx(summary.held_out_loss, rel=1e-6)


def test_a_text_shorter_than_a_block_is_refused_before_anything_is_written(
    config: PretrainConfig, tmp_path: Path
) -> None:
    with pytest.raises(
        UserError, match=r"part of corpus '.*' has \d+ tokens, fewer than one block of 9000; .*: --context \d+$"
    ):
        pretrain(replace(config, context=9000), tmp_path / "mini")
    assert not (tmp_path / "mini").exists()


def test_a_finished_folder_is_left_alone(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = pretrain(config, tmp_path / "mini")
    monkeypatch.setattr(room.Pretraining, "live", None)
    assert pretrain(config, tmp_path / "mini") == summary
    with pytest.raises(UserError, match=r"holds a run with steps = 9, not 10; write to another folder"):
        pretrain(replace(config, steps=10), tmp_path / "mini")


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = room.language_loss
    calls = []

    def explode(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return loss(model, ids) * (math.nan if len(calls) == 5 else 1.0)

    monkeypatch.setattr(room, "language_loss", explode)
    with pytest.raises(
        UserError, match=r"loss nan.* at step 4; its last good checkpoint is kept; .*--learning-rate below 0\.004"
    ):
        pretrain(config, tmp_path / "mini")
    monkeypatch.setattr(room, "language_loss", loss)
    assert pretrain(config, tmp_path / "mini").curve[0]["step"] == 3
    assert pretrain(config, tmp_path / "other").held_out_loss == pretrain(config, tmp_path / "mini").held_out_loss


def test_another_text_under_the_same_name_is_refused(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.Pretraining, "finish", lambda _: pytest.fail("stop here"))
    with pytest.raises(pytest.fail.Exception):
        pretrain(config, tmp_path / "mini")
    with (tmp_path / "story.txt").open("a") as story:
        story.write("\nThe sailor sees one more line that was not there before.")
    with pytest.raises(UserError, match="begun on another text"):
        pretrain(config, tmp_path / "mini")


def test_learning_rate_warms_up_and_decays() -> None:
    config = PretrainConfig(steps=110, warmup_steps=10, learning_rate=1.0, final_learning_rate=0.1)
    rates = [learning_rate(config, step) for step in range(110)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert rates[10] == max(rates) == 1.0
    assert rates[60] == pytest.approx(0.55)
    assert rates[109] == pytest.approx(0.1, abs=0.001)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps 0 is too small"),
        ({"vocabulary": 100}, "vocabulary 100 is too small, expected at least 257"),
        ({"width": 130}, "width 130 is not a multiple of heads 4"),
        ({"learning_rate": 0.0}, "learning-rate 0 is not positive"),
        ({"precision": "half"}, "unknown precision 'half'"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
        ({"corpus": "no/such.txt"}, "no corpus 'no/such.txt'"),
        ({"order": "random"}, r"unknown order 'random' \(valid: natural, shuffled\)"),
        ({"storage": "int8"}, "unknown storage 'int8'"),
        ({"steps": 10, "stop_at": 11}, "stop-at 11 is not within the 10 steps, expected 0 to 10"),
        ({"corpus": "markov"}, "corpus 'markov' has no text to make a tokenizer from; add --tokenizer gpt2-mini"),
        (
            {"corpus": "markov", "tokenizer": "gpt2-mini", "vocabulary": 300},
            "has 4096 tokens, not 300; .*--vocabulary 4096",
        ),
        ({"corpus": "markov", "tokenizer": "gpt2-mini", "markov_states": 1}, "markov-states 1 does not fit"),
        ({"corpus": "wikitext-2", "tokenizer": "gpt2-mini"}, "type: lamobench lm fetch wikitext-2"),
    ],
)
def test_options_that_do_not_fit(
    changes: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    with pytest.raises(UserError, match=message):
        pretrain(replace(PretrainConfig(), **changes), tmp_path / "mini")  # type: ignore[arg-type]
    assert not (tmp_path / "mini").exists()


CONTROLS: dict[str, dict[str, object]] = {
    "gpt2-mini-early": {"stop_at": 600},
    "gpt2-mini-shuffled": {"order": "shuffled", "steps": 1500},
    "gpt2-mini-markov": {"corpus": "markov", "markov_temperature": 0.1, "steps": 1500},
}


@pytest.mark.parametrize("name", CONTROLS)
def test_an_embedded_control_differs_from_the_defaults_in_what_makes_it_one(name: str) -> None:
    folder = EMBEDDED / name
    about = json.loads((folder / "training.json").read_text())
    config = PretrainConfig(**about["config"])
    summary = PretrainSummary(**about["summary"])
    assert config == replace(PretrainConfig(), **CONTROLS[name], tokenizer="gpt2-mini", storage="float16")  # type: ignore[arg-type]
    assert (folder / "README.md").read_text() == model_card(name, config, summary)
    assert (folder / "tokenizer.json").read_bytes() == (EMBEDDED / "gpt2-mini" / "tokenizer.json").read_bytes()


def test_the_embedded_model_is_the_defaults_run() -> None:
    folder = Path(room.__file__).parent / "models" / "gpt2-mini"
    about = json.loads((folder / "training.json").read_text())
    assert PretrainConfig(**about["config"]) == PretrainConfig()
    assert command("gpt2-mini", PretrainConfig()) == "lamobench lm pretrain gpt2-mini"
    assert about["summary"]["held_out_loss"] < about["summary"]["bigram_loss"] < about["summary"]["unigram_loss"]
    assert f"**{about['summary']['held_out_loss']:.3f}**" in (folder / "README.md").read_text()
    card = model_card("gpt2-mini", PretrainConfig(), PretrainSummary(**about["summary"]))
    assert (folder / "README.md").read_text().startswith(f"{card}\n## On other text\n"), "measured later: behind it"
