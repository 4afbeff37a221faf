"""Sentences as language models see them: against transformers, one by one, too long, empty of tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import BertModel, RobertaModel

from lamobench.benchmark.benches.reading import PaddedEncoder
from lamobench.benchmark.lm.adapters import use_fast_layers
from lamobench.benchmark.lm.bert import Packed, embed, pack, read_tokens
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.sentences import SentenceEncoder, load_sentence_encoder
from lamobench.benchmark.lm.tuned_sentences import train_top
from lamobench.datasets.errors import UserError

PIECES = ["the mean of the array", "a value", "each axis is given in the shape of the array", "a"]


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


@pytest.mark.parametrize("family", [BertModel, RobertaModel])
def test_sentences_without_padding_are_as_transformers_reads_them_alone(family: Any) -> None:
    config = family.config_class(
        vocab_size=50,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=30,
        pad_token_id=1,
    )
    model = family(config, add_pooling_layer=False).eval()
    first = 2 if family is RobertaModel else 0  # RoBERTa counts positions from behind its padding's
    generator = torch.Generator().manual_seed(0)
    lengths = [1, 2, 2, *range(3, 20), *[20] * 20]  # buckets with padding and without
    sentences = [torch.randint(2, 50, (length,), generator=generator) for length in lengths]
    weight = model.encoder.layer[0].attention.self.query.weight

    def gradient(vectors: Tensor) -> Tensor:
        return torch.autograd.grad(vectors.square().sum(), weight)[0]

    packed = pack(lengths)
    found = packed.means(read_tokens(model.encoder.layer, embed(model, torch.cat(sentences), packed, first), packed))
    apart = torch.stack([model(sentence[None]).last_hidden_state[0].mean(0) for sentence in sentences])
    torch.testing.assert_close(found, apart, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(gradient(found), gradient(apart), atol=1e-4, rtol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize("family", ["reading_bert", "tiny_gpt2"])
def test_bfloat16_is_near_and_leaves_what_is_exact_alone(family: str, request: pytest.FixtureRequest) -> None:
    folder = str(request.getfixturevalue(family))
    exact = load_sentence_encoder(folder).encode(PIECES)
    encoder = load_sentence_encoder(folder, precision="bfloat16")
    use_fast_layers(encoder.model)
    rounded = encoder.encode(PIECES)
    assert rounded.dtype == torch.float32
    assert 1e-6 < float((rounded - exact).norm() / exact.norm()) < 0.03
    torch.testing.assert_close(encoder.exact(PIECES), exact, atol=1e-5, rtol=1e-4)
    assert torch.equal(encoder.encode(PIECES), rounded)


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
        torch.testing.assert_close(split(PIECES), whole(PIECES), atol=1e-6, rtol=1e-5)
    assert sorted(split.outputs.known) == (sorted(PIECES) if layers == 1 else [])
    for encoder in (whole, split):
        encoder(PIECES).square().sum().backward()
    theirs = dict(whole.named_parameters())
    for name, weight in split.named_parameters():
        assert (weight.grad is None) == (theirs[name].grad is None) == (not weight.requires_grad)
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, theirs[name].grad, atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match=r"adaptation\.layers is 3, and the language model has 2"):
        train_top(whole, 3)


@torch.no_grad()
def test_what_is_kept_of_a_sentence_depends_on_nothing_beside_it(reading_bert: Path) -> None:
    """A run comes to the same numbers whatever ran before it in its process, and wherever it was cut short."""
    words = ["mean", "array", "axis", "value", "shape", "of", "the", "a"]
    pieces = [f"the {one} of {other}" for one in words for other in words]
    encoders = [load_sentence_encoder(str(reading_bert)) for _ in range(3)]
    for encoder in encoders:
        train_top(encoder, 1)
        use_fast_layers(encoder.model)
    side_by_side, in_turn, backwards = encoders
    side_by_side(pieces)
    for piece in pieces:
        in_turn([piece])
    for first in range(0, len(pieces), 3):
        backwards(pieces[::-1][first : first + 3])
    for other in (in_turn, backwards):
        assert other.outputs.known.keys() == side_by_side.outputs.known.keys()
        for piece, output in other.outputs.known.items():
            assert torch.equal(output, side_by_side.outputs.known[piece])


def test_no_sentence_attends_by_itself_where_its_vector_must_not_depend_on_others(
    reading_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_sentence_encoder(str(reading_bert))
    sizes: list[int] = []
    packed = encoder._packed

    def watched(pieces: Sequence[str]) -> Packed:
        found = packed(pieces)
        sizes.extend(bucket.size[0] for bucket in found.buckets)
        return found

    monkeypatch.setattr(encoder, "_packed", watched)
    words = ["mean", "array", "axis", "value", "shape", "of", "the", "a"]
    for length, count in ((1, 40), (3, 17), (20, 33), (40, 20)):
        encoder.encode_apart([" ".join([words[n % 8], words[n // 8 % 8], *["a"] * length]) for n in range(count)])
    assert min(sizes) > 1


@pytest.mark.parametrize("model", ["reading_bert", "tiny_gpt2"])
def test_a_vector_by_itself_is_the_one_beside_others(model: str, request: pytest.FixtureRequest) -> None:
    encoder = load_sentence_encoder(str(request.getfixturevalue(model)))
    words = ["mean", "array", "axis", "value", "shape", "of", "the"]
    pieces = [f"the {one} of {other}" for one in words for other in words] + ["a", "the mean"]
    apart = torch.cat([encoder.encode_apart([piece]) for piece in pieces])
    assert torch.equal(encoder.encode_apart(pieces), apart)
    assert torch.equal(encoder.encode_apart(pieces[::-1][:17]), apart.flip(0)[:17])
    rounded = load_sentence_encoder(str(request.getfixturevalue(model)), precision="bfloat16")
    assert torch.equal(rounded.encode_apart(pieces[:3]), torch.cat([rounded.encode([one]) for one in pieces[:3]]))


@torch.no_grad()
def test_what_finds_no_room_is_computed_again(reading_bert: Path) -> None:
    roomy, narrow = (load_sentence_encoder(str(reading_bert)) for _ in range(2))
    for encoder in (roomy, narrow):
        train_top(encoder, 1)
    first = narrow._read_below(PIECES[:1])[0]
    narrow.outputs.room = first.nbytes
    for _ in range(2):
        assert torch.equal(narrow(PIECES), roomy(PIECES))
    assert 0 < len(narrow.outputs.known) < len(roomy.outputs.known) == len(PIECES)
    assert narrow.outputs.room == first.nbytes - sum(output.nbytes for output in narrow.outputs.known.values()) >= 0


@torch.no_grad()
def test_the_plain_way_of_the_bench_pads_whoever_asks(reading_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load_sentence_encoder(str(reading_bert))
    plain = PaddedEncoder(ours.model, ours.tokenizer)
    expected = ours(PIECES)
    monkeypatch.delattr(SentenceEncoder, "_packed_means")
    for found in (plain(PIECES), plain.encode(PIECES)):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
