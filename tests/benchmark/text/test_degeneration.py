"""A tiny study of degeneration: trained, taken back, written, and made again from its archive."""

import csv
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.stages import read_stages
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import finished, read_run
from lamobench.benchmark.scores.leaderboard import Group, group_runs
from lamobench.benchmark.scores.run import FinishedRun
from lamobench.benchmark.text import degeneration, degeneration_tables, loop, perturbation, resolve, rewind, settings
from lamobench.benchmark.text.config import TextConfig, text_config
from lamobench.benchmark.text.degeneration import arms, finished_arms
from lamobench.benchmark.text.mechanism import Pull
from lamobench.benchmark.text.meters import probes_of
from lamobench.benchmark.text.pairs import Pairs, read_pairs
from lamobench.benchmark.text.rewind import read_rewind
from lamobench.benchmark.text.words_figure import Shown, Words, in_plane, risen_most, words_at_rates, words_figure
from lamobench.datasets.errors import UserError
from lamobench.datasets.games import families
from lamobench.datasets.storage import write_rows
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
        for module in (loop, rewind, perturbation):
            patch.setattr(module, "probes_of", lambda task: few(probes_of(task)))
        command = asked(["random", "drrn-fixed", "drrn-top-k"], ["1e-4", "0.1"], ["0", "1"], tiny_gpt2, where)
        patch.setattr("lamobench.benchmark.cli.degeneration.train_all", train_here)
        parse([*command, "--plan"]).run()
        assert not (root / "out").exists()
        parse(command).run()
        parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
        yield root


def asked(
    methods: Sequence[str], rates: Sequence[str], seeds: Sequence[str], lm: Path, folders: Sequence[str]
) -> list[str]:
    """The words of a command."""
    budget = [word for each in BUDGET for word in ("--budget", each)]
    choices = ["--rates", *rates, "--seeds", *seeds, "--lm", str(lm), "--jobs", "1"]
    return ["degeneration", "tidy-easy", "--methods", *methods, *choices, *budget, *folders]


def train_here(every: list[TextConfig], subject: str, root: Path, workers: object, *, only_plan: bool) -> None:
    """Train in this process, where budgets and texts are few."""
    from lamobench.benchmark.text import track

    if not only_plan and (failed := track.train(tuple(every), root, "cpu", lambda *_: None, print)):
        raise UserError("; ".join(failed.values()))


@pytest.fixture
def copied(study: Path, tmp_path: Path) -> Path:
    """The study in a folder of its own, for further calls."""
    shutil.copytree(study, tmp_path / "study")
    return tmp_path / "study"


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
    assert rises[:-1] == sorted(rises[:-1], reverse=True)
    assert rises[0] > 0
    assert not {row["method"] for row in table(study, "risen")} & {"random", "drrn-fixed"}


def test_runs_are_taken_back_by_worker_processes_where_there_are_several(study: Path) -> None:
    runs = finished(map(read_run, sorted((study / "runs").iterdir())))
    trained = [run for run in runs if text_config(run.config).adaptation != "fixed"]
    arms = [degeneration.FinishedArm(group) for group in group_runs(trained)]
    told: list[str] = []
    assert degeneration.take_back(arms, 2, told.append) == []  # their curves are there already
    assert sorted(told) == sorted(run.id for run in trained)


def test_a_run_that_is_not_what_it_was_is_moved_at_random_all_the_same(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = finished(map(read_run, sorted((copied / "runs").glob("*top-k*"))))
    for run in runs:
        (run.folder / "perturbed.csv").unlink()

    def refuse(*_: object) -> None:
        raise UserError("its episodes are others")

    monkeypatch.setattr(degeneration, "rewind", refuse)
    monkeypatch.setattr(perturbation, "probes_of", lambda task: few(probes_of(task)))
    lines = degeneration.take_back([degeneration.FinishedArm(group) for group in group_runs(runs)], 1, print)
    assert sorted(lines) == sorted(f"run {run.id} can't be taken back: its episodes are others" for run in runs)
    assert all((run.folder / "perturbed.csv").exists() for run in runs)


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


def test_there_is_a_row_for_each_language_model_that_was_moved_at_random(study: Path) -> None:
    rows = table(study, "at_random")
    assert [(row["method"], row["encoder_learning_rate"], row["seeds"]) for row in rows] == [
        ("drrn-top-k", "0.0001", "2"),
        ("drrn-top-k", "0.1", "2"),
    ]
    courses = [row for row in table(study, "courses") if row["method"] == "drrn-top-k" and row["step"] == "40"]
    assert_allclose(
        [float(row["weight_change"]) for row in rows], [float(row["weight_change"]) for row in courses], rtol=1e-3
    )
    near, far = (float(row["drift_nouns"]) for row in rows)
    assert 0.0 < near < far
    assert all((row["pull"] == "") == (row["pull_spread"] == "") for row in rows)


def test_the_score_at_each_alpha_is_less_that_at_the_end_seed_by_seed(study: Path) -> None:
    rows = table(study, "taken_back")
    ends = {row["encoder_learning_rate"]: row for row in rows if float(row["alpha"]) == 1.0}
    for row in rows:
        end = ends[row["encoder_learning_rate"]]
        if row is end:
            assert row["orig_on_trained"] == row["others_on_trained_detectable"] == ""
        else:
            assert float(row["orig_on_trained"]) == pytest.approx(float(row["orig"]) - float(end["orig"]), abs=2e-4)
            assert float(row["others_on_trained_low"]) <= float(row["others_on_trained"])


def test_what_trained_nothing_can_t_be_taken_back(study: Path) -> None:
    (fixed, *_) = (study / "runs").glob("*fixed*")
    with pytest.raises(UserError, match="trained no language model"):
        rewind.rewind(fixed, text_config(read_run(fixed).config))  # type: ignore[arg-type]


def test_the_archive_makes_every_table_again(study: Path, tmp_path: Path) -> None:
    checked = {found.path.name: found for found in check_folder(study / "out")}
    names = ("degeneration", "courses", "risen", "taken_back", "at_random", "text")
    assert {f"{name}.csv" for name in names} <= set(checked)
    for found in checked.values():
        assert not found.faults, found.faults[:3]
        assert found.cells or not found.rows
    for path in (study / "out").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    changes = (
        ("risen", "rise", 0),
        ("risen", "rewarded", -1),
        ("courses", "score", -1),
        ("at_random", "neighbours_nouns", 1),
    )
    for name, column, row in changes:
        rows = table(study, name)
        rows[row][column] = "0.9999"
        write_rows(tmp_path / f"{name}.csv", rows)
        (fault,) = next(found.faults for found in check_folder(tmp_path) if found.path.name == f"{name}.csv")
        assert fault.startswith(f"{column} is 0.9999")
        (tmp_path / f"{name}.csv").write_bytes((study / "out" / f"{name}.csv").read_bytes())


def test_a_second_call_of_other_methods_leaves_the_first_one_s_rows(copied: Path, tiny_gpt2: Path) -> None:
    where = ["--runs", str(copied / "runs"), "--output", str(copied / "out")]
    cut, *_ = (copied / "runs").glob("*/rewind.csv")
    cut.unlink()  # as a call that was stopped leaves it
    before = table(copied, "taken_back")
    parse(asked(["drrn-lora"], ["1e-3"], ["0"], tiny_gpt2, where)).run()
    rows = {(row["method"], row["encoder_learning_rate"]): row["seeds"] for row in table(copied, "degeneration")}
    assert rows == {
        ("random", ""): "2",
        ("drrn-fixed", ""): "2",
        ("drrn-top-k", "0.0001"): "2",
        ("drrn-top-k", "0.1"): "2",
        ("drrn-lora", "0.001"): "1",
    }
    again = {(row["method"], row["encoder_learning_rate"], row["alpha"]): row for row in table(copied, "taken_back")}
    assert {name for name, _, _ in again} == {"drrn-top-k", "drrn-lora"}
    for row in before:
        assert again[row["method"], row["encoder_learning_rate"], row["alpha"]]["orig"] == row["orig"]
    parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
    for found in check_folder(copied / "out"):
        assert not found.faults, found.faults[:3]


def test_a_budget_of_its_own_is_beside_what_stands_still_with_that_budget(
    copied: Path, tiny_gpt2: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--runs", str(copied / "runs"), "--output", str(copied / "out")]
    command = asked(["drrn-top-k"], ["1e-4"], ["0"], tiny_gpt2, where)
    shorter = {"steps=40": "steps=20", "evaluate_every=40": "evaluate_every=20"}
    parse([shorter.get(word, word) for word in command]).run()
    rows = table(copied, "degeneration")
    assert len({(row["method"], row["encoder_learning_rate"], row["profile"], row["variant"]) for row in rows}) == 5
    (short,) = [row for row in rows if "steps=20" in row["variant"]]
    assert short["area_on_fixed"] == ""
    assert "steps=20" in capsys.readouterr().out
    parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
    for found in check_folder(copied / "out"):
        assert not found.faults, found.faults[:3]


def test_a_run_that_fails_is_told_of_after_the_tables_of_the_others(copied: Path, tiny_gpt2: Path) -> None:
    where = ["--runs", str(copied / "runs"), "--output", str(copied / "new")]
    with pytest.raises(UserError) as raised:
        parse(asked(["drrn-fixed", "drrn-top-k"], ["1e-4", "1e30"], ["0", "1"], tiny_gpt2, where)).run()
    line = str(raised.value)
    assert line.startswith("2 of 6 runs did not finish: drrn-top-k at 1e+30, seed 0 (failed: ")
    assert "means of their arms are over the seeds that finished (column seeds)" in line
    assert "no seed finished, so there is no row, of drrn-top-k at 1e+30; start the same command again" in line
    assert {path.name for path in (copied / "new").iterdir()} >= {"degeneration.csv", "courses.csv", "courses.png"}
    with (copied / "new" / "degeneration.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["encoder_learning_rate"] for row in rows if row["method"] == "drrn-top-k"] == ["0.0001", "0.1"]


def test_a_run_without_its_checkpoint_is_told_of_and_counts_in_all_but_the_curves(
    copied: Path, tiny_gpt2: Path
) -> None:
    where = ["--runs", str(copied / "runs"), "--output", str(copied / "out")]
    cut, *_ = sorted((copied / "runs").glob("*/rewind.csv"))
    cut.unlink()
    (cut.parent / "checkpoint.safetensors").unlink()
    with pytest.raises(UserError, match=f"run {cut.parent.name} can't be taken back: "):
        parse(asked(["random"], ["1e-4"], ["0"], tiny_gpt2, where)).run()
    assert {row["seeds"] for row in table(copied, "degeneration")} == {"2"}
    assert sorted(row["seeds"] for row in table(copied, "taken_back")) == [*"1" * 5, *"2" * 5]
    parse(["leaderboard", *where, "--archive", "--no-figures"]).run()
    for found in check_folder(copied / "out"):
        assert not found.faults, found.faults[:3]


def test_an_error_of_no_run_ends_the_command(copied: Path, tiny_gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UserError("no such cluster")

    monkeypatch.setattr("lamobench.benchmark.cli.degeneration.train_all", refuse)
    where = ["--runs", str(copied / "runs"), "--output", str(copied / "new")]
    with pytest.raises(UserError, match="no such cluster"):
        parse(asked(["random"], ["1e-4"], ["0"], tiny_gpt2, where)).run()
    assert not (copied / "new").exists()


def test_courses_have_a_row_for_each_evaluation(study: Path) -> None:
    rows = [row for row in table(study, "courses") if row["encoder_learning_rate"] == "0.1"]
    assert [row["step"] for row in rows] == ["0", "40"]
    runs = [run for run in finished(map(read_run, sorted((study / "runs").iterdir()))) if _rate(run) == 0.1]
    assert len(runs) == 2
    for place, row in enumerate(rows):
        scores = [run.result.curve_scores[place] / 100.0 for run in runs]
        assert float(row["score"]) == pytest.approx(np.mean(scores), abs=1e-3)
        meters = [list(csv.DictReader((run.folder / "meters.csv").open()))[place] for run in runs]
        kept = [float(own["neighbours_nouns"]) for own in meters]
        assert float(row["neighbours_nouns"]) == pytest.approx(np.mean(kept), rel=1e-3)
    assert float(rows[0]["weight_change"]) == 0.0 < float(rows[1]["weight_change"])
    still = [row for row in table(study, "courses") if row["method"] == "drrn-fixed"]
    assert all(row["score"] and not row["weight_change"] for row in still)


def _rate(run: FinishedRun) -> float | None:
    return degeneration.FinishedArm(Group("", [run])).rate


def test_the_last_row_of_risen_is_the_mean_of_all_pairs(study: Path) -> None:
    *most, every_pair = [row for row in table(study, "risen") if row["encoder_learning_rate"] == "0.1"]
    assert (every_pair["one"], every_pair["other"]) == ("all pairs", "")
    assert "rise_low" not in every_pair
    assert all(float(row["rise"]) > 0 and row["one"] != "all pairs" for row in most)
    runs = [run for run in finished(map(read_run, sorted((study / "runs").iterdir()))) if _rate(run) == 0.1]
    first, second = (read_pairs(run) for run in runs)
    assert first is not None
    assert second is not None
    nouns = [noun for noun in first.nouns if noun in second.nouns]
    shared = []
    never = []
    for pairs in (first, second):
        places = [pairs.nouns.index(noun) for noun in nouns]
        shared.append(pairs.rewarded[np.ix_(places, places)][np.triu_indices(len(nouns), 1)].mean())
        never.append(np.mean([pairs.rewarded[place] == 0 for place in combinations(places, 2)]))
    assert float(every_pair["rewarded"]) == pytest.approx(np.mean(shared), rel=1e-3, abs=1e-9)
    assert float(every_pair["unrewarded"]) == pytest.approx(np.mean(never), rel=1e-3, abs=1e-9)
    assert {float(row["unrewarded"]) for row in most} <= {0.0, 0.5, 1.0}  # of two seeds


def test_seeds_are_counted_by_the_sign_of_their_pull() -> None:
    tests = [Pull(0.5, 0.01), Pull(0.4, 0.2), Pull(-0.3, 0.01), Pull(-0.2, 0.04), Pull(np.nan, np.nan)]
    row = degeneration_tables._mechanism([(test, Pull(-test.correlation, test.p_value)) for test in tests])
    assert [row[f"pull_{name}"] for name in ("together", "apart", "seeds")] == [1, 2, 4]
    assert [row[f"pull_beyond_reading_{name}"] for name in ("together", "apart", "seeds")] == [2, 1, 4]
    assert row["pull"] == pytest.approx(0.1)
    unknown = degeneration_tables._mechanism([])
    assert [unknown[f"pull_{name}"] for name in ("together", "apart", "seeds")] == [None] * 3


def test_the_mechanism_is_beside_random_moves_seed_by_seed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = finished(map(read_run, sorted((study / "runs").iterdir())))
    arm = finished_arms(runs, "tidy-easy")[-1]
    tests = {seed: [Pull(value, 0.5), Pull(0.5, 0.5)] for seed, value in enumerate((0.5, 0.25, np.nan, 0.1))}
    moved = {seed: {"pull": np.array([-0.1, 0.1 + 0.2 * seed])} for seed in (0, 1, 2, 4)}
    monkeypatch.setattr(degeneration_tables, "_moved", lambda arm: moved)
    found = degeneration_tables._on_random(arm, tests)
    assert found["pull_on_random"] == pytest.approx((0.5 + (0.25 - 0.1)) / 2)  # of the two seeds that have both
    assert found["pull_on_random_detectable"] > 0.0
    assert found["pull_beyond_reading_on_random"] is None


def test_pairs_that_did_not_rise_are_joined_by_no_line() -> None:
    after = np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.5], [0.1, 0.5, 1.0]])
    zeros = np.zeros((3, 3))
    pairs = Pairs(("lamp", "sofa", "toy chest"), zeros, zeros, np.full((3, 3), 0.5), after)
    assert risen_most(pairs, ["toy chest", "sofa", "lamp"]) == ((1, 2),)


def test_no_name_lies_on_another_in_the_words_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nouns = ("plate", "kitchen", "dish rack", "stove", "study", "sofa", "bin")
    apart = np.stack([np.arange(7.0), np.arange(7.0) % 3], 1)
    joined = tuple((0, number) for number in range(1, 7))
    words = Words(nouns, apart, np.zeros((7, 2)), joined, 0.5)  # which all come to one point
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    words_figure(Shown("drrn-top-k", 0, {"After": words}), "tidy-easy", tmp_path / "words.png")
    before, after = drawn[0].axes
    assert {text.get_text() for text in before.texts} == set(nouns)
    assert 1 <= len(after.texts) <= 4
    for axes in (before, after):
        boxes = [text.get_window_extent() for text in axes.texts]
        assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])


def test_the_words_figure_is_of_a_seed_that_most_rates_have(study: Path) -> None:
    arms = finished_arms(list(map(read_run, sorted((study / "runs").iterdir()))), "tidy-easy")
    shown = words_at_rates(arms)
    assert shown is not None
    assert (shown.method, shown.seed) == ("drrn-top-k", 0)
    assert list(shown.words) == ["After, at a rate of 0.0001", "After, at a rate of 0.1"]
    assert all(0.0 < words.share < 1.0 for words in shown.words.values())
    slow, fast = (arm for arm in arms if arm.trains)
    lacking = replace(slow, group=replace(slow.group, runs=slow.group.runs[1:]))
    shown = words_at_rates([lacking, fast])
    assert shown is not None
    assert shown.seed == 1


@pytest.mark.parametrize(
    ("methods", "rates", "line"),
    [
        (("drrn-top",), (1e-4,), "unknown method of tidy-easy 'drrn-top'"),
        ((), (), "rates none: give one or more above 0"),
        ((), (0.0, 1.0), "rates 0 1: give one or more above 0"),
        (("text-lamo",), (1e-4,), "'text-lamo' learns from recorded games; give a method that plays itself"),
    ],
)
def test_what_does_not_fit_is_one_line(methods: tuple[str, ...], rates: tuple[float, ...], line: str) -> None:
    with pytest.raises(UserError, match=line):
        arms(Wanted("tidy-easy", methods), rates)


def test_make_passes_rates_on_and_archives_after_a_failure_too() -> None:
    root = Path(__file__).resolve().parents[3]
    command = ["make", "--dry-run", "degeneration", "RATES=1e-4 1e-3", "METHODS=drrn-ewc"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=True)
    line = done.stdout.replace("\\\n", "")
    assert re.search(r"degeneration .* --rates 1e-4 1e-3 .* tidy-medium .* --methods drrn-ewc ", line)
    assert re.search(r"\|\| \{ status=\$\?; \S+ leaderboard --runs runs/degeneration .*; exit \$status; \}", line)


def test_a_game_that_there_is_not_is_one_line() -> None:
    with pytest.raises(UserError, match=r"'grid-relay' is no text game; give one, e\.g\. tidy-medium"):
        parse(["degeneration", "grid-relay"]).run()


def test_a_rate_of_the_profile_s_own_is_the_run_that_any_sweep_has(tiny_gpt2: Path) -> None:
    wanted = Wanted("tidy-easy", ("drrn-top-k",), (0,), choices={"lm": str(tiny_gpt2)})
    (plain,) = resolve.resolve(wanted)
    own_rate = plain.policy[degeneration.RATE]
    own, fast = arms(wanted, (10 * own_rate, own_rate))
    assert own.runs == (plain,)
    assert fast.runs[0].policy[degeneration.RATE] == 10 * own_rate
    assert fast.runs[0].profile == "cpu (changed)"


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
