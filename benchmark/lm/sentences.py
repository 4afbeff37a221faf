"""A language model as an encoder of sentences: the vector of a sentence is the mean of its tokens' last hidden states.

Shapes: P sentences, T tokens of them all, L of the longest in a group, D width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ...baselines.text.encoders import fitting, sentences
from ...datasets.corpora import END_OF_TEXT
from ...datasets.file_checks import MB
from ..training.devices import autocast
from .bert import BUCKET, Packed, embed, pack, read_tokens
from .checkpoints import load_language_model, load_tokenizer
from .families import family_of, positions_of

MOST_TOKENS = 128  # of a sentence; all-MiniLM-L6-v2's tokenizer cuts there
GROUP_TOKENS = 1024  # that are computed side by side: more of them leave the processor's cache
# That are computed side by side where a vector must not depend on what is beside it: nothing is padded, and from some
# rows on (16, where it was tried) a product of float32 matrices adds in one order, however many rows there are.
FEWEST_TOKENS = 32
MOST_KEPT = 1024 * MB  # of the outputs of layers that stand still


class Outputs:
    """The outputs (L, D) of layers that stand still, by sentence; what comes when there is no more room is not kept."""

    def __init__(self) -> None:
        self.known: dict[str, Tensor] = {}
        self.room = MOST_KEPT  # bytes

    def add(self, piece: str, output: Tensor) -> None:
        """Keep a copy of the output of a sentence, if there is room: it may be a part of a larger one."""
        if output.nbytes <= self.room:
            self.known[piece] = output.clone()
            self.room -= output.nbytes


class SentenceEncoder(nn.Module):
    """A language model and its tokenizer; its weights stand still until an adaptation lets them move.

    An encoder (BERT, RoBERTa) reads both ways, and the mean is over all of its tokens, as sentence-transformers has it.
    A model that predicts words reads forwards, from the token that ends texts: whatever stands first there draws the
    attention of what follows and means nothing, so the mean leaves it out.

    Vectors are float32, whatever precision they are computed in.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, precision: str = "float32") -> None:
        """`precision` is of matrix products: "float32", or "bfloat16" autocast."""
        super().__init__()
        self.model = model.requires_grad_(False)
        self.tokenizer = tokenizer
        self.precision = precision
        self.family = family_of(model)
        self.width = int(model.config.hidden_size)
        self.first = first_token(model, tokenizer)  # empty where the tokenizer adds its own
        self.most = min(MOST_TOKENS, positions_of(model.config))
        self.ids: dict[str, list[int]] = {}  # of sentences that were read
        self.below = 0  # layers of an encoder whose outputs are kept, since nothing up to there is trained
        self.outputs = Outputs()  # these; runs of the same model, whose `below` is the same, may share them

    @property
    def base(self) -> Any:
        """The language model without a head."""
        return self.model.base_model

    @property
    def frozen(self) -> int:
        """Number of its weights that nothing trains."""
        return sum(parameter.numel() for parameter in self.parameters() if not parameter.requires_grad)

    def cut(self, text: str) -> Sequence[str]:
        """The sentences of a text; one that is longer than the model sees at once in parts that are not."""
        return [part for sentence in sentences(text) for part in fitting(sentence, self._fits)]

    def encode(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D) of sentences."""
        return self(pieces)  # type: ignore[no-any-return]

    @torch.no_grad()
    def encode_apart(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D) of sentences, each of which depends on its own sentence alone, to the last bit.

        In float32 equally long sentences are computed side by side all the same; in another precision none are.
        """
        if self.precision != "float32":
            return torch.cat([self.encode([piece]) for piece in pieces])
        means = self._packed_means if self.reads_both_ways else self._padded_means
        vectors = {
            piece: vector
            for group in self._alike(dict.fromkeys(pieces))
            for piece, vector in zip(group, means(self._filled(group)), strict=False)
        }
        return torch.stack([vectors[piece] for piece in pieces])

    def forward(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D) of sentences."""
        whole = self._packed_means if self.reads_both_ways else self._padded_means
        with autocast(self.precision, "cpu"):
            return self._in_groups(pieces, self._means_from_below if self.below else whole)

    def exact(self, pieces: Sequence[str]) -> Tensor:
        """The same in float32, whatever the encoder's precision."""
        precision = self.precision
        self.precision = "float32"
        try:
            return self(pieces)  # type: ignore[no-any-return]
        finally:
            self.precision = precision

    @property
    def reads_both_ways(self) -> bool:
        """Tell an encoder from a model that predicts words."""
        return not self.family.predicts_words

    def tokens(self, piece: str) -> list[int]:
        """The numbers of a sentence's tokens, with those that the model expects around it."""
        known = self.ids.get(piece)
        if known is None:
            found = self.tokenizer(piece, add_special_tokens=not self.first)["input_ids"]
            known = self.ids[piece] = [*self.first, *found]
        return known

    def _fits(self, text: str) -> bool:
        return len(self.tokens(text)) <= self.most

    def _seen(self, piece: str) -> list[int]:
        """The tokens of a sentence that the model sees."""
        return self.tokens(piece)[: self.most]

    def _in_groups(self, pieces: Sequence[str], means: Callable[[Sequence[str]], Tensor]) -> Tensor:
        """The `means` (P, D) of sentences; those of nearly one length are computed side by side."""
        order = sorted(range(len(pieces)), key=lambda place: self._length(pieces[place]))
        vectors = [means(group).float() for group in self._groups([pieces[place] for place in order])]
        places = torch.empty(len(order), dtype=torch.int64)
        places[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(vectors)[places]

    def _groups(self, pieces: Sequence[str]) -> Iterator[Sequence[str]]:
        """Sentences in groups of `GROUP_TOKENS`, or of one sentence that is longer."""
        group: list[str] = []
        tokens = 0
        for piece in pieces:
            length = self._length(piece)
            if group and tokens + length > GROUP_TOKENS:
                yield group
                group = []
                tokens = 0
            group.append(piece)
            tokens += length
        yield group

    def _packed(self, pieces: Sequence[str]) -> Packed:
        return pack([self._length(piece) for piece in pieces])

    def _packed_means(self, pieces: Sequence[str]) -> Tensor:
        """The means (P, D) of an encoder's last hidden states over all tokens."""
        packed = self._packed(pieces)
        return packed.means(read_tokens(blocks_of(self.model), self._embedded(pieces, packed), packed))

    def _means_from_below(self, pieces: Sequence[str]) -> Tensor:
        """The same, from what is known of the layers below."""
        new = {
            piece: output
            for group in self._alike(piece for piece in dict.fromkeys(pieces) if piece not in self.outputs.known)
            for piece, output in zip(group, self._read_below(group), strict=False)
        }
        for piece, output in new.items():
            self.outputs.add(piece, output)
        known = torch.cat([new[piece] if piece in new else self.outputs.known[piece] for piece in pieces])
        packed = self._packed(pieces)
        return packed.means(read_tokens(blocks_of(self.model)[self.below :], known, packed))

    def _alike(self, pieces: Iterable[str]) -> Iterator[Sequence[str]]:
        """Sentences in groups that have equally many tokens."""
        for _, alike in groupby(sorted(pieces, key=self._length), self._length):
            yield from self._groups(list(alike))

    def _length(self, piece: str) -> int:
        return len(self._seen(piece))

    @torch.no_grad()
    def _read_below(self, pieces: Sequence[str]) -> Sequence[Tensor]:
        """The hidden states (L, D) of equally long sentences behind the layers that stand still, in float32.

        They depend on nothing that is computed beside them.
        """
        full = self._filled(pieces)
        packed = self._packed(full)
        with autocast("float32", "cpu"):
            hidden = read_tokens(blocks_of(self.model)[: self.below], self._embedded(full, packed), packed)
        return torch.split(hidden, packed.lengths.tolist())

    def _filled(self, pieces: Sequence[str]) -> Sequence[str]:
        """Equally long sentences, and the first of them again until there are `FEWEST_TOKENS`.

        None attends in a bucket of its own: products of a single sentence's heads add in another order.
        """
        length = self._length(pieces[0])
        count = max(len(pieces), -(-FEWEST_TOKENS // length))
        count += count % BUCKET == 1
        return [*pieces, *[pieces[0]] * (count - len(pieces))]

    def _embedded(self, pieces: Sequence[str], packed: Packed) -> Tensor:
        """The embeddings (T, D) of an encoder's tokens."""
        ids = torch.tensor([number for piece in pieces for number in self._seen(piece)])
        return embed(self.base, ids, packed, self.family.unused_positions(self.model.config))

    def _padded_means(self, pieces: Sequence[str]) -> Tensor:
        """The means (P, D) of the last hidden states of a model that predicts words, but for its first token's."""
        ids = [torch.tensor(self._seen(piece)) for piece in pieces]
        lengths = torch.tensor([len(each) for each in ids])
        present = torch.arange(int(lengths.max())) < lengths[:, None]  # (P, L)
        padded = pad_sequence(ids, batch_first=True)  # (P, L)
        hidden: Tensor = self.base(padded, attention_mask=present.long()).last_hidden_state
        meant = present.clone()
        meant[:, : len(self.first)] = False
        meant[lengths == len(self.first), 0] = True  # a text without tokens of its own
        weights = meant.float() / meant.sum(1, keepdim=True)
        return torch.einsum("pl,pld->pd", weights, hidden)


def load_sentence_encoder(
    name: str, weights: str = "pretrained", seed: int = 0, precision: str = "float32"
) -> SentenceEncoder:
    """The language model `name` as an encoder; raises `UserError` as `load_language_model` does."""
    tokenizer = load_tokenizer(name)
    attention = "sdpa" if precision == "float32" else "eager"  # the fused kernel's way back is very slow in bfloat16
    return SentenceEncoder(load_language_model(name, weights, seed, attention, both_ways=True), tokenizer, precision)


def first_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The token that stands before a text that the model predicts words from; empty for an encoder."""
    if not family_of(model).predicts_words:
        return []
    number = tokenizer.get_vocab().get(END_OF_TEXT, tokenizer.bos_token_id)
    return [] if number is None else [int(number)]


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """The layers of a language model."""
    found = model.base_model.get_submodule(family_of(model).blocks)
    assert isinstance(found, nn.ModuleList)
    return found
