from collections.abc import Callable
from pathlib import Path

from lamobench.benchmark.scores.collect import collect
from lamobench.benchmark.scores.leaderboard import leaderboard

WriteRun = Callable[..., Path]
SHORT = {"steps": 200, "evaluate_every": 50}
LONG = {"steps": 400, "evaluate_every": 100}
RETURNS = [[1.0, 1.0]] * 4  # as many evaluations as both have


def labels(root: Path) -> list[tuple[str, str, str, int]]:
    """Data set, method, variant and steps of each row."""
    rows = leaderboard(collect(root)).to_dict("records")
    return [(row["dataset"], row["method"], row["variant"], row["train_steps"]) for row in rows]


def test_runs_that_differ_in_several_settings_differ_in_all_of_them(runs_root: Path, write_run: WriteRun) -> None:
    """Equally many runs have either budget; neither row may have its label from one setting alone."""
    write_run(RETURNS, **SHORT)
    write_run(RETURNS, **LONG)
    assert labels(runs_root) == [
        ("reacher2d-medium-large", "bc", "", 200),
        ("reacher2d-medium-large", "bc", "evaluate_every=100, steps=400", 400),
    ]


def test_a_difference_has_one_label_in_every_row(runs_root: Path, write_run: WriteRun) -> None:
    """Long runs are more on two data sets, short ones on the third; over all groups long ones are more."""
    for method, dataset, short, long in (
        ("bc", "hopper-medium", 1, 3),
        ("bc", "pong-medium", 1, 2),
        ("bc", "reacher2d-medium", 2, 1),
        ("dt", "reacher2d-medium", 2, 1),
    ):
        for budget, seeds in ((SHORT, short), (LONG, long)):
            for seed in range(seeds):
                write_run(RETURNS, dataset=dataset, method=method, seed=seed, **budget)
    assert {(variant, steps) for _, _, variant, steps in labels(runs_root)} == {
        ("", 400),
        ("evaluate_every=50, steps=200", 200),
    }


def test_what_is_absent_or_smaller_is_the_base_of_as_many_runs(runs_root: Path, write_run: WriteRun) -> None:
    write_run(RETURNS, policy={"hidden": 1024})
    write_run(RETURNS, policy={"hidden": 256})
    write_run(RETURNS, method="dt", policy={"hidden": 256, "dropout": 0.1})
    write_run(RETURNS, method="dt", policy={"hidden": 256})
    assert [(method, variant) for _, method, variant, _ in labels(runs_root)] == [
        ("bc", ""),
        ("bc", "hidden=1024"),
        ("dt", ""),
        ("dt", "dropout=0.1"),
    ]
