"""Pre-trains a small GPT-2 on English that is at hand, from the corpus to a folder that transformers loads.

Every step draws its batch and its dropout from (seed, step) alone, so a killed run goes on to the same weights.
"""

import json
import math
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm
from transformers import GPT2Config, GPT2LMHeadModel, GPT2TokenizerFast

from ...datasets.corpora import Corpus, sample_blocks
from ...datasets.errors import UserError, choose
from ...datasets.storage import whole_file, write_json, write_text
from .checkpoints import ATTENTION, generate, held_out_loss, language_loss, quiet_transformers
from .model_card import model_card
from .ngrams import bigram_loss, unigram_loss
from .pretrain_config import PretrainConfig
from .pretrain_summary import PretrainSummary
from .pretrain_text import pretraining_text

LOOK_BLOCKS = 64  # the curve's held-out loss is over the first so many blocks: a look costs a few training steps


def pretrain(config: PretrainConfig, output: Path) -> PretrainSummary:
    """Train the model of `config`; write weights, config, tokenizer, card and training.json to the folder `output`.

    A folder that holds the finished run of the same config is left as it is; one that holds its checkpoint is resumed;
    one that holds another run is refused (`UserError`). A loss that is not finite stops the run (`UserError`) and
    leaves the last checkpoint.
    """
    _check(config)
    record = output / "training.json"
    if record.exists():
        about = json.loads(record.read_text(encoding="utf-8"))
        _refuse_other(output, config, about["config"])
        return PretrainSummary(**about["summary"])
    tokenizer, corpus = pretraining_text(config, output)
    checkpoint = output / "checkpoint.safetensors"
    summary, model = _finish(config, corpus, tokenizer, _train(config, corpus, checkpoint))
    _write_model(output, model, config.storage)
    write_text(output / "README.md", model_card(output.resolve().name, config, summary))
    write_json(record, {"config": asdict(config), "summary": asdict(summary)})
    checkpoint.unlink()
    return summary


def learning_rate(config: PretrainConfig, step: int) -> float:
    """The learning rate of `step` (0-based): linear warm-up, then a cosine to `final_learning_rate` of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_learning_rate + (1 - config.final_learning_rate) * cosine)


@dataclass
class _State:
    model: GPT2LMHeadModel
    optimizer: torch.optim.AdamW
    step: int
    seconds: float
    curve: list[dict[str, float]]


def _train(config: PretrainConfig, corpus: Corpus, checkpoint: Path) -> _State:
    devices = [torch.cuda.current_device()] if config.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        state = _new_state(config)
        if checkpoint.exists():
            _load_checkpoint(checkpoint, config, corpus, state)
        clock, losses = time.process_time() - state.seconds, []
        with tqdm(total=config.last_step, initial=state.step, desc="pre-training", unit="step") as bar:
            while state.step < config.last_step:
                losses.append(_step(config, corpus, state, checkpoint))
                state.step += 1
                bar.update()
                if state.step % config.checkpoint_every == 0 or state.step == config.last_step:
                    held_out = held_out_loss(state.model.eval(), corpus.held_out[: LOOK_BLOCKS * config.context])
                    point = {"train": round(sum(losses) / len(losses), 4), "held_out": round(held_out, 4)}
                    bar.set_postfix(point)
                    state.curve.append({"step": state.step, **point})
                    state.seconds, losses = time.process_time() - clock, []
                    _save_checkpoint(checkpoint, config, corpus, state)
    return state


def _step(config: PretrainConfig, corpus: Corpus, state: _State, checkpoint: Path) -> float:
    rng = np.random.default_rng([config.seed, state.step])
    torch.manual_seed(int(rng.integers(2**63)))
    batch = torch.from_numpy(sample_blocks(corpus.train, config.batch_size, config.context, rng)).to(config.device)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, state.step)
    with torch.autocast(config.device, torch.bfloat16, enabled=_bfloat16(config)):
        loss = language_loss(state.model.train(), batch)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clip)
    if not torch.isfinite(loss.detach() + norm):
        kept = "the last checkpoint is kept" if checkpoint.exists() else "no checkpoint was written yet"
        raise UserError(
            f"loss {loss.item():g}, gradient norm {norm.item():g} at step {state.step} in {checkpoint.parent} "
            f"({kept}); start in another folder with --learning-rate below {config.learning_rate:g}"
        )
    state.optimizer.step()
    return loss.item()


def _new_state(config: PretrainConfig) -> _State:
    model = GPT2LMHeadModel._from_config(
        GPT2Config(
            vocab_size=config.vocabulary,
            n_positions=config.context,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            bos_token_id=0,
            eos_token_id=0,
        ),
        attn_implementation=config.attention,
    ).to(config.device)
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    # A long memory for the second moment: with two thousand tokens a step, gradients are noisy.
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)
    return _State(model, optimizer, step=0, seconds=0.0, curve=[])


def _save_checkpoint(path: Path, config: PretrainConfig, corpus: Corpus, state: _State) -> None:
    """One file holds tensors and state, so that they can never be of two different steps."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in state.model.named_parameters():
        moments = state.optimizer.state[parameter]
        tensors[f"model.{name}"] = parameter.detach()
        tensors[f"exp_avg.{name}"] = moments["exp_avg"]
        tensors[f"exp_avg_sq.{name}"] = moments["exp_avg_sq"]
    about = {
        "config": asdict(config),
        "train_sha256": corpus.train_sha256,
        "step": state.step,
        "seconds": state.seconds,
        "curve": state.curve,
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"state": json.dumps(about)})


def _load_checkpoint(path: Path, config: PretrainConfig, corpus: Corpus, state: _State) -> None:
    try:
        with safe_open(path, "pt", device=config.device) as file:
            about = json.loads(file.metadata()["state"])
            # Copies: the file is replaced while they are in use. `keys` because a safe_open is no mapping.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"checkpoint {path} can't be read ({error}); delete it to start anew") from None
    _refuse_other(path.parent, config, about["config"])
    if about["train_sha256"] != corpus.train_sha256:
        raise UserError(f"{path.parent} was begun on another text of corpus '{config.corpus}'; use another folder")
    state.step, state.seconds, state.curve = about["step"], about["seconds"], about["curve"]
    for name, parameter in state.model.named_parameters():
        parameter.data.copy_(tensors[f"model.{name}"])
        state.optimizer.state[parameter] = {
            "step": torch.tensor(float(state.step), device=config.device),
            "exp_avg": tensors[f"exp_avg.{name}"],
            "exp_avg_sq": tensors[f"exp_avg_sq.{name}"],
        }


def _finish(
    config: PretrainConfig, corpus: Corpus, tokenizer: GPT2TokenizerFast, state: _State
) -> tuple[PretrainSummary, GPT2LMHeadModel]:
    model = state.model.eval()
    if config.storage == "float16":
        for parameter in model.parameters():
            parameter.data.copy_(parameter.data.half())  # what is measured is what is stored
    summary = PretrainSummary(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        train_tokens=len(corpus.train),
        held_out_tokens=len(corpus.held_out),
        tokens_seen=config.last_step * config.batch_size * config.context,
        seconds=round(state.seconds, 1),
        precision="bfloat16" if _bfloat16(config) else "float32",
        held_out_loss=held_out_loss(model, corpus.held_out),
        unigram_loss=unigram_loss(corpus.train, corpus.held_out, config.vocabulary),
        bigram_loss=bigram_loss(corpus.train, corpus.held_out, config.vocabulary),
        train_sha256=corpus.train_sha256,
        held_out_sha256=corpus.held_out_sha256,
        tokenizer_sha256=corpus.tokenizer_sha256,
        paragraphs=corpus.paragraphs,
        sources=corpus.sources,
        curve=state.curve,
        sample=generate(model, tokenizer, "The", tokens=80, seed=config.seed),
    )
    return summary, model


def _write_model(output: Path, model: GPT2LMHeadModel, storage: str) -> None:
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        model.to("cpu", getattr(torch, storage)).save_pretrained(folder)
        for name in ("config.json", "model.safetensors"):
            with whole_file(output / name) as temporary:
                temporary.write_bytes((Path(folder) / name).read_bytes())


def _refuse_other(output: Path, config: PretrainConfig, found: dict[str, Any]) -> None:
    known = asdict(PretrainConfig()) | found  # a run from before an option had what is its default now
    for name, given in asdict(config).items():
        if given != known[name]:
            raise UserError(
                f"{output} holds a run with {name} = {known[name]!r}, not {given!r}; write to another folder"
            )


def _bfloat16(config: PretrainConfig) -> bool:
    if config.precision != "auto":
        return config.precision == "bfloat16"
    if config.device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def _check(config: PretrainConfig) -> None:
    least = {"layers": 1, "width": 1, "heads": 1, "batch_size": 1, "steps": 1, "checkpoint_every": 1, "context": 2}
    least["vocabulary"] = 257  # every byte and the end-of-text token
    for name, minimum in least.items():
        given = getattr(config, name)
        if given < minimum:
            option = name.replace("_", "-")
            raise UserError(f"{option} {given} is too small, expected at least {minimum}; e.g. --{option} {minimum}")
    if config.width % config.heads:
        raise UserError(f"width {config.width} is not a multiple of heads {config.heads}; e.g. --width 128 --heads 4")
    if config.learning_rate <= 0:
        raise UserError(f"learning-rate {config.learning_rate:g} is not positive; e.g. --learning-rate 0.004")
    if not 0 <= config.stop_at <= config.steps:
        raise UserError(
            f"stop-at {config.stop_at} is not within the {config.steps} steps, expected 0 to {config.steps}"
        )
    choose("order", config.order, ["natural", "shuffled"])
    choose("storage", config.storage, ["float32", "float16"])
    choose("precision", config.precision, ["auto", "float32", "bfloat16"])
    choose("attention", config.attention, list(ATTENTION))
    choose("device", config.device, ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
