"""Pre-trains a small GPT-2 on English that is at hand, from the corpus to a folder that transformers loads.

Every step draws its batch and its dropout from (seed, step) alone, so a killed run goes on to the same weights.
"""

import json
import math
import tempfile
import time
from dataclasses import asdict
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
from ..runs.checkpoint import Progress
from ..runs.store import LOCK, hold
from ..training.life import Life
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
    if (summary := _finished(config, output)) is not None:
        return summary
    tokenizer, corpus = pretraining_text(config, output)
    devices = [torch.cuda.current_device()] if config.device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(config.seed)
        training = Pretraining(config, corpus, tokenizer, output)
        with hold(output), training.bar:
            if (summary := _finished(config, output)) is None:  # another process may have finished it meanwhile
                training.live()
                summary = training.summary
            (output / LOCK).unlink()  # the folder is a model's now
    return summary


def _finished(config: PretrainConfig, output: Path) -> PretrainSummary | None:
    """The measurements of the finished run in a folder; None before it has finished, a `UserError` for another run."""
    about = output / "training.json"
    if not about.exists():
        return None
    found = json.loads(about.read_text(encoding="utf-8"))
    _refuse_other(output, config, found["config"])
    return PretrainSummary(**found["summary"])


def learning_rate(config: PretrainConfig, step: int) -> float:
    """The learning rate of `step` (0-based): linear warm-up, then a cosine to `final_learning_rate` of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_learning_rate + (1 - config.final_learning_rate) * cosine)


class Pretraining(Life):
    """A GPT-2 that learns English, on its way in the folder that it will be in."""

    summary: PretrainSummary  # once it has finished

    def __init__(self, config: PretrainConfig, corpus: Corpus, tokenizer: GPT2TokenizerFast, output: Path) -> None:
        """Begin anew or at the folder's checkpoint; a `UserError` if that is another run's."""
        name = f"pre-training in {output}"
        every = config.checkpoint_every
        super().__init__(name, output, config.last_step, every, lambda step, _: self.bar.set_postfix(self._point()))
        self.config = config
        self.corpus = corpus
        self.tokenizer = tokenizer
        self.model, self.optimizer = _new_model(config)
        self.bar = tqdm(total=config.last_step, desc="pre-training", unit="step")
        if self.checkpoint.exists():
            self._refuse_other_checkpoint()

    def start(self) -> None:
        """Show where it stands."""
        self.bar.update(self.progress.step - self.bar.n)

    def due(self) -> int:
        """Steps until the next look at the held-out text."""
        step = self.progress.step
        return min(self.evaluate_every - step % self.evaluate_every, self.steps - step)

    def advance(self, steps: int) -> None:
        """Take some steps; every one draws its batch and its dropout from (seed, step) alone."""
        started = time.process_time()
        losses = []
        for step in range(self.progress.step, self.progress.step + steps):
            losses.append(self.update(step))
            self.bar.update()
        self.record(steps, {"train": round(sum(losses) / len(losses), 4)}, time.process_time() - started)

    def update(self, step: int) -> float:
        """One optimiser step; its loss."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        torch.manual_seed(int(rng.integers(2**63)))
        blocks = sample_blocks(self.corpus.train, config.batch_size, config.context, rng)
        batch = torch.from_numpy(blocks).to(config.device)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        with torch.autocast(config.device, torch.bfloat16, enabled=_bfloat16(config)):
            loss = language_loss(self.model.train(), batch)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.gradient_clip)
        if not torch.isfinite(loss.detach() + norm):
            self.fail(f"loss {loss.item():g}, gradient norm {norm.item():g} at step {step}")
        self.optimizer.step()
        return loss.item()

    def check_weights(self) -> None:
        """Do nothing: `update` looks at each gradient before it is used."""

    def evaluate(self) -> None:
        """The loss on the start of the held-out text."""
        held_out = held_out_loss(self.model.eval(), self.corpus.held_out[: LOOK_BLOCKS * self.config.context])
        self.progress.metrics[-1]["held_out"] = round(held_out, 4)

    def advice(self) -> str:
        """A lower learning rate."""
        return f"start in another folder with --learning-rate below {self.config.learning_rate:g}"

    def write(self) -> None:
        """One file holds tensors and state, so that they can never be of two different steps."""
        tensors: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            moments = self.optimizer.state[parameter]
            tensors[f"model.{name}"] = parameter.detach()
            tensors[f"exp_avg.{name}"] = moments["exp_avg"]
            tensors[f"exp_avg_sq.{name}"] = moments["exp_avg_sq"]
        about = {
            "config": asdict(self.config),
            "train_sha256": self.corpus.train_sha256,
            "progress": vars(self.progress),
        }
        with whole_file(self.checkpoint) as temporary:
            save_file(tensors, temporary, metadata={"state": json.dumps(about)})

    def load(self) -> Progress:
        """Bring model and optimiser to the checkpoint's."""
        about, tensors = _read_checkpoint(self.checkpoint, self.config.device)
        progress = Progress(**about["progress"])
        for name, parameter in self.model.named_parameters():
            parameter.data.copy_(tensors[f"model.{name}"])
            self.optimizer.state[parameter] = {
                "step": torch.tensor(float(progress.step), device=self.config.device),
                "exp_avg": tensors[f"exp_avg.{name}"],
                "exp_avg_sq": tensors[f"exp_avg_sq.{name}"],
            }
        return progress

    def finish(self) -> None:
        """Write model, card and, last, what was measured; the checkpoint goes."""
        config = self.config
        corpus = self.corpus
        model = self.model.eval()
        if config.storage == "float16":
            for parameter in model.parameters():
                parameter.data.copy_(parameter.data.half())  # what is measured is what is stored
        self.summary = PretrainSummary(
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            train_tokens=len(corpus.train),
            held_out_tokens=len(corpus.held_out),
            tokens_seen=config.last_step * config.batch_size * config.context,
            seconds=round(self.progress.train_seconds, 1),
            precision="bfloat16" if _bfloat16(config) else "float32",
            held_out_loss=held_out_loss(model, corpus.held_out),
            unigram_loss=unigram_loss(corpus.train, corpus.held_out, config.vocabulary),
            bigram_loss=bigram_loss(corpus.train, corpus.held_out, config.vocabulary),
            train_sha256=corpus.train_sha256,
            held_out_sha256=corpus.held_out_sha256,
            tokenizer_sha256=corpus.tokenizer_sha256,
            paragraphs=corpus.paragraphs,
            sources=corpus.sources,
            curve=[{name: row[name] for name in ("step", "train", "held_out")} for row in self.progress.metrics],
            sample=generate(model, self.tokenizer, "The", tokens=80, seed=config.seed),
        )
        _write_model(self.folder, model, config.storage)
        write_text(self.folder / "README.md", model_card(self.folder.resolve().name, config, self.summary))
        write_json(self.folder / "training.json", {"config": asdict(config), "summary": asdict(self.summary)})
        self.checkpoint.unlink()

    def _point(self) -> dict[str, float]:
        row = self.progress.metrics[-1]
        return {name: row[name] for name in ("train", "held_out")}

    def _refuse_other_checkpoint(self) -> None:
        about, _ = _read_checkpoint(self.checkpoint, "cpu")
        _refuse_other(self.folder, self.config, about["config"])
        if about["train_sha256"] != self.corpus.train_sha256:
            corpus = self.config.corpus
            raise UserError(f"{self.folder} was begun on another text of corpus '{corpus}'; use another folder")


def _new_model(config: PretrainConfig) -> tuple[GPT2LMHeadModel, torch.optim.AdamW]:
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
    return model, torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.99), fused=True)


def _read_checkpoint(path: Path, device: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, "pt", device=device) as file:
            about = json.loads(file.metadata()["state"])
            # Copies: the file is replaced while they are in use. `keys` because a safe_open is no mapping.
            return about, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"checkpoint {path} can't be read ({error}); delete it to start anew") from None


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
