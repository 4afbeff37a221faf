"""Write small GGUF files of the checkpoints that tests make, as llama.cpp's converter does it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from lamobench.tests.required import lacking

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
CONTROL = 3  # the type of a token that no text has


def write_gguf(folder: Path, path: Path, architecture: str = "llama", **changes: Any) -> Path:
    """The checkpoint in `folder` as the GGUF `path`; rows of 32 numbers in 4 bits. `changes` are to its values.

    In their names two underscores stand for a dot; None leaves a value out.
    """
    gguf = needed_gguf()
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(path, architecture)
    values = {
        "llama.block_count": config["num_hidden_layers"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "llama.rope.freq_base": config["rope_parameters"]["rope_theta"],
        "llama.rope.dimension_count": config["hidden_size"] // config["num_attention_heads"],
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.bos_token_id": config["bos_token_id"],
        "tokenizer.ggml.eos_token_id": config["eos_token_id"],
    }
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    values |= {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [CONTROL, *(1 for _ in tokens[1:])],
        "tokenizer.ggml.merges": [" ".join(merge) for merge in model["merges"]],
    }
    for key, value in (values | {name.replace("__", "."): value for name, value in changes.items()}).items():
        if value is not None:
            _add(writer, key, value)
    for name, tensor in load_file(folder / "model.safetensors").items():
        _add_tensor(writer, name, tensor, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def needed_gguf() -> Any:
    """The package; without it tests of GGUF files are skipped."""
    try:
        import gguf
    except ModuleNotFoundError:
        lacking("smollm2", "GGUF files need a package: pip install gguf==0.19.0")
    return gguf


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, list):
        writer.add_array(key, value)
    else:
        {int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}[type(value)](key, value)


def _add_tensor(writer: Any, name: str, tensor: torch.Tensor, config: dict[str, Any]) -> None:
    import gguf

    stem = name.removesuffix(".weight")
    _, _, layer = stem.rpartition("layers.")
    number, _, part = layer.partition(".")
    inner = NAMES.get(stem) or f"blk.{number}.{NAMES[part]}"
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}.get(inner.split(".")[-1])
    if heads:
        tensor = tensor.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)
    numbers = np.ascontiguousarray(tensor.numpy())
    kinds = gguf.GGMLQuantizationType
    kind = kinds.F32 if tensor.ndim == 1 else kinds.F16 if tensor.shape[-1] % 32 else kinds.Q4_1
    writer.add_tensor(f"{inner}.weight", gguf.quants.quantize(numbers, kind), raw_dtype=kind)


@pytest.fixture
def tiny_gguf(tiny_llama: Path, tmp_path: Path) -> Path:
    """The tiny Llama in a GGUF file."""
    return write_gguf(tiny_llama, tmp_path / "tiny.gguf")
