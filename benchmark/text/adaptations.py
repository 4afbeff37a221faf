"""The adaptations of a language model that an agent reads with: what of it is trained, and what holds it back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ...baselines.fields import Amount, Count, Positive
from ...baselines.text.drrn import trained_weights
from ...baselines.text.retention import NOTHING, Anchor, Distillation, Retention, sentence_fisher
from ...datasets.games.words import meanings
from ..lm.sentences import SentenceEncoder
from ..lm.tuned_sentences import train_all, train_top, train_updates

FISHER_GLOSSES = 200  # of which the Fisher information is the mean


@dataclass(frozen=True)
class Nothing:
    """No settings: nothing is trained, or everything is."""


@dataclass(frozen=True)
class Top:
    """The last layers are trained."""

    layers: Count = 2


@dataclass(frozen=True)
class Updates:
    """Low-rank updates are trained."""

    rank: Count = 8  # as the published code, and so is alpha
    alpha: Positive = 8.0


@dataclass(frozen=True)
class Held(Top):
    """The last layers are trained and held to what they were."""

    # A pilot's. At any learning rate a weight strays by about its gradient's root mean square over twice this.
    coefficient: Amount = 1e-3


@dataclass(frozen=True)
class Distilled(Top):
    """The same, by the vectors of WordNet's glosses."""

    coefficient: Amount = 1.0
    batch_size: Count = 16  # glosses in each update


@dataclass(frozen=True)
class Adaptation:
    """A row of `ADAPTATIONS`."""

    config: type[Any]  # of its settings, all of which have defaults
    prepare: Callable[[SentenceEncoder, Any], None]  # says what is trained
    retain: Callable[[SentenceEncoder, Any, int], Retention]  # of an encoder that was prepared; with a seed


def _nothing(encoder: SentenceEncoder, config: Any) -> None:
    pass


def _top(encoder: SentenceEncoder, config: Top) -> None:
    train_top(encoder, config.layers)


def _updates(encoder: SentenceEncoder, config: Updates) -> None:
    train_updates(encoder, config.rank, config.alpha)


def _all(encoder: SentenceEncoder, config: Any) -> None:
    train_all(encoder)


def _free(encoder: SentenceEncoder, config: Any, seed: int) -> Retention:
    return NOTHING


def _anchored(encoder: SentenceEncoder, config: Held, seed: int) -> Retention:
    weights = trained_weights(encoder)
    return Anchor(weights, {name: torch.ones_like(weight) for name, weight in weights.items()}, config.coefficient)


def _elastic(encoder: SentenceEncoder, config: Held, seed: int) -> Retention:
    weights = trained_weights(encoder)
    generator = torch.Generator().manual_seed(seed)
    importance = sentence_fisher(encoder, weights, meanings().glosses[:FISHER_GLOSSES], generator)
    return Anchor(weights, importance, config.coefficient)


def _distilled(encoder: SentenceEncoder, config: Distilled, seed: int) -> Retention:
    return Distillation(encoder, meanings().glosses, config.coefficient, config.batch_size)


ADAPTATIONS = {
    "fixed": Adaptation(Nothing, _nothing, _free),
    "top-k": Adaptation(Top, _top, _free),
    "lora": Adaptation(Updates, _updates, _free),
    "full": Adaptation(Nothing, _all, _free),
    "warm-head": Adaptation(Top, _top, _free),  # `DRRNConfig.warm_up`
    "l2-init": Adaptation(Held, _top, _anchored),
    "distill": Adaptation(Distilled, _top, _distilled),
    "ewc": Adaptation(Held, _top, _elastic),
}
