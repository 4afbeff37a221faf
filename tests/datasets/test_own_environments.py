"""Imported data sets of environments that only their user's own module registers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from lamobench.datasets import cache, catalog
from lamobench.datasets.environments.simulators import make_environment, space_of_actions
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.exported import export_to_minari
from lamobench.datasets.sources.imported import import_dataset
from lamobench.datasets.sources.minari import read
from lamobench.tests.own_environments import NAME, forget_module, record, write_module

pytestmark = pytest.mark.filterwarnings("ignore:.*(is set to None|env_spec is None|precision lowered)")


@pytest.fixture(autouse=True)
def minari_folder(tmp_path: Path, lamobench_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
    write_module(tmp_path / "modules", monkeypatch)
    yield tmp_path / "minari"
    forget_module()


def change_metadata(folder: Path, minari_id: str, **changed: Any) -> None:
    path = folder / minari_id / "data/metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def change_spec(folder: Path, minari_id: str, **changed: Any) -> None:
    spec = json.loads(json.loads((folder / minari_id / "data/metadata.json").read_text())["env_spec"])
    change_metadata(folder, minari_id, env_spec=json.dumps(spec | changed))


def test_without_its_module_the_line_says_how_to_name_it(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match="'Wide-v0', which nothing that is imported here registers") as caught:
        import_dataset("mine", record("Wide-v0"))
    assert "data import mine --minari ID --force --env-module MODULE, or --env MODULE:Wide-v0" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not lamobench_home.exists()


@pytest.mark.parametrize("named", [{"env_module": NAME}, {"env_id": f"{NAME}:Wide-v0"}])
def test_a_module_that_is_named_is_kept_and_imported_in_every_process(named: dict[str, str]) -> None:
    import_dataset("mine", record("Wide-v0"), **named)
    task = catalog.find_task("mine")
    assert (task.env_id, task.env_module, task.horizon) == ("Wide-v0", NAME, 4)
    code = (
        "from lamobench.datasets.catalog import find_task\n"
        "from lamobench.datasets.environments.simulators import make_environment\n"
        "print(make_environment(find_task('mine')).action_space.high)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[2.]\n"


def test_another_environment_than_the_data_name_can_be_chosen() -> None:
    import_dataset("mine", record("Wide-v0"), env_id="Pendulum-v1")
    task = catalog.find_task("mine")
    assert (task.env_id, task.env_module, task.env_options) == ("Pendulum-v1", "", "{}")
    assert type(make_environment(task).unwrapped).__name__ == "PendulumEnv"
    with pytest.raises(UserError, match=r"actions in Box\(0.0, inf, \(2,\), float32\), but its .* 'Pendulum-v1'"):
        import_dataset("other", record("Open-v0"), env_id="Pendulum-v1")


def test_data_that_name_no_environment_can_be_given_one(minari_folder: Path) -> None:
    minari_id = record("Wide-v0")
    change_metadata(minari_folder, minari_id, env_spec=None)
    with pytest.raises(UserError, match=r"names no environment.*--env MODULE:ENV_ID"):
        import_dataset("mine", minari_id)
    import_dataset("mine", minari_id, env_id=f"{NAME}:Wide-v0")
    assert make_environment(catalog.find_task("mine")).action_space == spaces.Box(-2.0, 2.0, (1,))


def test_no_module_is_imported_because_a_data_set_names_it(minari_folder: Path) -> None:
    minari_id = record("Wide-v0")
    change_spec(minari_folder, minari_id, id=f"{NAME}:Wide-v0", entry_point=f"{NAME}:Paying")
    for named in ({}, {"env_module": "json"}):
        with pytest.raises(UserError, match=rf"if you trust '{NAME}', add --env-module {NAME}"):
            import_dataset("mine", minari_id, **named)
        assert NAME not in sys.modules
    import_dataset("mine", minari_id, env_module=NAME)
    assert catalog.find_task("mine").env_id == "Wide-v0"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "ModuleNotFoundError: No module named 'absent_package'"),
        ("import absent_part", "ModuleNotFoundError: No module named 'absent_part'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit('enough')", "SystemExit: enough"),
        ("def", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_can_not_be_imported_is_one_line(
    lamobench_home: Path, tmp_path: Path, content: str | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "modules" / "absent_package.py").write_text(content)
    with pytest.raises(UserError, match=r"module 'absent_package', .* can't be imported") as caught:
        import_dataset("mine", record("Wide-v0"), env_module="absent_package")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not lamobench_home.exists()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"env_module": "no name"}, "'no name' is no name of a Python module"),
        ({"env_module": "../evil"}, "is no name of a Python module"),
        ({"env_module": "json", "env_id": f"{NAME}:Wide-v0"}, "give one of them"),
    ],
)
def test_module_names_are_checked(named: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        import_dataset("mine", record("Wide-v0"), **named)


@pytest.mark.parametrize(
    ("env_id", "space", "note"),
    [
        ("Below-v0", spaces.Discrete(3), "actions, stored from -1 on, numbered from 0"),
        ("Above-v0", spaces.Discrete(3), "actions, stored from 1 on, numbered from 0"),
        ("Wide-v0", spaces.Box(-2.0, 2.0, (1,)), ""),
        ("Grid-v0", spaces.Box(-2.0, 2.0, (4,)), "actions of shape (2, 2) as vectors"),
        ("Scalar-v0", spaces.Box(-2.0, 2.0, (1,)), "actions of shape () as vectors"),
        ("Open-v0", None, "actions, which the environment leaves unbounded, within the data's range"),
    ],
)
def test_every_action_of_the_data_can_be_taken_and_pays_what_it_paid(
    minari_folder: Path, env_id: str, space: gymnasium.Space | None, note: str
) -> None:
    data = import_dataset("mine", record(env_id), env_module=NAME)
    assert data.provenance.origin == "; ".join(
        ["minari somebody/" + env_id[:-3].lower() + "-v0", *filter(None, [note])]
    )
    env = make_environment(catalog.find_task("mine"))
    assert env.action_space == (space or spaces.Box(np.float32([0, 0]), data.actions.max(0)))
    assert env.action_space == space_of_actions(data, catalog.find_task("mine"))
    env.reset(seed=0)
    for action, paid in zip(data.actions[:4], data.rewards[:4], strict=True):
        assert env.action_space.contains(action)
        assert env.step(action)[1] == pytest.approx(paid, rel=1e-6)
    exported, root = export_to_minari("mine")
    assert read(exported, root, "copy").content_hash == data.content_hash
    forget_module()
    again = import_dataset("copy", exported, env_module=NAME)
    assert again.content_hash == data.content_hash


def test_actions_that_are_whole_numbers_in_a_box_are_refused(lamobench_home: Path) -> None:
    with pytest.raises(UserError, match=r"'somebody/whole-v0' has actions in .*expected a Box of real numbers"):
        import_dataset("mine", record("Whole-v0"), env_module=NAME)
    assert not lamobench_home.exists()


def test_data_whose_numbers_are_not_the_environment_s_are_refused(minari_folder: Path) -> None:
    minari_id = record("Below-v0")
    change_spec(minari_folder, minari_id, id="Above-v0", kwargs={"space": "Above-v0"})
    with pytest.raises(UserError, match=r"actions in Discrete\(3, start=-1\), but its .* has Discrete\(3, start=1\)"):
        import_dataset("mine", minari_id, env_module=NAME)


@pytest.mark.parametrize(
    ("env_id", "older"),
    [
        ("Below-v0", {"action_start": 0}),
        ("Open-v0", {"action_low": [], "action_high": []}),
        ("Open-v0", {"action_low": [0, 0, 0], "action_high": [1, 1, 1]}),
    ],
)
def test_what_an_earlier_version_imported_unmapped_is_to_be_imported_again(env_id: str, older: dict[str, Any]) -> None:
    import_dataset("mine", record(env_id), env_module=NAME)
    path = cache.folder_of("mine", "minari") / "meta.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps(meta | {"task": meta["task"] | older}))
    with pytest.raises(UserError, match=r"imported by an earlier version.*import it again: lamobench data import mine"):
        space_of_actions(catalog.load("mine"), catalog.find_task("mine"))
