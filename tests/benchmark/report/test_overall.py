"""Tests of results over all data sets: which comparison stands in which line."""

from pathlib import Path

from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.report.overall import comparison_lines, overall
from lamobench.tests.benchmark.conftest import write_run


def test_every_language_model_of_lamo_has_a_line_and_a_figure_of_its_own(tmp_path: Path) -> None:
    rows = [("lamo", "gpt2-mini"), ("lamo", "gpt2-mini-markov"), ("lamo-random", "gpt2-mini"), ("dt", "")]
    for dataset, task in {"reacher2d-medium-large": "reacher2d", "hopper-medium": "hopper"}.items():
        for method, model in rows:
            for seed in range(2):
                about = {"dataset": dataset, "task": task, "method": method, "seed": seed}
                write_run(
                    tmp_path, [[1.0, 2.0 + seed]], headline_evaluations=1, **about, **({"lm": model} if model else {})
                )
    found = overall(read_contents(tmp_path).runs)
    lines = comparison_lines(found.single)
    assert [title for _, title, _ in lines] == [
        "LaMo, random weights (LaMo: gpt2-mini)",
        "DT (LaMo: gpt2-mini)",
        "DT (LaMo: gpt2-mini-markov)",
    ]
    assert [[comparison.lm for comparison in line] for _, _, line in lines[1:]] == [
        ["gpt2-mini"] * 2,
        ["gpt2-mini-markov"] * 2,
    ]
    assert [tally.title for tally in found.tallies] == [title for _, title, _ in lines]
    titles = [chart.title for _, charts in found.blocks[0].at_shares for chart in charts]
    assert titles[-2:] == [
        "Probability that LaMo (gpt2-mini) does better than…",
        "Probability that LaMo (gpt2-mini-markov) does better than…",
    ]
