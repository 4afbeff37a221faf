"""Meters of degeneration: what training makes of a language model, beside what the model was before it.

They are measured on texts that stand still: the nouns of the games, and WordNet's definitions of those nouns, which
distillation and EWC never look at (these have glosses of other nouns). docs/text.md says what each one means.
Shapes: T things, H holders, D width of a vector.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ...baselines.representations import anisotropy, cosine_drift, cosines, linear_cka, neighbours_kept
from ...datasets.games.families import SPLITS
from ...datasets.games.house import ROOM_OF, THINGS, Thing
from ...datasets.games.tasks import GameTask
from ...datasets.games.tidy import Tidy
from ...datasets.games.words import meanings, phrases
from ..lm.adapters import WeightDistance
from ..lm.checkpoints import held_out_loss
from ..lm.families import family_of
from ..lm.sentences import SentenceEncoder
from .build import training_games
from .measures import KINDS
from .pairs import Pairs
from .shared_states import SharedStates

HOLDERS = tuple(ROOM_OF)


@dataclass(frozen=True)
class Probes:
    """The texts that meters are measured on."""

    glosses: tuple[str, ...]  # definitions of nouns of the games
    nouns: tuple[str, ...]  # of the games
    pairs: tuple[tuple[str, str, int], ...]  # of those nouns, and the steps between them in WordNet
    things: Mapping[str, tuple[Thing, ...]]  # of the house, by the split that shows them first

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them, each once."""
        things = (thing.name for own in self.things.values() for thing in own)
        return tuple(dict.fromkeys((*self.glosses, *self.nouns, *things, *HOLDERS)))


def probes_of(task: GameTask) -> Probes:
    """The texts that runs on a task are measured on."""
    known = meanings()
    return Probes(tuple(dict.fromkeys(known.nouns.values())), tuple(phrases()), known.pairs, things_by_split(task))


def things_by_split(task: GameTask) -> dict[str, tuple[Thing, ...]]:
    """The house's things: those in the games that are learned from, others that new games have, and unseen ones.

    Games that are not about the house have none of them: all count as unseen.
    """
    played = {thing for game in training_games(task) if isinstance(game, Tidy) for thing in game.house.things}
    found: dict[str, tuple[Thing, ...]] = dict.fromkeys(SPLITS, ())
    for thing in THINGS.values():
        split = "train" if thing in played else "valid" if thing.seen and played else "ood"
        found[split] += (thing,)
    return {split: own for split, own in found.items() if own}


class Meters:
    """The meters of an encoder that is trained, made before it is."""

    def __init__(self, encoder: SentenceEncoder, probes: Probes) -> None:
        """Measure the encoder as it is now: that is what it is compared with later."""
        self.encoder = encoder
        self.probes = probes
        self.rows = {text: row for row, text in enumerate(probes.texts)}
        self.base = self._vectors()
        self.distance = WeightDistance(encoder.model)
        self.norm = math.sqrt(sum(float(weight.detach().double().square().sum()) for weight in own_weights(encoder)))
        self.loss = cross_entropy(encoder, probes.glosses)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Every meter of the encoder as it is now, by name; without those that this language model doesn't have."""
        vectors = self._vectors()
        found: dict[str, float] = {}
        for kind in KINDS:
            rows = self._rows(getattr(self.probes, kind))
            found |= compared(kind, self.base[rows], vectors[rows])
        found["weight_change"] = math.sqrt(float(self.distance(self.encoder.model))) / self.norm
        holders = vectors[self._rows(HOLDERS)]
        for split, things in self.probes.things.items():
            own = vectors[self._rows([thing.name for thing in things])]
            found[f"holders_{split}"] = holder_rank(own, holders, right_holders(things))
        found["wordnet"] = path_correlation(vectors[self._rows(self.probes.nouns)], self.probes)
        if self.loss is not None and (loss := cross_entropy(self.encoder, self.probes.glosses)) is not None:
            found["cross_entropy"] = loss - self.loss
        return found

    def pairs(self, shared: SharedStates) -> Pairs:
        """The nouns that were read, two by two: how often together, and their cosines before training and now."""
        known = np.flatnonzero(shared.read.diagonal())
        nouns = [self.probes.nouns[number] for number in known]
        rows = self._rows(nouns)
        both = np.ix_(known, known)
        cosine = [cosines(vectors[rows]).numpy() for vectors in (self.base, self._vectors())]
        return Pairs(tuple(nouns), shared.read[both], shared.rewarded[both], *cosine)

    @torch.no_grad()
    def _vectors(self) -> Tensor:
        """The vectors (texts, D) of all texts, so exact that rounding is no drift."""
        return self.encoder.exact(self.probes.texts)

    def _rows(self, texts: Sequence[str]) -> list[int]:
        return [self.rows[text] for text in texts]


def compared(kind: str, untouched: Tensor, trained: Tensor) -> dict[str, float]:
    """The meters of vectors (M, D) of one kind of texts, before training and now, by name."""
    return {
        f"cka_{kind}": linear_cka(untouched, trained),
        f"drift_{kind}": cosine_drift(untouched, trained),
        f"neighbours_{kind}": neighbours_kept(untouched, trained),
        f"anisotropy_{kind}": anisotropy(trained),
    }


def right_holders(things: Sequence[Thing]) -> Tensor:
    """Check of each thing and holder whether it belongs there, (T, H)."""
    return torch.tensor([[holder in thing.places for holder in HOLDERS] for thing in things])


def holder_rank(things: Tensor, holders: Tensor, right: Tensor) -> float:
    """The mean over things (T, D) of 1 / rank of the first right holder, holders (H, D) ordered by cosine.

    The mean reciprocal rank of Voorhees 1999 (TREC-8); `right` (T, H). Wrong holders that are as near as the right one
    count half, so vectors that are all the same rank as by chance.
    """
    similar = cosines(torch.cat([things, holders]))[: len(things), len(things) :]  # (T, H)
    best = similar.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    wrong = similar.masked_fill(right, -torch.inf)
    ranks = 1.0 + (wrong > best).sum(1) + 0.5 * (wrong == best).sum(1)
    return float((1.0 / ranks).mean())


def path_correlation(nouns: Tensor, probes: Probes) -> float:
    """Spearman's correlation of the cosine of pairs of nouns (M, D) with how near they are in WordNet, 1 / (1 + steps).

    0 where all cosines are the same.
    """
    places = {noun: place for place, noun in enumerate(probes.nouns)}
    pairs = [(places[one], places[other], steps) for one, other, steps in probes.pairs]
    first, second, steps = (list(column) for column in zip(*pairs, strict=True))
    near = cosines(nouns)[first, second].numpy()
    found = float(spearmanr(near, 1.0 / (1.0 + np.array(steps))).statistic) if np.ptp(near) > 0 else 0.0
    return found


def own_weights(encoder: SentenceEncoder) -> list[Tensor]:
    """The weights that the language model had before anything was added to it."""
    return [weight for name, weight in encoder.model.named_parameters() if ".lora_" not in name]


def cross_entropy(encoder: SentenceEncoder, texts: Sequence[str]) -> float | None:
    """Mean nats a token of texts one behind the other, each after the token that ends texts.

    None of an encoder without a language head, which predicts no words.
    """
    if not family_of(encoder.model).predicts_words:
        return None
    ids = np.concatenate([encoder.tokens(text) for text in texts])
    return held_out_loss(encoder.model, ids)
