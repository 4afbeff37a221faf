"""Sentences as language models see them: against transformers, one by one, too long, empty of tokens."""

import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertModel

from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.sentences import load_sentence_encoder
from lamobench.benchmark.lm.tuned_sentences import train_top
from lamobench.datasets.errors import UserError

PIECES = ["the mean of the array", "a value", "each axis is given in the shape of the array", "a"]


@pytest.fixture
def reading_bert(tiny_bert: Path, tmp_path: Path) -> Path:
    """The tiny BERT with a tokenizer of a few words."""
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "bert"))
    words = ["[UNK]", "[CLS]", "[SEP]", *sorted({word for piece in PIECES for word in piece.split()})]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@torch.no_grad()
def test_an_encoder_reads_both_ways_and_is_averaged_over_all_tokens(reading_bert: Path) -> None:
    encoder = load_sentence_encoder(str(reading_bert))
    original = BertModel.from_pretrained(reading_bert).eval()
    for piece in PIECES:
        hidden = original(torch.tensor([encoder.tokens(piece)])).last_hidden_state
        torch.testing.assert_close(encoder.encode([piece])[0], hidden[0].mean(0), atol=1e-6, rtol=1e-5)
    assert encoder.first == []
    assert encoder.tokens("a")[0] == 1


@torch.no_grad()
@pytest.mark.parametrize("family", ["tiny_gpt2", "tiny_llama"])
def test_a_model_that_predicts_words_reads_from_the_end_of_a_text_and_leaves_it_out(
    family: str, request: pytest.FixtureRequest
) -> None:
    folder = str(request.getfixturevalue(family))
    encoder = load_sentence_encoder(folder)
    model = load_language_model(folder)
    for piece in PIECES:
        ids = encoder.tokens(piece)
        assert ids[0] == 0
        hidden = model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
        torch.testing.assert_close(encoder.encode([piece])[0], hidden[0, 1:].mean(0), atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("family", ["reading_bert", "tiny_gpt2"])
def test_side_by_side_is_one_by_one(family: str, request: pytest.FixtureRequest) -> None:
    encoder = load_sentence_encoder(str(request.getfixturevalue(family)))
    many = [*PIECES, *(f"{piece} {word}" for piece in PIECES for word in ("sum", "in", "axis", "to", "of", "return"))]
    many += many[::-1]  # more than one group
    apart = torch.cat([encoder.encode([piece]) for piece in many])
    torch.testing.assert_close(encoder.encode(many), apart, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_sentence_longer_than_the_model_sees_becomes_parts(tiny_gpt2: Path) -> None:
    encoder = load_sentence_encoder(str(tiny_gpt2))
    text = "the mean of the array " * 30
    parts = encoder.cut(f"A value. {text}")
    assert " ".join(parts) == f"A value. {text.strip()}"
    assert len(parts) > 3
    assert all(len(encoder.tokens(part)) <= encoder.most == 64 for part in parts)
    word = "q" * 500  # no place to cut: its beginning counts
    assert encoder.cut(word) == [word]
    assert torch.isfinite(encoder.encode([word])).all()
    assert encoder.cut("") == []


@torch.no_grad()
def test_controls_are_other_encoders(tiny_gpt2: Path) -> None:
    vectors = [
        load_sentence_encoder(str(tiny_gpt2), weights, seed).encode(PIECES[:1])
        for weights, seed in (("pretrained", 0), ("random", 0), ("random", 1), ("permuted", 0))
    ]
    assert len({tuple(vector[0].tolist()) for vector in vectors}) == 4


@pytest.mark.parametrize("layers", [1, 2])
def test_what_is_kept_of_the_layers_below_changes_nothing(layers: int, reading_bert: Path) -> None:
    whole, split = (load_sentence_encoder(str(reading_bert)) for _ in range(2))
    train_top(whole, layers)
    whole.below = 0
    train_top(split, layers)
    assert split.below == 2 - layers
    for _ in range(2):  # the second time from memory
        torch.testing.assert_close(split.encode(PIECES), whole.encode(PIECES), atol=1e-6, rtol=1e-5)
    for encoder in (whole, split):
        encoder.encode(PIECES).square().sum().backward()
    theirs = dict(whole.named_parameters())
    for name, weight in split.named_parameters():
        assert (weight.grad is None) == (theirs[name].grad is None) == (not weight.requires_grad)
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, theirs[name].grad, atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match=r"adaptation\.layers is 3, and the language model has 2"):
        train_top(whole, 3)
