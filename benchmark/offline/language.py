"""The language model of a run and the English that it reads: checked, hashed, and built into a LaMo."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ...baselines.policy import Spec
from ...datasets.corpora import Corpus, check_length, load_corpus
from ...datasets.errors import UserError
from ...datasets.trajectories import combine_hashes
from ..lm.checkpoints import load_language_model, load_tokenizer, model_hash, model_positions, model_type
from ..lm.families import FAMILIES
from ..lm.lamo import LaMo, LaMoConfig, check_trainable
from ..runs.methods import METHODS
from .config import OfflineConfig
from .faulty_model import faulty_language_model


def language_corpus(settings: LaMoConfig, lm: str) -> Corpus | None:
    """English to learn from or to measure with, in the tokens of `lm`; None for settings that read none.

    A `UserError` if it is shorter than one of the blocks that are drawn from it.
    """
    if not settings.needs_english:
        return None
    corpus = load_corpus(settings.corpus, load_tokenizer(lm))
    check_length(corpus, min(settings.language_length, model_positions(lm)), "--set language_length=")
    return corpus


def check_language_model(settings: LaMoConfig, lm: str, legacy: Sequence[str] = ()) -> None:
    """Raise a `UserError` if a method with these settings can't have the language model `lm`, or it is not at hand."""
    kind = model_type(lm)
    check_trainable(kind, settings)
    if "no-positions" in legacy and not FAMILIES[kind].positions:
        raise UserError(
            f"legacy 'no-positions': a language model of type '{kind}' has no position embeddings that could be left "
            "out; give a GPT-2 as --lm"
        )


def corpus_hash(corpus: Corpus | None) -> str:
    """SHA-256 of a corpus's content, empty for none; a part of a run's identity."""
    return "" if corpus is None else combine_hashes({"train": corpus.train_sha256, "held_out": corpus.held_out_sha256})


def language_model_problem(config: OfflineConfig, lm: str) -> str:
    """Say why `lm` can't be the language model of a run, and what to type; empty if it is the one."""
    try:
        found = model_hash(lm, METHODS[config.method].weights, config.seed)
    except UserError as error:
        if not _is_path(lm):
            return str(error)
        return (
            f"the run's language model was a folder elsewhere, '{Path(lm).name}'; bring it here and type: "
            f"lamobench evaluate RUN --lm FOLDER (its hash is checked: {config.lm_hash[:16]}...)"
        )
    if found != config.lm_hash:
        return (
            f"language model '{lm}' here is another one than the run's: its hash is {found[:16]}..., expected "
            f"{config.lm_hash[:16]}...; give --lm FOLDER with the run's own"
        )
    return ""


def build_lamo(
    config: OfflineConfig, settings: LaMoConfig, spec: Spec, device: torch.device, *, plays_only: bool
) -> LaMo:
    """A LaMo on the run's language model, with its English unless it `plays_only`.

    A `UserError` if the language model or the English is another than the run was configured for.
    """
    corpus = None if plays_only else _corpus_of(config, settings)
    weights = METHODS[config.method].weights
    if model_hash(config.lm, weights, config.seed) != config.lm_hash:
        raise UserError(f"language model '{config.lm}' has changed since this run was configured; start the run anew")
    # Transformers' kernel, for English and encoders: on a CPU the fused one's backward pass is fast in float32 and very
    # slow under bfloat16 autocast. GPT-2 reads trajectories with our own (`lm/gpt2.py`).
    attention = "eager" if device.type == "cpu" and config.precision == "bfloat16" else "sdpa"
    language_model = load_language_model(config.lm, weights, config.seed, attention)
    return LaMo(settings, spec, faulty_language_model(language_model, config.legacy), corpus)


def _is_path(lm: str) -> bool:
    return "/" in lm or "\\" in lm


def _corpus_of(config: OfflineConfig, settings: LaMoConfig) -> Corpus | None:
    corpus = language_corpus(settings, config.lm)
    if corpus_hash(corpus) != config.corpus_hash:
        raise UserError(f"corpus '{settings.corpus}' has changed since this run was configured; start the run anew")
    return corpus
