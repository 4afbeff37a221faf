"""Nouns that an agent reads together, and together in states where a command is rewarded.

The paper's mechanism (arXiv 2404.10174): training pulls together what co-occurs in rewarded states. A state is what its
transition trains on: observation, inventory and the command that was given. Commands that were not given don't count.
Shapes: W nouns.
"""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

from ...baselines.text.replay import Transition
from ...baselines.text.texts import Texts


class SharedStates:
    """Counts of states over a run's play. They follow from its choices, so a run that goes on has them again."""

    def __init__(self, texts: Texts, nouns: Sequence[str]) -> None:
        self.texts = texts
        self.nouns = tuple(nouns)
        self.read = np.zeros((len(nouns), len(nouns)), np.int64)  # (W, W) states with both; the diagonal: with one
        self.rewarded = np.zeros_like(self.read)  # those of them whose command paid
        self.numbers = {noun.lower(): number for number, noun in enumerate(nouns)}
        longest_first = sorted(self.numbers, key=lambda noun: (-len(noun), noun))
        self.pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")
        self.nouns_of = cache(self._nouns_of)

    def add(self, transition: Transition) -> None:
        """Count the state of a transition."""
        state = transition.state
        found = self.nouns_of(state.observation) | self.nouns_of(state.inventory) | self.nouns_of(transition.command)
        both = np.ix_(sorted(found), sorted(found))
        self.read[both] += 1
        if transition.reward > 0:
            self.rewarded[both] += 1

    def _nouns_of(self, text: int) -> frozenset[int]:
        """The numbers of the nouns in a text; "coffee table" is one, and no "table"."""
        words = " ".join(self.texts.names(self.texts.pieces[text])).lower()
        return frozenset(self.numbers[noun] for noun in self.pattern.findall(words))
