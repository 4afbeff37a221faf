"""The `paper` profile's whole path at GPT-2's own size, with weights made here: what a GPU will be asked to do."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.store import run_folder
from lamobench.benchmark.scores.collect import read_finished, read_run

PUBLISHED_UPDATES = 912_384  # parameters that LaMo trains in GPT-2 small: 12 layers x 3 x (2 x 16 x 768 + 768)


@pytest.fixture(scope="module")
def gpt2_small(tiny_gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with GPT-2 small's shape and vocabulary, and random weights; the tokenizer knows fewer words."""
    folder = tmp_path_factory.mktemp("gpt2-small")
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_gpt2).save_pretrained(folder)
    return folder


@pytest.fixture
def config(home: Path, gpt2_small: Path, english: Path) -> OfflineConfig:
    """The published run in everything but the number of steps, windows, episodes and words."""
    request = RunRequest(
        "reacher2d-medium",
        "lamo",
        profile="paper",
        lm=str(gpt2_small),
        budget={"steps": 2, "evaluate_every": 1, "evaluation_episodes": 1, "headline_evaluations": 1, "batch_size": 2},
        settings={"language_weight": 0.1, "language_batch": 1, "language_length": 32, "corpus": str(english)},
    )
    return resolve(request)


def test_gpt2_small_goes_the_whole_way(config: OfflineConfig, gpt2_small: Path, tmp_path: Path) -> None:
    """GPT-2 is loaded, adapted, trained beside English, stopped, taken up from a small checkpoint, and evaluated."""

    def stop_after_one(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, "cpu", stop_after_one)
    folder = run_folder(tmp_path, config)
    assert read_run(folder).status == "unfinished"
    train(config, tmp_path, "cpu")
    run = read_finished(folder)
    assert len(run.result.headline_scores) == 1
    assert run.done["params_total"] > 124_000_000
    with safe_open(folder / "checkpoint.safetensors", framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assert file.metadata()["lm_hash"] == config.lm_hash
    updates = sum(t.numel() for name, t in kept.items() if name.startswith("policy.") and ".attn." in name)
    assert updates == PUBLISHED_UPDATES
    weights = sum(t.numel() for name, t in kept.items() if name.startswith("policy."))
    assert weights < 5_000_000
    assert (folder / "checkpoint.safetensors").stat().st_size < (gpt2_small / "model.safetensors").stat().st_size / 9
