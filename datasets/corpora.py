"""Token streams of English for pre-training and for the auxiliary language loss.

A corpus is two flat arrays of token ids, training and held-out, cached as memory maps. The end-of-text token follows
each piece of text: a paragraph, or an article of WikiText.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from . import wikitext
from .errors import UserError
from .json_files import check_fields, read_json
from .npy_files import open_array
from .prose import documentation_paragraphs, near_duplicate_key, package_versions
from .storage import home, whole_folder, write_json
from .trajectories import Array, array_hash

if TYPE_CHECKING:
    from transformers import GPT2TokenizerFast, PreTrainedTokenizerBase

HELD_OUT_SHARE = 0.05
OVERLAP_WORDS = 8  # a held-out paragraph shares no run of this many words with the training part
END_OF_TEXT = "<|endoftext|>"
REVISION = 1  # raise it when the filter, the split or the encoding changes a corpus: caches are then made anew
PARTS = ("train", "held_out")
DOCS = "docs"
NAMES = (DOCS, *wikitext.PUBLISHED_ARTICLES)  # corpora that have a name; any other corpus is a text file
ENCODED_AT_ONCE = 1 << 20  # characters: the tokenizer's own records take a hundred times the room of its ids


@dataclass(frozen=True)
class Corpus:
    """A tokenised corpus; the arrays are memory-mapped, uint16 for up to 65,536 tokens of vocabulary, else uint32."""

    name: str  # one of `NAMES`, or the path of a text file
    train: Array  # (tokens,) unsigned integers
    held_out: Array  # (tokens,) unsigned integers
    train_sha256: str  # of the array's type, shape and content
    held_out_sha256: str
    tokenizer_sha256: str
    paragraphs: dict[str, int]  # or articles: how many "train" and "held_out" have, and were "dropped" as overlapping
    sources: dict[str, str]  # version of each package for "docs"; else the SHA-256 of each file's text


def load_corpus(name: str, tokenizer: "PreTrainedTokenizerBase") -> Corpus:
    """The corpus `name` in tokens of `tokenizer`, from the cache; it is made (half a minute for "docs") if not there.

    `name` is "docs", the documentation text of the installed packages; "wikitext-2" or "wikitext-103", once fetched; or
    the path of a UTF-8 text file. Raises `UserError` for anything else, for a damaged cache, and for a tokenizer that
    has no end-of-text token.
    """
    if END_OF_TEXT not in tokenizer.get_vocab():
        raise UserError(
            f"the language model's tokenizer has no {END_OF_TEXT} to stand between texts; give another model, or read "
            "no English: --set language_weight=0"
        )
    sources = _sources(name)
    tokenizer_hash = tokenizer_sha256(tokenizer)
    key = json.dumps([REVISION, tokenizer_hash, sources], sort_keys=True)
    label = name if name in NAMES else Path(name).stem
    folder = home() / "corpora" / f"{label}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        _write(folder, name, tokenizer, sources)
    return _read(folder, name, tokenizer_hash)


def corpus_parts(name: str) -> tuple[Iterable[str], Iterable[str], dict[str, int]]:
    """The training pieces, the held-out pieces and how many they are, of the corpus `name` (`load_corpus`).

    WikiText keeps its published split, training and validation, and its articles whole. Everything else is split here
    by `split_held_out`. Raises `UserError` for a corpus that is not here, and for a text too short to be split.
    """
    if name in wikitext.PUBLISHED_ARTICLES:
        counts = wikitext.article_counts(name)
        parts = {"train": counts["train"], "held_out": counts["valid"], "dropped": 0}
        return wikitext.articles(name, "train"), wikitext.articles(name, "valid"), parts
    paragraphs = corpus_paragraphs(name)
    train, held_out = split_held_out(paragraphs)
    if not train or not held_out:
        raise UserError(
            f"{len(paragraphs)} paragraphs are too few or too alike to hold out {HELD_OUT_SHARE:.0%}; give more text"
        )
    dropped = len(paragraphs) - len(train) - len(held_out)
    return train, held_out, {"train": len(train), "held_out": len(held_out), "dropped": dropped}


def corpus_paragraphs(name: str) -> Sequence[str]:
    """The paragraphs of "docs" or of a text file, each on one line.

    In a text file blank lines separate paragraphs; in one without blank lines every line is a paragraph.
    """
    if name == DOCS:
        return documentation_paragraphs()
    path = _text_file(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"corpus '{path}' is not UTF-8 (byte {error.start}); convert it, e.g. with iconv") from None
    parts = re.split(r"\n\s*\n", text.strip())
    return [" ".join(part.split()) for part in (parts if len(parts) > 1 else text.splitlines()) if part.strip()]


def split_held_out(paragraphs: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split into (training, held-out) paragraphs.

    A paragraph's own hash decides, so its part does not depend on the order or on what else is installed. Paragraphs
    that differ only in names and numbers stay together. Held-out paragraphs that share a run of eight words with the
    training part are dropped, so that what is left measures language, not memory.
    """
    train: list[str] = []
    held_out: list[str] = []
    for paragraph in paragraphs:
        (held_out if _is_held_out(paragraph) else train).append(paragraph)
    candidates = {run for paragraph in held_out for run in _word_runs(paragraph)}
    shared = {run for paragraph in train for run in _word_runs(paragraph) if run in candidates}
    return train, [paragraph for paragraph in held_out if shared.isdisjoint(_word_runs(paragraph))]


def train_tokenizer(paragraphs: Iterable[str], vocabulary: int, context: int) -> "GPT2TokenizerFast":
    """A byte-level BPE tokenizer of `vocabulary` tokens, as GPT-2's, made from `paragraphs`.

    Raises `UserError` if the text is too short to give that many tokens.
    """
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2TokenizerFast

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(
        paragraphs, vocab_size=vocabulary, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False
    )
    if trained.get_vocab_size() != vocabulary:
        most = trained.get_vocab_size()
        raise UserError(f"the corpus gives {most} tokens, not {vocabulary}; use --vocabulary {most} or a longer text")
    with tempfile.TemporaryDirectory() as folder:
        trained.save(str(Path(folder) / "tokenizer.json"))
        return GPT2TokenizerFast.from_pretrained(folder, local_files_only=True, model_max_length=context)


def tokenizer_sha256(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of what decides the ids: kind, vocabulary and merges (the class that loads them may differ)."""
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    content = [model["type"], model["vocab"], model.get("merges"), tokenizer.convert_tokens_to_ids(END_OF_TEXT)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def encode(paragraphs: Iterable[str], tokenizer: "PreTrainedTokenizerBase") -> Array:
    """Token ids, (tokens,) uint16 or uint32, of the paragraphs end to end, each followed by the end-of-text token."""
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    dtype = np.uint16 if len(tokenizer) <= 65536 else np.uint32
    pieces = []
    for group in tqdm(_groups(paragraphs), desc="tokenising", unit=" million characters", leave=False):
        for encoding in tokenizer.backend_tokenizer.encode_batch(group):
            pieces.append(np.asarray([*encoding.ids, end], dtype))
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype)


def sample_blocks(ids: Array, batch: int, length: int, rng: np.random.Generator) -> Array:
    """A batch (batch, length) int64: runs of `length` tokens of `ids` at independent random offsets."""
    if len(ids) < length:
        raise UserError(f"the corpus has {len(ids)} tokens, fewer than one block of {length}; give a longer text")
    offsets = rng.integers(len(ids) - length + 1, size=batch)
    return np.asarray(ids[offsets[:, None] + np.arange(length)], np.int64)


def check_length(corpus: Corpus, tokens: int, option: str) -> None:
    """Raise a `UserError` if a part of `corpus` is shorter than a block of `tokens`; `option` sets a block's length."""
    part, ids = min(("training", corpus.train), ("held-out", corpus.held_out), key=lambda item: len(item[1]))
    if len(ids) < tokens:
        shorter = f", or shorter blocks: {option}{1 << len(ids).bit_length() - 1}" if len(ids) > 1 else ""
        raise UserError(
            f"the {part} part of corpus '{corpus.name}' has {len(ids)} tokens, fewer than one block of {tokens}; "
            f"give a longer text{shorter}"
        )


def _groups(paragraphs: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for paragraph in paragraphs:
        group.append(paragraph)
        size += len(paragraph)
        if size >= ENCODED_AT_ONCE:
            yield group
            group = []
            size = 0
    yield group


def _sources(name: str) -> dict[str, str]:
    if name == DOCS:
        return package_versions()
    if name in wikitext.PUBLISHED_ARTICLES:
        return wikitext.sources(name)
    path = _text_file(name)
    with path.open("rb") as file:
        return {path.name: hashlib.file_digest(file, "sha256").hexdigest()}


def _text_file(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        names = ", ".join(f"'{known}'" for known in NAMES)
        raise UserError(f"no corpus '{name}': give {names} or the path of a UTF-8 text file")
    return path


def _is_held_out(paragraph: str) -> bool:
    first = hashlib.sha256(near_duplicate_key(paragraph).encode()).digest()[:8]
    return int.from_bytes(first, "big") < HELD_OUT_SHARE * 2**64


def _word_runs(paragraph: str) -> Iterator[str]:
    words = near_duplicate_key(paragraph).split()
    for start in range(max(1, len(words) - OVERLAP_WORDS + 1)):
        yield " ".join(words[start : start + OVERLAP_WORDS])


def _write(folder: Path, name: str, tokenizer: "PreTrainedTokenizerBase", sources: dict[str, str]) -> None:
    train, held_out, counts = corpus_parts(name)
    arrays = {"train": encode(train, tokenizer), "held_out": encode(held_out, tokenizer)}
    with whole_folder(folder) as temporary:
        for part, ids in arrays.items():
            np.save(temporary / f"{part}.npy", ids)
        hashes = {part: array_hash(ids) for part, ids in arrays.items()}
        write_json(temporary / "meta.json", {"sha256": hashes, "paragraphs": counts, "sources": sources})


def _read(folder: Path, name: str, tokenizer_hash: str) -> Corpus:
    try:
        meta = check_fields(read_json(folder / "meta.json"), {"sha256": dict, "paragraphs": dict, "sources": dict})
        check_fields(meta["sha256"], dict.fromkeys(PARTS, str))
        train, held_out = (open_array(folder / f"{part}.npy") for part in PARTS)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"cached corpus {folder} can't be read ({error}); delete that folder, it is made anew"
        ) from None
    for part, ids in zip(PARTS, (train, held_out), strict=True):
        if array_hash(ids) != meta["sha256"][part]:
            raise UserError(f"cached corpus {folder}/{part}.npy is damaged; delete its folder, it is made anew")
    return Corpus(
        name=name,
        train=train,
        held_out=held_out,
        train_sha256=meta["sha256"]["train"],
        held_out_sha256=meta["sha256"]["held_out"],
        tokenizer_sha256=tokenizer_hash,
        paragraphs=meta["paragraphs"],
        sources=meta["sources"],
    )
