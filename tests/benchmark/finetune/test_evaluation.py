from pathlib import Path

import numpy as np
import pytest
import torch

from lamobench.baselines.online.actors import Actor
from lamobench.baselines.online.networks import NetworkConfig
from lamobench.baselines.online.transitions import StagedSpec, Transitions
from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.build import build_agent, build_environment, spec_of
from lamobench.benchmark.finetune.evaluation import evaluation_seeds, play, play_and_split
from lamobench.benchmark.finetune.meters import meters
from lamobench.benchmark.finetune.rewind import between
from lamobench.datasets.environments.apple_retrieval import AppleRetrieval
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.finetune.conftest import Tiny

LINEAR = NetworkConfig((), "tanh", False, False)
SPEC = StagedSpec(observation_dim=1, action_dim=2, stages=2, discrete=True)


def walker(weight: float, bias: float) -> Actor:
    """Goes right with the probability sigmoid(weight * o + bias)."""
    actor = Actor(SPEC, LINEAR)
    with torch.no_grad():
        actor.network.weights[0].fill_(weight)
        actor.network.biases[0].fill_(bias)
    return actor


def test_an_expert_walks_straight() -> None:
    environment = AppleRetrieval(distance=4, signal=1.0, horizon=12)
    expert = walker(-50.0, 0.0)  # right where the observation is -1
    full = play(expert, environment, np.arange(3))
    assert full.success.all()
    assert full.lengths.tolist() == [8, 8, 8]
    assert full.returns.tolist() == [8.0, 8.0, 8.0]
    for stage in (0, 1):
        part = play(expert, environment, np.arange(3), stage, only=True)
        assert part.success.all()
        assert part.lengths.tolist() == [4, 4, 4]


def test_far_is_measured_though_it_is_never_reached() -> None:
    environment = AppleRetrieval(distance=4, signal=1.0, horizon=12)
    homeward = walker(0.0, -50.0)  # left, whatever it sees
    assert not play(homeward, environment, np.arange(3)).success.any()
    assert not play(homeward, environment, np.arange(3), 0, only=True).success.any()
    assert play(homeward, environment, np.arange(3), 1, only=True).success.all()


@pytest.mark.parametrize("task", ["apple-retrieval", "grid-relay", "reach"])
def test_the_first_stage_of_whole_episodes_is_that_stage_alone(task: str, tiny: Tiny) -> None:
    """Side by side with choices that are drawn, or one after the other."""
    config = tiny(task)
    environment = build_environment(config)
    agent = build_agent(config, spec_of(environment), 0)
    seeds = np.arange(12)
    whole, first = play_and_split(agent.actor, environment, seeds)
    alone = play(agent.actor, environment, seeds, 0, only=True)
    again = play(agent.actor, environment, seeds)
    for part, expected in ((first, alone), (whole, again)):
        for name, values in vars(part).items():
            np.testing.assert_array_equal(values, getattr(expected, name), err_msg=name)
    assert (first.lengths <= whole.lengths).all()


def test_the_first_stage_by_hand() -> None:
    environment = AppleRetrieval(distance=4, signal=1.0, horizon=12)
    whole, first = play_and_split(walker(-50.0, 0.0), environment, np.arange(3))
    assert whole.lengths.tolist() == [8, 8, 8]
    assert first.lengths.tolist() == [4, 4, 4]
    assert first.returns.tolist() == [4.0, 4.0, 4.0]
    assert first.success.all()


def test_episodes_are_the_same_from_the_same_seeds() -> None:
    environment = AppleRetrieval(distance=3, horizon=30)
    wavering = walker(0.0, 0.3)
    first, again, other = (
        play(wavering, environment, seeds) for seeds in (np.arange(9), np.arange(9), np.arange(1, 10))
    )
    np.testing.assert_array_equal(first.lengths, again.lengths)
    assert (first.lengths != other.lengths).any()


def test_starts_are_of_the_seed_and_of_the_evaluation() -> None:
    starts = [tuple(evaluation_seeds(seed, number, 4)) for seed in (0, 1) for number in (0, 1)]
    assert len(set(starts)) == 4


def steps_of(observations: torch.Tensor, actions: torch.Tensor) -> Transitions:
    count = len(actions)
    return Transitions(
        observations, actions, torch.zeros(count), observations, torch.zeros(count), torch.ones(count, dtype=torch.long)
    )


def test_meters_by_hand() -> None:
    memory = steps_of(torch.tensor([[0.5], [0.5]]), torch.tensor([0, 1]))
    same = meters(walker(1.0, 0.0), walker(1.0, 0.0), memory)
    assert same["kl_to_pretrained"] == pytest.approx(0.0, abs=1e-7)
    apart = meters(walker(0.0, 0.0), walker(1.0, 0.0), memory)
    right = 1 / (1 + np.exp(-0.5))
    by_hand = right * np.log(right / 0.5) + (1 - right) * np.log((1 - right) / 0.5)
    assert apart["kl_to_pretrained"] == pytest.approx(by_hand, rel=1e-5)
    assert apart["log_likelihood"] == pytest.approx(np.log(0.5), rel=1e-6)


def test_half_the_way_back_is_the_mean_of_both() -> None:
    ours = walker(2.0, 1.0)
    theirs = walker(-2.0, 0.0)
    halfway = between(ours, theirs, 0.5)
    assert float(halfway.network.weights[0].detach()) == 0.0
    assert float(halfway.network.biases[0].detach()) == 0.5
    assert float(ours.network.weights[0].detach()) == 2.0
    assert torch.equal(between(ours, theirs, 0.0).network.weights[0], theirs.network.weights[0])


@pytest.mark.parametrize("method", ["finetune", "rewind"])
def test_a_finished_run_is_played_again(method: str, tiny: Tiny, tmp_path: Path) -> None:
    config = tiny("apple-retrieval", method)
    assert track.train((config,), tmp_path, "cpu", lambda *_: None, print) == {}
    first, again = (track.play(tmp_path / config.id, config, "cpu", "", 5, 4) for _ in range(2))
    assert [episode.length for episode in first] == [episode.length for episode in again]
    assert all(len(episode.observations) == episode.length + 1 for episode in first)
    assert {episode.episode_return for episode in first} <= {0.0, 1.0}
    (tmp_path / config.id / "checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(UserError, match="damaged"):
        track.play(tmp_path / config.id, config, "cpu", "", 5, 4)


def test_a_card_says_what_it_is_of(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny(method="finetune-bc")
    track.train((config,), tmp_path, "cpu", lambda *_: None, print)
    assert "Fine-tuning + BC on grid-relay, seed 0" in track.card(tmp_path / config.id, "me/policy", {})
    with pytest.raises(UserError, match="weights of 'rewind'"):
        track.publish(tmp_path, tmp_path, tiny(method="rewind"))
    with pytest.raises(UserError, match="nothing here draws 'grid-relay'"):
        track.draw(config, np.zeros((1, 38)))
