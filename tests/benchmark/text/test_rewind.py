"""Curves of runs that were taken back: what a small run comes to, and curves that are of no run."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.lm.adapters import Rewinding
from lamobench.benchmark.runs.meters import read_meters
from lamobench.benchmark.runs.stages import read_stages
from lamobench.benchmark.text import rewind
from lamobench.benchmark.text.config import TextConfig
from lamobench.benchmark.text.meters import probes_of
from lamobench.benchmark.text.rewind import ALPHAS, read_curve, read_rewind
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.text.conftest import Tiny, few, train

FILES = ("rewind.csv", "rewind_episodes.csv")


@pytest.fixture(autouse=True)
def _few_probes_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewind, "probes_of", lambda task: few(probes_of(task)))


@pytest.fixture
def config(tiny: Tiny) -> TextConfig:
    """A run of three parts, two of them of the games that it learns from."""
    return tiny("drrn-top-k", encoder_learning_rate=0.1, update_every=2)


@pytest.fixture
def run(config: TextConfig, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A copy of it, trained and taken back."""
    kept = tmp_path_factory.getbasetemp() / "taken_back" / config.id
    if not kept.exists():
        rewind.rewind(train(config, kept.parent), config)
    return Path(shutil.copytree(kept, tmp_path / config.id))


def test_at_alpha_1_every_bit_is_the_run_s(run: Path, config: TextConfig) -> None:
    curve = read_curve(run, config)
    assert curve.alphas.tolist() == list(ALPHAS)
    stages = read_stages((run / "stages.csv").read_bytes())
    ended = stages[(stages[:, 0] == config.steps) & (stages[:, 1] < 2)]
    np.testing.assert_array_equal(curve.episodes[-1], ended)
    _, meters = read_meters((run / "meters.csv").read_bytes())
    for name, values in meters.items():
        assert curve.meters[name][[0, -1]].tolist() == values[[0, -1]].tolist()
    assert curve.meters["weight_change"][0] == 0.0 < curve.meters["weight_change"][1]


def test_shares_are_means_over_the_episodes(run: Path) -> None:
    columns = read_rewind(run)
    assert list(columns)[:3] == ["alpha", "train/orig", "train/paraphrase"]
    for part, name in enumerate(list(columns)[1:3]):
        returns = [
            float(line.split(",")[6])
            for line in (run / "rewind_episodes.csv").read_text().splitlines()
            if line.startswith(f"0.5,30,{part},")
        ]
        assert columns[name][2] == np.mean(returns)


def test_a_curve_that_is_the_run_s_stays_and_one_that_was_cut_short_is_measured_again(
    run: Path, config: TextConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [(run / name).read_bytes() for name in FILES]
    (run / FILES[0]).unlink()
    rewind.rewind(run, config)
    assert [(run / name).read_bytes() for name in FILES] == before
    monkeypatch.setattr(rewind, "build_agent", None)
    rewind.rewind(run, config)
    assert [(run / name).read_bytes() for name in FILES] == before


def changed(path: Path, start: str, column: str, value: str) -> None:
    """Write a value in a column of the first row that starts so."""
    lines = path.read_text().splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith(start))
    cells = lines[place].split(",")
    cells[lines[0].split(",").index(column)] = value
    lines[place] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "start", "column", "value", "line"),
    [
        ("rewind_episodes.csv", "1.0,30,1,", "return", "0.987", "episodes at alpha 1 are not those of the last eval"),
        ("rewind_episodes.csv", "1.0,30,0,", "length", "3", "episodes at alpha 1 are not those of the last evaluation"),
        ("rewind_episodes.csv", "0.5,30,1,", "episode", "1", "must hold 1 episodes of each view at each alpha"),
        ("rewind.csv", "1.0,", "cka_nouns", "0.5", "cka_nouns at alpha 1 is 0.5, in meters.csv"),
        ("rewind.csv", "0.0,", "weight_change", "0.5", "weight_change at alpha 0 is 0.5, in meters.csv 0"),
        ("rewind.csv", "0.25,", "wordnet", "nan", "rows that are not .* finite numbers"),
    ],
)
def test_a_curve_that_is_not_the_run_s_gets_a_line(
    name: str, start: str, column: str, value: str, line: str, run: Path, config: TextConfig
) -> None:
    changed(run / name, start, column, value)
    with pytest.raises(UserError, match=f"{line}.*; delete .*, and it is measured again"):
        rewind.rewind(run, config)


@pytest.mark.parametrize(("name", "column"), [("rewind.csv", "wordnet"), ("meters.csv", "cka_nouns")])
def test_a_curve_of_other_meters_gets_a_line(name: str, column: str, run: Path, config: TextConfig) -> None:
    path = run / name
    path.write_text(path.read_text().replace(column, "other", 1))
    with pytest.raises(UserError, match="other" if name == "rewind.csv" else "meters.csv was changed after the run"):
        rewind.rewind(run, config)


def test_a_run_that_doesn_t_come_to_its_last_evaluation_gets_a_line(
    run: Path, config: TextConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        (run / name).unlink()
    monkeypatch.setattr(Rewinding, "to", lambda self, alpha: None)  # so at 0 it is what it became
    with pytest.raises(
        UserError, match=r"is not what it was: its cka_glosses at alpha 0 .*; take it back where it was"
    ):
        rewind.rewind(run, config)
    assert not any((run / name).exists() for name in FILES)


@pytest.mark.parametrize("alphas", [(0.5, 1.0), (0.0, 0.5), (0.0, 0.5, 0.5, 1.0), (1.0, 0.0)])
def test_alphas_rise_from_0_to_1(alphas: tuple[float, ...], tmp_path: Path, config: TextConfig) -> None:
    with pytest.raises(UserError, match=r"alphas .*: give numbers that rise from 0 to 1"):
        rewind.rewind(tmp_path, config, alphas)


def test_what_has_no_curve_or_no_meters_gets_a_line(run: Path, config: TextConfig) -> None:
    (run / "meters.csv").unlink()
    with pytest.raises(UserError, match=r"can't be taken back: meters.csv is missing; train it again"):
        rewind.rewind(run, config)
    (run / "rewind.csv").unlink()
    with pytest.raises(UserError, match=r"can't be used \(rewind.csv is missing\); delete rewind.csv"):
        read_rewind(run)
