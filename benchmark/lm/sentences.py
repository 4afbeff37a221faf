"""A language model as an encoder of sentences: the vector of a sentence is the mean of its tokens' last hidden states.

Shapes: P sentences, L tokens of the longest in a group, D width.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from ...baselines.text.encoders import fitting, sentences
from ...datasets.corpora import END_OF_TEXT
from .checkpoints import load_language_model, load_tokenizer
from .families import family_of, positions_of

MOST_TOKENS = 128  # of a sentence; all-MiniLM-L6-v2's tokenizer cuts there
GROUP = 32  # sentences that are computed side by side


class SentenceEncoder(nn.Module):
    """A language model and its tokenizer; its weights stand still until an adaptation lets them move.

    An encoder (BERT, RoBERTa) reads both ways, and the mean is over all of its tokens, as sentence-transformers has it.
    A model that predicts words reads forwards, from the token that ends texts: whatever stands first there draws the
    attention of what follows and means nothing, so the mean leaves it out.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
        super().__init__()
        self.model = model.requires_grad_(False)
        self.tokenizer = tokenizer
        self.width = int(model.config.hidden_size)
        self.first = first_token(model, tokenizer)  # empty where the tokenizer adds its own
        self.most = min(MOST_TOKENS, positions_of(model.config))
        self.ids: dict[str, list[int]] = {}  # of sentences that were read
        self.below = 0  # layers of an encoder whose outputs are kept, since nothing up to there is trained
        self.outputs: dict[str, Tensor] = {}  # these

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

    def forward(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D); sentences of nearly one length are computed side by side."""
        order = sorted(range(len(pieces)), key=lambda place: len(self.tokens(pieces[place])))
        vectors = [self._means([pieces[place] for place in group]) for group in _groups(order)]
        places = torch.empty(len(order), dtype=torch.int64)
        places[torch.tensor(order)] = torch.arange(len(order))
        return torch.cat(vectors)[places]

    def tokens(self, piece: str) -> list[int]:
        """The numbers of a sentence's tokens, with those that the model expects around it."""
        known = self.ids.get(piece)
        if known is None:
            found = self.tokenizer(piece, add_special_tokens=not self.first)["input_ids"]
            known = self.ids[piece] = [*self.first, *found]
        return known

    def _fits(self, text: str) -> bool:
        return len(self.tokens(text)) <= self.most

    def _means(self, pieces: Sequence[str]) -> Tensor:
        """The means (P, D) over each sentence's tokens."""
        ids = [torch.tensor(self.tokens(piece)[: self.most]) for piece in pieces]
        lengths = torch.tensor([len(each) for each in ids])
        present = torch.arange(int(lengths.max())) < lengths[:, None]  # (P, L)
        hidden = self._top(pieces, present) if self.below else self._last_hidden(ids, present)
        meant = present.clone()
        meant[:, : len(self.first)] = False
        meant[lengths == len(self.first), 0] = True  # a text without tokens of its own
        weights = meant.float() / meant.sum(1, keepdim=True)
        return torch.einsum("pl,pld->pd", weights, hidden)

    def _last_hidden(self, ids: Sequence[Tensor], present: Tensor) -> Tensor:
        """The last hidden states (P, L, D)."""
        padded = pad_sequence(list(ids), batch_first=True)  # (P, L)
        hidden: Tensor = self.base(padded, attention_mask=present.long()).last_hidden_state
        return hidden

    def _top(self, pieces: Sequence[str], present: Tensor) -> Tensor:
        """The last hidden states (P, L, D), from what is known of the layers below."""
        hidden = pad_sequence([self._below(piece) for piece in pieces], batch_first=True)
        for block in blocks_of(self.model)[self.below :]:
            hidden = block(hidden, present[:, None, None])
        return hidden

    @torch.no_grad()
    def _below(self, piece: str) -> Tensor:
        """The hidden states (L, D) of a sentence behind the layers that stand still, by itself."""
        known = self.outputs.get(piece)
        if known is None:
            hidden = self.base.embeddings(torch.tensor([self.tokens(piece)[: self.most]]))
            for block in blocks_of(self.model)[: self.below]:
                hidden = block(hidden)
            known = self.outputs[piece] = hidden[0]
        return known


def load_sentence_encoder(name: str, weights: str = "pretrained", seed: int = 0) -> SentenceEncoder:
    """The language model `name` as an encoder; raises `UserError` as `load_language_model` does."""
    tokenizer = load_tokenizer(name)
    return SentenceEncoder(load_language_model(name, weights, seed, attention="sdpa", both_ways=True), tokenizer)


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


def _groups(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), GROUP):
        yield numbers[start : start + GROUP]
