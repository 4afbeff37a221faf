"""`lm score`: nats a token and bits a byte, against a computation token by token."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.lm import bits_per_byte
from lamobench.benchmark.lm.bits_per_byte import score_text, text_loss
from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.lm.ngrams import bigram_loss
from lamobench.datasets.corpora import load_corpus
from lamobench.datasets.errors import UserError
from lamobench.datasets.measured_text import MeasuredText

TEXT = "\ufeffthe mean of the array\r\n\r\nnaïve café — 東京 🎉 <|endoftext|>  two  spaces\tand\n" * 12


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    return path


def by_hand(model: str, ids: list[int], positions: int) -> float:
    """Nats a token of `ids[1:]`, each from the tokens before it in windows that overlap by one."""
    network = load_language_model(model)
    losses = []
    with torch.no_grad():
        for target in range(1, len(ids)):
            start = (target - 1) // (positions - 1) * (positions - 1)
            logits = network(torch.tensor([ids[start:target]])).logits[0, -1]
            losses.append(-logits.log_softmax(0)[ids[target]].item())
    return float(np.mean(losses))


def test_every_token_of_the_file_is_scored_once(tiny_gpt2: Path, text: Path) -> None:
    (row,) = score_text(str(tiny_gpt2), text, device="cpu")
    ids = [0, *load_tokenizer(str(tiny_gpt2)).backend_tokenizer.encode(TEXT).ids]
    assert (row["bytes"], row["tokens"]) == (len(TEXT.encode()), len(ids) - 1)
    assert row["bytes"] > len(TEXT), "bytes are no characters"
    expected = by_hand(str(tiny_gpt2), ids, 64)
    assert row["nats_per_token"] == pytest.approx(expected, rel=1e-5)
    assert row["bits_per_byte"] == pytest.approx(expected * (len(ids) - 1) / math.log(2) / row["bytes"], rel=1e-5)


@pytest.mark.parametrize("family", ["tiny_gpt2", "tiny_llama"])
def test_a_model_reads_with_the_fused_kernel_only_meanwhile(
    family: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(request.getfixturevalue(family))
    model = load_language_model(folder)
    used = []

    def interrupted(model: Any, *_: Any) -> float:
        used.append(model.config._attn_implementation)
        raise KeyboardInterrupt

    monkeypatch.setattr(bits_per_byte, "held_out_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        text_loss(model, load_tokenizer(folder), MeasuredText("some", "the mean of the array"), folder)
    assert (used, model.config._attn_implementation) == (["sdpa"], "eager")


@pytest.mark.parametrize("characters", [7, 64, 150])
def test_a_text_read_in_pieces_has_the_same_tokens(
    tiny_gpt2: Path, tmp_path: Path, characters: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "long.txt"
    content = "the mean,  of\tan array\n\n of 12  arrays; a_b " * 40
    path.write_bytes(content.encode())
    monkeypatch.setattr(bits_per_byte, "WINDOWS", 2)
    whole = score_text(str(tiny_gpt2), path, device="cpu")
    monkeypatch.setattr(bits_per_byte, "ENCODED_AT_ONCE", characters)
    with path.open(encoding="utf-8", newline="") as file:
        pieces = list(bits_per_byte._pieces(file))
    assert "".join(pieces) == content
    assert len(pieces) > 5
    if characters > 20:  # longer than what lies between two places to cut
        assert score_text(str(tiny_gpt2), path, device="cpu") == whole


def test_a_bigram_of_a_corpus_is_scored_on_the_same_tokens(
    tiny_gpt2: Path, text: Path, english: Path, home: Path
) -> None:
    model, bigram = score_text(str(tiny_gpt2), text, bigram=str(english), device="cpu")
    tokenizer = load_tokenizer(str(tiny_gpt2))
    ids = np.array([0, *tokenizer.backend_tokenizer.encode(TEXT).ids])
    expected = bigram_loss(load_corpus(str(english), tokenizer).train, ids, 280)
    assert bigram["nats_per_token"] == pytest.approx(expected)
    assert bigram["tokens"] == model["tokens"]
    assert bigram["model"] == f"bigram of {english}"


def test_the_command_prints_a_table_or_json(tiny_gpt2: Path, text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["lm", "score", str(tiny_gpt2), "--text", str(text), "--device", "cpu"]
    parse(command).run()
    assert capsys.readouterr().out.splitlines()[0].split() == [
        *("model", "text", "bytes", "tokens", "nats_per_token", "bits_per_byte")
    ]
    parse([*command, "--json"]).run()
    (row,) = json.loads(capsys.readouterr().out)
    assert row == score_text(str(tiny_gpt2), text, device="cpu")[0]


def test_an_encoder_predicts_no_next_token(tiny_bert: Path, text: Path) -> None:
    with pytest.raises(UserError, match="is an encoder and predicts no next token; give a GPT-2"):
        score_text(str(tiny_bert), text)


def test_texts_that_are_none(tiny_gpt2: Path, text: Path, tmp_path: Path) -> None:
    def refused(path: Path, message: str, limit: float = 100) -> None:
        with pytest.raises(UserError, match=message) as mistake:
            score_text(str(tiny_gpt2), path, device="cpu", max_megabytes=limit)
        assert "\n" not in str(mistake.value)

    refused(tmp_path / "none.txt", r"none\.txt can't be read \(No such file")
    refused(tmp_path, "is a folder where a regular file belongs")
    (tmp_path / "empty.txt").touch()
    refused(tmp_path / "empty.txt", r"empty\.txt has 0 MB, expected more than 0")
    refused(text, r"at most 0\.0001; give another text, or raise --max-megabytes", limit=1e-4)
    with (tmp_path / "huge.txt").open("wb") as huge:
        huge.truncate(10**12)
    refused(tmp_path / "huge.txt", r"has 1e\+06 MB, expected .* at most 100; give another text")
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    refused(tmp_path / "latin.txt", r"latin\.txt is not UTF-8 \(.*\); convert it")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "is a named pipe where a regular file belongs")


def test_a_tokenizer_that_loses_text_is_refused(tiny_gpt2: Path, text: Path, tmp_path: Path) -> None:
    """A tokenizer would be rewarded for what it leaves out."""
    about = json.loads((tiny_gpt2 / "tokenizer.json").read_text())
    folder = tmp_path / "lossy"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes((tiny_gpt2 / file).read_bytes())
    kept = {token: number for token, number in about["model"]["vocab"].items() if token != "t"}
    merges = [pair for pair in about["model"]["merges"] if "t" not in "".join(pair)]
    about["model"] |= {
        "vocab": {t: n for t, n in kept.items() if t == "<|endoftext|>" or "t" not in t},
        "merges": merges,
    }
    (folder / "tokenizer.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="does not keep the text of"):
        score_text(str(folder), text, device="cpu")
