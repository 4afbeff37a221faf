"""Published scores beside our rows: each as it stands where it is comparable, else marked, with what is in the way."""

import math
from typing import Any

import pandas as pd

from ..scores.comparable import COLUMN_NAMES, obstacles, published_for
from ..scores.compare import compare_published
from ..scores.reported import Published, papers
from .contents import Row, Setting
from .marks import signed


def published_beside(row: Row) -> list[dict[str, Any]]:
    """The published scores of a row's data set, share and method: `text`, `by`, `score` and whether it is `comparable`.

    Those that are comparable, if there is one, else those of the papers that the leaderboard has columns for.
    """
    every = [(published, not obstacles(row.values, published)) for published in published_for(row.values)]
    shown = [pair for pair in every if pair[1]] or [p for p in every if p[0].paper in COLUMN_NAMES and not p[0].variant]
    return [
        {
            "text": _text(published),
            "by": papers()[published.paper].title,
            "score": published.score,
            "comparable": comparable,
        }
        for published, comparable in shown
    ]


def published_rows(setting: Setting) -> list[dict[str, Any]]:
    """All published scores beside those of a setting, comparable ones first; none for variants.

    Each is a row of `compare_published` with the `title` of ours.
    """
    rows = [row for row in setting.rows if not row.variant]
    found = [line | {"title": row.title} for row in rows for line in compare_published(pd.DataFrame([row.values]))]
    return sorted(found, key=lambda line: not line["comparable"])


def _text(published: Published) -> str:
    spread = "" if math.isnan(published.std) else f" ±{published.std:.1f}"
    return signed(published.score) + spread
