"""Tests of which published numbers stand beside which rows."""

import math
from typing import Any

import pytest

from lamobench.benchmark.scores.comparable import COLUMN_NAMES, obstacles, published_columns, published_for, remarks
from lamobench.benchmark.scores.reported import published_scores

HOPPER = {"dataset": "hopper-medium", "source": "d4rl", "fraction": 0.005, "method": "dt", "lm": "", "profile": "paper"}
LAMO = HOPPER | {"method": "lamo", "lm": "gpt2"}
KITCHEN = LAMO | {"dataset": "kitchen-complete", "fraction": 0.3, "source": "d4rl-legacy", "lm": "gpt2-medium"}
PARTIAL = KITCHEN | {"dataset": "kitchen-partial", "fraction": 1.0}
BREAKOUT = LAMO | {"dataset": "breakout-medium", "source": "dqn_replay", "fraction": 0.1}


@pytest.mark.parametrize(
    ("row", "score", "std"),
    [
        (HOPPER, 35.8, 6.6),
        (LAMO, 57.0, 7.1),
        (LAMO | {"method": "lamo-initialised"}, 43.5, 2.8),
        (LAMO | {"method": "wiki-rl"}, 49.9, 5.0),
        (HOPPER | {"dataset": "hopper-medium-expert", "fraction": 1.0}, 107.6, math.nan),
        (KITCHEN, 45.9, 2.9),  # of the usual metric, not of the three best checkpoints
        (PARTIAL, 46.6, 5.3),
        (BREAKOUT, 136.9, 91.1),
        (BREAKOUT | {"method": "discrete-cql", "lm": ""}, 58.1, 19.8),
    ],
)
def test_the_paper_s_score_is_that_of_the_same_cell(row: dict[str, Any], score: float, std: float) -> None:
    columns = published_columns(row)
    assert (columns["paper_score"], columns["paper_std"]) == pytest.approx((score, std), nan_ok=True)
    assert columns["comparison"] == "comparable"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (HOPPER | {"source": "recorded"}, "source recorded instead of d4rl"),
        (HOPPER | {"source": "minari"}, "source minari instead of d4rl"),
        (HOPPER | {"source": "d4rl-legacy"}, "source d4rl-legacy instead of d4rl"),
        (HOPPER | {"profile": "cpu"}, "profile cpu instead of paper"),
        (HOPPER | {"profile": "paper (changed)"}, "profile paper (changed) instead of paper"),
        (HOPPER | {"profile": "paper (legacy best-target)"}, "profile paper (legacy best-target) instead of paper"),
        (LAMO | {"lm": "gpt2-medium"}, "language model gpt2-medium instead of gpt2"),
        (LAMO | {"lm": "gpt2-mini"}, "language model gpt2-mini instead of gpt2"),
        (KITCHEN | {"source": "d4rl"}, "source d4rl instead of d4rl-legacy"),
        (PARTIAL | {"lm": "gpt2"}, "language model gpt2 instead of gpt2-medium"),
        (PARTIAL | {"method": "lamo-initialised"}, "which size of GPT-2 this was is not said"),
        (BREAKOUT | {"source": "recorded"}, "source recorded instead of dqn_replay"),
        (HOPPER | {"dataset": "reacher2d-medium", "fraction": 0.1}, "their Reacher2d data was never published"),
        (
            BREAKOUT | {"method": "dt", "lm": ""},
            "a network of 3 layers with 1 head and width 768 instead of 6 with 8 heads and width 128",
        ),
        (BREAKOUT | {"dataset": "qbert-medium"}, "target return 14000 instead of 2500"),
        (BREAKOUT | {"dataset": "qbert-medium", "method": "wiki-rl"}, "target return 14000 instead of 2500"),
        (KITCHEN | {"method": "cql", "lm": ""}, "its settings in the kitchen are not published"),
        (KITCHEN | {"method": "iql", "lm": ""}, "its settings in the kitchen are not published"),
        (
            BREAKOUT | {"dataset": "freeway-medium"},
            "neither settings nor reference scores are published for this game",
        ),
        (
            HOPPER | {"dataset": "ant-medium"},
            "neither settings nor the target return are published for Ant",
        ),
        (
            HOPPER | {"source": "recorded", "profile": "cpu"},
            "source recorded instead of d4rl; profile cpu instead of paper",
        ),
    ],
)
def test_what_stands_in_the_way_is_named(row: dict[str, Any], reason: str) -> None:
    columns = published_columns(row)
    assert columns["comparison"] == f"not comparable: {reason}"
    assert all(math.isnan(columns[f"{name}_score"]) for name in COLUMN_NAMES.values())


@pytest.mark.parametrize(
    "row",
    [
        LAMO | {"method": "lamo-random"},
        LAMO | {"method": "lamo-permuted"},
        HOPPER | {"fraction": 0.2},
        HOPPER | {"method": "rebrac"},
        HOPPER | {"dataset": "seaquest-medium", "fraction": 1.0},
        HOPPER | {"dataset": "somebody-s-own"},
    ],
)
def test_where_nothing_is_published_nothing_is_in_the_way(row: dict[str, Any]) -> None:
    assert published_for(row) == ()
    assert published_columns(row)["comparison"] == "nothing published"


def test_other_papers_need_the_same_data_and_the_same_training() -> None:
    row = HOPPER | {"fraction": 1.0, "method": "iql"}
    assert published_columns(row)["corl_score"] == 67.53
    assert math.isnan(published_columns(row | {"source": "recorded"})["corl_score"])
    in_the_way = {p.paper: obstacles(row | {"method": "dt"}, p) for p in published_for(row | {"method": "dt"})}
    assert in_the_way == {
        "lamo": (),
        "corl": ("batches of 4096 at a learning rate of 8e-4 instead of 64 at 1e-4",),
    }


def test_of_the_rerun_only_runs_without_language_loss_are_comparable() -> None:
    row = LAMO | {"fraction": 1.0}
    rerun = {p.variant: (p.score, obstacles(row, p)) for p in published_for(row) if p.paper == "lamo-rerun"}
    assert rerun == {
        "": (46.73, ()),
        "language loss": (46.04, ("with the language loss, which the paper profile leaves out",)),
    }


def test_every_published_number_can_be_met_or_says_why_not() -> None:
    """Each score with the right data, profile and language model is comparable unless its own row rules it out."""
    for (dataset, fraction, method), scores in published_scores().items():
        source = {"kitchen": "d4rl-legacy"}.get(dataset.split("-")[0], "d4rl")
        if dataset.split("-")[0] in ("breakout", "qbert", "pong", "freeway", "asterix"):
            source = "dqn_replay"
        for published in scores:
            row = {"dataset": dataset, "fraction": fraction, "method": method, "source": source, "lm": published.lm}
            assert obstacles(row | {"profile": "paper"}, published) == tuple(filter(None, [published.not_comparable]))


DRAWN = "theirs are int(share x N) of the N episodes that were kept of the file, ours, where uniform, round(share x N)"
LESS_BEST = DRAWN.replace(", ours", ", less the best of those, ours", 1)
BY_LENGTH = "episodes were drawn in proportion to their lengths"
DETERMINISTIC = "its baselines are CORL's, whose actor is deterministic here"
FRACTION = "whether all episodes were cloned or the best tenth is not said"
ALL = HOPPER | {"fraction": 1.0}


@pytest.mark.parametrize(
    ("row", "paper", "expected"),
    [
        (HOPPER, "lamo", (LESS_BEST,)),
        (LAMO, "lamo", (LESS_BEST,)),
        (HOPPER | {"method": "cql"}, "lamo", (DRAWN,)),
        (HOPPER | {"method": "iql"}, "lamo", (DETERMINISTIC, DRAWN)),
        (HOPPER | {"method": "bc"}, "lamo", (FRACTION, DRAWN)),
        (BREAKOUT, "lamo", (BY_LENGTH, DRAWN)),
        (ALL | {"method": "lamo", "lm": "gpt2", "fraction": 0.1}, "lamo-logs", (LESS_BEST,)),
        (ALL, "lamo", ()),
        (ALL | {"method": "bc"}, "lamo", (FRACTION,)),
        (ALL | {"method": "bc"}, "corl", ()),
        (ALL | {"method": "iql"}, "corl", ("its actor is deterministic here",)),
        (ALL | {"dataset": "walker2d-medium", "method": "iql"}, "corl", ()),
        (
            ALL | {"dataset": "halfcheetah-medium", "method": "bc-10"},
            "corl",
            ("the tenth is chosen from pieces of 1000 steps that are cut across episodes of 999",),
        ),
    ],
)
def test_what_is_comparable_with_a_difference_says_so(
    row: dict[str, Any], paper: str, expected: tuple[str, ...]
) -> None:
    (published,) = (score for score in published_for(row) if score.paper == paper)
    assert obstacles(row, published) == ()
    assert remarks(row, published) == expected
