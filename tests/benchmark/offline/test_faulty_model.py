"""Faults of the networks, of training and of ranking, each by its signature in a run."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.policy import OptimizerSettings, Spec
from lamobench.benchmark.lm.checkpoints import language_loss, load_language_model, load_tokenizer
from lamobench.benchmark.lm.lamo import LaMo
from lamobench.benchmark.offline import evaluation
from lamobench.benchmark.offline import loop as loop
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.config import OfflineConfig
from lamobench.benchmark.offline.describe import describe_policy
from lamobench.benchmark.offline.faults import cumulative_factor
from lamobench.benchmark.offline.faulty_model import faulty_language_model
from lamobench.benchmark.offline.faulty_policy import faulty_policy
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.episodes import parse_episodes
from lamobench.benchmark.scores.collect import read_finished, with_one_target
from lamobench.benchmark.scores.run import FinishedRun
from lamobench.benchmark.training import life
from lamobench.benchmark.training.learner import learning_rate_factor
from lamobench.datasets.trajectories import Trajectories
from lamobench.datasets.windows import View
from lamobench.tests.benchmark.little_runs import finished_run, note_files, result

Requests = Callable[..., RunRequest]


def built(config: OfflineConfig) -> Any:
    return build_policy(config, training_subset(config), torch.device("cpu")).eval()


def discrete_spec(actions: int) -> Spec:
    nothing = np.zeros(0, np.float32)
    mean = np.zeros(3, np.float32)
    std = np.ones(3, np.float32)
    return Spec(3, actions, nothing, nothing, mean, std, horizon=10, return_scale=1.0, discrete=True, view=View())


@pytest.mark.parametrize(("actions", "likeliest", "entropy"), [(4, 0.711, 0.341), (6, 0.596, 0.517)])
def test_tanh_bounds_how_sure_a_policy_can_be(actions: int, likeliest: float, entropy: float) -> None:
    def probability(legacy: list[str]) -> float:
        torch.manual_seed(0)
        settings = DecisionTransformerConfig(context=2, layers=1, width=8)
        policy: Any = faulty_policy(DecisionTransformer(settings, discrete_spec(actions)), legacy)
        last = list(policy.model.head.modules())[1] if legacy else policy.model.head
        with torch.no_grad():
            last.weight.zero_()
            last.bias.copy_(torch.tensor([1e3] + [-1e3] * (actions - 1)))
        return float(policy.model.head(torch.zeros(8)).softmax(-1).max().detach())

    assert probability([]) == 1.0
    assert round(probability(["tanh-logits"]), 3) == likeliest
    assert round(-math.log(probability(["tanh-logits"])), 3) == entropy


def without_positions(policy: LaMo) -> LaMo:
    """The same policy with position embeddings that are zero, however they are added."""
    policy.language_model.transformer.wpe.weight.data.zero_()
    return policy


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_no_positions_leaves_them_out_for_trajectories_and_english(tiny_request: Requests, adaptation: str) -> None:
    settings = {"adaptation": adaptation}
    default, faulty = (
        resolve(tiny_request("lamo", settings=settings, legacy=legacy)) for legacy in ((), ("no-positions",))
    )
    batch = built(default).sampler(training_subset(default)).sample(4, np.random.default_rng(0))
    with torch.no_grad():
        expected = without_positions(built(default)).loss(batch)[1]
        usual = built(default).loss(batch)[1]
        without = built(faulty).loss(batch)[1]
    for name in ("action_error", "language_loss"):
        torch.testing.assert_close(without[name], expected[name])
        assert abs(usual[name] - without[name]) > 1e-4, name
    parts = {row["part"]: row for row in describe_policy(built(faulty))}
    assert "language model: position embeddings" not in parts
    assert "language model: position embeddings" in {row["part"] for row in describe_policy(built(default))}


def test_a_language_model_without_positions_begins_with_a_higher_loss() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "protocol.md").read_text()
    ids = torch.tensor([load_tokenizer("gpt2-mini")(text)["input_ids"][:128]])

    def loss(*legacy: str) -> float:
        model = load_language_model("gpt2-mini", "pretrained", 0, "sdpa").eval()
        return float(language_loss(faulty_language_model(model, legacy), ids).detach())

    assert loss("no-positions") > loss() + 0.2


def test_a_fault_in_the_network_changes_no_initial_weight(tiny_request: Requests) -> None:
    default, faulty = (
        built(resolve(tiny_request("lamo", legacy=legacy))).state_dict() for legacy in ((), ("no-positions",))
    )
    assert default.keys() - faulty.keys() == {"model.backbone.language_model.transformer.wpe.weight"}
    assert all(torch.equal(default[name], tensor) for name, tensor in faulty.items())


def test_the_cumulative_schedule_reaches_the_optimiser(
    tiny_request: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "LOG_EVERY", 10)

    settings = OptimizerSettings([], warmup_steps=50, decay="cosine")

    def rates(*legacy: str) -> list[float]:
        budget = {"steps": 50, "evaluate_every": 50}
        config = resolve(tiny_request("dt", budget=budget, settings={"learning_rate": 1e-3}, legacy=legacy))
        folder = loop.train(config, tmp_path, "cpu")
        rows = (folder / "metrics.jsonl").read_text().splitlines()
        return [round(json.loads(row)["learning_rate"] / 1e-3, 3) for row in rows]

    # Reacher2d's published run has 37,500 steps: these 50 stand for them, and each row for a fifth, 7,500 steps.
    assert rates("cumulative-schedule") == [round(cumulative_factor(7500 * n - 1), 3) for n in (1, 2, 3, 4, 5)]
    usual = rates()  # warmed up over 50 steps, then a half cosine, neither of which the fault leaves
    assert usual == [round(learning_rate_factor(10 * n - 1, 50, settings), 3) for n in (1, 2, 3, 4, 5)]


def test_best_target_ranks_the_target_that_scored_best(tiny_request: Requests, tmp_path: Path) -> None:
    default, faulty = (resolve(tiny_request("dt", legacy=legacy)) for legacy in ((), ("best-target",)))
    assert (default.target_returns, faulty.target_returns) == ([76.0], [76.0, 40.0])
    folders = [loop.train(config, tmp_path, "cpu") for config in (default, faulty)]
    played = [parse_episodes((folder / "episodes.csv").read_bytes()) for folder in folders]
    assert [episode for episode in played[1] if episode.target_return == 76.0] == played[0]
    assert len(played[1]) == 2 * len(played[0])

    done = json.loads((folders[1] / "done.json").read_text())
    kept = {name: value for name, value in done.items() if name not in ("files", "sha256")}
    (folders[1] / "done.json").write_text(json.dumps(kept))  # as of a run from before there were hashes
    lines = (folders[1] / "episodes.csv").read_text().splitlines()
    for target, better in ((76.0, 40.0), (40.0, 76.0)):  # what if the returns had been these
        changed = [lines[0]]
        for line in lines[1:]:
            step, asked, number, seed, _, length = line.split(",")
            changed.append(",".join([step, asked, number, seed, "5.0" if float(asked) == target else "7.0", length]))
        (folders[1] / "episodes.csv").write_text("\n".join(changed) + "\n")
        note_files(folders[1])
        result = read_finished(folders[1]).result
        assert (result.target_return, result.score) == (better, 7.0)
    assert read_finished(folders[0]).result.target_return == 76.0


@pytest.fixture
def breakout_run(breakout_data: Trajectories) -> Callable[..., OfflineConfig]:
    """A function that resolves a small run on `breakout_data` with some faults."""
    budget = {"steps": 2, "evaluate_every": 2, "headline_evaluations": 1, "batch_size": 2}
    settings = {"context": 2, "layers": 1, "heads": 1, "width": 8}

    def request(*legacy: str) -> OfflineConfig:
        return resolve(RunRequest("breakout-medium", "dt", budget=budget, settings=settings, legacy=legacy))

    return request


def test_the_faults_of_atari_reach_a_run(
    breakout_run: Callable[..., OfflineConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[View] = []

    def played(*_: Any, view: View, **__: Any) -> list[Any]:
        seen.append(view)
        return []

    monkeypatch.setattr(evaluation, "rollout", played)
    for legacy in ((), ("unclipped-evaluation", "tanh-logits")):
        config = breakout_run(*legacy)
        loop.train(config, tmp_path, "cpu")
        policy = built(config)
        batch = policy.sampler(training_subset(config)).sample(4, np.random.default_rng(0))
        assert batch.returns_to_go.max() <= 3.0  # training clips rewards, whatever evaluation does
        for parameter in policy.model.head.parameters():
            parameter.data.mul_(1e3)
        assert bool((policy.model.predict(batch).abs() <= 1.0).all()) == bool(legacy)
    assert [view.clip_rewards for view in seen] == [True, False]


def test_padding_steps_reach_a_run(breakout_run: Callable[..., OfflineConfig]) -> None:
    config = breakout_run("padding-steps")
    policy = built(config)
    batch = policy.sampler(training_subset(config)).sample(64, np.random.default_rng(0))
    assert policy.view.padding_steps == 3
    assert int(batch.timesteps.max()) == 8  # of games of 6 steps
    assert bool((batch.observations[:, 3] == 0).all((-1, -2)).any())
    assert built(breakout_run()).view.padding_steps == 0


def test_seeds_that_are_averaged_have_one_target() -> None:
    def run(*scores: float) -> FinishedRun:
        return finished_run([result(float(n), np.array([score])) for n, score in enumerate(scores)])

    both = with_one_target([run(10.0, 0.0), run(10.0, 19.0)])  # alone, the second run would be scored at target 1
    assert [(one.result.target_return, one.result.score) for one in both] == [(0.0, 10.0), (0.0, 10.0)]
    both = with_one_target([run(10.0, 0.0), run(10.0, 21.0)])
    assert [(one.result.target_return, one.result.score) for one in both] == [(1.0, 0.0), (1.0, 21.0)]


@pytest.mark.parametrize(
    ("method", "legacy"),
    [
        ("dt", ("shifted-episodes",)),
        ("dt", ("drop-best", "cumulative-schedule", "best-target")),
        ("lamo", ("no-positions",)),
    ],
)
def test_a_run_with_faults_that_was_stopped_ends_with_the_same_numbers(
    tiny_request: Requests,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    legacy: tuple[str, ...],
) -> None:
    class StoppedError(BaseException):
        pass

    def stop(self: Any) -> None:
        if self.progress.step == 20:
            raise StoppedError

    config = resolve(tiny_request(method, legacy=legacy))
    with monkeypatch.context() as patch:
        patch.setattr(loop.Training, "check_weights", stop)
        with pytest.raises(StoppedError):
            loop.train(config, tmp_path / "stopped", "cpu")
    stopped, whole = (loop.train(config, tmp_path / place, "cpu") for place in ("stopped", "whole"))
    assert (stopped / "episodes.csv").read_text() == (whole / "episodes.csv").read_text()

    def measured(folder: Path) -> list[dict[str, Any]]:
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]

    assert measured(stopped) == measured(whole)
