"""Words of the games in two dimensions, before training and after: the paper's figure, with axes that stand still.

The plane is that of the first two principal components of the words' vectors before training, of length 1 each; what
became of them is put into the same plane. Shapes: W words, D width of a vector.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import BboxBase

from ...baselines.text.drrn import DRRN
from ...datasets.errors import UserError
from ...datasets.games.house import ROOM_OF, ROOMS, THINGS, noun_of
from ...datasets.trajectories import Array
from ..figures.card import GRID, INK, MUTED, Grid, card_of_panels
from ..lm.sentences import SentenceEncoder
from ..runs.layout import CHECKPOINT
from ..scores.labels import label
from ..scores.run import FinishedRun
from .build import build_agent
from .config import text_config
from .degeneration import FinishedArm
from .pairs import Pairs, read_pairs
from .watched import load_weights

RISEN = 6  # pairs that are joined by a line
KINDS = {"thing": "#0B4F9E", "place": "#CC3311", "other word": "#8A8F98"}
PANEL_HEIGHT = 3.3  # inches
BESIDE = ((3, 3), (3, -3), (-3, 3), (-3, -3))  # points from a word to its name, in the order in which they are tried


@dataclass(frozen=True)
class Words:
    """Words in the plane."""

    nouns: tuple[str, ...]  # W
    before: Array  # (W, 2)
    after: Array  # (W, 2)
    risen: tuple[tuple[int, int], ...]  # the pairs whose cosine rose most
    share: float  # of the variance before training, in the plane


@dataclass(frozen=True)
class Shown:
    """A method's words at each of its learning rates, of one seed."""

    method: str
    seed: int
    words: Mapping[str, Words]  # by what the panel is called


def words_of(run: FinishedRun, nouns: Sequence[str]) -> Words:
    """Some of the nouns that a run read; a `UserError` if it trained no language model, or has no checkpoint."""
    config = text_config(run.config)
    pairs = read_pairs(run)
    if pairs is None:
        raise UserError(f"run {run.id} trained no language model: its words stand where they were")
    agent, _ = build_agent(config)
    untouched = _vectors(agent, nouns)
    load_weights(agent, run.folder)
    before, after = in_plane(untouched, _vectors(agent, nouns))
    share = float(before.var(0).sum() / untouched.var(0).sum())
    return Words(tuple(nouns), before, after, risen_most(pairs, nouns), share)


@torch.no_grad()
def _vectors(agent: DRRN, nouns: Sequence[str]) -> Array:
    """The vectors (W, D) of nouns, of length 1."""
    assert isinstance(agent.encoder, SentenceEncoder)
    return np.asarray(F.normalize(agent.encoder.exact(nouns).double(), dim=1))


def in_plane(untouched: Array, trained: Array) -> tuple[Array, Array]:
    """Both sets of vectors (W, D) in the plane of the first two principal components of the untouched ones, (W, 2)."""
    middle = untouched.mean(0)
    _, _, directions = np.linalg.svd(untouched - middle, full_matrices=False)
    plane = directions[:2].T
    plane = plane * np.where(plane[np.abs(plane).argmax(0), range(2)] < 0, -1.0, 1.0)  # which of two signs is chance
    return (untouched - middle) @ plane, (trained - middle) @ plane


def risen_most(pairs: Pairs, nouns: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """The numbers among `nouns` of the pairs whose cosine rose most; fewer where fewer rose."""
    places = [pairs.nouns.index(noun) for noun in nouns]
    first, second = np.triu_indices(len(nouns), 1)
    rises = pairs.rise[np.ix_(places, places)][first, second]
    most = np.argsort(-rises, kind="stable")[:RISEN]
    most = most[rises[most] > 0]
    return tuple(zip(first[most].tolist(), second[most].tolist(), strict=True))


def words_figure(shown: Shown, task: str, path: Path) -> None:
    """Write a PNG: words before training, then after it as each of the runs has it."""
    first, *_, last = [*shown.words.values()] * 2
    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=kind, markersize=4.5)
        for kind, colour in KINDS.items()
    ]
    about = (
        f"{label(shown.method)}, seed {shown.seed}: {len(first.nouns)} nouns that training read. In every panel the "
        "axes are the first two principal components of their vectors before training, each of length 1; they have "
        f"{100 * first.share:.0f} % of the variance. Joined: the pairs whose cosine rose most, {RISEN} at most; before "
        "training, those of the last panel. Names for which there is no room are left out."
    )
    grid = Grid(1 + len(shown.words), 2, PANEL_HEIGHT, pads=(0.04, 0.05), space=0.03, shared=True)
    with card_of_panels(path, f"{task}: words before and after", about, handles, grid) as panels:
        _draw_words(panels[0], "Before training", first.nouns, first.before, last.risen)
        for axes, (title, words) in zip(panels[1:], shown.words.items(), strict=True):
            _draw_words(axes, title, words.nouns, words.after, words.risen)
        figure = panels[0].get_figure(root=True)
        assert figure is not None
        figure.draw_without_rendering()  # from here on the panels stand where they will
        _write_names(panels[0], first.nouns, first.before, last.risen)
        for axes, words in zip(panels[1:], shown.words.values(), strict=True):
            _write_names(axes, words.nouns, words.after, words.risen)


def _draw_words(axes: Axes, title: str, nouns: Sequence[str], places: Array, joined: Sequence[tuple[int, int]]) -> None:
    for one, other in joined:
        axes.plot(*places[[one, other]].T, color=MUTED, linewidth=0.8, zorder=1)
    axes.scatter(places[:, 0], places[:, 1], s=9, c=[KINDS[kind_of(noun)] for noun in nouns], linewidth=0, zorder=2)
    axes.set_title(title)
    axes.tick_params(labelbottom=True)
    axes.margins(x=0.12)
    axes.grid(color=GRID)


def _write_names(axes: Axes, nouns: Sequence[str], places: Array, joined: Sequence[tuple[int, int]]) -> None:
    """Write the names of joined words beside them, none over another."""
    taken: list[BboxBase] = []
    for number in sorted({number for pair in joined for number in pair}):
        for across, up in BESIDE:
            sides: Any = {"ha": "left" if across > 0 else "right", "va": "bottom" if up > 0 else "top"}
            where: Any = {"xytext": (across, up), "textcoords": "offset points"}
            name = axes.annotate(nouns[number], places[number], fontsize=6.5, color=INK, zorder=3, **where, **sides)
            name.set_in_layout(False)
            box = name.get_window_extent()
            if not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            name.remove()


def kind_of(noun: str) -> str:
    """The kind of a noun: a thing of the house, a place in it, or another word."""
    if noun in {noun_of(name) for name in THINGS}:
        return "thing"
    return "place" if noun in {*ROOM_OF, *ROOMS} else "other word"


def words_at_rates(every: Sequence[FinishedArm]) -> Shown | None:
    """The words of the first method that trains a language model, at each learning rate, of one seed.

    It is the lowest of those seeds that were finished at the most rates. None where there are no three nouns to show.
    """
    trained = [arm for arm in every if arm.trains]
    own = [arm for arm in trained if (arm.method, arm.setting) == (trained[0].method, trained[0].setting)]
    known = [(arm, run) for arm in own for run in arm.group.runs if (run.folder / CHECKPOINT).exists()]
    if not known:
        return None
    seeds = Counter(run.config.seed for _, run in known)
    seed = min(seeds, key=lambda each: (-seeds[each], each))
    runs = {f"After, at a rate of {arm.rate:g}": run for arm, run in known if run.config.seed == seed}
    read = [pairs.nouns for run in runs.values() if (pairs := read_pairs(run)) is not None]
    nouns = [noun for noun in read[0] if all(noun in others for others in read)] if read else []
    if len(nouns) < 3:
        return None
    return Shown(trained[0].method, seed, {title: words_of(run, nouns) for title, run in runs.items()})
