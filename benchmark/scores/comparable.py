"""Published scores that a leaderboard row may be set beside, and what stands in the way of the others."""

import math
from collections.abc import Mapping
from typing import Any

from ...datasets.entries import DATASETS, Minari, Recorded
from ...datasets.tasks import TASKS
from ..runs.methods import look_up
from .reported import Published, published_scores

# The papers that the leaderboard has columns for, and what their columns are called. `lamobench compare` has them all.
COLUMN_NAMES = {"lamo": "paper", "corl": "corl", "lamo-rerun": "rerun"}
COMPARABLE = "comparable"
NOT_COMPARABLE = "not comparable: "
NOTHING_PUBLISHED = "nothing published"


def published_for(row: Mapping[str, Any]) -> tuple[Published, ...]:
    """Every published score of the row's data set, fraction and method; empty if there is none."""
    return published_scores().get((row["dataset"], float(row["fraction"]), row["method"]), ())


def obstacles(row: Mapping[str, Any], published: Published) -> tuple[str, ...]:
    """Reasons why the row's score may not be set beside a published one, a phrase each; empty if it may.

    It may where data source, budget and settings (the unchanged profile "paper") and language model are those of the
    published run, and the published number is a score in this suite's sense. `row` needs the columns `dataset`,
    `source`, `profile` and `lm` of a leaderboard.
    """
    found = [published.not_comparable] if published.not_comparable else []
    source = _published_source(row["dataset"])
    if source and row["source"] != source:
        found.append(f"source {row['source']} instead of {source}")
    if row["profile"] != "paper":
        found.append(f"profile {row['profile']} instead of paper")
    if published.lm and row["lm"] != published.lm:
        found.append(f"language model {row['lm'] or 'none'} instead of {published.lm}")
    return tuple(found)


def remarks(row: Mapping[str, Any], published: Published) -> tuple[str, ...]:
    """Phrases that say what to know where the row's score stands beside a published one; empty if nothing is."""
    return tuple(filter(None, (published.note, drawn_otherwise(row))))


def drawn_otherwise(row: Mapping[str, Any]) -> str:
    """The number of episodes that LaMo's published code draws where ours draws others, as text; "" on all of the data.

    `ratio_dataset.py` draws from the episodes that the reader kept of the file, and `experiment.py:112,134-144`, which
    only its own methods go through, drops the best of those; on Atari nothing is dropped (`buffer.py:41-49`).
    """
    if row["fraction"] >= 1.0 or row["dataset"] not in DATASETS:
        return ""
    atari = TASKS[DATASETS[row["dataset"]].task].frame_stack
    best = ", less the best of those" if look_up(row["method"]).context and not atari else ""
    theirs = f"theirs are int(share x N) of the N episodes that were kept of the file{best}"
    return f"{theirs}, ours, where uniform, round(share x N)"


def published_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of a leaderboard row for the published scores: `NAME_score` and `NAME_std` of each of `COLUMN_NAMES`, NaN
    where they are not comparable or not there, and `comparison`.

    `comparison` is "comparable" where one score of these papers is, "nothing published" where there is none, else "not
    comparable: " and what stands in the way of those that could be.
    """
    names = COLUMN_NAMES.values()
    columns: dict[str, Any] = {f"{name}_{part}": math.nan for name in names for part in ("score", "std")}
    scores = [published for published in published_for(row) if published.paper in COLUMN_NAMES]
    comparable = [published for published in scores if not obstacles(row, published)]
    for published in comparable:
        name = COLUMN_NAMES[published.paper]
        columns |= {f"{name}_score": published.score, f"{name}_std": published.std}
    if comparable or not scores:
        return columns | {"comparison": COMPARABLE if comparable else NOTHING_PUBLISHED}
    usual = [published for published in scores if not published.not_comparable] or scores
    reasons = dict.fromkeys(reason for published in usual for reason in obstacles(row, published))
    return columns | {"comparison": NOT_COMPARABLE + "; ".join(reasons)}


def _published_source(dataset: str) -> str:
    """The source whose data all papers trained on; "" for data that was never published.

    In the kitchen that is the one with the stored rewards, as LaMo's code reads them.
    """
    if dataset not in DATASETS:
        return ""
    public = [source for source in DATASETS[dataset].sources if not isinstance(source, Recorded | Minari)]
    return public[-1].name if public else ""
