"""Checkpoint folders as somebody who means harm, or has bad luck, would hand them over."""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, RobertaConfig, RobertaForMaskedLM

from lamobench.benchmark.lm.checkpoint_folder import open_checkpoint, weight_files
from lamobench.benchmark.lm.checkpoints import EMBEDDED, load_language_model, model_hash, model_positions
from lamobench.datasets.errors import UserError

Spoil = Callable[[Path], Any]
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """A copy of the tiny GPT-2: 2 layers of width 16, 64 positions."""
    return Path(shutil.copytree(tiny_gpt2, tmp_path / "lm"))


@pytest.fixture
def sharded(folder: Path) -> Path:
    """The same in two shards."""
    tensors = read(folder)
    split(folder, {"model-00001-of-00002.safetensors": list(tensors)[::2]}, "model-00002-of-00002.safetensors")
    return folder


def read(folder: Path) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in load_file(folder / "model.safetensors").items()}


def split(folder: Path, parts: dict[str, list[str]], rest: str) -> None:
    tensors = read(folder)
    (folder / "model.safetensors").unlink()
    named = {key for keys in parts.values() for key in keys}
    parts = parts | {rest: [key for key in tensors if key not in named]}
    for file, keys in parts.items():
        save_file({key: tensors[key] for key in keys}, folder / file, metadata={"format": "pt"})
    weight_map = {key: file for file, keys in parts.items() for key in keys}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def change(folder: Path, **changes: Tensor | None) -> None:
    """Replace, add or (None) drop tensors."""
    kept = {key: tensor for key, tensor in (read(folder) | changes).items() if tensor is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def write(file: str, content: str) -> Spoil:
    return lambda folder: (folder / file).write_text(content)


def index(**weight_map: str) -> Spoil:
    return write(INDEX, json.dumps({"weight_map": weight_map}))


def pipe(file: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).unlink(missing_ok=True)
        os.mkfifo(folder / file)

    return spoil


def linked_out(file: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).rename(folder.parent / file)
        (folder / file).symlink_to(folder.parent / file)

    return spoil


def both(*steps: Spoil) -> Spoil:
    return lambda folder: [step(folder) for step in steps]


def tensor(name: str, value: Tensor | None) -> Spoil:
    return lambda folder: change(folder, **{name: value})


def setting(**changes: Any) -> Spoil:
    return lambda folder: configure(folder, **changes)


LN = "transformer.ln_f.weight"
WTE = "transformer.wte.weight"
WPE = "transformer.wpe.weight"
HOSTILE: dict[str, tuple[Spoil, str]] = {
    # which files are meant
    "adapter config": (write("adapter_config.json", "{}"), r"holds adapter_config\.json, an adapter"),
    "pickled adapter": (write("adapter_model.bin", ""), r"holds adapter_model\.bin, an adapter"),
    "single beside a shard": (write("model-00001-of-00002.safetensors", ""), r"beside model\.safetensors, two"),
    "single beside an index": (
        both(
            index(a="model-00001-of-00001.safetensors"),
            lambda f: shutil.copy(f / "model.safetensors", f / "model-00001-of-00001.safetensors"),
        ),
        r"holds model\.safetensors beside model-00001-of-00001\.safetensors, two checkpoints",
    ),
    "shard without an index": (
        lambda f: (f / "model.safetensors").rename(f / "model-00001-of-00002.safetensors"),
        r"a part of a checkpoint, but no model\.safetensors\.index\.json; copy that too",
    ),
    "missing shard": (index(a="model-00001-of-00002.safetensors"), r"lacks model-00001-of-00002\.safetensors, which"),
    "index names a pickle": (index(a="pytorch_model.bin"), r"names 'pytorch_model\.bin', expected names like"),
    "index climbs": (index(a="../../model-1.safetensors"), r"names '\.\./\.\./model-1\.safetensors', expected"),
    "index names a path": (index(a="/etc/model.safetensors"), r"names '/etc/model\.safetensors', expected"),
    "index names a number": (write(INDEX, '{"weight_map": {"a": 3}}'), r"names 3, expected names like"),
    "index is a list": (write(INDEX, "[]"), r"index\.json holds no JSON object"),
    "index without a map": (write(INDEX, "{}"), r"index\.json has no weight_map"),
    "deep index": (write(INDEX, "[" * 100_000), r"index\.json can't be read \(it is nested too deeply\)"),
    # files that are no files here
    "weights linked out": (linked_out("model.safetensors"), r"model\.safetensors is a link that leads out of"),
    "config linked out": (linked_out("config.json"), r"config\.json is a link that leads out of"),
    "config is a pipe": (pipe("config.json"), r"config\.json is a named pipe"),
    "weights are a pipe": (pipe("model.safetensors"), r"model\.safetensors is a named pipe"),
    "huge config": (write("config.json", " " * 1_100_000 + "{}"), r"has 1\.1 MB, more than the 1 MB"),
    "weights are a page": (write("model.safetensors", "<html>"), r"model\.safetensors can't be read"),
    # the configuration
    "deep config": (write("config.json", '{"a":' * 100_000), r"config\.json can't be read \(it is nested too deeply\)"),
    "config is a list": (write("config.json", "[]"), r"config\.json holds no JSON object"),
    "type is a list": (setting(model_type=["gpt2"]), r"is of type '\['gpt2'\]'"),
    "other type": (setting(model_type="bert"), r"expected|too much|lacks tensors"),
    "text for a size": (setting(n_embd="16"), r"n_embd '16', expected a whole number from 1"),
    "null for a size": (setting(n_layer=None), r"n_layer None, expected a whole number from 1"),
    "fraction for a size": (setting(n_head=2.0), r"n_head 2\.0, expected a whole number from 1"),
    "truth for a size": (setting(n_layer=True), r"n_layer True, expected a whole number from 1"),
    "negative size": (setting(n_positions=-1), r"n_positions -1, expected a whole number from 1"),
    "alias of a size": (setting(num_hidden_layers=0), r"n_layer 0, expected a whole number from 1"),
    "endless layers": (setting(n_layer=10**9), r"n_layer 1000000000, too much for the 28 tensors"),
    "endless width": (setting(n_embd=10**18), r"n_embd 1000000000000000000, too much"),
    "endless vocabulary": (setting(vocab_size=10**12), r"vocab_size 1000000000000, too much"),
    "endless positions": (setting(n_positions=10**12), r"n_positions 1000000000000, too much"),
    "endless inner": (setting(n_inner=10**12), r"n_inner 1000000000000, too much"),
    "heads that don't fit": (setting(n_head=3), r"n_embd 16, which is no multiple of n_head 3"),
    "dropout of 2": (setting(resid_pdrop=2), r"resid_pdrop 2, expected a number from 0 to 1"),
    "activation unknown": (setting(activation_function="swoosh"), r"'swoosh', expected a name of transformers'"),
    "activation is a table": (setting(activation_function={}), r"activation_function \{\}, expected a name"),
    "tie is a text": (setting(tie_word_embeddings="no"), r"tie_word_embeddings 'no', expected true or false"),
    "quantised": (setting(quantization_config={"quant_method": "hqq"}), r"quantization_config .*expected nothing"),
    "cross attention": (setting(add_cross_attention=True), r"add_cross_attention True, expected nothing"),
    "relative positions": (setting(position_embedding_type="relative_key"), r"'relative_key', expected \"absolute\""),
    # the tensors
    "fewer layers than the file's": (setting(n_layer=1), r"no place for, among them transformer\.h\.1\."),
    "more layers than the file's": (setting(n_layer=3), r"lacks tensors, among them transformer\.h\.2\."),
    "leftover": (tensor("transformer.extra.weight", torch.ones(2)), r"no place for, among them transformer\.extra"),
    "missing": (tensor(LN, None), r"lacks tensors, among them transformer\.ln_f\.weight"),
    "other shape": (tensor(LN, torch.ones(8)), r"ln_f\.weight of shape \(8,\) and type F32, expected shape \(16,\)"),
    "whole numbers": (tensor(LN, torch.ones(16, dtype=torch.int32)), r"ln_f\.weight of shape \(16,\) and type I32"),
    "not a number": (tensor(LN, torch.full((16,), torch.nan)), r"numbers in transformer\.ln_f\.weight .* not finite"),
    "infinite": (tensor(LN, torch.full((16,), -torch.inf)), r"numbers in transformer\.ln_f\.weight .* not finite"),
    "too large for float32": (
        tensor(LN, torch.full((16,), 1e300, dtype=torch.float64)),
        r"numbers in transformer\.ln_f\.weight .* not finite in float32",
    ),
    "one name twice": (tensor("wpe.weight", torch.ones(64, 16)), r"has tensor wpe\.weight twice"),
    "a head of its own": (tensor("lm_head.weight", torch.ones(280, 16)), r"lm_head\.weight of its own"),
    "masks without end": (
        both(
            tensor(WPE, torch.zeros(50_000, 16)),
            setting(n_positions=50_000),
        ),
        r"lets it see 50000 tokens",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_one_line_at_once(folder: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil, message = HOSTILE[case]
    spoil(folder)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a file was unpickled"))
    started = time.perf_counter()
    with pytest.raises(UserError, match=message) as mistake:
        load_language_model(str(folder))
    assert "\n" not in str(mistake.value)
    assert time.perf_counter() - started < 5


def test_shards_are_read_whole(sharded: Path, tiny_gpt2: Path) -> None:
    ours = load_language_model(str(sharded)).state_dict()
    single = load_language_model(str(tiny_gpt2)).state_dict()
    assert all(torch.equal(ours[key], single[key]) for key in single)


def test_a_tensor_in_two_shards_is_refused(sharded: Path) -> None:
    shutil.copy(sharded / "model-00001-of-00002.safetensors", sharded / "model-00002-of-00002.safetensors")
    with pytest.raises(UserError, match=r"has tensor .* twice in its files"):
        load_language_model(str(sharded))


def test_a_folder_can_name_no_file_that_is_read(folder: Path, tmp_path: Path) -> None:
    """Transformers is not shown the folder, whatever it would follow from a configuration or beside it."""
    configure(
        folder,
        transformers_weights="../elsewhere.safetensors",
        auto_map={"AutoModel": "code.Model"},
        num_labels=10**12,
        return_dict=False,
        dtype="no such",
        fusion_config={"a": True},
    )
    for file in ("generation_config.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "code.py"):
        (folder / file).write_text("raise")
    assert load_language_model(str(folder)).config.n_embd == 16


def test_links_inside_hugging_faces_cache_are_followed(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "cache" / "snapshots" / "abc"
    blobs = tmp_path / "cache" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for number, file in enumerate(("config.json", "model.safetensors")):
        shutil.copy(folder / file, blobs / str(number))
        (snapshot / file).symlink_to(Path("../../blobs") / str(number))
    assert load_language_model(str(snapshot)).config.n_embd == 16
    (snapshot / "config.json").unlink()
    (snapshot / "config.json").symlink_to(folder / "config.json")
    with pytest.raises(UserError, match="is a link that leads out of"):
        load_language_model(str(snapshot))


def test_more_numbers_than_memory_are_refused_before_they_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sysconf", lambda name: 1 if name == "SC_PHYS_PAGES" else 4096)
    with pytest.raises(UserError, match=r"takes \d+ GB of memory, and this machine has 0"):
        load_language_model(str(folder))


def test_what_published_files_have_beside_or_without_the_models_own(tmp_path: Path, folder: Path) -> None:
    """GPT-2's are without its prefix, with masks and at times the tied head; encoders' have poolers and heads."""
    tensors = {key.removeprefix("transformer."): value for key, value in read(folder).items()}
    masks = {f"h.{layer}.attn.{mask}": torch.ones(1, 1, 64, 64) for layer in (0, 1) for mask in ("bias", "masked_bias")}
    head = {"lm_head.weight": tensors["wte.weight"].clone()}
    before = load_language_model(str(folder)).state_dict()
    save_file(tensors | masks | head, folder / "model.safetensors", metadata={"format": "pt"})
    after = load_language_model(str(folder)).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    sizes |= {"vocab_size": 60, "max_position_embeddings": 24}
    for model in (BertForMaskedLM(BertConfig(**sizes)), RobertaForMaskedLM(RobertaConfig(**sizes))):
        kind = model.config.model_type
        model.save_pretrained(tmp_path / kind)
        stored = read(tmp_path / kind)
        assert any(key.startswith(f"{kind}.") for key in stored)
        assert not all(key.startswith(f"{kind}.") for key in stored), "a head is among them"
        former = {re.sub("LayerNorm.weight$", "LayerNorm.gamma", key): value for key, value in stored.items()}
        former |= {f"{kind}.pooler.dense.bias": torch.ones(16), f"{kind}.embeddings.position_ids": torch.arange(24)}
        save_file(former, tmp_path / kind / "model.safetensors", metadata={"format": "pt"})
        ours = load_language_model(str(tmp_path / kind))
        theirs = model.base_model
        assert all(torch.equal(value, theirs.get_parameter(key)) for key, value in ours.named_parameters())


def test_half_precision_is_read_as_float32(folder: Path) -> None:
    halves = {key: value.half() for key, value in read(folder).items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    model = load_language_model(str(folder))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.equal(model.transformer.wpe.weight, halves[WPE].float())


@pytest.mark.parametrize("name", sorted(path.name for path in EMBEDDED.iterdir()))
def test_an_embedded_model_is_what_transformers_reads(name: str) -> None:
    ours = load_language_model(name)
    theirs = GPT2LMHeadModel.from_pretrained(EMBEDDED / name, local_files_only=True, dtype=torch.float32)
    assert all(torch.equal(ours.get_parameter(key), value) for key, value in theirs.named_parameters())
    unused = {"architectures", "_name_or_path", "transformers_version"}
    configs = [{k: v for k, v in model.config.to_dict().items() if k not in unused} for model in (ours, theirs)]
    assert configs[0] == configs[1]


def test_what_a_configuration_leaves_out_is_transformers_default(tmp_path: Path) -> None:
    GPT2LMHeadModel(GPT2Config(vocab_size=9, n_positions=8, n_embd=24, n_head=12, n_layer=1)).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    few = {key: config[key] for key in ("model_type", "vocab_size", "n_positions", "n_embd", "n_layer")}
    (tmp_path / "config.json").write_text(json.dumps(few))
    assert open_checkpoint(tmp_path, "few").config.n_head == 12
    assert model_positions(str(tmp_path)) == 8


def test_the_files_of_a_checkpoint_make_its_hash(sharded: Path) -> None:
    files = weight_files(sharded)
    assert [file.name for file in files] == [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    digests = [hashlib.sha256(file.read_bytes()).digest() for file in (sharded / "config.json", *files)]
    expected = hashlib.sha256(b"".join(digests)).hexdigest()
    assert model_hash(str(sharded)) == hashlib.sha256(expected.encode()).hexdigest()
