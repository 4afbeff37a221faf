from pathlib import Path

import pytest

from lamobench.benchmark.benches import arms
from lamobench.benchmark.benches.harness import Settings
from lamobench.tests.datasets.environments.meta_world import needs_meta_world


def test_both_simulators_pay_the_same_and_are_measured(tmp_path: Path) -> None:
    needs_meta_world()
    press, push = arms.arm_steps(Settings(clock="cpu", rounds=1, seconds=1e-4), tmp_path)
    assert press.what == "robotic-sequence-2: 40 actions in handle-press"
    assert push.what == "robotic-sequence-2: 40 actions in push-wall"
    assert press.other_name == push.other_name == "plain Meta-World"
    assert press.ours > 0
    assert push.ratio is not None
    assert push.ratio > 1.2  # its reward asks for contacts


def test_without_meta_world_there_is_nothing_to_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert arms.arm_steps(Settings(), tmp_path) == []
