"""A language model's checkpoint folder, which may come from anybody: checked before anything is built or read from it.

transformers never sees the folder. It is given a configuration made of the values that are checked here, and tensors of
safetensors files inside the folder, each of the shape that this configuration asks for. So there is nothing that it
could follow elsewhere, unpickle or make up.
"""

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ...datasets.errors import UserError
from ...datasets.file_checks import MB, check_regular_file
from ...datasets.json_files import read_json
from .checkpoint_config import check_sizes, make_config
from .families import FAMILIES

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model[\w.-]*\.safetensors", re.ASCII)  # a plain name: no folder, no pickle
FLOATS = ("F64", "F32", "F16", "BF16")  # safetensors' names
FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Stored:
    """A tensor in a file, not read yet."""

    file: Path
    key: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Checkpoint:
    """A folder's configuration, and which tensors its files say that they hold; `read_tensors` reads them."""

    name: str  # what it is called where something is wrong with it
    config: Any  # transformers' class, with the values that make the network and no other
    stored: Mapping[str, Stored]  # by the name without the family's prefix


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of the checkpoint in `folder`, ordered by name: the single one, or every shard.

    Raises a `UserError` if there is no checkpoint, if it is not clear which files are meant, and if one is missing or
    is no file inside the folder. What a file holds is not looked at.
    """
    for adapter in sorted(folder.glob("adapter_*")):
        raise UserError(
            f"{folder} holds {adapter.name}, an adapter, which is not read; merge it into the weights with peft's "
            "merge_and_unload and save_pretrained, or take its files away"
        )
    found = sorted(path.name for path in folder.glob("model*.safetensors"))
    if not (folder / "config.json").exists() or not (found or (folder / INDEX).exists()):
        raise UserError(
            f"{folder} holds no checkpoint: expected config.json and {SINGLE}; convert pickled weights, which are "
            "never read, with transformers' save_pretrained"
        )
    named = _shards(folder) if (folder / INDEX).exists() else [SINGLE]
    if named == [SINGLE] and SINGLE not in found:
        raise UserError(f"{folder} holds {found[0]}, a part of a checkpoint, but no {INDEX}; copy that too")
    for shard in sorted(set(named) - set(found)):
        raise UserError(f"{folder} lacks {shard}, which {INDEX} names; copy it too")
    for other in sorted(set(found) - set(named)):
        raise UserError(f"{folder} holds {other} beside {named[0]}, two checkpoints; take one of them away")
    for file in ("config.json", *named):
        check_inside(folder, file)
    return [folder / file for file in named]


def open_checkpoint(folder: Path, name: str) -> Checkpoint:
    """The checkpoint in `folder`, which messages call the language model `name`; no tensor is read.

    Raises a `UserError` as `weight_files` does, for a value of its configuration that makes no sense, for an
    architecture that is not in `FAMILIES`, for sizes larger than the files, and for files that are no safetensors.
    """
    files = weight_files(folder)
    values = read_object(folder, "config.json")
    kind = values.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise UserError(
            f"language model '{name}' is of type '{kind}' (in {folder}/config.json), expected {', '.join(FAMILIES)}; "
            "give a checkpoint of one of these"
        )
    family = FAMILIES[kind]
    config = make_config(values, kind, name)
    stored = _stored_tensors(files, family.layout.prefix, name)
    check_sizes(config, [tensor.shape for tensor in stored.values()], name)
    return Checkpoint(name, config, stored)


def find_tensors(checkpoint: Checkpoint) -> dict[str, Stored]:
    """Find each parameter of the checkpoint's model in its files, by transformers' name; no tensor is read.

    Raises a `UserError` if one is missing, of another shape or no float, and if the files hold what the model has no
    place for: then the configuration is another model's.
    """
    layout = FAMILIES[checkpoint.config.model_type].layout
    name = checkpoint.name
    wanted = _parameter_shapes(checkpoint)
    found = {}
    for key, shape in wanted.items():
        tensor = checkpoint.stored.get(_short(key, layout.prefix))
        if tensor is None:
            raise UserError(f"language model '{name}' lacks tensors, among them {key}; copy it anew")
        if tensor.shape != shape or tensor.dtype not in FLOATS:
            raise UserError(
                f"language model '{name}' has {tensor.key} of shape {tensor.shape} and type {tensor.dtype}, expected "
                f"shape {shape} and one of {', '.join(FLOATS)}; copy it anew"
            )
        found[key] = tensor
    known = {tensor.key for tensor in found.values()}
    for short, tensor in checkpoint.stored.items():
        if tensor.key not in known and not layout.extra.fullmatch(short):
            raise UserError(
                f"language model '{name}' has tensors that its config.json has no place for, among them {tensor.key}; "
                "copy the whole folder anew, from one checkpoint"
            )
    return found


def read_tensors(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Every parameter of the checkpoint's model in float32, by transformers' name; mapped from files that hold that.

    Raises a `UserError` as `find_tensors` does, for numbers that are not finite, for a head that is not the embedding
    that it is tied to, and for more numbers than this machine's memory holds.
    """
    name = checkpoint.name
    found = find_tensors(checkpoint)
    check_memory(FLOAT32 * sum(math.prod(tensor.shape) for tensor in found.values()), name)
    tensors: dict[str, Tensor] = {}
    for file in {tensor.file: None for tensor in found.values()}:
        with _opened(file, name) as opened:
            here = {key: tensor for key, tensor in found.items() if tensor.file == file}
            tensors |= {key: opened.get_tensor(tensor.key).float() for key, tensor in here.items()}
    for key, values in tensors.items():
        # a sum is finite only if each number is, and takes a fifth of the time; one of finite numbers may not be
        if not values.sum().isfinite() and not values.isfinite().all():
            raise UserError(
                f"language model '{name}' has numbers in {key} that are not finite in float32; copy it anew"
            )
    _check_tied_head(checkpoint, tensors)
    return tensors


def check_memory(needed: int, name: str) -> None:
    """Refuse the language model `name` if its `needed` bytes are more than this machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise UserError(
            f"language model '{name}' takes {needed / 1e9:.0f} GB of memory, and this machine has {memory / 1e9:.0f}; "
            "give a smaller one"
        )


def check_inside(folder: Path, file: str, max_bytes: int = MB) -> None:
    """Refuse `file` unless it is a regular file inside `folder`; unless it has weights, of at most `max_bytes`.

    Hugging Face's cache keeps the files of a repository in one place, and the folders of its revisions link to them.
    """
    within = folder.resolve()
    within = within.parent.parent if within.parent.name == "snapshots" else within
    check_regular_file(folder / file, None if file.endswith(".safetensors") else max_bytes, within)


def read_object(folder: Path, file: str, max_bytes: int = MB) -> dict[str, Any]:
    """The JSON object in `file`, which is checked by `check_inside` first; raises a `UserError` for anything else."""
    check_inside(folder, file, max_bytes)
    try:
        found = read_json(folder / file, max_bytes)
    except UserError as error:
        raise UserError(f"{error}; copy it anew") from None
    if not isinstance(found, dict):
        raise UserError(f"{folder / file} holds no JSON object; copy it anew")
    return found


def _shards(folder: Path) -> list[str]:
    """The files that the index in `folder` names."""
    weight_map = read_object(folder, INDEX, max_bytes=16 * MB).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise UserError(f"{folder / INDEX} has no weight_map, which says where each tensor is; copy it anew")
    for shard in weight_map.values():
        if not isinstance(shard, str) or not SHARD.fullmatch(shard):
            raise UserError(
                f"{folder / INDEX} names {shard!r}, expected names like model-00001-of-00002.safetensors, of files "
                "beside it; convert pickled weights, which are never read, with transformers' save_pretrained"
            )
    return sorted(set(weight_map.values()))


def _stored_tensors(files: Sequence[Path], prefix: str, name: str) -> dict[str, Stored]:
    """The tensors that the files say they hold, by names without the family's prefix."""
    stored: dict[str, Stored] = {}
    for file in files:
        with _opened(file, name) as opened:  # no mapping, so it has no `in`
            for key in opened.keys():  # noqa: SIM118
                short = _short(key, prefix)
                if short in stored:
                    raise UserError(f"language model '{name}' has tensor {short} twice in its files; copy it anew")
                part = opened.get_slice(key)
                stored[short] = Stored(file, key, tuple(part.get_shape()), str(part.get_dtype()))
    return stored


def _short(key: str, prefix: str) -> str:
    """A tensor's name without the family's prefix, and with today's names for those of the first BERTs."""
    for former, now in (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias")):
        key = key.replace(former, now)
    return key.removeprefix(prefix)


def _parameter_shapes(checkpoint: Checkpoint) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter of the model of the checkpoint's configuration; tied ones once."""
    config = checkpoint.config
    family = FAMILIES[config.model_type]
    try:
        with torch.device("meta"):
            model = family.model(config, **family.arguments)
    except (RuntimeError, ValueError, AssertionError) as error:
        first = str(error).splitlines()[0]
        raise UserError(
            f"language model '{checkpoint.name}': its config.json makes no model ({first}); copy it anew"
        ) from None
    return {key: tuple(parameter.shape) for key, parameter in model.named_parameters()}


def _check_tied_head(checkpoint: Checkpoint, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a language head in the files, which the embedding would replace, unless it is the same."""
    layout = FAMILIES[checkpoint.config.model_type].layout
    head = checkpoint.stored.get(layout.head)
    embedding = tensors.get(layout.tied_to)
    if head is None or embedding is None or layout.head in tensors:
        return
    with _opened(head.file, checkpoint.name) as opened:
        if not torch.equal(opened.get_tensor(head.key).float(), embedding):
            raise UserError(
                f"language model '{checkpoint.name}' has a {head.key} of its own, which its config.json ties to the "
                "embedding; set tie_word_embeddings to false there, or copy it anew"
            )


@contextmanager
def _opened(file: Path, name: str) -> Iterator[Any]:
    try:
        with safe_open(file, "pt") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise UserError(f"language model '{name}': {file} can't be read ({error}); copy it anew") from None
