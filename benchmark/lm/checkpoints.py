"""Language models: where they lie, how they load, and the controls that a claim about pre-training needs."""

import hashlib
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub import try_to_load_from_cache
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from ...datasets.corpora import END_OF_TEXT
from ...datasets.errors import UserError, choose
from ...datasets.storage import home
from ...datasets.trajectories import Array
from .checkpoint_folder import open_checkpoint, read_tensors, weight_files
from .families import FAMILIES, family_of, positions_of
from .packaged import PACKAGED, check_package, file_sha256, packaged_folder
from .published import PUBLISHED
from .tokenizer_files import read_tokenizer

EMBEDDED = Path(__file__).parent / "models"  # models that ship with the package, each in a folder of its name
NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)  # of models in `$LAMOBENCH_HOME/models`
MOST_SEEN = (
    1024  # tokens in a window of English that is scored: GPT-2's context; a Llama's logits of more take gigabytes
)
WEIGHTS = ("pretrained", "random", "permuted", "initialised")
ATTENTION = ("eager", "sdpa")


def load_language_model(
    name: str, weights: str = "pretrained", seed: int = 0, attention: str = "eager", both_ways: bool = False
) -> PreTrainedModel:
    """The language model `name` in float32, in evaluation mode, on the CPU; nothing is downloaded.

    `name` is "gpt2-mini" or one of its controls (they ship with the package), "gpt2", "gpt2-medium", "minilm" or
    "smollm2" (from packages), what a GGUF was imported as, or the path of a folder with a checkpoint in safetensors. A
    GPT-2 or a Llama comes with its language head, an encoder (BERT, RoBERTa) without heads and with a causal mask,
    unless it is to read `both_ways`, as it was pre-trained; no other family can.
    `attention` is transformers' kernel: "eager" is faster than "sdpa" in bfloat16 on a CPU, and slower elsewhere.

    `weights` says what the pre-trained tensors are replaced by. A tensor holds a scale, a distribution and an
    arrangement of values; each control keeps less of it than the one before:

    - "pretrained": nothing is replaced.
    - "permuted": the values of each tensor in random order: keeps scale and distribution, loses the arrangement.
    - "random": each tensor drawn from a normal distribution with its own mean and standard deviation: keeps the scale.
    - "initialised": transformers' own initialisation (standard deviation 0.02): keeps the architecture alone.

    "permuted" and "random" treat every tensor alike, biases and LayerNorms included. Kept as they are, those would
    carry learned features into the control; reset to 0 and 1, they would change the scale of every layer, which is what
    these controls hold fixed. GPT-2's tied output layer follows the embedding.

    The same `seed` gives the same control, whatever torch's global random state, which is left alone. Raises
    `UserError` for an unknown name, a model that is not on this machine, and a checkpoint that is damaged, incomplete
    or of another family.
    """
    choose("weights", weights, list(WEIGHTS))
    choose("attention", attention, list(ATTENTION))
    folder = model_folder(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _read(folder, name, attention, both_ways)
        if weights == "initialised":
            arguments = family_of(model).arguments
            model = type(model)._from_config(model.config, attn_implementation=attention, **arguments)
    if weights in ("random", "permuted"):
        _redraw(model, weights, seed)
    return model.eval()


def load_tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The tokenizer beside the weights of `name`; raises `UserError` as `load_language_model` does."""
    folder = model_folder(name)
    return read_tokenizer(folder, open_checkpoint(folder, name).config, name)


def model_hash(name: str, weights: str = "pretrained", seed: int = 0) -> str:
    """SHA-256 of the config and weight files of `name` and, for a control, of its kind and seed.

    A part of a run's identity. The files are read once in a process, as long as they do not change.
    """
    return control_hash(files_hash(name), weights, seed)


def files_hash(name: str) -> str:
    """SHA-256 of the config and weight files of `name`: what `control_hash` makes a run's of."""
    folder = model_folder(name)
    files = [folder / "config.json", *weight_files(folder)]
    return hashlib.sha256(b"".join(bytes.fromhex(file_sha256(file)) for file in files)).hexdigest()


def control_hash(files: str, weights: str, seed: int) -> str:
    """`model_hash` of a model whose `files_hash` is known."""
    choose("weights", weights, list(WEIGHTS))
    control = "" if weights == "pretrained" else f" {weights} {seed}"
    return hashlib.sha256(f"{files}{control}".encode()).hexdigest()


def model_positions(name: str) -> int:
    """The number of tokens that the model `name` sees at once; raises `UserError` as `load_language_model` does."""
    return positions_of(open_checkpoint(model_folder(name), name).config)


def model_type(name: str) -> str:
    """A key of `FAMILIES`; raises `UserError` as `load_language_model` does."""
    return str(open_checkpoint(model_folder(name), name).config.model_type)


def model_shape(name: str) -> dict[str, Any]:
    """Layers, heads, width and activation of the model `name`; raises `UserError` as `load_language_model` does."""
    config = open_checkpoint(model_folder(name), name).config
    return {
        "layers": int(config.num_hidden_layers),
        "heads": int(config.num_attention_heads),
        "width": int(config.hidden_size),
        "activation": str(getattr(config, "activation_function", None) or config.hidden_act),  # GPT-2's name, BERT's
    }


def model_folder(name: str) -> Path:
    """The folder of the checkpoint `name`: in lamobench, `$LAMOBENCH_HOME/models`, Hugging Face's cache, a package.

    Any other name is a path. Raises `UserError` if there is no checkpoint in safetensors, saying what to type.
    """
    if (EMBEDDED / name).is_dir() and Path(name).name == name:
        return _with_weights(EMBEDDED / name)
    if name in PUBLISHED:
        return _published_folder(name)
    if name in PACKAGED:
        return packaged_folder(name)
    if name in imported_models():
        return _with_weights(home() / "models" / name)
    if Path(name).expanduser().is_dir():
        return _with_weights(Path(name).expanduser().resolve())
    kinds = ", ".join(family.title for family in FAMILIES.values())
    choose("language model", name, named_models(), f"or the path of a folder with a checkpoint of {kinds}")
    raise AssertionError("unreachable: `choose` refuses every name that is not handled above")


def check_at_hand(name: str) -> None:
    """Raise the errors of `model_folder`, without converting a packaged GGUF."""
    if name in PACKAGED and name not in _converted():
        check_package(name)
    else:
        model_folder(name)


def named_models() -> list[str]:
    """The language models that have a name, at hand or not."""
    return [*sorted(path.name for path in EMBEDDED.glob("*/")), *PUBLISHED, *PACKAGED, *imported_models()]


def imported_models() -> list[str]:
    """Names that GGUF files were imported under (`fetched.import_gguf`)."""
    return [name for name in _converted() if name not in PUBLISHED and name not in PACKAGED]


def _converted() -> list[str]:
    """The folders in `$LAMOBENCH_HOME/models`, but for hidden ones."""
    return sorted(path.name for path in (home() / "models").glob("*/") if NAME.fullmatch(path.name))


def language_loss(model: nn.Module, ids: Tensor) -> Tensor:
    """Mean cross entropy in nats of `ids[:, 1:]`, each predicted from the tokens before it; `ids` is (B, L) int64.

    LaMo's auxiliary loss (Shi et al. 2024, equation 5). Computed in float32 under autocast too.
    """
    return next_token_loss(model(input_ids=ids, use_cache=False).logits, ids)


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """`language_loss` of logits (B, L, vocabulary)."""
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())


def perplexity(loss: float) -> float:
    """The exponential of a cross entropy in nats; finite, so that every log can hold it."""
    return math.exp(min(loss, 700.0))


def held_out_loss(model: PreTrainedModel, ids: Array, batch_size: int = 8) -> float:
    """Mean nats per token of `ids[1:]`, every token predicted once from the tokens before it in its window.

    Windows are as long as the model's context, `MOST_SEEN` at most, and overlap by one token, so that none goes
    unpredicted.
    """
    stride = min(positions_of(model.config), MOST_SEEN) - 1
    windows = [ids[start : start + stride + 1] for start in range(0, len(ids) - 1, stride)]
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(windows), batch_size):
            group = windows[start : start + batch_size]
            whole = [window for window in group if len(window) == stride + 1]
            rest = [window for window in group if len(window) <= stride]
            for part in filter(len, (whole, rest)):
                batch = torch.from_numpy(np.stack(part).astype(np.int64)).to(model.device)
                total += float(language_loss(model, batch)) * batch[:, 1:].numel()
    return total / (len(ids) - 1)


def generate(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompt: str, tokens: int, seed: int) -> str:
    """Text sampled from `model` at temperature 0.8 from the 40 likeliest tokens; leaves torch's global stream alone."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor([tokenizer(prompt)["input_ids"]], device=model.device)
    seen = positions_of(model.config)
    with torch.no_grad():
        for _ in range(tokens):
            logits = model(ids[:, -seen:]).logits[0, -1].float().cpu()
            values, indices = torch.topk(logits / 0.8, min(40, len(logits)))
            choice = indices[torch.multinomial(values.softmax(0), 1, generator=generator)]
            ids = torch.cat([ids, choice.to(model.device)[None]], dim=1)
    return str(tokenizer.decode(ids[0])).replace(END_OF_TEXT, "\n")


def _read(folder: Path, name: str, attention: str, both_ways: bool) -> PreTrainedModel:
    checkpoint = open_checkpoint(folder, name)
    family = FAMILIES[checkpoint.config.model_type]
    if both_ways and not family.predicts_words:
        checkpoint.config.is_decoder = False
    with quiet_transformers():
        return family.model.from_pretrained(
            None,  # not the folder, in which transformers would look for more than was checked
            config=checkpoint.config,
            state_dict=read_tensors(checkpoint),
            attn_implementation=attention,
            dtype=torch.float32,
            **family.arguments,
        )


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and reports off the terminal: ours say what matters."""
    bars = transformers_logging.is_progress_bar_enabled()
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()


def _redraw(model: PreTrainedModel, weights: str, seed: int) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # A stream for each tensor: a control does not depend on the order in which transformers lists them.
            stream = hashlib.sha256(f"{weights} {seed} {name}".encode()).digest()[:8]
            generator = torch.Generator().manual_seed(int.from_bytes(stream, "big") >> 1)
            if weights == "permuted":
                order = torch.randperm(parameter.numel(), generator=generator)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))
            else:
                std, mean = torch.std_mean(parameter, correction=0)
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * std + mean)


def _published_folder(name: str) -> Path:
    placed = home() / "models" / name
    if placed.is_dir():
        return _with_weights(placed)
    for repository in (PUBLISHED[name].name, name):  # the name before the Hub had namespaces is in older caches
        cached = try_to_load_from_cache(repository, "model.safetensors")
        if isinstance(cached, str):
            return _with_weights(Path(cached).parent)
    raise UserError(
        f"language model '{name}' is not on this machine; type: lamobench lm fetch {name} (it says what to do without "
        "a network)"
    )


def _with_weights(folder: Path) -> Path:
    weight_files(folder)  # refuses what is no checkpoint
    return folder
