from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from lamobench.benchmark.offline import evaluation
from lamobench.benchmark.offline.evaluation import evaluate
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.players import load_player
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.offline.rollout import evaluation_seeds
from lamobench.benchmark.runs.episodes import parse_episodes

Requests = Callable[..., RunRequest]


def test_a_finished_run_s_policy_plays_its_last_evaluation_again(tiny_request: Requests, tmp_path: Path) -> None:
    config = resolve(tiny_request("dt", legacy=("best-target",)))
    folder = train(config, tmp_path, "cpu")
    played = parse_episodes((folder / "episodes.csv").read_bytes())
    policy = load_player(folder, config, torch.device("cpu"))
    seeds = evaluation_seeds(config.seed, config.steps // config.evaluate_every, config.evaluation_episodes)
    again = evaluate(policy, config, seeds, config.target_returns, step=config.steps)
    assert len(config.target_returns) == 2
    assert again == [episode for episode in played if episode.step == config.steps]


def test_what_a_run_s_configuration_says_reaches_its_episodes(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = resolve(tiny_request("dt"))
    policy = load_player(train(config, tmp_path, "cpu"), config, torch.device("cpu"))
    asked: list[dict[str, Any]] = []

    def rollout(*_: Any, **options: Any) -> list[Any]:
        asked.append(options | {"bfloat16": torch.is_autocast_enabled("cpu")})
        return []

    monkeypatch.setattr(evaluation, "rollout", rollout)
    policy.view = replace(policy.view, clip_rewards=True)
    other = {"precision": "bfloat16", "cached_context": True, "legacy": ["unclipped-evaluation"]}
    for played in (config, replace(config, **other)):
        evaluate(policy, played, [0], [1.0], environments=3)
    seen = [(o["bfloat16"], o["cached_context"], o["view"].clip_rewards, o["environments"]) for o in asked]
    assert seen == [(False, False, True, 3), (True, True, False, 3)]
