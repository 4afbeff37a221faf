"""Runs with tiny budgets, and a home folder of their own for encoded sentences."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.text import adaptations, loop, track
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.meters import Probes, probes_of
from lamobench.benchmark.text.resolve import resolve
from lamobench.datasets.games.words import meanings

torch.set_num_threads(1)
BUDGET = {
    "steps": 30,
    "evaluate_every": 10,
    "evaluation_episodes": 2,
    "view_episodes": 1,
    "headline_evaluations": 2,
}
PARTS = ["train/orig", "train/paraphrase", "ood/orig"]
SETTINGS = {"hidden": 8, "batch_size": 4, "environments": 2, "target_every": 3}
Tiny = Callable[..., TextConfig]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which encoded sentences are kept."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("LAMOBENCH_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _few_glosses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Distillation looks at ten glosses of a thousand."""
    known = meanings()
    monkeypatch.setattr(adaptations, "meanings", lambda: replace(known, glosses=known.glosses[:10]))


@pytest.fixture(autouse=True)
def _few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole runs are metered on two hundred texts of seven hundred."""
    monkeypatch.setattr(loop, "probes_of", lambda task: few(probes_of(task)))


def few(probes: Probes) -> Probes:
    """Some of the texts, with pairs of the nouns that are left."""
    paired = (noun for one, other, _ in probes.pairs[::100] for noun in (one, other))
    nouns = tuple(dict.fromkeys((*paired, *probes.holders)))
    pairs = tuple((one, other, steps) for one, other, steps in probes.pairs if {one, other} <= set(nouns))
    return replace(probes, glosses=probes.glosses[:20], nouns=nouns, pairs=pairs)


@pytest.fixture
def tiny(tiny_gpt2: Path) -> Tiny:
    """A configuration of a second: of a method, with settings changed."""

    def make(
        method: str = "drrn-hash",
        seed: int = 0,
        task: str = "tidy-easy",
        lm: Path = tiny_gpt2,
        precision: str = "float32",
        **settings: Any,
    ) -> TextConfig:
        choices = {"lm": str(lm), "precision": precision}
        (config,) = resolve(
            Wanted(task, (method,), (seed,), budget=BUDGET, settings=SETTINGS | settings, choices=choices)
        )
        return replace(config, parts=PARTS)

    return make


def train(config: TextConfig, root: Path) -> Path:
    """Train a run; its folder."""
    assert track.train((config,), root, "cpu", lambda *_: None, print) == {}
    return root / config.id
