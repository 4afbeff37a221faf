"""GGUF files of the Llama family: converted to what transformers makes of them, refused in one line if no good."""

import os
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from lamobench.benchmark.cli.lm import language_models
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.lm import checkpoints, converted, gguf_checkpoint
from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer, model_folder
from lamobench.benchmark.lm.converted import convert
from lamobench.benchmark.lm.fetched import import_gguf
from lamobench.benchmark.lm.gguf_file import GGUF_PACKAGE, read_header, read_numbers
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.lm.gguf_files import needed_gguf, tiny_gguf, write_gguf

ROOT = Path(__file__).resolve().parents[3]
__all__ = ["tiny_gguf"]  # a fixture
gguf = needed_gguf()


@pytest.fixture(autouse=True)
def lamobench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_header_is_read_as_the_package_reads_it(tiny_gguf: Path) -> None:
    ours = read_header(tiny_gguf)
    theirs = gguf.GGUFReader(tiny_gguf)
    for tensor in theirs.tensors:
        found = ours.tensors[tensor.name]
        assert (found.shape, found.kind) == (tuple(reversed(tensor.shape.tolist())), tensor.tensor_type)
        assert (found.start, found.size) == (tensor.data_offset, tensor.n_bytes)
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(read_numbers(ours, tensor.name), numbers)
    assert len(ours.tensors) == len(theirs.tensors) == 3 + 2 * 9 - 1
    for name, field in theirs.fields.items():
        if not name.startswith("GGUF."):
            found = ours.values[name]
            text = [each.decode() for each in found] if isinstance(found, list) else found
            np.testing.assert_array_equal(text.decode() if isinstance(text, bytes) else text, field.contents())


def test_it_becomes_the_model_that_transformers_makes_of_it(tiny_gguf: Path, tiny_llama: Path) -> None:
    """Transformers' own reader of GGUF files finds the same numbers in float16, and the same tokens."""
    from transformers import AutoModelForCausalLM

    folder = convert(tiny_gguf, "tiny")
    ours = load_language_model("tiny")
    theirs = AutoModelForCausalLM.from_pretrained(tiny_gguf.parent, gguf_file=tiny_gguf.name)
    expected = dict(theirs.named_parameters())
    for name, tensor in ours.named_parameters():
        assert torch.equal(tensor, expected[name].half().float()), name
    ids = torch.arange(24).view(2, 12)
    original = load_language_model(str(tiny_llama))
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, theirs(ids).logits, rtol=0.01, atol=0.01)
        assert (ours(ids).logits - original(ids).logits).abs().mean() < 0.2  # a part of it has four bits
    assert ours.config.rms_norm_eps == 1e-5
    assert ours.config.rope_parameters["rope_theta"] == 1000.0
    tokenizer = load_tokenizer("tiny")
    before = load_tokenizer(str(tiny_llama))
    for text in ("the mean of  each array\n", "the<|endoftext|>value é 12 34"):
        assert tokenizer(text)["input_ids"] == before(text)["input_ids"]
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_head_of_its_own(tiny_llama: Path, tmp_path: Path) -> None:
    import json

    folder = tmp_path / "untied"
    shutil.copytree(tiny_llama, folder)
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    head = torch.randn(280, 16).half().float()
    save_file(load_file(folder / "model.safetensors") | {"lm_head.weight": head}, folder / "model.safetensors")
    convert(write_gguf(folder, tmp_path / "untied.gguf"), "untied")
    assert torch.equal(load_language_model("untied").lm_head.weight, head)


def test_digits_are_split_where_the_file_says_so(tiny_llama: Path, tmp_path: Path) -> None:
    convert(write_gguf(tiny_llama, tmp_path / "digits.gguf", tokenizer__ggml__pre="smollm"), "digits")
    backend = load_tokenizer("digits").backend_tokenizer
    parts = [part for part, _ in backend.pre_tokenizer.pre_tokenize_str("in 2024  1")]
    assert parts == ["in", "Ġ", "2", "0", "2", "4", "ĠĠ", "1"]


def test_of_two_processes_one_converts(tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stand for them: a lock is of an open file."""
    begun = list[str]()
    go = threading.Event()
    write = gguf_checkpoint.write_checkpoint

    def slow(path: Path, folder: Path, name: str) -> None:
        begun.append(name)
        go.wait(30)
        write(path, folder, name)

    monkeypatch.setattr(converted, "write_checkpoint", slow)
    threads = [threading.Thread(target=convert, args=(tiny_gguf, "tiny")) for _ in range(2)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert begun == ["tiny"]
    load_language_model("tiny")


def refused(file: Path, line: str, home: Path) -> None:
    """One line, and nothing is left."""
    with pytest.raises(UserError, match=line) as error:
        convert(file, "tiny")
    assert "\n" not in str(error.value)
    assert not [path for path in (home / "models").iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"architecture": "qwen2"}, "is of architecture 'qwen2', expected 'llama'"),
        ({"llama__rope__scaling__type": "yarn"}, "scales rotary positions .'yarn'., which is not read"),
        ({"llama__rope__dimension_count": 2}, "turns 2 of a head's 4 numbers"),
        ({"llama__attention__head_count": 0}, "num_attention_heads 0, expected a whole number from 1"),
        ({"llama__attention__head_count": "many"}, "expected a whole number from 1"),
        ({"llama__attention__head_count": [4, 4]}, "expected a whole number from 1"),
        ({"llama__block_count": 1 << 30}, "num_hidden_layers 1073741824, too much for"),
        ({"llama__block_count": 1}, "tensors that its config.json has no place for"),
        ({"llama__block_count": None}, "num_hidden_layers 32, too much for"),
        ({"llama__embedding_length": 8, "llama__rope__dimension_count": 2}, "expected shape"),
        ({"llama__rope__freq_base": float("nan")}, "rope_theta nan, expected a number from 1"),
        ({"tokenizer__ggml__model": "llama"}, "has a tokenizer 'llama' with 'gpt-2', expected gpt2 with 'gpt-2'"),
        ({"tokenizer__ggml__pre": "qwen2"}, "has a tokenizer 'gpt2' with 'qwen2', expected"),
        ({"tokenizer__ggml__tokens": None}, "has no tokenizer.ggml.tokens"),
        ({"tokenizer__ggml__merges": None}, "has no tokenizer.ggml.merges"),
        ({"tokenizer__ggml__merges": ["no such"]}, "has no vocabulary that can be used"),
        ({"tokenizer__ggml__merges": ["nospace"]}, "has a vocabulary whose parts do not go together"),
        ({"tokenizer__ggml__token_type": "x"}, "has a vocabulary whose parts do not go together"),
    ],
)
def test_what_is_not_read_is_refused_in_one_line(
    tiny_llama: Path, tmp_path: Path, lamobench_home: Path, changes: dict[str, Any], line: str
) -> None:
    refused(write_gguf(tiny_llama, tmp_path / "other.gguf", **changes), line, lamobench_home)


def place_of(content: bytes, key: str) -> int:
    """The place where the value of `key` begins, its type first."""
    return content.index(key.encode()) + len(key)


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no GGUF": (lambda c: b"GGML" + c[4:], "is no GGUF of version 2 or 3"),
    "another version": (lambda c: c[:4] + struct.pack("<I", 9) + c[8:], "is no GGUF of version"),
    "nothing": (lambda c: b"", "is no GGUF"),
    "many tensors": (lambda c: c[:8] + struct.pack("<Q", 1 << 60) + c[16:], "1152921504606846976 tensors and"),
    "many values": (lambda c: c[:16] + struct.pack("<Q", 1 << 60) + c[24:], "and 1152921504606846976 values"),
    "more values than there are": (lambda c: c[:16] + struct.pack("<Q", 1000) + c[24:], "is cut short|is damaged"),
    "a name as long as the world": (lambda c: c[:24] + struct.pack("<Q", 1 << 62) + c[32:], "is cut short"),
    "half of the header": (lambda c: c[:1000], "is cut short"),
    "no last byte": (lambda c: c[:-40], r"is cut short: it has [\d,]+ bytes of [\d,]+"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_damaged_files_are_refused_in_one_line(tiny_gguf: Path, lamobench_home: Path, name: str) -> None:
    change, line = CHANGES[name]
    tiny_gguf.write_bytes(change(tiny_gguf.read_bytes()))
    refused(tiny_gguf, line, lamobench_home)


@pytest.mark.parametrize(
    ("kind", "inner", "count", "line"),
    [
        (9, 8, 1 << 50, "is cut short"),  # strings
        (9, 10, 1 << 50, "is cut short"),  # numbers
        (9, 9, 1, "has a value of a type that is not read"),  # arrays of arrays
        (99, 0, 0, "has a value of a type that is not read"),
    ],
)
def test_an_array_has_no_more_than_the_file(
    tiny_gguf: Path, lamobench_home: Path, kind: int, inner: int, count: int, line: str
) -> None:
    content = tiny_gguf.read_bytes()
    place = place_of(content, "tokenizer.ggml.tokens")
    tiny_gguf.write_bytes(content[:place] + struct.pack("<IIQ", kind, inner, count) + content[place + 16 :])
    refused(tiny_gguf, line, lamobench_home)


@pytest.mark.parametrize(
    ("shape", "line"),
    [
        ((16, 1 << 61), "is cut short|overlap"),
        ((1 << 62, 1 << 62), "is cut short|overlap"),
        ((0, 280), "tensor token_embd.weight of shape"),
    ],
)
def test_a_tensor_has_no_more_than_the_file(
    tiny_gguf: Path, lamobench_home: Path, shape: tuple[int, int], line: str
) -> None:
    content = tiny_gguf.read_bytes()
    place = place_of(content, "token_embd.weight") + 4
    tiny_gguf.write_bytes(content[:place] + struct.pack("<QQ", *shape) + content[place + 16 :])
    refused(tiny_gguf, line, lamobench_home)


def test_tensors_share_no_bytes(tiny_gguf: Path, lamobench_home: Path) -> None:
    """A small file could unpack to any size."""
    content = tiny_gguf.read_bytes()
    place = place_of(content, "blk.0.ffn_up.weight") + 4 + 16 + 4
    other = place_of(content, "blk.0.ffn_gate.weight") + 4 + 16 + 4
    tiny_gguf.write_bytes(content[:place] + content[other : other + 8] + content[place + 8 :])
    refused(tiny_gguf, "has tensors that overlap", lamobench_home)


def test_no_change_of_a_byte_ends_in_anything_but_a_line(tiny_gguf: Path) -> None:
    """Some changes are harmless; a file that is read is one that was checked."""
    content = tiny_gguf.read_bytes()
    rng = np.random.default_rng(0)
    header = min(tensor.start for tensor in read_header(tiny_gguf).tensors.values())
    lines = list[str]()
    for _ in range(150):
        changed = bytearray(content)
        for place in rng.integers(header, size=rng.integers(1, 4)):
            changed[place] = rng.integers(256)
        tiny_gguf.write_bytes(changed)
        try:
            convert(tiny_gguf, "tiny", force=True)
        except UserError as error:
            lines.append(str(error))
    assert len(lines) > 50
    assert not [line for line in lines if "\n" in line]


def test_other_things_than_files(tmp_path: Path, lamobench_home: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    refused(tmp_path / "pipe.gguf", "is a named pipe", lamobench_home)
    refused(tmp_path / "absent.gguf", "can't be read", lamobench_home)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error (os error 28)")])
def test_a_full_disk_gets_one_line_and_keeps_nothing(
    tiny_gguf: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(gguf_checkpoint, "save_file", full)
    refused(tiny_gguf, "no space left for .*models/tiny; free some", lamobench_home)


def test_room_and_memory_are_looked_for_first(
    tiny_gguf: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tiny_gguf.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    refused(tiny_gguf, "has room for 0 MB, but language model 'tiny' takes", lamobench_home)
    monkeypatch.undo()
    monkeypatch.setenv("LAMOBENCH_HOME", str(lamobench_home))
    monkeypatch.setattr(os, "sysconf", lambda name: 10)
    refused(tiny_gguf, "takes 0 GB of memory, and this machine has 0", lamobench_home)


def test_a_file_is_imported_under_a_name(
    tiny_gguf: Path, lamobench_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parse(["lm", "fetch", "my-llama", "--from", str(tiny_gguf)]).run()
    assert "--lm my-llama" in capsys.readouterr().out
    assert model_folder("my-llama") == lamobench_home / "models" / "my-llama"
    assert {"name": "my-llama", "state": "ok", "note": "--lm my-llama"} in language_models()
    with pytest.raises(UserError, match="there is a language model 'my-llama' already; give another name, or --force"):
        import_gguf("my-llama", tiny_gguf)
    import_gguf("my-llama", tiny_gguf, force=True)
    assert checkpoints.imported_models() == ["my-llama"]


@pytest.mark.parametrize("name", ["gpt2", "gpt2-mini", "docs", "wikitext-2", "../x", "a/b", "", ".hidden"])
def test_a_name_that_is_taken_or_no_name(tiny_gguf: Path, name: str) -> None:
    with pytest.raises(UserError, match="can't name a model that is imported"):
        import_gguf(name, tiny_gguf)


def test_other_packaged_models_are_not_replaced(tiny_gguf: Path) -> None:
    with pytest.raises(UserError, match="'minilm' is a packaged model that has no GGUF; give another name"):
        import_gguf("minilm", tiny_gguf)
    with pytest.raises(UserError, match=r"'smollm2' is not what it should be: .* has SHA-256 .*; give that file"):
        import_gguf("smollm2", tiny_gguf)


def test_without_the_package_there_is_one_line_to_type(
    tiny_gguf: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("gguf", "gguf.constants", "gguf.quants"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
    refused(tiny_gguf, f"GGUF files need a package that is not here; type: pip install {GGUF_PACKAGE}", lamobench_home)


def test_one_version_is_asked_for_everywhere() -> None:
    assert GGUF_PACKAGE in (ROOT / "constraints.txt").read_text().splitlines()
