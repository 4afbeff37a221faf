import sys

import pytest

from lamobench.datasets.environments.robotic_sequence import INSTALL
from lamobench.datasets.environments.staged_tasks import RoboticSequenceOptions, find_staged_task
from lamobench.datasets.errors import UserError


def test_without_meta_world_a_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("metaworld.env_dict", "metaworld.policies"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "metaworld", None)  # type: ignore[arg-type] -- Python's way to say: not there
    with pytest.raises(UserError, match=r'type: pip install "lamobench\[finetune\]"') as caught:
        find_staged_task("robotic-sequence").make()
    assert str(caught.value) == INSTALL


def test_a_sequence_of_other_tasks_is_what_its_options_say() -> None:
    stages = ("window-close", "faucet-close", "peg-unplug-side", "push-wall")
    task = find_staged_task("robotic-sequence").with_options(RoboticSequenceOptions(stages, known=(0, 3), horizon=50))
    assert task.stages == stages
    assert task.far == task.trained == (0, 3)
    assert task.horizon == 200
    assert find_staged_task("robotic-sequence").stages == ("hammer", "push", "peg-unplug-side", "push-wall")
