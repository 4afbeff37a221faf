"""Meters of degeneration: what training makes of a language model, beside what the model was before it.

They are measured on texts that stand still: the nouns of the games, and WordNet's definitions of those nouns, which
distillation and EWC never look at (these have glosses of other nouns). docs/text.md says what each one means.
Shapes: T things, H holders, D width of a vector.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from ...baselines.representations import anisotropy, cosine_drift, cosines, linear_cka, neighbours_kept
from ...datasets.games.families import TWC
from ...datasets.games.house import ROOM_OF, THINGS
from ...datasets.games.tasks import GameTask
from ...datasets.games.tidy import Tidy
from ...datasets.games.words import meanings, phrases
from ...datasets.trajectories import Array
from ..lm.adapters import WeightDistance
from ..lm.checkpoints import held_out_loss
from ..lm.families import family_of
from ..lm.sentences import SentenceEncoder
from .build import training_games
from .measures import KINDS
from .pairs import Pairs
from .shared_states import SharedStates

Places = Mapping[str, tuple[str, ...]]  # where each thing belongs, by its name


@dataclass(frozen=True)
class Probes:
    """The texts that meters are measured on."""

    glosses: tuple[str, ...]  # definitions of nouns of the games
    nouns: tuple[str, ...]  # of the games
    pairs: tuple[tuple[str, str, int], ...]  # of those nouns, and the steps between them in WordNet
    things: Mapping[str, Places]  # of the games learned from, others of the same part, and those of `ood`
    holders: tuple[str, ...]  # all places where things may be put

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them, each once."""
        things = (name for own in self.things.values() for name in own)
        return tuple(dict.fromkeys((*self.glosses, *self.nouns, *things, *self.holders)))


def probes_of(task: GameTask) -> Probes:
    """The texts that runs on a task are measured on."""
    known = meanings()
    glosses = tuple(dict.fromkeys(known.nouns.values()))
    things = things_by_split(task)
    own = (place for places in things.values() for right in places.values() for place in right)
    holders = tuple(dict.fromkeys(own)) if task.family.engine is TWC else tuple(ROOM_OF)
    return Probes(glosses, tuple(phrases()), known.pairs, things, holders)


def things_by_split(task: GameTask) -> dict[str, Places]:
    """The things of a game: those in the games that are learned from, others of the same part, and those of `ood`.

    Games without places where things belong have the house's, none of which they show: all count as of `ood`.
    """
    games = training_games(task)
    if task.family.engine is TWC:
        from ...datasets.games import twc

        folds = {fold: twc.right_places(fold) for fold in ("train", "test")}
        played = {name for game in games if isinstance(game, twc.Twc) for name in twc.taken(game)}
    else:
        ours = {seen: [thing for thing in THINGS.values() if thing.seen is seen] for seen in (True, False)}
        folds = {"train": {thing.name: thing.places for thing in ours[True]}}
        folds["test"] = {thing.name: thing.places for thing in ours[False]}
        played = {thing.name for game in games if isinstance(game, Tidy) for thing in game.house.things}
    found: dict[str, dict[str, tuple[str, ...]]] = {"train": {}, "others": {}, "ood": {}}
    for fold, things in folds.items():
        for name, places in things.items():
            split = "train" if name in played else "others" if fold == "train" and played else "ood"
            found[split][name] = places
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
        holders = vectors[self._rows(self.probes.holders)]
        for split, things in self.probes.things.items():
            right = right_holders(things, self.probes.holders)
            found[f"holders_{split}"] = holder_rank(vectors[self._rows(list(things))], holders, right)
        found["wordnet"] = path_correlation(vectors[self._rows(self.probes.nouns)], self.probes)
        if self.loss is not None and (loss := cross_entropy(self.encoder, self.probes.glosses)) is not None:
            found["cross_entropy"] = loss - self.loss
        return found

    def pairs(self, shared: SharedStates) -> Pairs:
        """The nouns that were read, two by two: how often together, and their cosines before training and now."""
        known = np.flatnonzero(shared.read.diagonal())
        nouns = tuple(self.probes.nouns[number] for number in known)
        both = np.ix_(known, known)
        before = cosines(self.base[self._rows(nouns)]).numpy()
        return Pairs(nouns, shared.read[both], shared.rewarded[both], before, self.cosines(nouns))

    def cosines(self, nouns: Sequence[str]) -> Array:
        """The cosines (W, W) of W nouns' vectors as the encoder is now."""
        return np.asarray(cosines(self._vectors()[self._rows(nouns)]))

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


def right_holders(things: Places, holders: Sequence[str]) -> Tensor:
    """Check of each thing and holder whether it belongs there, (T, H)."""
    return torch.tensor([[holder in places for holder in holders] for places in things.values()])


def holder_rank(things: Tensor, holders: Tensor, right: Tensor) -> float:
    """The mean over things (T, D) of 1 / rank of the first right holder, holders (H, D) ordered by cosine.

    The mean reciprocal rank of Voorhees 1999 (TREC-8); `right` (T, H). Holders that are as near as each other stand in
    any order, and the mean is over these: vectors that are all the same rank as by chance.
    """
    similar = cosines(torch.cat([things, holders]))[: len(things), len(things) :]  # (T, H)
    best = similar.masked_fill(~right, -torch.inf).amax(1, keepdim=True)
    nearer = (similar > best).sum(1).tolist()
    tied = (similar == best).sum(1).tolist()
    tied_right = ((similar == best) & right).sum(1).tolist()
    return float(np.mean([_reciprocal(*counts) for counts in zip(nearer, tied, tied_right, strict=True)]))


@lru_cache
def _reciprocal(leaders: int, ties: int, matches: int) -> float:
    """The mean of 1 / rank of the first of the matches among ties in any order, behind so many leaders."""
    orders = math.comb(ties, matches)
    firsts = range(1, ties - matches + 2)
    return sum(math.comb(ties - first, matches - 1) / orders / (leaders + first) for first in firsts)


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
