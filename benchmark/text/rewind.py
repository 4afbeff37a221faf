"""Take trained language models back to what they were, step by step: what they score, and what became of words.

Nothing is trained. Weights lie at alpha on the line from where they began to where they ended, low-rank updates are
multiplied by it (`lm/adapters.Rewinding`, after Wortsman et al. 2022, arXiv 2109.01903, equation 1); what reads the
vectors stays as it was trained. So the curve says how much of the score needs what the language model became.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...baselines.text.drrn import DRRN
from ...datasets.errors import UserError
from ...datasets.games.families import SPLITS
from ...datasets.storage import write_text
from ...datasets.trajectories import Array
from ..lm.adapters import Rewinding
from ..lm.sentences import SentenceEncoder
from ..runs.episodes import read_numbers
from ..runs.layout import ENCODER_REWIND
from ..runs.records import content_of
from ..runs.store import hold
from .build import build_agent
from .config import TextConfig
from .evaluation import by_policy
from .examination import examine
from .measures import ORIGINAL
from .meters import Meters, probes_of
from .watched import load_weights

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
ALPHA = "alpha"
LEARNED = f"{SPLITS[0]}/{ORIGINAL}"


def rewind(folder: Path, config: TextConfig, alphas: Sequence[float] = ALPHAS) -> None:
    """Measure the finished run in `folder` at each alpha, and keep the curve there; one that is there stays.

    Games are those of its last evaluation, so at alpha 1 the shares of points are what the run had there. A `UserError`
    for a run that trained no language model, or whose checkpoint is damaged.
    """
    if (folder / ENCODER_REWIND).exists() and read_rewind(folder)[ALPHA].tolist() == list(alphas):
        return
    agent, _ = build_agent(config)
    if not isinstance(agent, DRRN) or not agent.tuned or not isinstance(agent.encoder, SentenceEncoder):
        raise UserError(f"run {config.id} trained no language model: there is nothing to take back; give another")
    meters = Meters(agent.encoder, probes_of(config.game_task))
    rewinding = Rewinding(agent.encoder.model)
    load_weights(agent, folder)
    rows = []
    for alpha in alphas:
        rewinding.to(alpha)
        rows.append({ALPHA: alpha} | _shares(agent, config) | meters.measure())
    with hold(folder, wait=True):
        write_text(folder / ENCODER_REWIND, _as_csv(rows))


def _shares(agent: DRRN, config: TextConfig) -> dict[str, float]:
    """The mean share of points on the games that were learned from, in each view, as the last evaluation has it."""
    number = config.steps // config.evaluate_every
    learned = [part for part, (split, _) in enumerate(config.views) if split == SPLITS[0]]
    found = examine(by_policy(agent.policy()), config, number, learned)
    return {config.parts[each.part]: float(each.played.shares.mean()) for each in found}


def _as_csv(rows: Sequence[Mapping[str, float]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_rewind(folder: Path) -> dict[str, Array]:
    """The columns of a run's curve (P,), `alpha` the first; a `UserError` if it can't be read."""
    content = content_of(folder, ENCODER_REWIND)
    first = content.partition(b"\n")[0].decode("utf-8", "replace")
    table = read_numbers(ENCODER_REWIND, first if first.startswith(f"{ALPHA},") else ALPHA, content)
    columns = dict(zip(first.split(","), table.T, strict=True))
    if LEARNED not in columns:
        raise UserError(f"{folder / ENCODER_REWIND} has no column {LEARNED}; delete it, and it is measured again")
    return columns
