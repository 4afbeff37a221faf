"""Fixtures that tests of several rooms share: a little real data, a tiny GPT-2, English, and runs with tiny budgets."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when PyTorch is loaded; results are compared bit by bit

import functools
import http.server
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.benchmark.offline.resolve import RunRequest
from lamobench.benchmark.runs.methods import METHODS
from lamobench.datasets import cache, hub
from lamobench.datasets.catalog import find_task
from lamobench.datasets.corpora import train_tokenizer
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.processes import cores
from lamobench.datasets.recording.reacher2d import control
from lamobench.datasets.trajectories import Array, Provenance, Trajectories

torch.set_num_threads(1)

WORDS = (
    "the",
    "of",
    "a",
    "to",
    "in",
    "is",
    "each",
    "array",
    "value",
    "return",
    "given",
    "shape",
    "axis",
    "mean",
    "sum",
)
BUDGET = {"steps": 20, "evaluate_every": 10, "evaluation_episodes": 2, "headline_evaluations": 1, "batch_size": 8}


def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two cores: tests wait for processes that they start and kill. Four are slower than three."""
    return max(1, 3 * cores() // 2)


@pytest.fixture(scope="session")
def reacher_data() -> Trajectories:
    """Eight episodes of 20 steps, played in the real simulator by the recorder's controller with some noise."""
    environment = make_environment(find_task("reacher2d"))
    rng = np.random.default_rng(7)
    episodes = [_play(environment, seed, rng) for seed in range(8)]
    observations, actions, rewards, last = (list(parts) for parts in zip(*episodes, strict=True))
    timeouts = np.zeros(160, bool)
    timeouts[19::20] = True
    return Trajectories(
        observations=np.concatenate(observations),
        actions=np.concatenate(actions),
        rewards=np.concatenate(rewards),
        terminals=np.zeros(160, bool),
        timeouts=timeouts,
        offsets=np.arange(0, 161, 20),
        last_observations=np.stack(last),
        provenance=Provenance("reacher2d-medium", "recorded", "a test", "lamobench/Reacher2d-v0", "mujoco"),
    )


def _play(environment: Any, seed: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    observations = [environment.reset(seed=seed)[0]]
    actions = []
    rewards = []
    for _ in range(20):
        action = np.clip(control(observations[-1], 1.4) + 0.1 * rng.normal(size=2), -1, 1).astype(np.float32)
        observation, reward, *_ = environment.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
    return np.stack(observations[:-1]), np.stack(actions), np.array(rewards, np.float32), observations[-1]


@pytest.fixture(scope="session")
def stocked_home(reacher_data: Trajectories, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LAMOBENCH_HOME that holds `reacher_data` as the data set reacher2d-medium. Not to be changed: `home` copies."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAMOBENCH_HOME", str(folder))
        cache.save(reacher_data)
    return folder


@pytest.fixture
def home(stocked_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A LAMOBENCH_HOME of the test's own, with reacher2d-medium in it."""
    folder = tmp_path / "home"
    shutil.copytree(stocked_home, folder)
    monkeypatch.setenv("LAMOBENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of 300 paragraphs of 12 words each, in random order: enough for a held-out part."""
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("english") / "english.txt"
    path.write_text("\n\n".join(" ".join(rng.choices(WORDS, k=12)) for _ in range(300)) + "\n")
    return path


@pytest.fixture(scope="session")
def tiny_gpt2(english: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of 2 layers of width 16 with its own tokenizer; unlike a fresh one, no bias is 0 and no gain 1."""
    from transformers import GPT2Config, GPT2LMHeadModel  # seconds, which tests of the data floor need not wait

    folder = tmp_path_factory.mktemp("gpt2") / "tiny"
    train_tokenizer(english.read_text().splitlines(), 280, 64).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        end = {"bos_token_id": 0, "eos_token_id": 0}
        config = GPT2Config(vocab_size=280, n_positions=64, n_embd=16, n_layer=2, n_head=2, **end)
        model = GPT2LMHeadModel(config)
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(english: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers of width 16, 4 heads of queries and 2 of keys and values, with its own tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM  # seconds, which tests of the data floor need not wait

    folder = tmp_path_factory.mktemp("llama") / "tiny"
    train_tokenizer(english.read_text().splitlines(), 280, 64).save_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=280,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            rms_norm_eps=1e-5,
            rope_theta=1000.0,
            bos_token_id=0,
            eos_token_id=0,
            **sizes,
        )
        model = LlamaForCausalLM(config)
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 2 layers of width 16, with a pooler; unlike a fresh one, no bias is 0 and no gain 1."""
    from transformers import BertConfig, BertModel  # seconds, which tests of the data floor need not wait

    folder = tmp_path_factory.mktemp("bert") / "tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        model = BertModel(BertConfig(vocab_size=60, max_position_embeddings=24, **sizes))
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def reading_bert(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT with a tokenizer of a few words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    folder = Path(shutil.copytree(tiny_bert, tmp_path_factory.mktemp("reading") / "bert"))
    words = [
        "[UNK]",
        "[CLS]",
        "[SEP]",
        *["a", "array", "axis", "each", "given", "in", "is", "mean", "of", "shape", "the", "value"],
    ]
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def tiny_settings(english: Path) -> dict[str, dict[str, Any]]:
    """Settings for each method that make it as small as it gets. The language loss of LaMo is on."""
    lamo = {"context": 3, "lora_rank": 2, "language_weight": 0.1, "language_length": 16, "corpus": str(english)}
    return {
        "bc": {"hidden": (16,)},
        "bc-10": {"hidden": (16,)},
        "cql": {"hidden": (16, 16), "sampled_actions": 2, "cloning_steps": 12},
        "iql": {"hidden": (16, 16), "dropout": 0.1},
        "td3-bc": {"hidden": (16, 16)},
        "rebrac": {"hidden": (16, 16)},
        "rvs": {"hidden": (16, 16), "dropout": 0.1},
        "dt": {"context": 3, "layers": 1, "heads": 2, "width": 16, "dropout": 0.1},
        "dt-matched": {"context": 3},
        "lamo": lamo,
        "lamo-random": lamo,
        "lamo-permuted": lamo,
        "lamo-initialised": lamo,
        "wiki-rl": lamo,
    }


@pytest.fixture
def tiny_request(home: Path, tiny_gpt2: Path, tiny_settings: dict[str, dict[str, Any]]) -> Callable[..., RunRequest]:
    """Requests for runs that train in a fraction of a second; `budget` and `settings` are added to the tiny ones."""

    def request(method: str = "bc", **changes: Any) -> RunRequest:
        budget = BUDGET | changes.pop("budget", {})
        settings = tiny_settings.get(method, {}) | changes.pop("settings", {})
        known = METHODS.get(method)  # a test may ask for one that there is not
        lm = str(tiny_gpt2) if known and (known.weights or known.matched) else ""
        return RunRequest("reacher2d-medium", method, budget=budget, settings=settings, **{"lm": lm, **changes})

    return request


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder that a local server offers, and the address it is at."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def served_hub(served_folder: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a server offers in place of the Hub: <owner>/<name>/<file>."""
    folder, place = served_folder
    monkeypatch.setattr(hub, "address", lambda repository, file: f"{place}/{repository.name}/{file}")
    return folder
