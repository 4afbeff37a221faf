"""Results over all data sets: LaMo against each other method, aggregates over data sets, performance profiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..scores.aggregates import Estimate
from ..scores.held_out import REFERENCE
from ..scores.labels import label, method_order, short_label, titles_of, with_named_model
from ..scores.run import FinishedRun
from ..scores.standings import Comparison, Pool, Standing, comparisons, pools, profiles, standings
from . import charts, marks
from .contents import Setting, anchor

METRIC_TITLES = {"iqm": "IQM", "median": "Median", "mean": "Mean", "optimality_gap": "Optimality gap (lower is better)"}
THRESHOLDS = 31  # of a performance profile


@dataclass(frozen=True)
class Tally:
    """Counts of settings, a data set at a share of it each, in which LaMo is better than another method, or worse."""

    method: str
    title: str
    better: int
    worse: int
    unclear: int

    @property
    def settings(self) -> int:
        """The number of settings that have both."""
        return self.better + self.worse + self.unclear


@dataclass(frozen=True)
class Block:
    """Several data sets that the same methods were run on."""

    anchor: str
    profile: str
    source: str
    datasets: list[str]
    methods: list[tuple[str, str]]
    over_shares: list[charts.Chart]  # one, or none where there is a single share
    at_shares: list[tuple[float, list[charts.Chart]]]


@dataclass(frozen=True)
class Overall:
    """Results over several data sets, for the overview, and LaMo's comparisons on each."""

    tallies: list[Tally]
    blocks: list[Block]
    single: list[Comparison]  # LaMo against another method on one data set


def overall(runs: Sequence[FinishedRun]) -> Overall:
    """Compute them from runs whose rows can all be averaged. Variants are left out."""
    found = [replace(p, rows={name: rows for name, rows in p.rows.items() if not name.variant}) for p in pools(runs)]
    compared = [comparison for comparison in comparisons(found) if comparison.pairs]
    single = [comparison for comparison in compared if len(comparison.datasets) == 1]
    return Overall(_tallies(single), _blocks([p for p in found if len(p.datasets) > 1], compared), single)


def compared_in(setting: Setting, single: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons of one setting; a data set that was recorded twice is told apart by the start of its hash."""
    names = (setting.dataset, f"{setting.dataset} {setting.dataset_hash[:8]}")
    about = (setting.source, setting.profile)
    return [c for c in single if c.datasets[0] in names and (c.source, c.profile) == about]


def comparison_lines(compared: Sequence[Comparison]) -> list[tuple[str, str, list[Comparison]]]:
    """The lines of a table of comparisons, in order of display: the other method, the line's title, its comparisons.

    Where LaMo was run with several language models, each of them has a line, and its title names the model.
    """
    named = with_named_model((c.other, c.lm) for c in compared)
    lines: dict[tuple[str, str], list[Comparison]] = {}
    for comparison in sorted(compared, key=lambda c: method_order(c.other)):
        model = f"{label(REFERENCE)}: {comparison.lm}" if comparison.other in named else ""
        lines.setdefault((comparison.other, label(comparison.other, model)), []).append(comparison)
    return [(other, title, found) for (other, title), found in lines.items()]


def _tallies(single: Sequence[Comparison]) -> list[Tally]:
    if not any(math.isfinite(c.difference.low) for c in single):
        return []  # one seed each: nothing can be told apart
    tallies = []
    for name, title, found in comparison_lines(single):
        ends = [(c.difference.low, c.difference.high) for c in found]
        known = [(low, high) for low, high in ends if math.isfinite(low)]
        better = sum(low > 0 for low, _ in known)
        worse = sum(high < 0 for _, high in known)
        tallies.append(Tally(name, title, better, worse, len(ends) - better - worse))
    return tallies


def _blocks(several: Sequence[Pool], compared: Sequence[Comparison]) -> list[Block]:
    found: dict[tuple[str, str, tuple[str, ...]], list[Pool]] = {}
    for pool in several:
        if len(pool.rows) > 1:
            found.setdefault((pool.profile, pool.source, pool.datasets), []).append(pool)
    taken: set[str] = set()
    blocks = []
    for (profile, source, datasets), here in sorted(found.items(), key=lambda item: -len(item[0][2])):
        name = anchor(f"together {profile} {source} {len(datasets)}", taken)
        mine = standings(here)
        against = [c for c in compared if (c.profile, c.source, c.datasets) == (profile, source, datasets)]
        methods = titles_of(name.method for pool in here for name in pool.rows)
        at = [(pool.fraction, _charts(name, place, pool, mine, against)) for place, pool in enumerate(here)]
        blocks.append(Block(name, profile, source, list(datasets), methods, _over_shares(name, mine), at))
    return blocks


def _over_shares(name: str, stood: Sequence[Standing]) -> list[charts.Chart]:
    if len({standing.fraction for standing in stood}) < 2:
        return []
    curves = []
    for name_of_line, standing in {_label(s.method, s.lm, stood): s for s in stood}.items():
        line = [s for s in stood if (s.method, s.lm) == (standing.method, standing.lm)]
        values = [s.metrics["iqm"] for s in line]
        x = np.asarray([s.fraction for s in line])
        y, low, high = (np.asarray([getattr(value, end) for value in values]) for end in ("value", "low", "high"))
        curves.append(marks.Curve(name_of_line, standing.method, x, y, low, high))
    seeds = [standing.seeds for standing in stood]
    title = "IQM over share of the data"
    return [charts.curves_over_shares(f"{name}-shares", title, "IQM of the score", curves, seeds)]


def _charts(
    name: str, place: int, pool: Pool, stood: Sequence[Standing], compared: Sequence[Comparison]
) -> list[charts.Chart]:
    here = [s for s in stood if s.fraction == pool.fraction]
    drawn = []
    for metric, title in METRIC_TITLES.items():
        entries = [_entry(s.method, _label(s.method, s.lm, here), s.metrics[metric]) for s in here]
        drawn.append(charts.intervals(f"{name}-{place}-{metric}", title, entries, boxed=True))
    drawn.append(_profiles(f"{name}-{place}-profile", pool, here))
    against = [c for c in compared if c.fraction == pool.fraction]
    models = list(dict.fromkeys(c.lm for c in against))
    for number, model in enumerate(models):
        entries = [_entry(c.other, short_label(c.other), c.probability) for c in against if c.lm == model]
        title = f"Probability that {label(REFERENCE, model if len(models) > 1 else '')} does better than…"
        identity = f"{name}-{place}-improvement-{number}"
        drawn.append(charts.intervals(identity, title, entries, digits=2, reference=0.5, limits=(0.0, 1.0)))
    return drawn


def _profiles(name: str, pool: Pool, stood: Sequence[Standing]) -> charts.Chart:
    scores = [score for groups in pool.rows.values() for group in groups.values() for score in group.scores]
    thresholds = np.linspace(min(0.0, *scores), max(scores), THRESHOLDS)
    curves = [
        marks.Curve(_label(method, lm, stood), method, profile.thresholds, profile.share, profile.low, profile.high)
        for (method, lm, _), profile in profiles(pool, thresholds).items()
    ]
    return charts.profiles(name, "Performance profiles", curves, [standing.seeds for standing in stood])


def _entry(method: str, name: str, found: Estimate) -> marks.Interval:
    return marks.Interval(name, method, found.value, found.low, found.high)


def _label(method: str, lm: str, stood: Sequence[Standing]) -> str:
    named = with_named_model((standing.method, standing.lm) for standing in stood)
    return short_label(method, lm if method in named else "")
