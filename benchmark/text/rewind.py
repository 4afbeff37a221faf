"""Take trained language models back to what they were, step by step: what they score, and what became of words.

Nothing is trained. Weights lie at alpha on the line from where they began to where they ended, low-rank updates are
multiplied by it (`lm/adapters.Rewinding`, after Wortsman et al. 2022, arXiv 2109.01903, equation 1); what reads the
vectors stays as it was trained, on the vectors of alpha 1. So a score that falls towards alpha 0 has two causes, which
the curve doesn't tell apart: what the language model learned is gone, and its vectors are others than the reader knows.
It doesn't say what could have been learned on the untouched vectors: that is the score of `drrn-fixed`.

`rewind.csv` holds the meters at each alpha, `rewind_episodes.csv` every episode, as `stages.csv` does. At alpha 1 both
are those of the run's last evaluation, at 0 the meters are those before training: a curve of another run is found so.

Shapes: P alphas, E episodes at each, M meters.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ...baselines.text.drrn import DRRN
from ...datasets.errors import UserError
from ...datasets.games.families import SPLITS
from ...datasets.storage import write_text
from ...datasets.trajectories import Array
from ..lm.adapters import Rewinding
from ..lm.sentences import SentenceEncoder
from ..runs.episodes import read_numbers
from ..runs.layout import ENCODER_REWIND, ENCODER_REWIND_EPISODES
from ..runs.meters import read_meters
from ..runs.records import check_content, content_of, read_config, read_done
from ..runs.stages import HEADER, StageEpisode, read_stages, stages_csv
from ..runs.store import hold
from .build import build_agent, split_games
from .config import TextConfig, text_config
from .evaluation import EVALUATION, Chooser, by_policy, play
from .examination import PlayedPart, examine
from .meters import Meters, probes_of
from .watched import load_weights

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ALPHA = "alpha"
EPISODES_HEADER = f"{ALPHA},{HEADER}"
# How far a meter may be from the run's: sums of float32 in another order, a neighbour that changes places. Where the
# run was trained they are equal.
RELATIVE = 1e-3
ABSOLUTE = 1e-5


@dataclass(frozen=True)
class Curve:
    """A run that was taken back, and what it was at the end: the last of the alphas is 1."""

    alphas: Array  # (P,) ascending, from 0 to 1
    meters: Mapping[str, Array]  # (P,) each
    episodes: Array  # (P, E, 7) rows of `stages.csv` with the parts that were learned from


def rewind(folder: Path, config: TextConfig, alphas: Sequence[float] = ALPHAS) -> None:
    """Measure the finished run in `folder` at each alpha, and keep the curve there; one that is there stays.

    A `UserError` for a run that trained no language model, whose checkpoint is damaged, or whose last evaluation is not
    what it comes to at alpha 1; and for a curve that is there and is not the run's.
    """
    if list(alphas) != sorted(set(alphas)) or alphas[0] != 0.0 or alphas[-1] != 1.0:
        raise UserError(f"alphas {' '.join(f'{alpha:g}' for alpha in alphas)}: give numbers that rise from 0 to 1")
    if _is_there(folder) and (known := read_curve(folder, config)).alphas.tolist() == list(alphas):
        if problem := _difference(folder, config, known):
            raise UserError(f"{folder / ENCODER_REWIND}: {problem}; delete it, and it is measured again")
        return
    meters, episodes = _measured(folder, config, alphas)
    if problem := _difference(folder, config, _curve(config, meters.encode(), episodes.encode())):
        raise UserError(f"run {config.id} is not what it was: {problem}; take it back where it was trained")
    with hold(folder, wait=True):
        write_text(folder / ENCODER_REWIND_EPISODES, episodes)
        write_text(folder / ENCODER_REWIND, meters)


def _measured(folder: Path, config: TextConfig, alphas: Sequence[float]) -> tuple[str, str]:
    """The content of both files."""
    agent, encoder = tuned_agent(config)
    meters = Meters(encoder, probes_of(config.game_task))
    rewinding = Rewinding(encoder.model)
    load_weights(agent, folder)
    rows = []
    episodes = [EPISODES_HEADER]
    for alpha in alphas:
        rewinding.to(alpha)
        played = stages_csv(_played(by_policy(agent.policy()), config))
        episodes += [f"{alpha},{line}" for line in played.splitlines()]
        rows.append({ALPHA: alpha} | meters.measure())
    return _as_csv(rows), "\n".join(episodes) + "\n"


def tuned_agent(config: TextConfig) -> tuple[DRRN, SentenceEncoder]:
    """The agent of a run before training, and the language model that it trains; a `UserError` if it trains none."""
    agent, _ = build_agent(config)
    if not isinstance(agent, DRRN) or not agent.tuned or not isinstance(agent.encoder, SentenceEncoder):
        raise UserError(f"run {config.id} trained no language model: there is nothing to take back; give another")
    return agent, agent.encoder


def _played(choose: Chooser, config: TextConfig) -> list[StageEpisode]:
    """The episodes of the games that were learned from, in each view, as the last evaluation has them.

    First comes what came first there: a language model's rounding hangs on the sentences that it reads side by side.
    """
    number = config.steps // config.evaluate_every
    games = split_games(config.game_task, SPLITS[0], config.evaluation_episodes)
    play(choose, [game for _, game in games], "orig", np.random.default_rng([config.seed, number, EVALUATION]))
    return [row for found in examine(choose, config, number, _learned(config)) for row in _rows(found, config.steps)]


def _learned(config: TextConfig) -> list[int]:
    """The numbers of the parts that were learned from."""
    return [part for part, (split, _) in enumerate(config.views) if split == SPLITS[0]]


def _rows(found: PlayedPart, step: int) -> list[StageEpisode]:
    columns = zip(found.games, found.played.won, found.played.shares, found.played.moves, strict=True)
    return [
        StageEpisode(step, found.part, number, game, int(won), float(share), int(moves))
        for number, (game, won, share, moves) in enumerate(columns)
    ]


def _as_csv(rows: Sequence[Mapping[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _is_there(folder: Path) -> bool:
    """Check whether both files are there: one alone is left where the writing was cut short."""
    return (folder / ENCODER_REWIND).exists() and (folder / ENCODER_REWIND_EPISODES).exists()


def read_curve(folder: Path, config: TextConfig) -> Curve:
    """The curve that is kept beside a run; a `UserError` if it can't be read, or is not complete."""
    try:
        return _curve(config, content_of(folder, ENCODER_REWIND), content_of(folder, ENCODER_REWIND_EPISODES))
    except (UserError, FileNotFoundError) as error:
        raise UserError(
            f"the curve in {folder} can't be used ({error}); delete {ENCODER_REWIND}, and it is measured again"
        ) from None


def _curve(config: TextConfig, meters: bytes, episodes: bytes) -> Curve:
    first = meters.partition(b"\n")[0].decode("utf-8", "replace")
    table = read_numbers(ENCODER_REWIND, first if first.startswith(f"{ALPHA},") else ALPHA, meters)
    alphas = table[:, 0]
    rows = read_numbers(ENCODER_REWIND_EPISODES, EPISODES_HEADER, episodes)
    places = product(alphas.tolist(), [config.steps], _learned(config), range(config.view_episodes))
    if not np.array_equal(rows[:, :4], np.array(list(places), float)):
        raise UserError(
            f"{ENCODER_REWIND_EPISODES} must hold {config.view_episodes} episodes of each view at each alpha of "
            f"{ENCODER_REWIND}"
        )
    columns = dict(zip(first.split(",")[1:], table[:, 1:].T, strict=True))
    return Curve(alphas, columns, rows[:, 1:].reshape(len(alphas), -1, rows.shape[1] - 1))


def _difference(folder: Path, config: TextConfig, curve: Curve) -> str:
    """Say how the curve differs from the run's last evaluation at alpha 1, or from its first meters at 0; else ""."""
    done = read_done(folder)
    try:
        contents = {name: content_of(folder, name) for name in ("stages.csv", "meters.csv")}
    except FileNotFoundError as error:
        raise UserError(f"run {config.id} can't be taken back: {error}; train it again") from None
    for name, content in contents.items():
        check_content(name, content, done)
    stages = read_stages(contents["stages.csv"])
    ended = stages[(stages[:, 0] == config.steps) & np.isin(stages[:, 1], _learned(config))]
    if not np.array_equal(curve.episodes[-1], ended):
        return "its episodes at alpha 1 are not those of the last evaluation in stages.csv"
    _, meters = read_meters(contents["meters.csv"])
    if curve.meters.keys() != meters.keys():
        return "its meters are others than those in meters.csv"
    for name, values in meters.items():
        for place in (0, -1):
            found = float(curve.meters[name][place])
            expected = float(values[place])
            if not math.isclose(found, expected, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
                return f"its {name} at alpha {curve.alphas[place]:g} is {found:.6g}, in meters.csv {expected:.6g}"
    return ""


def read_rewind(folder: Path) -> dict[str, Array]:
    """The columns of a run's curve (P,): `alpha`, the mean share of points in each view, and meters.

    A `UserError` if it can't be read, or is not complete.
    """
    config = text_config(read_config(folder))
    curve = read_curve(folder, config)
    shares = {
        config.parts[part]: curve.episodes[:, curve.episodes[0, :, 1] == part, 5].mean(axis=1)
        for part in _learned(config)
    }
    return {ALPHA: curve.alphas} | shares | dict(curve.meters)
