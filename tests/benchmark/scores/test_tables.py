from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from lamobench.benchmark.scores.collect import collect
from lamobench.benchmark.scores.leaderboard import leaderboard
from lamobench.benchmark.scores.tables import FAR_BELOW, as_markdown, as_table

WriteRun = Callable[..., Path]


def row(method: str, mean: float, reach: float, **changes: object) -> dict[str, object]:
    """A leaderboard row with the columns that a table shows."""
    shown = {"dataset": "toy", "source": "recorded", "profile": "cpu", "dataset_hash": "0123456789", "fraction": 0.1}
    shown |= {"episodes_in_subset": 5, "method": method, "lm": "", "variant": "", "seeds": 3, "score_mean": mean}
    shown |= {"seeds_below_gap": 0, "paper_score": None}
    shown |= {"corl_score": None, "rerun_score": None, "comparison": "nothing published"}
    return shown | {"ci_low": mean - reach, "ci_high": mean + reach} | changes


def test_table_of_real_runs(runs_root: Path, write_run: WriteRun) -> None:
    for method, score in (("dt", 10.0), ("lamo", 20.0), ("bc", 30.0)):
        for seed in range(3):
            write_run([[score, score]] * 2, method=method, seed=seed)
    assert as_table(leaderboard(collect(runs_root))) == (
        "reacher2d-medium-large (recorded data dddddddd, cpu profile, 3 seeds): score, 0 to 100, with 95 %\n"
        "interval\n\n"
        "method  10 % (50 episodes)\n"
        "LaMo    20.0 [20.0, 20.0]\n"
        "DT      10.0 [10.0, 10.0]\n"
        "BC      30.0 [30.0, 30.0] *\n\n"
        "* clearly best: its interval lies above every other one in its column"
    )


def test_one_seed_is_promised_no_interval() -> None:
    frame = pd.DataFrame([row("bc", 30.0, float("nan"), seeds=1), row("dt", 20.0, float("nan"), seeds=1)])
    assert as_table(frame) == (
        "toy (recorded data 01234567, cpu profile, 1 seed): score, 0 to 100\n\n"
        "method  10 % (5 episodes)\n"
        "DT      20.0\n"
        "BC      30.0\n\n"
        "one seed has no interval: none is clearly best"
    )


def test_variants_are_named_beside_the_method() -> None:
    frame = pd.DataFrame([row("lamo", 30.0, 1.0), row("lamo", 20.0, 1.0, variant="adaptation=full", lm="gpt2")])
    lines = as_table(frame).splitlines()
    assert lines[3].startswith("LaMo                    30.0 ")
    assert lines[4].startswith("LaMo (adaptation=full)  20.0 ")


def test_markdown() -> None:
    frame = pd.DataFrame([row("bc", 30.0, 1.0), row("dt", 20.0, 1.0), row("dt", 5.0, 1.0, fraction=1.0)])
    assert as_markdown(frame).splitlines() == [
        "**toy (recorded data 01234567, cpu profile, 3 seeds): score, 0 to 100, with 95 % interval**",
        "",
        "| method | 10 % (5 episodes) | 100 % (5 episodes) |",
        "|---|---|---|",
        "| DT | 20.0 [19.0, 21.0] | 5.0 [4.0, 6.0] |",
        "| BC | **30.0 [29.0, 31.0]** |  |",
        "",
        "Bold: clearly best: its interval lies above every other one in its column.",
    ]


@pytest.mark.parametrize(
    ("rows", "marked"),
    [
        ([row("bc", 30.0, 4.0), row("dt", 20.0, 5.0)], True),  # 26 above 25
        ([row("bc", 30.0, 6.0), row("dt", 20.0, 5.0)], False),  # 24 below 25
        ([row("bc", 30.0, 1.0)], False),  # alone
        ([row("bc", 30.0, float("nan"), seeds=1), row("dt", 20.0, 1.0)], False),  # one seed proves nothing
        ([row("bc", 30.0, 1.0), row("dt", 20.0, float("nan"), seeds=1)], False),
    ],
)
def test_best_is_marked_only_when_its_interval_is_clear(rows: list[dict[str, object]], marked: bool) -> None:
    table = as_table(pd.DataFrame(rows))
    markdown = as_markdown(pd.DataFrame(rows))
    assert ("] *" in table) == ("**30.0" in markdown) == marked
    assert ("none is clearly best" in table) == ("none is clearly best" in markdown) == (not marked)


def test_seeds_stand_in_the_cells_when_they_differ() -> None:
    frame = pd.DataFrame([row("bc", 30.0, 1.0), row("dt", 20.0, float("nan"), seeds=1)])
    assert "30.0 [29.0, 31.0] n=3" in as_table(frame)
    assert "DT      20.0 n=1" in as_table(frame)


def test_seeds_far_below_the_others_are_counted_in_their_cell_and_explained() -> None:
    rows = [row("bc", 50.0, 90.0, seeds_below_gap=1), row("dt", 20.0, 1.0, seeds=5), row("dt", 9.0, 9.0, fraction=1.0)]
    table = as_table(pd.DataFrame(rows))
    markdown = as_markdown(pd.DataFrame(rows))
    assert "BC      50.0 [-40.0, 140.0] !1 n=3\n" in table
    assert table.endswith(f"\n!1: {FAR_BELOW}")
    assert "| 50.0 [-40.0, 140.0] !1 n=3 |  |\n" in markdown
    assert markdown.endswith(f"none is clearly best. !1: {FAR_BELOW}.\n")
    both = as_table(pd.DataFrame([*rows, row("cql", 50.0, 90.0, seeds_below_gap=2, comparison="not comparable: why")]))
    assert both.splitlines()[-2] == f"!1, !2: {FAR_BELOW}"
    assert both.endswith("not comparable with published ones: why")
    assert "!" not in as_table(pd.DataFrame(rows[1:]))


def test_models_stand_in_the_title_or_beside_the_method() -> None:
    one = pd.DataFrame([row("lamo", 1.0, 1.0, lm="gpt2"), row("bc", 1.0, 1.0)])
    assert "cpu profile, gpt2, 3 seeds" in as_table(one)
    two = pd.DataFrame([row("lamo", 1.0, 1.0, lm="gpt2"), row("lamo", 1.0, 1.0, lm="gpt2-medium")])
    assert "LaMo (gpt2)  " in as_table(two)
    assert "LaMo (gpt2-medium)  " in as_table(two)


def test_other_sources_profiles_and_contents_get_tables_of_their_own() -> None:
    rows = [row("bc", 1.0, 1.0), row("bc", 1.0, 1.0, source="d4rl"), row("bc", 1.0, 1.0, profile="paper")]
    rows.append(row("bc", 1.0, 1.0, dataset_hash="another recording"))
    assert as_markdown(pd.DataFrame(rows)).count("| method |") == 4


def test_unknown_methods_come_last_under_their_own_name() -> None:
    lines = as_table(pd.DataFrame([row("anything", 1.0, 1.0), row("bc", 1.0, 1.0)])).splitlines()
    assert [line.split()[0] for line in lines if "[" in line] == ["BC", "anything"]


def test_wide_tables_are_split_to_fit_the_terminal() -> None:
    fractions = (0.005, 0.01, 0.1, 0.2, 0.5, 1.0)
    rows = [row("lamo-permuted", -123.4, 456.7, fraction=fraction, paper_score=473.4) for fraction in fractions]
    table = as_table(pd.DataFrame(rows))
    assert max(len(line) for line in table.splitlines()) <= 100
    assert all(f"{100 * fraction:g} % (5 episodes)" in table for fraction in fractions)
    assert table.count("-123.4 [-580.1, 333.3] (paper 473.4)") == 6


def test_published_scores_stand_in_the_cells() -> None:
    beside = {"paper_score": 61.6, "corl_score": 59.08, "rerun_score": None, "comparison": "comparable"}
    table = as_table(
        pd.DataFrame([row("cql", 60.0, 1.0, **beside), row("lamo", 70.0, 1.0, **beside | {"rerun_score": 46.73})])
    )
    assert "CQL     60.0 [59.0, 61.0] (paper 61.6, CORL 59.1)" in table
    assert "LaMo    70.0 [69.0, 71.0] (paper 61.6, CORL 59.1, rerun 46.7) *" in table
    assert "comparable" not in table


def test_what_is_not_comparable_says_why_below_its_table() -> None:
    why = "not comparable: source recorded instead of d4rl; profile cpu instead of paper"
    rows = [
        row("cql", 60.0, 1.0, comparison=why),
        row("bc", 70.0, 1.0, comparison=f"{why}; language model a instead of b"),
    ]
    expected = (
        "scores are not comparable with published ones: source recorded instead of d4rl; profile cpu instead of paper; "
        "language model a instead of b"
    )
    assert as_table(pd.DataFrame(rows)).replace("\n", " ").endswith(expected)
    assert as_markdown(pd.DataFrame(rows)).endswith(f" S{expected[1:]}.\n")


def test_rows_without_a_published_score_are_set_apart_from_those_with_one() -> None:
    why = "not comparable: language model gpt2-mini instead of gpt2"
    rows = [row("cql", 60.0, 1.0, comparison="comparable", paper_score=61.6), row("lamo", 70.0, 1.0, comparison=why)]
    table = as_table(pd.DataFrame([*rows, row("bc", 1.0, 1.0)]))
    assert "scores without a published one are not comparable with published ones: language model gpt2-mini" in table


def test_published_scores_on_little_data_say_how_their_episodes_were_drawn() -> None:
    beside = {"dataset": "hopper-medium", "paper_score": 61.6, "comparison": "comparable"}
    rows = [row("lamo", 60.0, 1.0, **beside), row("dt", 50.0, 1.0, **beside), row("cql", 40.0, 1.0, **beside)]
    kept = "theirs are int(share x N) of the N episodes that were kept of the file"
    expected = (
        f"episodes of a share, LaMo, DT: {kept}, less the best of those, ours, where uniform, round(share x N); "
        f"episodes of a share, CQL: {kept}, ours, where uniform, round(share x N)"
    )
    table = as_table(pd.DataFrame(rows))
    assert table.replace("\n", " ").endswith(expected)
    assert max(map(len, table.splitlines())) <= 100
    assert as_markdown(pd.DataFrame(rows)).endswith(f" E{expected[1:]}.\n")
    on_all = [one | {"fraction": 1.0} for one in rows]
    alone = [one | {"paper_score": None} for one in rows]
    assert not any("share" in as_table(pd.DataFrame(other)) for other in (on_all, alone))
