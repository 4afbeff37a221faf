"""Both sides of the measurements of LaMo on SmolLM2 do the same, and each measurement has its rows."""

from pathlib import Path

import pytest
import torch

from lamobench.benchmark.benches import llama, policies
from lamobench.benchmark.benches.harness import Settings
from lamobench.benchmark.lm import packaged
from lamobench.benchmark.lm.lamo import LaMo, LaMoBatch
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.lm.gguf_files import write_gguf

TINY = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 64,
}
QUICK = Settings(rounds=2, seconds=1e-6)


@pytest.fixture
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama, "SHAPE", llama.SHAPE | TINY)


@pytest.fixture
def batch() -> LaMoBatch:
    return LaMoBatch(policies.windows(3, llama.CONTEXT, sizes=llama.KITCHEN), None)


def gradients(policy: LaMo, batch: LaMoBatch) -> dict[str, torch.Tensor]:
    policy.loss(batch)[0].backward()
    return {
        name.split("language_model.")[-1].removeprefix("model."): p.grad
        for name, p in policy.named_parameters()
        if p.grad is not None
    }


@pytest.mark.usefixtures("tiny_shape")
def test_both_steps_have_the_same_loss_and_gradients(batch: LaMoBatch) -> None:
    ours = llama.lamo()
    theirs = llama.plain_lamo()
    llama.check_equal(ours, theirs, batch)
    found = gradients(ours, batch)
    expected = gradients(theirs, batch)
    assert found.keys() == expected.keys()
    assert sum(".lora_" in name for name in found) == 2 * 3 * 2
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("tiny_shape")
def test_a_difference_is_noticed(batch: LaMoBatch) -> None:
    other = llama.plain_lamo()
    with torch.no_grad():
        next(p for name, p in other.named_parameters() if "lora_B" in name).add_(1.0)
    with pytest.raises(AssertionError):
        llama.check_equal(llama.lamo(), other, batch)


@pytest.mark.usefixtures("tiny_shape")
def test_the_step_has_four_rows(tmp_path: Path) -> None:
    rows = llama.llama_step(QUICK, tmp_path)
    assert [row.unit for row in rows] == ["ms", "%", "ms", "ms"]
    assert [row.wanted for row in rows] == ["1.5 times faster", "60 % or more", "", ""]


def test_files_are_converted_and_loaded(tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_gguf(tiny_llama, tmp_path / packaged.PACKAGED["smollm2"].gguf)
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(llama, "check_package", lambda name: file.parent)
    convert, load = llama.model_files(QUICK, tmp_path)
    assert (convert.unit, load.unit, load.wanted, load.met) == ("s", "s", "below 0.5 s", True)


def test_without_the_package_there_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Path:
        raise UserError(f"{name} is not here")

    monkeypatch.setattr(llama, "check_package", absent)
    with pytest.raises(UserError, match="smollm2 is not here"):
        llama.model_files(QUICK, tmp_path)
