"""Finished runs on text games whose evaluations are written by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from lamobench.benchmark.runs.damage import sizes_and_hashes
from lamobench.benchmark.runs.episodes import Episode, episodes_csv
from lamobench.benchmark.runs.meters import meters_csv
from lamobench.benchmark.runs.stages import HEADER, StageEpisode, stages_csv
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.settings import PARTS

EPISODES = 4
STEPS = (0, 100, 200, 300)
# The share of points at each evaluation, then in each part at the end.
OUTCOMES: dict[str, tuple[list[float], dict[str, float]]] = {
    "random": ([0.25] * 4, {"train/orig": 0.25, "train/paraphrase": 0.25, "train/shuffle": 0.25, "ood/orig": 0.0}),
    "drrn-hash": (
        [0.25, 0.5, 0.75, 0.75],
        {"train/orig": 0.75, "train/paraphrase": 0.25, "train/shuffle": 0.0, "ood/orig": 0.25},
    ),
    "drrn-fixed": (
        [0.25, 0.75, 1.0, 1.0],
        {"train/orig": 1.0, "train/paraphrase": 0.75, "train/shuffle": 0.25, "ood/orig": 0.5},
    ),
    "drrn-fixed-random": (
        [0.25, 0.5, 1.0, 1.0],
        {"train/orig": 1.0, "train/paraphrase": 0.25, "train/shuffle": 0.25, "ood/orig": 0.5},
    ),
    "drrn-top-k": (
        [0.25, 0.5, 0.75, 1.0],
        {"train/orig": 1.0, "train/paraphrase": 0.5, "train/shuffle": 0.5, "ood/orig": 0.25},
    ),
}
# Of a run that trains its language model, at each evaluation; a seed adds a hundredth to the last.
METERS = {
    "cka_glosses": [1.0, 0.9, 0.8, 0.7],
    "drift_glosses": [0.0, 0.1, 0.2, 0.3],
    "cka_nouns": [1.0, 0.9, 0.6, 0.5],
    "drift_nouns": [0.0, 0.2, 0.3, 0.4],
    "neighbours_nouns": [1.0, 0.9, 0.7, 0.6],
    "anisotropy_nouns": [0.25, 0.3, 0.4, 0.6],
    "weight_change": [0.0, 0.01, 0.02, 0.03],
    "holders_train": [0.5, 0.5, 0.4, 0.3],
}
# The same of methods that learn from recorded games.
RECORDED: dict[str, tuple[list[float], dict[str, float]]] = {
    "text-bc-hash": ([0.0, 0.25, 0.5, 0.5], {"train/orig": 0.5, "train/shuffle": 0.25}),
    "text-lamo": ([0.0, 0.5, 0.5, 0.75], {"train/orig": 0.75, "train/shuffle": 0.5}),
}


def config_of(method: str, seed: int) -> TextConfig:
    """The configuration of a run of three parts."""
    return TextConfig(
        task="tidy-medium",
        method=method,
        profile="cpu",
        seed=seed,
        precision="float32",
        steps=STEPS[-1],
        batch_size=16,
        evaluate_every=100,
        evaluation_episodes=EPISODES,
        headline_evaluations=2,
        policy={"learning_rate": 0.001} if PARTS[method].encoder else {},
        version="0.1.0",
        lm="gpt2-mini" if PARTS[method].encoder == "lm" else "",
        lm_hash="a" * 64 if PARTS[method].encoder == "lm" else "",
        agent=PARTS[method].agent,
        encoder=PARTS[method].encoder,
        adaptation=PARTS[method].adaptation,
        parts=list((OUTCOMES | RECORDED)[method][1]),
        games_hash="b" * 64,
        view_episodes=EPISODES,
        dataset="tidy-medium-mixed" if method in RECORDED else "",
        dataset_hash="c" * 64 if method in RECORDED else "",
    )


def write_run(root: Path, method: str, seed: int, dataset: str = "", lm: str = "", own_score: bool = False) -> Path:
    """The folder of a run with the settings of `config_of`."""
    config = config_of(method, seed)
    return write_config(root, replace(config, dataset=dataset or config.dataset, lm=lm or config.lm), own_score)


def write_changed(root: Path, method: str, rate: float, settings: dict[str, Any] | None = None, **changes: Any) -> None:
    """Two seeds at a rate of the language model, with other settings of the agent, or other fields, where given."""
    for seed in (0, 1):
        plain = config_of(method, seed)
        policy = plain.policy | {"encoder_learning_rate": rate} | (settings or {})
        write_config(root, replace(plain, policy=policy, **changes))


def write_config(root: Path, config: TextConfig, own_score: bool = False) -> Path:
    """A run's folder: half of the moves that are left at each seed, and a little more points of one episode."""
    method = config.method
    seed = config.seed
    folder = root / config.id
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config.stored()))
    curve, ends = (OUTCOMES | RECORDED)[method]
    played = [
        Episode(step, 0.0, n, n, share + (0.01 * seed if n == 0 else 0.0), 20)
        for step, share in zip(STEPS, curve, strict=True)
        for n in range(EPISODES)
    ]
    parts = [
        StageEpisode(step, part, n, n, int(share == 1.0), share, 10 + part + seed)
        for step in STEPS[-2:]
        for part, share in enumerate(ends.values())
        for n in range(EPISODES)
    ]
    own = {"own_score": 0.5 + 0.125 * seed} if own_score else {}
    rows = [{"step": step, "cpu_seconds": step / 10.0, "seconds": step / 5.0} | own for step in STEPS[1:]]
    (folder / "episodes.csv").write_text(episodes_csv(played))
    (folder / "stages.csv").write_text(f"{HEADER}\n{stages_csv(parts)}")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if config.adaptation != "fixed":
        meters = [{name: METERS[name][place] for name in METERS} for place in range(len(STEPS))]
        meters[-1] = {name: value + 0.01 * seed for name, value in meters[-1].items()}
        lines = zip(STEPS, meters, strict=True)
        (folder / "meters.csv").write_text("".join(meters_csv(step, row, header=step == 0) for step, row in lines))
    done = {"params_total": 1000, "params_trainable": 10, "train_seconds": 1.0, "simulator": "lamobench 0.1.0"}
    (folder / "done.json").write_text(json.dumps(done | sizes_and_hashes(folder)))
    return folder
