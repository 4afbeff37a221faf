import numpy as np
import pytest

from lamobench.datasets.reacher2d import HORIZON, Reacher2d
from lamobench.datasets.recording.reacher2d import ELBOW_RANGE, control, joint_errors


def tip_of(shoulder: float, elbow: float) -> tuple[float, float]:
    first = shoulder + 0.785
    second = shoulder + elbow
    return 0.6 * np.cos(first) + 0.45 * np.cos(second), 0.6 * np.sin(first) + 0.45 * np.sin(second)


def observed(shoulder: float, elbow: float, target: tuple[float, float]) -> np.ndarray:
    sines = np.sin([shoulder, elbow])
    cosines = np.cos([shoulder, elbow])
    tip = tip_of(shoulder, elbow)
    return np.concatenate([sines, cosines, [0, 0], tip, target, np.subtract(tip, target)])


def test_the_turns_reach_the_target_inside_the_elbow_range() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        shoulder = rng.uniform(-9, 9)
        elbow = rng.uniform(*ELBOW_RANGE)
        radius = rng.uniform(0.5, 1.0)
        angle = rng.uniform(-np.pi, np.pi)
        target = (radius * np.cos(angle), radius * np.sin(angle))
        turn = joint_errors(observed(shoulder, elbow, target))
        assert tip_of(shoulder + turn[0], elbow + turn[1]) == pytest.approx(target, abs=1e-6)
        assert ELBOW_RANGE[0] < elbow + turn[1] < ELBOW_RANGE[1]
        assert abs(turn[0]) <= np.pi


def test_the_nearer_of_the_two_bends_is_taken() -> None:
    straight = 0.785  # the elbow angle at which the links are in line; the two bends lie symmetrically around it
    for side in (-1, 1):
        target = tip_of(0.3, straight + side * 1.2)
        assert joint_errors(observed(0.3, straight + side * 1.1, target)) == pytest.approx((0.0, side * 0.1), abs=1e-6)


def test_the_elbow_is_never_sent_through_its_limits() -> None:
    target = tip_of(0.0, -1.4)
    turn = joint_errors(observed(0.0, 3.4, target))
    assert -2.0 < 3.4 + turn[1] < 3.5, "3.4 and -2.0 are neighbours on the circle, but the limits are in between"
    assert turn[1] < 0


def test_without_noise_the_target_is_reached_and_held() -> None:
    env = Reacher2d()
    for seed in range(10):
        observation, _ = env.reset(seed=seed)
        for _ in range(HORIZON):
            observation, reward, *_ = env.step(np.clip(control(observation, gain=1.4), -1, 1))
        assert reward == 1.0
