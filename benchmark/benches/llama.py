"""LaMo on SmolLM2: its training step beside transformers' and peft's own; converting and loading the model.

Both steps have the same weights, batches, updates, embeddings, head and optimiser, no dropout, and the same loss before
anything is measured. The other one reads the trajectory by transformers' `LlamaModel`, with peft's layers as it puts
them there.
"""

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from ...baselines.onednn import linear
from ..lm.backbones import LanguageBackbone
from ..lm.checkpoints import load_language_model, model_hash, quiet_transformers
from ..lm.converted import convert
from ..lm.families import family_of
from ..lm.lamo import LaMo, LaMoBatch, LaMoConfig
from ..lm.packaged import PACKAGED, check_package
from ..training.memory import keep_freed_memory
from . import peaks, policies
from .harness import Measure, Row, Settings, above, below, faster, in_turn
from .steps import BATCHES, flops, our_step

NAME = "smollm2"
SHAPE: dict[str, Any] = {  # its own
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e5,
    "tie_word_embeddings": True,
}
WINDOWS = 8
CONTEXT = 10
KITCHEN = (60, 9)  # numbers of an observation and of an action
THEIRS = "transformers' and peft's own"
MOST_ROUNDS = 3  # of measurements that take seconds
LOADED = 0.5  # seconds
CONFIG = LaMoConfig(context=CONTEXT, dropout=0.0, lora_dropout=0.0)


def llama_step(settings: Settings, scratch: Path) -> list[Row]:
    """A step on a batch of kitchen's sizes, in float32 and bfloat16, and its share of the peak."""
    keep_freed_memory()
    ours = lamo()
    theirs = plain_lamo()
    batches = [LaMoBatch(policies.windows(WINDOWS, CONTEXT, seed=s, sizes=KITCHEN), None) for s in range(BATCHES)]
    check_equal(ours, theirs, batches[0])
    what = f"LaMo step, {NAME}, LoRA, {WINDOWS} x {CONTEXT} steps"
    rounds = in_turn(settings, our_step(ours, batches), our_step(theirs, batches), frozen_products(ours))
    rows = [faster(f"{what}, float32", THEIRS, [(r[0], r[1]) for r in rounds], target=1.5)]
    work = flops(ours, batches[0]) / 1e9
    best = peaks.best_float32(settings)
    shares = [100 * work / r[0] / best for r in rounds]
    rows += [
        above(f"share of the best float32 product ({best:.0f} GFLOP/s) in that step", "%", shares, 60.0),
        above("products with frozen weights in that step, and nothing else", "ms", [1000 * r[2] for r in rounds]),
    ]
    halves = in_turn(settings, *(our_step(policy, batches, _bfloat16) for policy in (ours, theirs)))
    return [*rows, faster(f"{what}, bfloat16", THEIRS, halves, target=None)]


def frozen_products(policy: LaMo) -> Callable[[], None]:
    """The products of any step: a batch's tokens by every frozen weight, and gradients by it in turn."""
    tokens = WINDOWS * (3 * CONTEXT - 1)
    weights = [
        weight.detach()
        for block in policy.language_model.model.layers
        for weight in (
            block.self_attn.joined,
            block.self_attn.o_proj.weight,
            block.mlp.gate_proj.weight,
            block.mlp.up_proj.weight,
            block.mlp.down_proj.weight,
        )
    ]
    given = {width: torch.randn(tokens, width) for weight in weights for width in weight.shape}

    @torch.no_grad()
    def multiply() -> None:
        for weight in weights:
            linear(given[weight.shape[1]], weight, None)
        for weight in reversed(weights):
            linear(given[weight.shape[0]], weight.T, None)

    return multiply


def random_llama() -> LlamaForCausalLM:
    """A Llama of SmolLM2's shape with random weights."""
    torch.manual_seed(0)
    return LlamaForCausalLM._from_config(LlamaConfig(**SHAPE), attn_implementation="sdpa")


def lamo() -> LaMo:
    """LaMo as it is trained here, on a `random_llama`; its updates, which begin at zero, are not zero."""
    policy = LaMo(CONFIG, policies.hopper_spec(KITCHEN), random_llama(), None)
    for name, parameter in policy.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(std=0.02)
    return policy


def plain_lamo() -> LaMo:
    """The same by transformers' own pass, with peft's own layers."""
    policy = lamo()
    updates = {name: p for name, p in policy.language_model.named_parameters() if ".lora_" in name}
    language_model = random_llama().requires_grad_(False)
    names = list(family_of(language_model).projections)
    lora = LoraConfig(r=CONFIG.lora_rank, lora_alpha=CONFIG.lora_alpha, target_modules=names)
    inject_adapter_in_model(lora, language_model)
    language_model.load_state_dict(updates, strict=False)
    policy.model.backbone = LanguageBackbone(language_model.model)
    return policy


def check_equal(ours: LaMo, theirs: LaMo, batch: LaMoBatch) -> None:
    """Check that losses are the same; an `AssertionError` otherwise."""
    with torch.no_grad():
        torch.testing.assert_close(ours.loss(batch)[0], theirs.loss(batch)[0], rtol=1e-5, atol=1e-6)


def _bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def model_files(settings: Settings, scratch: Path) -> list[Row]:
    """Converting SmolLM2's GGUF, and loading what came out of it once its files were hashed."""
    file = check_package(NAME) / PACKAGED[NAME].gguf
    few = replace(settings, rounds=min(settings.rounds, MOST_ROUNDS))
    folder = convert(file, NAME)

    def read_by_transformers() -> None:
        with quiet_transformers():
            AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
            AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)

    def load_by_transformers() -> None:
        with quiet_transformers():
            AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    rounds = in_turn(few, lambda: convert(file, NAME, force=True), read_by_transformers)
    rows = [faster(f"{NAME}: from GGUF to a checkpoint", "transformers reads the GGUF", rounds, None, unit="s")]
    model_hash(NAME)
    loads = in_turn(few, lambda: load_language_model(NAME), load_by_transformers)
    other = statistics.median(theirs for _, theirs in loads)
    ours = [seconds for seconds, _ in loads]
    return [*rows, below(f"{NAME}: loading the checkpoint", "s", ours, LOADED, other, "transformers' from_pretrained")]


MEASUREMENTS: dict[str, Measure] = {"llama-step": llama_step, "smollm2-files": model_files}
