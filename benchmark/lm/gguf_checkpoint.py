"""Convert a GGUF file of the Llama family to a checkpoint folder, as transformers would save it, in float16.

llama.cpp's names and sizes for the architecture "llama" are in its gguf-py (`constants.py`, `tensor_mapping.py`); its
converter lays the rows of queries and keys out anew, which is undone here.
"""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from tqdm import tqdm

from ...datasets.errors import UserError
from ...datasets.storage import check_room, write_json
from .checkpoint_config import check_sizes, make_config
from .checkpoint_folder import SINGLE, check_memory
from .gguf_file import GGUFFile, read_header, read_numbers

ARCHITECTURE = b"llama"  # llama.cpp's word
FAMILY = "llama"  # transformers' word
FLOAT16 = 2  # bytes
TENSORS = {  # transformers' name of each tensor; of a layer's, what follows the layer
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TENSOR = re.compile(r"(?:blk\.(?P<layer>\d{1,4})\.)?(?P<part>\w+)\.weight")
NUMBERS = {  # transformers' name of each; those that a file may leave out have a default there
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
}
SPECIAL = {"bos_token_id": "bos_token_id", "eos_token_id": "eos_token_id", "pad_token_id": "padding_token_id"}
CONTROL = 3  # type of a token that no text is split into
OWN = 4  # type of a token that no text is split within
BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False)
SPLITS = {  # how a text is split before its parts become tokens, by llama.cpp's names
    b"gpt-2": BYTES,
    b"smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), BYTES]),
}


def write_checkpoint(path: Path, folder: Path, name: str) -> None:
    """Write configuration, weights and tokenizer of the GGUF `path` to `folder`, showing how far it is.

    `name` is what the model is called. Raises a `UserError` for a file that is damaged, of another architecture or with
    what is not read here, and for one that there is no room for, in memory or on the disk.
    """
    file = read_header(path)
    names = {given: _name(file, given) for given in file.tensors}
    config = _config(file, name)
    needed = FLOAT16 * sum(math.prod(tensor.shape) for tensor in file.tensors.values())
    check_memory(needed, name)
    check_room(folder, f"language model '{name}'", needed)
    write_json(folder / "config.json", config)
    _tokenizer(file).save(str(folder / "tokenizer.json"))
    bar = tqdm(names.items(), desc=f"converting {name}", unit=" tensors", leave=False)
    tensors = {theirs: _half(file, given, config) for given, theirs in bar}
    save_file(tensors, folder / SINGLE, metadata={"format": "pt"})
    (folder / SINGLE).chmod(0o644)  # safetensors' 0600 would hide it from a group that shares the folder


def _name(file: GGUFFile, name: str) -> str:
    """transformers' name of a tensor."""
    found = TENSOR.fullmatch(name)
    if found is None or found["part"] not in TENSORS:
        raise UserError(f"{file.path} has a tensor {name[:40]!r}, which is not read; give a plain Llama")
    part = TENSORS[found["part"]]
    return f"{part}.weight" if found["layer"] is None else f"model.layers.{int(found['layer'])}.{part}.weight"


def _config(file: GGUFFile, name: str) -> dict[str, Any]:
    """The content of a config.json, whose values make sense beside the tensors."""
    values = file.values
    if (found := values.get("general.architecture")) != ARCHITECTURE:
        raise UserError(
            f"{file.path} is of architecture {_shown(found)}, expected {_shown(ARCHITECTURE)}; give a Llama"
        )
    if (scaling := values.get("llama.rope.scaling.type", b"none")) != b"none":
        raise UserError(f"{file.path} scales rotary positions ({_shown(scaling)}), which is not read; give another")
    numbers = {ours: values[f"llama.{key}"] for ours, key in NUMBERS.items() if f"llama.{key}" in values}
    special = {ours: values.get(f"tokenizer.ggml.{key}") for ours, key in SPECIAL.items()}
    # float32 in the file: the shortest decimal that rounds to it is what was written
    numbers |= {key: float(str(np.float32(value))) for key, value in numbers.items() if isinstance(value, float)}
    tied = "output.weight" not in file.tensors
    vocabulary = len(_list(file, "tokenizer.ggml.tokens"))
    config = {"model_type": FAMILY, "vocab_size": vocabulary, "tie_word_embeddings": tied, **numbers, **special}
    built = make_config(config, FAMILY, name)
    check_sizes(built, [tensor.shape for tensor in file.tensors.values()], name)
    turned = values.get("llama.rope.dimension_count", built.head_dim)
    if turned != built.head_dim:
        raise UserError(f"{file.path} turns {_shown(turned)} of a head's {built.head_dim} numbers; give a plain Llama")
    return config


def _half(file: GGUFFile, name: str, config: dict[str, Any]) -> Tensor:
    """A tensor in float16, its rows as transformers has them.

    llama.cpp keeps the two coordinates that are turned together beside each other, transformers half a head apart.
    """
    numbers: Any = torch.from_numpy(read_numbers(file, name)).half()
    part = name.rpartition(".weight")[0].rpartition(".")[2]
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}.get(part)
    if heads is None:
        return torch.as_tensor(numbers)
    count = config.get(heads, config["num_attention_heads"])
    if len(numbers) % (2 * count):
        raise UserError(f"{file.path} has tensor {name} of {len(numbers)} rows for {count} heads; copy it anew")
    return torch.as_tensor(numbers.unflatten(0, (count, -1, 2)).transpose(1, 2).flatten(0, 2).contiguous())


def _tokenizer(file: GGUFFile) -> Tokenizer:
    """The byte-level BPE in the file."""
    kind, split = (file.values.get(f"tokenizer.ggml.{key}") for key in ("model", "pre"))
    if kind != b"gpt2" or split not in SPLITS:
        known = ", ".join(f"gpt2 with {_shown(name)}" for name in SPLITS)
        raise UserError(
            f"{file.path} has a tokenizer {_shown(kind)} with {_shown(split)}, expected {known}; give another"
        )
    tokens = _texts(file, "tokenizer.ggml.tokens")
    merges = [text.partition(" ") for text in _texts(file, "tokenizer.ggml.merges")]
    kinds = np.asarray(file.values.get("tokenizer.ggml.token_type", []))
    if kinds.shape not in ((0,), (len(tokens),)) or not all(right for _, _, right in merges):
        raise UserError(f"{file.path} has a vocabulary whose parts do not go together; copy it anew")
    try:
        vocabulary = {token: number for number, token in enumerate(tokens)}
        tokenizer = Tokenizer(models.BPE(vocabulary, [(left, right) for left, _, right in merges]))
    except Exception as error:  # tokenizers raises no narrower one
        first = str(error).splitlines()[0]
        raise UserError(f"{file.path} has no vocabulary that can be used ({first}); copy it anew") from None
    tokenizer.pre_tokenizer = SPLITS[split]
    tokenizer.decoder = decoders.ByteLevel()
    for number, special in ((CONTROL, True), (OWN, False)):
        own = [
            AddedToken(tokens[place], special=special, normalized=False) for place in np.flatnonzero(kinds == number)
        ]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(own)
    return tokenizer


def _texts(file: GGUFFile, key: str) -> list[str]:
    try:
        return [text.decode() for text in _list(file, key)]
    except UnicodeDecodeError:
        raise UserError(f"{file.path} has text in {key} that is not UTF-8; copy it anew") from None


def _list(file: GGUFFile, key: str) -> list[bytes]:
    found = file.values.get(key)
    if not isinstance(found, list):
        raise UserError(f"{file.path} has no {key}; copy it anew")
    return found


def _shown(value: Any) -> str:
    """A value of a file that may hold anything, for a message."""
    return repr(value.decode(errors="replace") if isinstance(value, bytes) else value)[:40]
