"""Tests of all that holds for every staged environment."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from lamobench.datasets.environments.apple_retrieval import AppleRetrieval
from lamobench.datasets.environments.grid_relay import GridRelay
from lamobench.datasets.environments.stages import StagedEnvironment
from lamobench.datasets.errors import UserError
from lamobench.tests.datasets.environments.one_by_one import Apple, Relay

Make = Callable[[], StagedEnvironment]
SEEDS = np.array([7, 0, 2**63 + 5, 41, 8], np.uint64)
MAKERS: dict[str, Make] = {
    "apple": lambda: AppleRetrieval(distance=3, signal=0.25, horizon=9),
    "relay": lambda: GridRelay(goals=2, signal=0.25, horizon=40),
}
every = pytest.mark.parametrize("make", MAKERS.values(), ids=list(MAKERS))


def some_actions(env: StagedEnvironment, rng: np.random.Generator) -> NDArray[np.int64]:
    """The expert's, but for a fifth."""
    wrong = rng.random(env.size) < 0.2
    return np.where(wrong, rng.integers(env.action_space.n, size=env.size), env.expert())


def one_by_one(kind: str, stage: int, only: bool) -> list[Apple] | list[Relay]:
    if kind == "apple":
        return [Apple(3, 0.25, 9, stage, only) for _ in SEEDS]
    return [Relay(2, 0.25, 40, stage, only, int(seed)) for seed in SEEDS]


@pytest.mark.parametrize("only", [False, True])
@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize("kind", MAKERS)
def test_side_by_side_equals_one_by_one(kind: str, stage: int, only: bool) -> None:
    env = MAKERS[kind]()
    naive = one_by_one(kind, stage, only)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(env.reset(SEEDS, stage, only), np.float32([each.look() for each in naive]))
    ends = 0
    for _ in range(300):
        actions = some_actions(env, rng)
        before = [each.stage for each in naive]
        step = env.step(actions)
        seen, feedback = zip(*(each.step(int(a)) for each, a in zip(naive, actions, strict=True)), strict=True)
        np.testing.assert_array_equal(step.next_observations, np.float32(seen))
        np.testing.assert_array_equal(step.observations, np.float32([each.look() for each in naive]))
        np.testing.assert_array_equal(step.rewards, np.float32([each.reward for each in feedback]))
        np.testing.assert_array_equal(step.stage_success, [each.success for each in feedback])
        np.testing.assert_array_equal(step.stage_ended, [each.stage_ended for each in feedback])
        np.testing.assert_array_equal(step.episode_ended, [each.episode_ended for each in feedback])
        np.testing.assert_array_equal(step.stages_before, before)
        np.testing.assert_array_equal(step.stages, [each.stage for each in naive])
        ends += int(step.episode_ended.sum())
    assert ends > 20


@every
def test_state_in_and_out_goes_on_to_the_same_steps(make: Make) -> None:
    env = make()
    rng = np.random.default_rng(2)
    env.reset(SEEDS)
    for _ in range(17):
        env.step(some_actions(env, rng))
    state = env.state_dict()
    twin = make()
    kept = {name: array.copy() for name, array in state.items()}
    np.testing.assert_array_equal(twin.load_state_dict(state), env.observe())
    for _ in range(60):
        actions = some_actions(env, rng)
        ours = env.step(actions)
        theirs = twin.step(actions)
        for name, value in vars(ours).items():
            np.testing.assert_array_equal(value, vars(theirs)[name])
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])  # neither env nor twin moved it


@every
def test_a_state_that_lacks_something_is_refused(make: Make) -> None:
    env = make()
    env.reset(SEEDS)
    state = env.state_dict()
    del state["place"]
    with pytest.raises(KeyError, match="place"):
        make().load_state_dict(state)


@every
def test_the_expert_succeeds_from_every_stage(make: Make) -> None:
    env = make()
    for stage, name in enumerate(env.stages):
        env.reset(np.arange(50), stage, only=True)
        succeeded = np.zeros(50, bool)
        for _ in range(env.horizon):
            step = env.step(env.expert())
            succeeded |= step.stage_success
            assert (step.stages == stage).all()
        assert succeeded.all(), name


@every
def test_doing_nothing_useful_runs_out_of_time(make: Make) -> None:
    env = make()
    env.reset(SEEDS, 1)
    against = np.ones(len(SEEDS), np.int64)  # right, away from home; down, where there is a wall before long
    lengths = []
    for number in range(1, 2 * env.horizon + 1):
        step = env.step(against)
        assert not step.stage_success.any()
        np.testing.assert_array_equal(step.stage_ended, step.episode_ended)
        if step.episode_ended.all():
            lengths.append(number)
    assert lengths == [env.horizon, 2 * env.horizon]


@every
@pytest.mark.parametrize("stage", [-1, 2])
def test_a_stage_that_does_not_exist_is_named(make: Make, stage: int) -> None:
    env = make()
    with pytest.raises(UserError, match=rf"no stage {stage}; the stages are 0 \({env.stages[0]}\), 1 \("):
        env.reset(SEEDS, stage)


@every
def test_no_seeds_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="without a seed"):
        make().reset(np.array([], np.uint64))


@every
@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        (np.zeros(4, np.int64), r"\(4,\); expected \(5,\)"),
        (np.zeros((5, 1), np.int64), r"\(5, 1\); expected \(5,\)"),
        (np.full(5, 4), "space Discrete"),
        (np.full(5, -1), "space Discrete"),
        (np.full(5, np.nan), "space Discrete"),
    ],
)
def test_actions_that_do_not_fit_are_refused(make: Make, actions: NDArray[np.generic], reason: str) -> None:
    env = make()
    env.reset(SEEDS)
    with pytest.raises(ValueError, match=reason):
        env.step(actions)


@every
def test_observations_are_of_the_space(make: Make) -> None:
    env = make()
    rng = np.random.default_rng(3)
    env.reset(SEEDS)
    for _ in range(80):
        step = env.step(some_actions(env, rng))
        for observations in (step.observations, step.next_observations):
            assert observations.dtype == np.float32
            assert all(env.observation_space.contains(observation) for observation in observations)
