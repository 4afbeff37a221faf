"""Measure what is left of language after reinforcement learning, alike for every finished run."""

from collections.abc import Iterable
from pathlib import Path

import torch

from ...datasets.corpora import Corpus
from ..lm.checkpoints import MOST_SEEN, model_positions, model_type
from ..lm.families import FAMILIES
from ..lm.lamo import LaMo, LaMoConfig
from ..runs.checkpoint import load_policy
from ..runs.store import run_folder
from .build import build_policy, language_corpus, training_subset
from .config import OfflineConfig


def check_english(configs: Iterable[OfflineConfig], corpus: str) -> None:
    """A `UserError` unless `loss_on_english` can read `corpus` for every run, once it is finished."""
    for lm in {config.lm for config in configs if _speaks(config)}:
        _english(lm, corpus)


def _speaks(config: OfflineConfig) -> bool:
    return bool(config.lm) and FAMILIES[model_type(config.lm)].predicts_words


def _english(lm: str, corpus: str) -> Corpus | None:
    """English to measure with, for blocks as long as they are measured in."""
    return language_corpus(LaMoConfig(corpus=corpus, measure_language=True, language_length=_block(lm)), lm)


def _block(lm: str) -> int:
    """Tokens of a block: the model's context, as long as that is no longer than GPT-2's."""
    return min(model_positions(lm), MOST_SEEN)


def loss_on_english(root: Path, config: OfflineConfig, corpus: str) -> float | None:
    """Nats per token of what `corpus` holds out, under a finished run's language model; None for one without.

    An encoder counts as none: it predicts no next word. The blocks are as long as `_block` says, whatever length
    the run's own language loss had, so that runs with different losses can be compared. Raises a `UserError` if the
    English at hand can't be read in its tokens.
    """
    if not _speaks(config):
        return None
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    assert isinstance(policy, LaMo)
    load_policy(run_folder(root, config) / "checkpoint.safetensors", policy)
    policy.language_length = _block(config.lm)
    policy.corpus = _english(config.lm, corpus)
    return policy.eval().diagnostics()["held_out_language_loss"]
