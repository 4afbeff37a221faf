"""LaMo on a tiny language model, without a corpus."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lamobench.baselines.policy import Spec
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.lamo import LaMo, LaMoConfig
from lamobench.datasets.fractions import Subset


def little_lamo(language_model: Path, subset: Subset, **changes: Any) -> LaMo:
    """LaMo without dropout and corpus on the language model, `changes` to its config."""
    mean, std = subset.observation_moments()
    low = np.full(2, -1.0, np.float32)
    high = np.full(2, 1.0, np.float32)
    spec = Spec(12, 2, low, high, mean, std, horizon=100, return_scale=10.0)
    torch.manual_seed(0)
    config = replace(LaMoConfig(context=4, lora_rank=2, dropout=0.0, lora_dropout=0.0), **changes)
    return LaMo(config, spec, load_language_model(str(language_model), attention="sdpa"), None)
