"""`lamobench power`, on runs that were written without training."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lamobench.benchmark.scores.power import Spread
from lamobench.datasets.errors import UserError

WriteRun = Callable[..., Path]
Run = Callable[..., str]
LAMO = {"method": "lamo", "lm": "gpt2-mini"}


@pytest.fixture
def runs(runs_root: Path, write_run: WriteRun) -> Path:
    """LaMo 1, 2 and 3 points better than DT at three seeds, and 5 points better than BC at one."""
    for seed in range(3):
        write_run([[50.0 + seed] * 2] * 2, seed=seed, **LAMO)
        write_run([[49.0] * 2] * 2, seed=seed, method="dt")
    write_run([[45.0] * 2] * 2, seed=0, method="bc")
    return runs_root


def test_each_comparison_says_what_it_could_have_seen(runs: Path, typed: Run) -> None:
    dt, bc = json.loads(typed("power", "--runs", runs, "--effect", "4", "--json"))
    spread = Spread((1.0,), (3,))
    assert (dt["other"], dt["pairs"], dt["effect"]) == ("dt", 3, 4.0)
    assert dt["difference"] == pytest.approx(2.0)
    assert dt["detectable"] == pytest.approx(spread.detectable)
    assert dt["detectable_low"] == pytest.approx(0.5207 * spread.detectable, rel=1e-3)  # sqrt(2 / chi2(0.975; 2))
    assert dt["detectable_high"] == pytest.approx(6.285 * spread.detectable, rel=1e-3)
    assert dt["pairs_needed"] == spread.pairs_needed(4.0) == 3
    assert dt["pairs_needed_low"] < 4 < dt["pairs_needed_high"]
    assert (bc["other"], bc["pairs"], bc["detectable"], bc["pairs_needed"], bc["pairs_needed_high"]) == (
        *("bc", 1),
        *(None, None, None),
    )


def test_the_table_warns_of_what_few_pairs_know(runs: Path, typed: Run) -> None:
    lines = typed("power", "--runs", runs).splitlines()
    assert lines[0].split("  ")[0] == "data"
    assert lines[0].endswith("seeds to see 5")
    assert "LaMo against DT" in lines[1]
    assert "3.3 (1.7 to 20.5)" in lines[1]
    assert lines[2].split()[-3:] == ["+5.0", "-", "-"]
    assert any(line.startswith("of 2 or 3 pairs the spread is hardly known") for line in lines)
    assert any(line.startswith("-: ") for line in lines)


def test_enough_pairs_need_no_warning(runs_root: Path, write_run: WriteRun, typed: Run) -> None:
    rng = np.random.default_rng(0)
    for seed in range(5):
        for method in ("lamo", "dt"):
            write_run(rng.normal(50.0, 5.0, (2, 2)), seed=seed, method=method)
    output = typed("power", "--runs", runs_root)
    assert "hardly known" not in output
    assert "-: " not in output


def test_another_method_can_be_the_one_compared(runs: Path, typed: Run) -> None:
    assert [row["other"] for row in json.loads(typed("power", "--runs", runs, "--method", "dt", "--json"))] == ["bc"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--effect", "0"], "effect is 0; give a difference above 0"),
        (["--effect", "nan"], "effect is nan; give a difference above 0"),
        (["--method", "lamoo"], "unknown method 'lamoo'; did you mean 'lamo'"),
        (["--method", "td3-bc"], "no finished runs of 'td3-bc' and of another method on the same data"),
    ],
    ids=str,
)
def test_mistakes_get_one_line(runs: Path, typed: Run, options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        typed("power", "--runs", runs, *options)
