"""What is left of language after reinforcement learning, measured alike for every finished run."""

from dataclasses import replace
from pathlib import Path

import torch

from .backbones import ENCODERS
from .build import build_policy, language_corpus, training_subset
from .checkpoint import load_policy
from .config import RunConfig
from .lamo import LaMo
from .language_models import model_type
from .runs import run_folder


def loss_on_english(root: Path, config: RunConfig) -> float | None:
    """Nats per token of held-out English under a finished run's language model; None for one without.

    An encoder counts as none: it predicts no next word. The blocks are as long as the model's context, whatever length
    the run's own language loss had, so that runs with different losses can be compared. Raises a `UserError` if the
    English at hand can't be read in its tokens.
    """
    if not config.lm or model_type(config.lm) in ENCODERS:
        return None
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    assert isinstance(policy, LaMo)
    load_policy(run_folder(root, config) / "checkpoint.safetensors", policy)
    policy.language_length = policy.language_model.config.n_positions
    reading = replace(policy.config, measure_language=True, language_length=policy.language_length)
    policy.corpus = language_corpus(reading, config.lm)
    return policy.eval().diagnostics()["held_out_language_loss"]
