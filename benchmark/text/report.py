"""The part of the report that is about text games alone: a `report.parts.Part`, whose docstrings say what it has."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...datasets.counts import count
from ...datasets.games.families import SPLITS
from ...datasets.games.views import VIEWS
from ...datasets.trajectories import Array
from ..report import svg
from ..report.charts import HEIGHT, LEFT, Chart
from ..report.contents import Row, Setting
from ..report.marks import (
    BOTTOM,
    DASH,
    SPACE,
    TOP,
    Curve,
    bars,
    drawn_curves,
    listed,
    room_for_labels,
    side_by_side,
    signed,
)
from ..report.parts import Moment, Passage, Table
from ..report.training import learning_curve
from ..runs.config import RunConfig
from ..scores.measured import columns
from .board import rows
from .config import text_config
from .figure import SPLIT_TITLES
from .measures import ORIGINAL, ends, meters
from .transcript import Move, Told, read_transcript

__all__ = ["about", "beside", "charts", "passages", "table", "terms"]

LOST = "neighbours_nouns"  # the meter that is drawn: blind to rotations, and a share
AGAINST = (ORIGINAL, "paraphrase", "synonyms")  # views whose score is drawn against degeneration
ASIDE = 5.0  # from a method's bar to the next one beside it
SHOWN_MOVES = 12  # of a transcript; of the others the commands alone
RATE = "encoder_learning_rate"  # of the language model
SIZES = (0.75, 1.35)  # of marks at the lowest rate and at the highest
HEAD = {
    "train/orig": "At end",
    "area": "Area",
    "moves": "Moves",
    "robustness": "Robust",
    "valid/orig": "New games",
    "ood/orig": "Unseen",
    "cka_nouns": "CKA",
    LOST: "Kept",
    "anisotropy_nouns": "Anisotropy",
    "holders_train": "Places",
    "wordnet": "WordNet",
}
SHARES = ("train/orig", "area", "robustness", "valid/orig", "ood/orig")  # columns in per cent
CAPTION = (
    "Per cent of a game's points, with 95 % intervals where there are several seeds. Robust: the mean of the other "
    "views in per cent of what the games give as they are. Behind that, of language models that are trained, at the "
    "end: linear CKA with what they were, the share of ten neighbours kept, anisotropy (all of nouns), 1 / rank of a "
    "thing's right place, and the correlation of cosine with nearness in WordNet."
)
TERMS = {
    "view": "a game's texts in other words; the game itself never notices",
    "paraphrase": "each sentence and command by a second template",
    "synonyms": "nouns replaced by others of the same meaning",
    "cohyponyms": "nouns replaced by WordNet's automatic rule: another kind of the same thing",
    "pseudowords": "nouns replaced by words that mean nothing",
    "shuffle": "the words of each sentence in another order",
    "unseen": "new games of things that training games never show",
    "degeneration": "what training on reward takes of a language model's meanings",
    "neighbours lost": "the share of a noun's ten nearest nouns, by cosine, that training replaced",
}


def about(setting: Setting) -> str:
    """The games, and how they are examined."""
    config = text_config(setting.rows[0].runs[0].config)
    games = count(config.game_task.games, "game")
    return f"{games} to learn from; at the end every split is played in {count(len(VIEWS), 'view')}."


def beside(config: RunConfig) -> Mapping[str, str]:
    """The rate of the language model: a run that trains one stands beside its other rates, for the same games."""
    return {} if text_config(config).adaptation == "fixed" else {f"policy.{RATE}": "rate"}


def charts(setting: Setting) -> list[Chart]:
    """Learning curves, then each view in every split, then score against degeneration."""
    found = {row.anchor: [ends(run) for run in row.runs] for row in setting.drawn}
    learned = learning_curve(setting, setting.fractions[0])
    views = [_view_chart(setting, found, view) for view in VIEWS if _splits(found, view)]
    drawn = [replace(chart, note=setting.about_drawn) for chart in (learned, *views)]
    return [*drawn, *_degeneration(setting)]


def _splits(found: Mapping[str, list[dict[str, float]]], view: str) -> list[str]:
    return [split for split in SPLITS if any(f"{split}/{view}" in shares for own in found.values() for shares in own)]


def _view_chart(setting: Setting, found: Mapping[str, list[dict[str, float]]], view: str) -> Chart:
    """Scores in one view, from the games learned from to those of unseen things: all such panels have the same axes."""
    splits = _splits(found, view)
    curves = []
    for row in setting.drawn:
        seeds = 100.0 * np.array([[shares[f"{split}/{view}"] for split in splits] for shares in found[row.anchor]])
        own = [columns("", seeds[:, place].tolist(), (0.0, 100.0)) for place in range(len(splits))]
        low, high = (np.array([each[end] for each in own], float) for end in ("_low", "_high"))  # None: NaN
        x = np.arange(len(splits), dtype=float)
        curves.append(Curve(row.label, row.method, x, seeds.mean(0), low, high, seeds))
    return _over_splits(f"view-{view}-{setting.anchor}".replace("+", "-"), f"View: {view}", splits, curves)


def _over_splits(name: str, title: str, splits: Sequence[str], curves: Sequence[Curve]) -> Chart:
    right = room_for_labels(curves)
    step = min(ASIDE, 0.6 * (right - LEFT) / (len(splits) * len(curves)))
    edge = 6.0 + step * len(curves) / 2
    x = svg.Scale(0.0, max(len(splits) - 1.0, 1.0), LEFT + edge, right - edge)
    lost = [
        float(end) for curve in curves for end in (*curve.low, *curve.y) if end < 0.0
    ]  # in some games points can be
    y, y_ticks = svg.linear_scale([*lost, 0.0, 100.0], BOTTOM, TOP)
    named = [{"train": "learned", "valid": "new", "ood": "unseen"}[split] for split in splits]
    places = [float(place) for place in range(len(splits))]
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, "% of points"),
        svg.x_axis(x, places, named, BOTTOM, "games", edge),
        drawn_curves(
            side_by_side(curves, step),
            x,
            y,
            right,
            lambda place: SPLIT_TITLES[splits[round(place)]],
            "95 % interval",
            bars,
        ),
    ]
    text = f"Per cent of points of {listed(curves)} in each kind of games. The numbers are in the table below it."
    drawn = svg.drawing(name, HEIGHT, title, text, parts)
    numbers = [[curve.label, *map(_with_ends, curve.y, curve.low, curve.high)] for curve in curves]
    return Chart(title, drawn, ["method", *named], numbers)


def _with_ends(value: float, low: float, high: float) -> str:
    return f"{signed(value)} [{signed(low)},{SPACE}{signed(high)}]" if math.isfinite(low) else signed(value)


def _degeneration(setting: Setting) -> list[Chart]:
    """Score over the neighbours lost, a point for each seed, on the games learned from and in other words."""
    every = [(row, _lost(row)) for row in setting.rows if row.group.config.lm_hash]
    known = [(row, lost) for row, lost in every if np.isfinite(lost).all()]
    if not any(lost.any() for _, lost in known):
        return []
    played = ends(known[0][0].runs[0])
    return [_scatter(setting, known, view) for view in AGAINST if f"{SPLITS[0]}/{view}" in played]


def _lost(row: Row) -> Array:
    """Per cent of neighbours that training replaced, of N seeds; 0 where nothing was trained, NaN if unknown."""
    if text_config(row.group.config).adaptation == "fixed":
        return np.zeros(len(row.runs))
    return np.array([100.0 * (1.0 - meters(run).get(LOST, math.nan)) for run in row.runs])


def _scatter(setting: Setting, known: Sequence[tuple[Row, Array]], view: str) -> Chart:
    right = svg.WIDTH - 8.0
    x, x_ticks = svg.linear_scale([0.0, *(value for _, lost in known for value in lost.tolist())], LEFT, right, ticks=4)
    every = [[100.0 * ends(run)[f"{SPLITS[0]}/{view}"] for run in row.runs] for row, _ in known]
    y, y_ticks = svg.linear_scale([*(score for own in every for score in own), 0.0, 100.0], BOTTOM, TOP)
    rates = sorted({row.group.config.policy[RATE] for row, _ in known if row.details})
    drawn = []
    numbers = []
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}  # of rows that differ in their rate alone
    for (row, lost), scores in zip(known, every, strict=True):
        points = [(x(a), y(b)) for a, b in zip(lost.tolist(), scores, strict=True)]
        name = ", ".join(filter(None, [row.label, row.details or row.variant]))
        hint = f"{name}: {np.mean(scores):.1f} % of points, {lost.mean():.1f} % of neighbours lost"
        mean = (x(float(lost.mean())), y(float(np.mean(scores))))
        size = _size(row.group.config.policy[RATE], rates) if row.details else 1.0
        marks = [*(svg.dot(*point) for point in points), svg.mark(*mean, row.method, hint, size)]
        drawn.append(svg.series(row.method, marks))
        numbers.append([name, signed(float(lost.mean())), signed(float(np.mean(scores)))])
        if row.details:
            lines.setdefault((row.method, row.label), []).append(mean)
    title = "Score against degeneration" + ("" if view == ORIGINAL else f", {view}")
    parts = [
        svg.y_axis(y, y_ticks, LEFT, right, "% of points"),
        svg.x_axis(x, x_ticks, [f"{tick:g}" for tick in x_ticks], BOTTOM, "neighbours lost, %"),
        *(svg.series(method, [svg.path(means, "leader")]) for (method, _), means in lines.items()),
        *drawn,
    ]
    text = "Per cent of points over the share of nouns' neighbours that training replaced, a dot for each seed."
    note = f"Larger marks: a higher rate ({', '.join(f'{rate:g}' for rate in rates)})." if rates else ""
    picture = svg.drawing(f"degeneration-{view}-{setting.anchor}", HEIGHT, title, f"{text} {note}".strip(), parts)
    return Chart(title, picture, ["method", "neighbours lost, %", "% of points"], numbers, note)


def _size(rate: float, rates: Sequence[float]) -> float:
    """The size of a mark, larger at a higher one of the rates."""
    return SIZES[0] + (SIZES[-1] - SIZES[0]) * rates.index(rate) / max(1, len(rates) - 1)


def table(setting: Setting) -> Table:
    """A line for each method and variant: what it learned, and what became of its language model."""
    found = []
    for row in setting.rows:
        (own,) = rows([row.group])
        found.append((row, [_cell(own, name) for name in HEAD]))
    return Table("What was learned, and what became of words", CAPTION, list(HEAD.values()), found)


def _cell(row: Mapping[str, float | None], name: str) -> str:
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if value is None:
        return DASH if name in SHARES else ""
    scale, digits = (100.0, 0) if name in SHARES else (1.0, 0 if name == "moves" else 2)
    if low is None or high is None:
        return signed(scale * value, digits)
    return f"{signed(scale * value, digits)} [{signed(scale * low, digits)},{SPACE}{signed(scale * high, digits)}]"


def passages(setting: Setting) -> list[Passage]:
    """An episode of each run, on the first game that it learned from: those of a row behind that of its first seed."""
    found = []
    for row in setting.rows:
        told = [(run.config.seed, episode) for run in row.runs if (episode := read_transcript(run)) is not None]
        if told:
            first, *others = (_passage(f"{row.title}, seed {seed}", episode) for seed, episode in told)
            alike = [replace(other, about="") if other.about == first.about else other for other in others]
            found.append(replace(first, others=alike))
    return found


def _passage(title: str, episode: Told) -> Passage:
    shown = episode.kept[:SHOWN_MOVES]
    came = f"{100.0 * episode.share:.0f} % of the points in {count(episode.moves, 'move')}"
    text = (
        f"Game {episode.game}, the first episode of the last evaluation. Bars: how likely each command "
        "was, of those that were likeliest. Bold: the one that was drawn."
    )
    return Passage(f"{title}: {came}", text, [_moment(move) for move in shown], _rest(episode))


def _rest(episode: Told) -> str:
    """The commands of the moves that are not shown, as far as they were kept."""
    given = [move.given for move in episode.kept[SHOWN_MOVES:]]
    if not given:
        return ""
    beyond = episode.moves - len(episode.kept)
    more = f"; {count(beyond, 'move')} more" if beyond > 0 else ""
    return f"The commands after that: {', '.join(given)}{more}."


def _moment(move: Move) -> Moment:
    more = f"{move.inventory} {count(move.offered, 'command')}."
    likeliest_first = dict(sorted(move.commands.items(), key=lambda command: -command[1]))
    return Moment(move.observation, more, likeliest_first, move.given)


def terms() -> Mapping[str, str]:
    """The track's words."""
    return TERMS
