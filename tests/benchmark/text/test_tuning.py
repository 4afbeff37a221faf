"""Settings are chosen on games and seeds that nothing is reported of."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.methods import look_up
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.text import settings
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.recorded import recorded_episodes
from lamobench.benchmark.text.resolve import resolve
from lamobench.benchmark.text.settings import PARTS, PROFILES
from lamobench.benchmark.text.tuning import KNOBS, trials
from lamobench.datasets.errors import UserError
from lamobench.datasets.games.recordings import record

ASKED = Wanted("tidy-easy", (), (1000,), choices={"lm": "gpt2-mini"})


def test_every_setting_has_the_profiles_value_among_others() -> None:
    for knob in KNOBS:
        assert set(knob.methods) <= set(PARTS)
        for method in knob.methods:
            if not look_up(method).recorded and PARTS[method].encoder != "glove":
                (run,) = resolve(replace(ASKED, methods=(method,)))
                assert run.policy[knob.setting] in knob.values
    assert all(len(knob.values) >= 3 for knob in KNOBS if knob.setting == "encoder_learning_rate")


def test_controls_and_what_is_trained_have_what_was_chosen_of_what_they_begin_as() -> None:
    chosen = {
        "drrn-fixed": {"temperature": 0.2, "learning_rate": 3e-3},
        "drrn-top-k": {"encoder_learning_rate": 1e-5},
        "drrn-ewc": {"adaptation.coefficient": 1e-2},
        "actor-critic-fixed": {"entropy": 0.1},
    }
    profile = replace(PROFILES["cpu"], chosen=chosen)
    for method, parts in PARTS.items():
        found = profile.settings(method)
        begins = [method, parts.like, PARTS[parts.like].like if parts.like else ""]
        for name, own in chosen.items():
            for setting, value in own.items():
                assert (found.get(setting) == value) == (name in begins)
    assert PARTS["drrn-top-k-random"].like == "drrn-top-k"
    assert {parts.agent for parts in PARTS.values() if parts.like} == {
        PARTS[parts.like].agent for parts in PARTS.values() if parts.like
    }


def test_heads_are_chosen_before_what_hangs_on_them() -> None:
    assert {trial.setting for trial in trials(ASKED, "", ())} == {"temperature", "learning_rate", "entropy"}
    rates = {trial.method for trial in trials(ASKED, "encoder_learning_rate", ())}
    assert rates == {"drrn-top-k", "drrn-lora", "drrn-full", "actor-critic-top-k"}
    held = [(trial.method, trial.value) for trial in trials(ASKED, "adaptation.coefficient", ())]
    pulled = [(method, value) for method in ("drrn-l2-init", "drrn-ewc") for value in (1e-4, 1e-3, 1e-2)]
    assert held == [*pulled, *(("drrn-distill", value) for value in (0.1, 1.0, 10.0))]


def test_trials_are_on_tuning_games_with_one_setting_changed() -> None:
    found = trials(replace(ASKED, methods=("drrn-hash", "drrn-l2-init")), "", ())
    assert [(trial.method, trial.setting, trial.value) for trial in found] == [
        *(("drrn-hash", "temperature", value) for value in (0.01, 0.02, 0.05, 0.1, 0.2, 0.3)),
        *(("drrn-hash", "learning_rate", value) for value in (3e-4, 1e-3, 3e-3)),
        *(("drrn-l2-init", "adaptation.coefficient", value) for value in (1e-4, 1e-3, 1e-2)),
    ]
    for trial in found:
        (run,) = trial.runs
        assert (run.task, run.seed, run.policy[trial.setting]) == ("tidy-easy-tuning", 1000, trial.value)
    (reported,) = resolve(replace(ASKED, methods=("drrn-hash",)))
    assert all(trial.runs[0].games_hash != reported.games_hash for trial in found)  # type: ignore[attr-defined]
    (other,) = trials(replace(ASKED, methods=("drrn-hash",)), "target_every", (50,))
    assert other.runs[0].policy["target_every"] == 50


def test_what_learns_from_recorded_games_is_tuned_on_recorded_tuning_games() -> None:
    asked = replace(ASKED, methods=("text-bc-hash", "text-lamo"))
    with pytest.raises(UserError, match="type: lamobench data record tidy-easy-tuning-mixed"):
        trials(asked, "", ())
    recorded = record("tidy-easy-tuning-mixed")
    found = trials(asked, "", ())
    assert [(trial.method, trial.value) for trial in found] == [
        (method, value) for method in asked.methods for value in (3e-4, 1e-3, 3e-3)
    ]
    for trial in found:
        (run,) = trial.runs
        assert isinstance(run, TextConfig)
        assert (run.dataset, run.dataset_hash) == (recorded.name, recorded.sha256)
        assert recorded_episodes(run) == list(recorded.episodes)
    assert {trial.method for trial in trials(ASKED, "learning_rate", ())}.isdisjoint(asked.methods)


@pytest.mark.parametrize(
    ("changes", "setting", "values", "line"),
    [
        ({"seeds": (1000, 4)}, "", (), "seed 4 is for reported runs; seeds for tuning are 1000 and above"),
        ({"subject": "cave"}, "", (), "there are no games to tune 'cave' on; give one of tidy-easy, "),
        ({"subject": "tidy-easy-40"}, "", (), "there are no games to tune 'tidy-easy-40' on"),
        ({}, "", (0.1,), "--values are those of one setting; name it too"),
        ({}, "temprature", (), "unknown setting to choose 'temprature'; did you mean 'temperature'"),
        ({"methods": ("drrn-hsh",)}, "", (), "unknown method of tidy-easy 'drrn-hsh'"),
        ({"methods": ("gold",)}, "", (), "no setting is chosen for gold; name one"),
        ({"methods": ("drrn-hash",)}, "temperature", (-1.0,), r"temperature is -1\.0; give"),
    ],
)
def test_what_does_not_fit_is_one_line(
    changes: dict[str, Any], setting: str, values: tuple[float, ...], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        trials(replace(ASKED, **changes), setting, values)


def test_the_command_chooses_the_largest_area(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    what = ["tune", "tidy-easy", "--methods", "drrn-hash", "--setting", "temperature", "--values", "0.1", "5"]
    budget = [f"--budget={name}" for name in ("evaluation_episodes=2", "evaluate_every=20", "steps=20")]
    where = ["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "tuning.csv"), "--jobs", "1"]
    command = [*what, *budget, "--seeds", "1000", *where]
    parse([*command, "--plan"]).run()
    assert "2 runs on tidy-easy" in capsys.readouterr().out
    assert not (tmp_path / "tuning.csv").exists()
    parse(command).run()
    with (tmp_path / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["method"], row["setting"], row["value"]) for row in rows] == [
        ("tidy-easy-tuning", "drrn-hash", "temperature", "0.1"),
        ("tidy-easy-tuning", "drrn-hash", "temperature", "5"),
    ]
    (chosen,) = [row for row in rows if row["chosen"] == "True"]
    assert float(chosen["area"]) == max(float(row["area"]) for row in rows)
    runs = map(read_config, (tmp_path / "runs").glob("tidy-easy-tuning-*"))
    assert {run.policy["temperature"] for run in runs} == {0.1, 5.0}
    rank = ["leaderboard", "--runs", str(tmp_path / "runs"), "--output", str(tmp_path), "--no-figures", "--archive"]
    parse(rank).run()
    (proven,) = [checked for checked in check_folder(tmp_path) if checked.path.name == "tuning.csv"]
    assert (proven.rows, proven.faults) == (2, ())
    other = (
        (tmp_path / "tuning.csv").read_text().replace("True", "once").replace("False", "True").replace("once", "False")
    )
    (tmp_path / "tuning.csv").write_text(other)
    (disproved,) = [checked for checked in check_folder(tmp_path) if checked.path.name == "tuning.csv"]
    assert len(disproved.faults) == 2


def test_a_choice_is_of_its_method_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {"drrn-l2-init": {"encoder_learning_rate": 1e-5, "adaptation.coefficient": 3.0}}
    monkeypatch.setitem(settings.PROFILES, "cpu", replace(PROFILES["cpu"], chosen=chosen))
    plain, held = resolve(replace(ASKED, methods=("drrn-top-k", "drrn-l2-init")))
    assert plain.policy["encoder_learning_rate"] == 1e-4
    assert (held.policy["encoder_learning_rate"], held.policy["adaptation.coefficient"]) == (1e-5, 3.0)
    asked = replace(ASKED, methods=("drrn-l2-init",), settings={"adaptation.coefficient": "9"})
    assert resolve(asked)[0].policy["adaptation.coefficient"] == 9.0
