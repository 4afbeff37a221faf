"""Tests that CONTRIBUTING.md names all that adding something takes: each table is followed, in a copy."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import json, sys
from lamobench.benchmark.cli.main import main
for words in json.loads(sys.argv.pop()):
    sys.argv = ["lamobench", *words]
    main()
"""

DATA_SET = {
    "datasets/entries.py": """
DATASETS["reacher2d-few"] = Dataset(
    "reacher2d-few", "reacher2d", "A few episodes", (Recorded(3, "lamobench/reacher2d/few-v0", record_seed=9),), ()
)
""",
}

ENVIRONMENT = {
    "datasets/NAME.py": '''
"""A bead on a wire, paid while it is near the middle."""

import gymnasium
import numpy as np
from gymnasium import spaces


class Bead(gymnasium.Env):
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    def __init__(self, render_mode=None):
        self.state = np.zeros(2)  # place and speed

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state = np.array([self.np_random.uniform(-1.0, 1.0), 0.0])
        return self.state.copy(), {}

    def step(self, action):
        speed = self.state[1] + 0.1 * float(action[0])
        self.state = np.array([self.state[0] + speed, speed])
        return self.state.copy(), float(abs(self.state[0]) < 0.5), False, False, {}


gymnasium.register("lamobench/Bead-v0", entry_point=f"{__name__}:Bead", max_episode_steps=8)
''',
    "datasets/environments/simulators.py": (
        "    if task.frame_stack:\n",
        '    if task.env_id == "lamobench/Bead-v0":\n        from .. import bead\n    if task.frame_stack:\n',
    ),
    "datasets/tasks.py": """
TASKS["bead"] = Task(
    name="bead",
    env_id="lamobench/Bead-v0",
    simulator="gymnasium",
    horizon=8,
    reference_scores=(0.0, 8.0),
    score_source="the most that it can pay",
    target_returns=(8.0,),
    return_scale=8.0,
)
""",
    "datasets/recording/NAME.py": '''
"""A player that pulls the bead towards the middle."""

import numpy as np

ALGORITHM = "a spring with noise"


def play_episode(env, grade, part):
    rng = np.random.default_rng(part.seed)
    observation, _ = env.reset(seed=part.seed)
    over = False
    while not over:
        pull = -observation[0] - observation[1] + 0.1 * rng.standard_normal()
        observation, _, terminated, truncated, _ = env.step(np.clip([pull], -1.0, 1.0).astype(np.float32))
        over = terminated or truncated
''',
    "datasets/recording/collect.py": """
from . import bead
PLAYERS["bead"] = Player(bead.ALGORITHM, bead.play_episode)
""",
    "datasets/entries.py": """
DATASETS["bead-medium"] = Dataset(
    "bead-medium", "bead", "A spring's episodes", (Recorded(6, "lamobench/bead/medium-v0", record_seed=1),), ()
)
""",
    "benchmark/offline/paper_settings.py": """
PAPER["bead"] = TaskSettings({"": Budget(100, 50, 4, 1)}, {})
""",
    "benchmark/offline/cpu_settings.py": """
CPU["bead"] = TaskSettings({"": Budget(4, 2, 2, 1, batch_size=4)}, {"lamo": {"context": 2, "lora_rank": 2}})
""",
}

METHOD = {
    "baselines/NAME.py": '''
"""Cloning with one linear layer."""

from dataclasses import dataclass

from torch import nn
from torch.nn import functional as F

from ..datasets.windows import StepSampler
from .fields import Amount
from .policy import OptimizerSettings, Policy


@dataclass(frozen=True)
class LinearConfig:
    learning_rate: Amount = 1e-2


class LinearCloning(Policy):
    def __init__(self, config, spec):
        super().__init__()
        self.config, self.view = config, spec.view
        self.actor = nn.Linear(spec.observation_dim, spec.action_dim)

    def sampler(self, subset):
        return StepSampler(subset, self.view)

    def loss(self, batch):
        loss = F.mse_loss(self.actor(batch.observations), batch.actions)
        return loss, {"action_error": loss.detach()}

    def act(self, history):
        return self.actor(history.observations[:, -1]).clip(-1.0, 1.0)

    def optimizer_settings(self):
        return OptimizerSettings([{"params": list(self.parameters()), "lr": self.config.learning_rate}])
''',
    "benchmark/runs/method_tables/offline.py": """
ROWS.append(
    Method(
        "linear",
        "Linear cloning",
        "cloning with one linear layer",
        policy="lamobench.baselines.linear:LinearCloning",
        config="lamobench.baselines.linear:LinearConfig",
        family="linear",
        discrete=False,
    )
)
""",
    "benchmark/offline/paper_settings.py": """
PAPER["reacher2d"].overrides["linear"] = {"learning_rate": 1e-3}
""",
    "benchmark/offline/cpu_settings.py": """
CPU["reacher2d"].budget["linear"] = Budget(4, 2, 2, 1, batch_size=4)
""",
}

LANGUAGE_MODEL = {
    "benchmark/lm/published.py": """
PUBLISHED["tiny"] = Repository("somebody/tiny", "0" * 40)
""",
    "benchmark/lm/families.py": """
from transformers import XLMRobertaModel
from .backbones import XLMRobertaBackbone
FAMILIES["xlm-roberta"] = Family(
    "XLM-RoBERTa",
    XLMRobertaModel,
    None,
    Layout("roberta.", re.compile(rf"{_ENCODER_EXTRA}|lm_head\\..*")),
    values=_ENCODER_VALUES | {"pad_token_id": PADDING},
    unused_positions=lambda config: config.pad_token_id + 1,
    **_ENCODER | {"backbone": XLMRobertaBackbone},
)
""",
    "benchmark/lm/backbones.py": """
class XLMRobertaBackbone(EncoderBackbone):
    pass
""",
}

EDITS = {
    "A data set": ("few", DATA_SET),
    "An environment": ("bead", ENVIRONMENT),
    "A method": ("linear", METHOD),
    "A language model": ("", LANGUAGE_MODEL),
}


def listed(section: str) -> list[str]:
    """The files in the table of a section of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (body,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return re.findall(r"^\| `([\w/.]+)` \|", body, re.M)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package to which one of each has been added."""
    folder = tmp_path_factory.mktemp("extended")
    for floor in ("datasets", "baselines", "benchmark"):
        shutil.copytree(ROOT / floor, folder / "lamobench" / floor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "results" / "reported", folder / "lamobench" / "results" / "reported")
    shutil.copy(ROOT / "__init__.py", folder / "lamobench")
    for name, edits in EDITS.values():
        for file, edit in edits.items():
            path = folder / "lamobench" / file.replace("NAME", name)
            assert path.exists() != ("NAME" in file), file
            text = path.read_text() if path.exists() else ""
            if isinstance(edit, tuple):
                assert text.count(edit[0]) == 1
                path.write_text(text.replace(*edit))
            else:
                path.write_text(text + edit)
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the family that is new."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    with torch.random.fork_rng(devices=[]):
        XLMRobertaModel(XLMRobertaConfig(vocab_size=60, max_position_embeddings=24, **sizes)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("section", EDITS)
def test_every_listed_file_is_edited_and_no_other(section: str) -> None:
    assert listed(section) == list(EDITS[section][1])


def test_one_of_each_can_be_added(extended: Path, encoder: Path, tiny_gpt2: Path, tmp_path: Path) -> None:
    train = ("train", "bead-medium", "--device", "cpu", "--method")
    commands = [
        ("data", "record", "reacher2d-few"),
        ("train", "reacher2d-few", "--device", "cpu", "--method", "linear"),
        ("data", "record", "bead-medium"),
        (*train, "linear"),
        ("lm", "fetch", "tiny", "--from", str(tiny_gpt2)),
        (*train, "lamo", "--lm", "tiny"),
        (*train, "lamo", "--lm", str(encoder)),
        ("leaderboard", "--no-figures"),
    ]
    environment = os.environ | {"PYTHONPATH": str(extended), "LAMOBENCH_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = done.stdout[done.stdout.rindex("bead-medium (recorded data") :]
    assert table.count("Linear cloning") >= 2
    runs = sorted(path.parent.name for path in (tmp_path / "runs").glob("*/done.json"))
    assert [run.rpartition("-")[0] for run in runs] == [
        "bead-medium-1-lamo-s0",
        "bead-medium-1-lamo-s0",
        "bead-medium-1-linear-s0",
        "reacher2d-few-1-linear-s0",
    ]
