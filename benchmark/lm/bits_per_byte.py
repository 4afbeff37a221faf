"""Measure how well a language model predicts a text: nats a token, and bits a byte, which suits any vocabulary."""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ...datasets.corpora import ENCODED_AT_ONCE, END_OF_TEXT, load_corpus
from ...datasets.errors import UserError
from ...datasets.file_checks import MB, check_regular_file
from ...datasets.measured_text import MeasuredText
from ...datasets.trajectories import Array
from ..training.devices import choose_device
from .checkpoints import MOST_SEEN, held_out_loss, load_language_model, load_tokenizer, model_positions, model_type
from .families import FAMILIES, positions_of
from .ngrams import bigram_loss

CUT = re.compile(r"(?<=\w)[ \n]")  # GPT-2 begins a token wherever white space begins
WINDOWS = 64  # of one step of the progress bar
MOST_LOGITS = 1 << 26  # numbers at a time


@dataclass(frozen=True)
class TextLoss:
    """The loss of a language model on a text, as `score_text` measures it."""

    tokens: int
    bytes: int
    nats_per_token: float

    @property
    def bits_per_byte(self) -> float:
        """The same sum of losses in bits, over bytes."""
        return self.nats_per_token * self.tokens / math.log(2) / self.bytes


def text_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, text: MeasuredText, name: str) -> TextLoss:
    """Measure how well `model`, adapted or not, predicts a text; `name` is what it is called in a `UserError`."""
    ids = _token_ids(io.StringIO(text.text, newline=""), text.name, tokenizer, name)
    return TextLoss(len(ids) - 1, text.bytes, _loss_of_ids(model, ids))


def score_text(
    name: str, text: Path, bigram: str = "", device: str = "auto", max_megabytes: float = 100
) -> list[dict[str, Any]]:
    """Measure how well the language model `name` predicts the UTF-8 file `text`: one row.

    Keys: model, text, bytes, tokens, nats_per_token, bits_per_byte. They are defined so:

    - bytes: the size of the file. Nothing in it is changed: no white space, no line's end, no mark at its beginning.
    - tokens: of the whole file, one piece of text, by the model's own tokenizer. Every one is scored, and scored once.
      The end-of-text token stands before the first, which is predicted from it alone; it is not scored itself.
    - nats_per_token: the mean of -ln p(token | the tokens before it in its window). A window has n tokens, as
      many as the model sees at once, 1024 at most, and the next one begins at its last token: the stride is n - 1, and
      a token has between 1 and n - 1 others before it (`held_out_loss`).
    - bits_per_byte: the same sum, divided by ln 2 and by bytes. Other than nats a token, it compares models with
      different tokenizers.

    With `bigram`, a corpus as `load_corpus` knows them, a second row has the same of a bigram of its training part:
    the same tokens, each given the one before it (`bigram_loss`).

    Memory is needed for the ids, at most four bytes a byte of text, and for one batch of windows. Raises a `UserError`
    for an encoder, for a file that is empty, no UTF-8, no regular file or larger than `max_megabytes`, and for a
    tokenizer that does not keep the text: its bits a byte would be too few.
    """
    size = _size(text, max_megabytes)
    if not FAMILIES[model_type(name)].predicts_words:
        raise UserError(f"language model '{name}' is an encoder and predicts no next token; give a GPT-2")
    if model_positions(name) < 2:
        raise UserError(f"language model '{name}' sees one token at once, and predicts none from it; give another")
    tokenizer = load_tokenizer(name)
    with text.open(encoding="utf-8", newline="") as file:
        ids = _token_ids(file, str(text), tokenizer, name)
    model: Any = load_language_model(name)
    losses = {name: _loss_of_ids(model.to(choose_device(device)), ids)}
    if bigram:
        losses[f"bigram of {bigram}"] = bigram_loss(load_corpus(bigram, tokenizer).train, ids, len(tokenizer))
    tokens = len(ids) - 1
    facts = {"text": str(text), "bytes": size, "tokens": tokens}
    return [
        {"model": model, **facts, "nats_per_token": loss, "bits_per_byte": loss * tokens / math.log(2) / size}
        for model, loss in losses.items()
    ]


def _size(text: Path, max_megabytes: float) -> int:
    """Bytes of the file, if it may be read."""
    check_regular_file(text)
    size = text.stat().st_size
    if not 0 < size <= max_megabytes * MB:
        raise UserError(
            f"{text} has {size / MB:g} MB, expected more than 0 and at most {max_megabytes:g}; give another text, or "
            "raise --max-megabytes"
        )
    return size


def _token_ids(file: TextIO, text: str, tokenizer: PreTrainedTokenizerFast, name: str) -> Array:
    """The ids of the end-of-text token and of every token of the file, (1 + tokens,) uint32."""
    if END_OF_TEXT not in tokenizer.get_vocab():
        raise UserError(f"the tokenizer of '{name}' has no {END_OF_TEXT} to stand before a text; give another model")
    backend = tokenizer.backend_tokenizer
    ids = [np.array([tokenizer.convert_tokens_to_ids(END_OF_TEXT)], np.uint32)]
    try:
        for piece in _pieces(file):
            found = backend.encode(piece, add_special_tokens=False).ids
            if backend.decode(found, skip_special_tokens=False) != piece:
                raise UserError(f"the tokenizer of '{name}' does not keep the text of {text}; give another model")
            ids.append(np.array(found, np.uint32))
    except UnicodeDecodeError as error:
        raise UserError(f"{text} is not UTF-8 ({error.reason}); convert it, e.g. with iconv") from None
    return np.concatenate(ids)


def _pieces(file: TextIO) -> Iterator[str]:
    """The file in pieces of about `ENCODED_AT_ONCE` characters, cut where GPT-2 begins a token in any case.

    A piece in which there is no such place is cut where it ends.
    """
    rest = ""
    while block := file.read(ENCODED_AT_ONCE):
        whole = rest + block
        cuts = [match.start() for match in CUT.finditer(whole, max(1, len(whole) - 1000))]
        cut = cuts[-1] if cuts else len(whole)
        yield whole[:cut]
        rest = whole[cut:]
    if rest:
        yield rest


def _loss_of_ids(model: PreTrainedModel, ids: Array) -> float:
    """Mean nats a token of `ids[1:]`."""
    positions = min(positions_of(model.config), MOST_SEEN)
    vocabulary = model.config.vocab_size
    batch_size = min(8, max(1, MOST_LOGITS // (positions * vocabulary)))
    total = 0.0
    reach = WINDOWS * (positions - 1)
    starts = range(0, len(ids) - 1, reach)
    with fused_attention(model):
        for start in tqdm(starts, desc="scoring", unit=f" {WINDOWS} windows", leave=False, disable=None):
            part = ids[start : start + reach + 1]
            total += held_out_loss(model, part, batch_size) * (len(part) - 1)
    return total / (len(ids) - 1)


@contextmanager
def fused_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let a model read with transformers' fused kernel meanwhile: where nothing is learned it is the fastest."""
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
