"""Language that is left after reinforcement learning: cross entropy on a held-out text, before and after."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from ...datasets.measured_text import MeasuredText
from ..lm.bits_per_byte import TextLoss, text_loss
from ..lm.checkpoints import load_language_model, load_tokenizer, model_type
from ..lm.families import FAMILIES
from ..lm.lamo import LaMo
from ..runs.methods import METHODS
from .config import OfflineConfig
from .players import load_player


@dataclass(frozen=True)
class LanguageChange:
    """The losses of a run's language model on a text before it is adapted, and after it was trained."""

    before: TextLoss
    after: TextLoss

    @property
    def nats_per_token(self) -> float:
        """The rise of cross entropy: above 0 language was forgotten."""
        return self.after.nats_per_token - self.before.nats_per_token

    @property
    def bits_per_byte(self) -> float:
        """The same in bits a byte, which compares models with different tokenizers."""
        return self.after.bits_per_byte - self.before.bits_per_byte


def predicts_words(config: OfflineConfig) -> bool:
    """Check whether a run has a language model that predicts next words: an encoder does not."""
    return bool(METHODS[config.method].weights) and FAMILIES[model_type(config.lm)].predicts_words


def check_tokenizers(configs: Iterable[OfflineConfig]) -> None:
    """Raise a `UserError` unless a text can be read in the tokens of every run's language model."""
    for lm in {config.lm for config in configs if predicts_words(config)}:
        load_tokenizer(lm)


def loss_before(config: OfflineConfig, text: MeasuredText, device: torch.device) -> TextLoss:
    """The loss of the run's language model as it is loaded: no update, nothing replaced, nothing trained."""
    weights = METHODS[config.method].weights
    return _loss_untouched(config.lm, weights, 0 if weights == "pretrained" else config.seed, text, device)


@lru_cache(maxsize=64)
def _loss_untouched(lm: str, weights: str, seed: int, text: MeasuredText, device: torch.device) -> TextLoss:
    model: Any = load_language_model(lm, weights, seed)
    return text_loss(model.to(device), load_tokenizer(lm), text, lm)


def loss_on(language_model: Any, config: OfflineConfig, text: MeasuredText) -> TextLoss:
    """The loss of a run's language model, in whatever state it is."""
    return text_loss(language_model.eval(), load_tokenizer(config.lm), text, config.lm)


def language_change(folder: Path, config: OfflineConfig, text: MeasuredText) -> LanguageChange | None:
    """The change of a finished run's language model; None for a run without one that predicts words."""
    if not predicts_words(config):
        return None
    device = torch.device("cpu")
    before = loss_before(config, text, device)
    policy = load_player(folder, config, device)
    assert isinstance(policy, LaMo)
    return LanguageChange(before, loss_on(policy.language_model, config, text))
