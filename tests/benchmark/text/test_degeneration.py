"""A tiny study of degeneration: trained, taken back, written, and made again from its archive."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.stages import read_stages
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import finished, read_run
from lamobench.benchmark.scores.leaderboard import group_runs
from lamobench.benchmark.text import degeneration, loop, resolve, rewind, settings
from lamobench.benchmark.text.config import TextConfig, text_config
from lamobench.benchmark.text.degeneration import arms
from lamobench.benchmark.text.meters import probes_of
from lamobench.benchmark.text.rewind import read_rewind
from lamobench.benchmark.text.words_figure import in_plane
from lamobench.datasets.errors import UserError
from lamobench.datasets.games import families
from lamobench.tests.benchmark.text.conftest import PARTS, few

BUDGET = ["steps=40", "evaluate_every=40", "evaluation_episodes=1", "view_episodes=1", "headline_evaluations=1"]
SMALL = {"hidden": 8, "batch_size": 4, "environments": 5, "update_every": 4, "target_every": 3}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2: Path, home: Path) -> Iterator[Path]:
    """A fixed and a trained language model at two rates, two seeds each, with tables, figures and archive."""
    root = tmp_path_factory.mktemp("study")
    where = ["--runs", str(root / "runs"), "--output", str(root / "out")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.FAMILIES, "tidy-easy", replace(families.FAMILIES["tidy-easy"], move_limit=8))
        patch.setattr(resolve, "parts_of", lambda task: PARTS)
        patch.setitem(settings.PROFILES, "cpu", replace(settings.PROFILES["cpu"], policies={"drrn": SMALL}))
        for module in (loop, rewind):
            patch.setattr(module, "probes_of", lambda task: few(probes_of(task)))
        command = ["degeneration", "tidy-easy", "--methods", "random", "drrn-fixed", "drrn-top-k", "--jobs", "1"]
        command += ["--rates", "1e-4", "0.1", "--seeds", "0", "1", "--lm", str(tiny_gpt2), *where]
        command += [word for each in BUDGET for word in ("--budget", each)]
        patch.setattr("lamobench.benchmark.cli.degeneration.train_all", train_here)
        parse([*command, "--plan"]).run()
        assert not (root / "out").exists()
        parse(command).run()
        parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
        yield root


def train_here(every: list[TextConfig], subject: str, root: Path, workers: object, *, only_plan: bool) -> None:
    """Train in this process, where budgets and texts are few."""
    from lamobench.benchmark.text import track

    if not only_plan:
        assert track.train(tuple(every), root, "cpu", lambda *_: None, print) == {}


def table(study: Path, name: str) -> list[dict[str, str]]:
    with (study / "out" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_row_for_each_method_and_rate(study: Path) -> None:
    rows = table(study, "degeneration")
    assert [(row["method"], row["encoder_learning_rate"]) for row in rows] == [
        ("random", ""),
        ("drrn-fixed", ""),
        ("drrn-top-k", "0.0001"),
        ("drrn-top-k", "0.1"),
    ]
    assert {row["seeds"] for row in rows} == {"2"}
    fixed, *trained = (float(row["area"]) for row in rows[1:])
    assert rows[0]["area_on_fixed"] == rows[1]["area_on_fixed"] == ""  # the same language model, and another method
    assert_allclose([float(row["area_on_fixed"]) for row in rows[2:]], np.array(trained) - fixed, atol=2e-4)
    slow, fast = (float(row["neighbours_nouns"]) for row in rows[2:])
    assert 0.0 < fast < slow <= 1.0
    assert rows[1]["neighbours_nouns"] == rows[1]["pull"] == ""
    assert all(-1.0 <= float(row["pull"]) <= 1.0 for row in rows[2:] if row["pull"])
    assert {path.name for path in (study / "out").iterdir()} >= {"degeneration.png", "words.png", "risen.csv"}
    risen = [row for row in table(study, "risen") if row["encoder_learning_rate"] == "0.1"]
    rises = [float(row["rise"]) for row in risen]
    assert rises == sorted(rises, reverse=True)
    assert rises[0] > 0
    assert not {row["method"] for row in table(study, "risen")} & {"random", "drrn-fixed"}


def test_runs_are_taken_back_by_worker_processes_where_there_are_several(study: Path) -> None:
    runs = finished(map(read_run, sorted((study / "runs").iterdir())))
    trained = [run for run in runs if text_config(run.config).adaptation != "fixed"]
    arms = [
        degeneration.FinishedArm(degeneration.Arm(group.config.method, 1.0, ()), group) for group in group_runs(trained)
    ]
    told: list[str] = []
    degeneration.take_back(arms, 2, told.append)  # their curves are there already
    assert sorted(told) == sorted(run.id for run in trained)


def test_taken_back_whole_is_what_it_was_and_not_at_all_what_it_became(study: Path) -> None:
    runs = finished(map(read_run, sorted((study / "runs").iterdir())))
    trained = [run for run in runs if text_config(run.config).adaptation != "fixed"]
    assert {run.folder for run in trained} == {path.parent for path in (study / "runs").glob("*/rewind.csv")} != set()
    for run in trained:
        config = text_config(run.config)
        curve = read_rewind(run.folder)
        assert curve["alpha"].tolist() == list(rewind.ALPHAS)
        assert curve["weight_change"][0] == 0.0
        assert curve["drift_nouns"][0] == pytest.approx(0.0, abs=1e-6)
        assert (np.diff(curve["weight_change"]) > 0).all()
        assert_allclose(curve["weight_change"], curve["weight_change"][-1] * curve["alpha"], rtol=1e-3, atol=1e-9)
        stages = read_stages((run.folder / "stages.csv").read_bytes())
        last = stages[(stages[:, 0] == config.steps) & (stages[:, 1] == 0)]
        assert curve["train/orig"][-1] == pytest.approx(last[:, 5].mean())
        meters = list(csv.DictReader((run.folder / "meters.csv").open()))
        assert curve["neighbours_nouns"][-1] == pytest.approx(float(meters[-1]["neighbours_nouns"]))
        before = (run.folder / "rewind.csv").read_bytes()
        rewind.rewind(run.folder, config)  # which is there already
        assert (run.folder / "rewind.csv").read_bytes() == before


def test_a_curve_of_something_else_gets_a_line(tmp_path: Path) -> None:
    (tmp_path / "rewind.csv").write_text("alpha,train/shuffle\n0.0,0.5\n")
    with pytest.raises(UserError, match=r"rewind.csv has no column train/orig; delete it"):
        read_rewind(tmp_path)


def test_what_trained_nothing_can_t_be_taken_back(study: Path) -> None:
    (fixed, *_) = (study / "runs").glob("*fixed*")
    with pytest.raises(UserError, match="trained no language model"):
        rewind.rewind(fixed, text_config(read_run(fixed).config))  # type: ignore[arg-type]


def test_the_archive_makes_every_table_again(study: Path, tmp_path: Path) -> None:
    checked = {found.path.name: found for found in check_folder(study / "out")}
    assert {"degeneration.csv", "risen.csv", "taken_back.csv", "text.csv"} <= set(checked)
    for found in checked.values():
        assert not found.faults, found.faults[:3]
        assert found.cells or not found.rows
    for path in (study / "out").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = (tmp_path / "risen.csv").read_text().splitlines()
    changed = [*rows[:1], rows[1].replace(rows[1].split(",")[7], "0.9999", 1), *rows[2:]]
    (tmp_path / "risen.csv").write_text("\n".join(changed) + "\n")
    (fault,) = next(found.faults for found in check_folder(tmp_path) if found.path.name == "risen.csv")
    assert fault.startswith("rise is 0.9999")


@pytest.mark.parametrize(
    ("methods", "rates", "line"),
    [
        (("drrn-top",), (1e-4,), "unknown method of tidy-easy 'drrn-top'"),
        ((), (), "rates none: give one or more above 0"),
        ((), (0.0, 1.0), "rates 0 1: give one or more above 0"),
    ],
)
def test_what_does_not_fit_is_one_line(methods: tuple[str, ...], rates: tuple[float, ...], line: str) -> None:
    with pytest.raises(UserError, match=line):
        arms(Wanted("tidy-easy", methods), rates)


def test_a_game_that_there_is_not_is_one_line() -> None:
    with pytest.raises(UserError, match=r"'grid-relay' is no text game; give one, e\.g\. tidy-medium"):
        parse(["degeneration", "grid-relay"]).run()


def test_a_rate_of_the_profile_s_own_is_the_run_that_any_sweep_has(tiny_gpt2: Path) -> None:
    wanted = Wanted("tidy-easy", ("drrn-top-k",), (0,), choices={"lm": str(tiny_gpt2)})
    slow, own = arms(wanted, (1e-4, 1e-5))
    (plain,) = resolve.resolve(wanted)
    assert own.runs == (plain,)
    assert slow.runs[0].policy[degeneration.RATE] == 1e-5
    assert slow.runs[0].profile == "cpu (changed)"


def test_both_panels_have_the_axes_of_the_first() -> None:
    rng = np.random.default_rng(0)
    untouched = rng.normal(size=(30, 6)) * [5.0, 3.0, 1.0, 1.0, 1.0, 1.0] + 2.0
    before, again = in_plane(untouched, untouched)
    assert_allclose(before, again)
    assert_allclose(before.mean(0), 0.0, atol=1e-12)
    variances = np.linalg.eigvalsh(np.cov(untouched.T))[::-1]
    assert_allclose(before.var(0, ddof=1), variances[:2])
    _, moved = in_plane(untouched, untouched + np.full(6, 0.5))
    assert_allclose(np.ptp(moved - before, axis=0), 0.0, atol=1e-12)  # all by the same
