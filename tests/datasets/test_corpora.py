from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from transformers import GPT2TokenizerFast, PreTrainedTokenizerFast

from lamobench.datasets import corpora, prose
from lamobench.datasets.corpora import (
    END_OF_TEXT,
    check_length,
    corpus_paragraphs,
    encode,
    load_corpus,
    sample_blocks,
    split_held_out,
    train_tokenizer,
)
from lamobench.datasets.errors import UserError

DOCSTRING = '''
def smooth(values, width=3):
    """Return the running mean of the values, as an array of the same length.

    Values outside the borders are taken to be zero, so the ends are pulled down.

    Parameters
    ----------
    values : array_like, shape (n,), dtype float64 or anything that can be cast to it
        The values to smooth. A view of the array is not modified by this function.
    width : int, optional

    Raises
    ------
    ValueError

    >>> smooth([1.0, 2.0, 3.0]) is what one would call with the list of the values.
    array([1. , 2. , 1.66666667])

    .. math:: y_i = \\\\frac{1}{w} \\\\sum_j x_{i + j} for each of the values in the array.
    """
    # A cumulative sum is faster than a convolution here, but it loses
    # a little precision for the large arrays that we see in practice.
    return values
'''
TEXT = (
    "the a cat robot sailor star leaf road paper sea morning reason gradient array log line page island engine letter "
    "old small long bright quiet careful distant wooden and or but while because before after near under over with of "
    "remembers follows measures forgets describes repeats ignores questions carries mends paints counts"
)
WORDS = TEXT.split()


def sentences(count: int = 1500) -> list[str]:
    """Lines of twelve random words: no two share a run of eight."""
    drawn = np.random.default_rng(0).choice(WORDS, size=(count, 12))
    return [f"{' '.join(line).capitalize()}." for line in drawn]


@pytest.fixture(scope="module")
def tokenizer() -> GPT2TokenizerFast:
    return train_tokenizer(sentences(), vocabulary=400, context=32)


@pytest.fixture
def text_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    path = tmp_path / "story.txt"
    path.write_text("\n\n".join(sentences()), encoding="utf-8")
    return path


def test_prose_keeps_sentences_and_drops_everything_else() -> None:
    kept = [paragraph for text in prose.documentation_strings(DOCSTRING) for paragraph in prose.prose(text)]
    assert kept == [
        "Return the running mean of the values, as an array of the same length.",
        "Values outside the borders are taken to be zero, so the ends are pulled down.",
        "The values to smooth. A view of the array is not modified by this function.",
        "A cumulative sum is faster than a convolution here, but it loses "
        "a little precision for the large arrays that we see in practice.",
    ]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("value: The :class:`Model <a.Model>` to load from ``disk``, see `here <https://x.y>`_. e.g", True),
        ("- **Note**: the order of the keys is not kept when the table is written.", "**"),
    ],
)
def test_clean_removes_markup(unit: str, expected: bool | str) -> None:
    cleaned = prose.clean(unit)
    if expected is True:
        assert cleaned == "The Model to load from disk, see here."
    else:
        assert expected not in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "Returns the mean.",  # too short
        "the name of the file that is to be read by the parser.",  # no capital: the middle of something
        "Set it to {value} and then the result of the call is in the cache.",
        "Tensor Matrix Vector Array Shape Number Index Value Name Size.",  # a list of names
        "The arguments x_1, x_2, y_1 and f(x_1) are passed to g(y_1, y_2) by it.",  # identifiers
        "The sum a = b holds for all of the values that are in the list.",
    ],
)
def test_what_is_not_prose(text: str) -> None:
    assert not prose.is_prose(text)


def test_near_duplicates_are_dropped() -> None:
    first = "Constructs a BertModel with 12 layers from the given configuration."
    again = "Constructs a RobertaModel with 24 layers from the given configuration."
    other = "Reads the whole table into memory before the first row is returned."
    assert prose.drop_near_duplicates([first, again, other, f"{first} {other}"]) == [first, other]


def test_split_is_disjoint_and_does_not_depend_on_order_or_company() -> None:
    paragraphs = sentences()
    train, held_out = split_held_out(paragraphs)
    assert 0 < len(held_out) < 0.1 * len(paragraphs)
    assert not set(train) & set(held_out)
    assert set(split_held_out(paragraphs[::-1])[0]) == set(train)
    assert set(split_held_out(paragraphs[::2])[0]) <= set(train)


def test_split_works_in_any_alphabet() -> None:
    greek = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβγδεζηθικλμνξοπρστυφχψωςέ")
    train, held_out = split_held_out([line.lower().translate(greek) for line in sentences()])
    assert 20 < len(held_out) < 150
    assert len(train) + len(held_out) == len(sentences())


def test_split_keeps_near_duplicates_together() -> None:
    pairs = [[f"BertModel 12 {line}", f"A_B 24 {line.upper()}"] for line in sentences()]
    parts = [tuple(map(len, split_held_out(pair))) for pair in pairs]
    assert set(parts) == {(2, 0), (0, 2)}


def test_held_out_paragraphs_that_overlap_the_training_part_are_dropped() -> None:
    train, held_out = split_held_out(sentences())
    for paragraph in held_out[:20]:
        for shared, kept in ((7, [paragraph]), (8, [])):
            run = " ".join(paragraph.split()[:shared])
            copies = [f"{word} {run} {word}" for word in WORDS if word not in paragraph.lower()]
            in_training, _ = split_held_out(copies)
            assert split_held_out([paragraph, *in_training])[1] == kept
    assert len(train) + len(held_out) == len(sentences())


def test_tokenizer_round_trip_and_class(tokenizer: GPT2TokenizerFast, tmp_path: Path) -> None:
    assert len(tokenizer) == 400
    text = "The cat repeats: déjà vu, 42 times!"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    tokenizer.save_pretrained(tmp_path)
    for loader in (GPT2TokenizerFast, PreTrainedTokenizerFast):
        again = loader.from_pretrained(tmp_path, local_files_only=True)
        assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
        assert corpora.tokenizer_sha256(again) == corpora.tokenizer_sha256(tokenizer)


def test_text_too_short_for_the_vocabulary() -> None:
    with pytest.raises(UserError, match=r"--vocabulary \d+"):
        train_tokenizer(["one two"], vocabulary=4096, context=32)


def test_encode_separates_paragraphs(tokenizer: GPT2TokenizerFast) -> None:
    paragraphs = sentences()[:3]
    ids = encode(paragraphs, tokenizer)
    assert ids.dtype == np.uint16
    assert tokenizer.decode(ids.tolist()) == "".join(paragraph + END_OF_TEXT for paragraph in paragraphs)


def test_load_corpus_is_cached_and_verified(text_file: Path, tokenizer: GPT2TokenizerFast) -> None:
    corpus = load_corpus(str(text_file), tokenizer)
    train, held_out = split_held_out(corpus_paragraphs(str(text_file)))
    np.testing.assert_array_equal(corpus.train, encode(train, tokenizer))
    np.testing.assert_array_equal(corpus.held_out, encode(held_out, tokenizer))
    assert corpus.paragraphs == {
        "train": len(train),
        "held_out": len(held_out),
        "dropped": 0,
    }
    [folder] = (text_file.parent / "home" / "corpora").iterdir()
    stamp = (folder / "train.npy").stat().st_mtime_ns
    assert load_corpus(str(text_file), tokenizer).train_sha256 == corpus.train_sha256
    assert (folder / "train.npy").stat().st_mtime_ns == stamp

    damaged = bytearray((folder / "held_out.npy").read_bytes())
    damaged[-1] ^= 1
    (folder / "held_out.npy").write_bytes(damaged)
    with pytest.raises(UserError, match=r"held_out\.npy is damaged"):
        load_corpus(str(text_file), tokenizer)
    (folder / "train.npy").write_bytes(b"")
    with pytest.raises(UserError, match="can't be read"):
        load_corpus(str(text_file), tokenizer)


def test_another_text_or_tokenizer_is_another_corpus(text_file: Path, tokenizer: GPT2TokenizerFast) -> None:
    first = load_corpus(str(text_file), tokenizer)
    smaller = load_corpus(str(text_file), train_tokenizer(sentences(), vocabulary=300, context=32))
    assert len(smaller.train) > len(first.train)
    text_file.write_text("\n\n".join(sentences()[::-1]), encoding="utf-8")
    assert load_corpus(str(text_file), tokenizer).train_sha256 != first.train_sha256


def test_docs_are_read_from_installed_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tokenizer: GPT2TokenizerFast
) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    monkeypatch.setattr(prose, "PACKAGES", {"jinja2": "jinja2", "not_installed": "not-installed"})
    monkeypatch.setattr(prose, "_roots", lambda roots=prose._roots: {"jinja2": roots()["jinja2"]})
    prose.documentation_paragraphs.cache_clear()
    try:
        corpus = load_corpus("docs", tokenizer)
    finally:
        prose.documentation_paragraphs.cache_clear()
    assert set(corpus.sources) == {"python", "jinja2"}
    assert corpus.paragraphs["train"] > 200


@pytest.mark.parametrize("name", ["wikitext", "no/such/file.txt"])
def test_unknown_corpus(name: str, tokenizer: GPT2TokenizerFast) -> None:
    with pytest.raises(UserError, match=f"no corpus '{name}': give 'docs', 'wikitext-2', .* or the path"):
        load_corpus(name, tokenizer)


def test_text_that_can_not_be_used(text_file: Path, tokenizer: GPT2TokenizerFast) -> None:
    text_file.write_bytes(b"caf\xe9 au lait")
    with pytest.raises(UserError, match=r"not UTF-8 \(byte 3\)"):
        load_corpus(str(text_file), tokenizer)
    text_file.write_text("A single line.")
    with pytest.raises(UserError, match="too few"):
        load_corpus(str(text_file), tokenizer)


def test_samples_are_consecutive_and_drawn_from_everywhere() -> None:
    ids = np.arange(10, dtype=np.uint16)
    sample = sample_blocks(ids, 500, 4, np.random.default_rng(0))
    assert sample.dtype == np.int64
    np.testing.assert_array_equal(sample - sample[:, :1], np.tile(np.arange(4), (500, 1)))
    assert set(sample[:, 0].tolist()) == set(range(7))  # the first and the last offset are drawn too
    np.testing.assert_array_equal(sample, sample_blocks(ids, 500, 4, np.random.default_rng(0)))
    with pytest.raises(UserError, match="10 tokens, fewer than one block of 11"):
        sample_blocks(ids, 1, 11, np.random.default_rng(0))


def test_a_part_that_is_shorter_than_a_block_is_named(text_file: Path, tokenizer: GPT2TokenizerFast) -> None:
    corpus = load_corpus(str(text_file), tokenizer)
    least = len(corpus.held_out)
    check_length(corpus, least, "--set length=")
    line = rf"held-out part of corpus '.*' has {least} tokens, .* of {least + 1}; .*shorter blocks: --set length=\d+$"
    with pytest.raises(UserError, match=line) as mistake:
        check_length(corpus, least + 1, "--set length=")
    check_length(corpus, int(str(mistake.value).rpartition("=")[2]), "--set length=")
    with pytest.raises(UserError, match=r"the training part .* has 1 tokens, .* block of 2; give a longer text$"):
        check_length(replace(corpus, train=corpus.train[:1]), 2, "--set length=")
