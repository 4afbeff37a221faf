"""Standings and comparisons as CSV and as text."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...datasets.storage import write_rows, write_text
from ..terminal import table_lines, wrapped
from .aggregates import METRICS, Estimate
from .labels import label, with_named_model
from .measured import estimate_columns
from .power import Spread
from .standings import Comparison, Standing
from .statistics import known

TITLES = {"mean": "mean", "iqm": "IQM", "median": "median", "optimality_gap": "optimality gap"}
WHERE = ("profile", "source", "fraction", "datasets", "tasks")
AGGREGATE_COLUMNS = (
    *(*WHERE, "method", "lm", "variant", "seeds"),
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
)
COMPARISON_COLUMNS = (
    *(*WHERE, "method", "lm", "other", "other_lm", "pairs"),
    *(*(f"difference{end}" for end in ("", "_low", "_high")), "detectable"),
    *(f"probability{end}" for end in ("", "_low", "_high")),
)


def standing_rows(standings: Sequence[Standing]) -> list[dict[str, Any]]:
    """One row of `AGGREGATE_COLUMNS` each; data sets are parted by spaces."""
    return [
        _where(standing)
        | {"method": standing.method, "lm": standing.lm, "variant": standing.variant, "seeds": standing.seeds}
        | {
            key: value
            for metric in METRICS
            for key, value in estimate_columns(metric, standing.metrics[metric]).items()
        }
        for standing in standings
    ]


def comparison_rows(comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """One row of `COMPARISON_COLUMNS` each."""
    return [
        _where(met)
        | {"method": met.method, "lm": met.lm, "other": met.other, "other_lm": met.other_lm, "pairs": met.pairs}
        | estimate_columns("difference", met.difference)
        | {"detectable": known(met.spread.detectable)}
        | estimate_columns("probability", met.probability)
        for met in comparisons
    ]


def power_rows(comparisons: Sequence[Comparison], effect: float) -> list[dict[str, Any]]:
    """One row each: what it could have seen, and the pairs of each data set that would see `effect` (`power.py`).

    `_low` and `_high` are the same for both ends of the 95 % interval of the spread. Unknown numbers are None.
    """
    return [
        _where(met)
        | {"method": met.method, "lm": met.lm, "other": met.other, "other_lm": met.other_lm, "pairs": met.pairs}
        | estimate_columns("difference", met.difference)
        | _in_spread("detectable", met.spread, lambda spread: spread.detectable)
        | {"effect": effect}
        | _in_spread("pairs_needed", met.spread, lambda spread: spread.pairs_needed(effect))
        for met in comparisons
    ]


def write_aggregates(standings: Sequence[Standing], path: Path) -> None:
    """Write `standing_rows` as CSV, whole or not at all; what is unknown is left empty."""
    _write(path, AGGREGATE_COLUMNS, standing_rows(standings))


def write_comparisons(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write `comparison_rows` as CSV, whole or not at all: the header alone where LaMo met no other method."""
    _write(path, COMPARISON_COLUMNS, comparison_rows(comparisons))


def aggregates_table(standings: Sequence[Standing]) -> Iterator[str]:
    """A table for each pool of several data sets with two methods or more: every statistic with its interval."""
    pools: dict[tuple[Any, ...], list[Standing]] = {}
    for standing in standings:
        if len(standing.datasets) > 1:
            at = (standing.profile, standing.source, standing.fraction, standing.datasets)
            pools.setdefault(at, []).append(standing)
    for (profile, source, fraction, datasets), pool in pools.items():
        if len(pool) > 1:
            repeated = any(standing.seeds > 1 for standing in pool)
            subject = f"{len(datasets)} data sets at {100 * fraction:g} % ({source} data, {profile} profile)"
            subject = subject if source else f"{len(datasets)} tasks ({profile} profile)"
            title = f"{subject}{', with 95 % intervals' if repeated else ''}: {', '.join(datasets)}"
            named = with_named_model((standing.method, standing.lm) for standing in pool)
            rows = table_lines([_shown(standing, with_model=standing.method in named) for standing in pool])
            yield "\n".join([*wrapped(title), "", *rows])


def _shown(standing: Standing, *, with_model: bool) -> dict[str, str | int]:
    name = label(standing.method, standing.lm if with_model else "", standing.variant)
    numbers = {TITLES[metric]: _text(standing.metrics[metric]) for metric in METRICS}
    return {"method": name, "seeds": standing.seeds, **numbers}


def _text(estimate: Estimate) -> str:
    interval = "" if math.isnan(estimate.low) else f" [{estimate.low:.1f}, {estimate.high:.1f}]"
    return f"{estimate.value:.1f}{interval}"


def _where(row: Standing | Comparison) -> dict[str, Any]:
    datasets = " ".join(name.replace(" ", ":") for name in row.datasets)
    values = (row.profile, row.source, row.fraction, datasets, len(row.datasets))
    return dict(zip(WHERE, values, strict=True))


def _in_spread(name: str, spread: Spread, measure: Callable[[Spread], float]) -> dict[str, float | None]:
    low, high = spread.interval()
    return {f"{name}{end}": known(measure(at)) for end, at in {"": spread, "_low": low, "_high": high}.items()}


def _write(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        write_rows(path, rows)
    else:
        write_text(path, ",".join(columns) + "\n")
