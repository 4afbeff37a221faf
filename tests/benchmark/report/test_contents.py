import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.report.contents import Contents, anchor, own_values, provenance, read_contents
from lamobench.benchmark.report.page import render_page
from lamobench.benchmark.report.strips import read_strips
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.report.conftest import HOSTILE_DATASET

WriteRun = Callable[..., Path]


def test_a_page_a_data_set_and_every_run_once(contents: Contents) -> None:
    assert [page.dataset for page in contents.pages] == sorted(
        [HOSTILE_DATASET, "hopper-medium", "reacher2d-medium-large"]
    )
    assert sorted(page.runs for page in contents.pages) == [1, 12, 12]
    runs = [run.id for row in contents.rows for run in row.runs]
    assert len(runs) == len(set(runs)) == 25
    hopper = next(page for page in contents.pages if page.dataset == "hopper-medium")
    (setting,) = hopper.settings
    assert [(row.label, row.fraction) for row in setting.rows] == [
        *(("LaMo", 0.1), ("LaMo", 1.0)),
        *(("LaMo random", 0.1), ("LaMo random", 1.0)),
        *(("BC", 0.1), ("BC", 1.0)),
    ]
    assert [[run.config.seed for run in row.runs] for row in setting.rows] == [[0, 1]] * 6


def test_what_is_left_out_is_said(contents: Contents) -> None:
    (line,) = contents.left_out
    assert "-dt-" in line
    assert "unfinished" in line
    assert "start the same command again" in line


def test_sources_profiles_and_contents_are_settings_of_their_own(runs_root: Path, write_run: WriteRun) -> None:
    for changes in ({}, {"source": "minari"}, {"profile": "paper"}, {"dataset_hash": "b" * 64}):
        write_run([[1.0]], headline_evaluations=1, **changes)
    (page,) = read_contents(runs_root).pages
    found = [(setting.source, setting.profile, setting.dataset_hash[0]) for setting in page.settings]
    assert found == [
        ("minari", "cpu", "d"),
        ("recorded", "cpu", "b"),
        ("recorded", "cpu", "d"),
        ("recorded", "paper", "d"),
    ]
    assert len({setting.anchor for setting in page.settings}) == 4


def test_variants_are_rows_but_not_drawn(runs_root: Path, write_run: WriteRun) -> None:
    for seed in range(2):
        write_run([[1.0]], seed=seed, headline_evaluations=1)
    write_run([[2.0]], seed=0, headline_evaluations=1, policy={"hidden": 7}, data_seed=1)
    ((setting,),) = [page.settings for page in read_contents(runs_root).pages]
    assert [row.title for row in setting.rows] == ["BC", "BC (hidden=7)"]
    assert [row.title for row in setting.drawn] == ["BC"]
    assert setting.methods == [("bc", "BC")]
    assert setting.bases == {"BC": "hidden=256"}


def test_variants_are_in_the_order_of_their_numbers(runs_root: Path, write_run: WriteRun) -> None:
    for rate in (1.0, 0.001, 1e-5, 10.0, 9.0):
        write_run([[1.0]], headline_evaluations=1, policy={"learning_rate": rate})
    rates = [row.title.partition("=")[2].rstrip(")") for row in read_contents(runs_root).rows]
    assert rates == ["", "0.001", "1.0", "9.0", "10.0"]
    assert read_contents(runs_root).settings[0].bases == {"BC": "learning_rate=1e-05"}


def test_rows_that_differ_in_nothing_have_no_base_to_say(runs_root: Path, write_run: WriteRun) -> None:
    write_run([[1.0]], method="bc", headline_evaluations=1)
    write_run([[1.0]], method="dt", headline_evaluations=1, policy={"hidden": 7})
    ((setting,),) = [page.settings for page in read_contents(runs_root).pages]
    assert setting.bases == {}


def test_a_base_is_said_of_a_method_where_it_is_the_same_at_all_shares(runs_root: Path, write_run: WriteRun) -> None:
    for method, hidden in (("bc", 7), ("bc", 256), ("dt", 8), ("dt", 9)):
        write_run([[1.0]], method=method, fraction=0.5, headline_evaluations=1, policy={"hidden": hidden})
    ((setting,),) = [page.settings for page in read_contents(runs_root).pages]
    assert setting.bases == {"DT": "hidden=8", "BC": "hidden=7"}
    write_run([[1.0]], method="bc", fraction=1.0, headline_evaluations=1, policy={"hidden": 256})
    ((setting,),) = [page.settings for page in read_contents(runs_root).pages]
    assert setting.bases == {"DT": "hidden=8"}


def test_a_base_says_the_default_of_a_setting_that_came_later(runs_root: Path, write_run: WriteRun) -> None:
    for share in (0.1, 0.5):
        write_run([[1.0]], headline_evaluations=1, policy={"hidden": 256, "best_share": share})
    write_run([[1.0]], headline_evaluations=1)
    ((setting,),) = [page.settings for page in read_contents(runs_root).pages]
    assert setting.bases == {"BC": "best_share=1.0"}


def test_runs_that_have_no_mean_are_refused_and_the_others_shown(runs_root: Path, write_run: WriteRun) -> None:
    write_run([[1.0]], method="lamo", headline_evaluations=1)
    for data_seed in (3, 4):
        write_run([[1.0]], seed=0, data_seed=data_seed, headline_evaluations=1)
    found = read_contents(runs_root)
    assert [row.method for row in found.rows] == ["lamo"]
    (line,) = found.left_out
    assert "'bc'" in line
    assert "differ in data_seed" in line


def test_nothing_to_show_is_a_line(runs_root: Path, write_run: WriteRun) -> None:
    with pytest.raises(UserError, match="no runs in"):
        read_contents(runs_root)
    (write_run([[1.0]]) / "done.json").unlink()
    with pytest.raises(UserError, match="1 run, none of them finished"):
        read_contents(runs_root)


def test_what_runs_share_and_what_each_has_of_its_own(runs_root: Path, write_run: WriteRun) -> None:
    for seed in range(2):
        folder = write_run([[1.0]], seed=seed, headline_evaluations=1)
        done = json.loads((folder / "done.json").read_text())
        (folder / "done.json").write_text(json.dumps(done | {"device": f"gpu {seed}", "torch": "2.13.0"}))
    write_run([[1.0]], method="lamo", headline_evaluations=1, policy={"context": 20})
    row = next(row for row in read_contents(runs_root).rows if row.method == "bc")
    shared = provenance(row)
    own = [own_values(row, run) for run in row.runs]
    assert shared["policy.hidden"] == 256
    assert shared["batch_size"] == 64
    assert shared["dataset_hash"] == "d" * 64
    assert shared["simulator"] == "mujoco 3.3.0"
    assert "policy.context" not in {**shared, **own[0]}  # another method's
    assert [(values["seed"], values["device"], values["subset_hash"]) for values in own] == [
        (0, "gpu 0", "subset 0 at 0.1"),
        (1, "gpu 1", "subset 1 at 0.1"),
    ]
    assert all(values["torch"] == "2.13.0" for values in own)


def test_whole_numbers_stay_whole_beside_runs_that_lack_them(runs_root: Path, write_run: WriteRun) -> None:
    for seed in range(2):
        folder = write_run([[1.0]], seed=seed, headline_evaluations=1)
        done = json.loads((folder / "done.json").read_text()) | {"params_total": 1_481_218}
        (folder / "done.json").write_text(json.dumps(done | ({"cpus": 2, "device": "cpu"} if seed else {})))
    (write_run([[1.0]], seed=2, headline_evaluations=1) / "config.json").unlink()
    contents = read_contents(runs_root)
    assert contents.distinct("cpus") == ["2"]
    page = render_page(contents, read_strips(contents)[0])
    assert page.count("<dt>params_total</dt><dd>1481218</dd>") == 2
    assert page.count("<summary>seed 0: score ") == page.count("<summary>seed 1: score ") == 1


def test_anchors_are_plain_and_taken_once() -> None:
    taken: set[str] = set()
    names = ["Hopper medium", "hopper-medium", "<b>", "§", "hopper_medium"]
    assert [anchor(name, taken) for name in names] == [
        "hopper-medium",
        "hopper-medium-2",
        "b",
        "unnamed",
        "hopper-medium-3",
    ]
