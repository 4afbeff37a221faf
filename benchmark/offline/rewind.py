"""`lamobench rewind`: a finished run's language model, its updates scaled down step by step, plays and reads English.

Nothing is trained. What the run learned outside of the language model (embeddings, head) stays as it is, so the curve
says how much of the score needs the updates, and how much of language they cost.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

import torch

from ...datasets.catalog import find_task
from ...datasets.errors import UserError
from ...datasets.measured_text import MeasuredText
from ..lm.adapters import Rewinding
from ..lm.lamo import LaMo
from ..runs.checkpoint import load_policy
from ..runs.layout import CHECKPOINT
from ..runs.store import clear_temporaries, hold
from ..scores.collect import read_finished
from ..scores.rewind import Point, Rewind, read_rewind, write_rewind
from .config import OfflineConfig, offline_config
from .evaluation import evaluate
from .forgetting import loss_before, loss_on, predicts_words
from .players import untrained_player, with_language_model
from .rollout import evaluation_seeds

ALPHAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
EPISODES = 20
SEED = 3_000_000  # of the starts: neither those of training, nor of `lamobench evaluate`, nor of pictures


def rewindable(folder: Path, lm: str = "") -> OfflineConfig:
    """The configuration of a run that can be rewound; a `UserError` says why another can't."""
    config = with_language_model(offline_config(folder), lm)
    if not (folder / "done.json").exists():
        raise UserError(f"run {folder.name} is not finished; start the command that made it again")
    if not predicts_words(config):
        raise UserError(f"run {folder.name} has no language model that predicts words; give a run of LaMo on a GPT-2")
    if config.policy.get("adaptation") == "frozen":
        raise UserError(f"run {folder.name} left its language model frozen: there is nothing to rewind; give another")
    return config


def rewind(
    folder: Path,
    config: OfflineConfig,
    text: MeasuredText,
    alphas: Sequence[float] = ALPHAS,
    episodes: int = EPISODES,
    device: str | torch.device = "cpu",
    report: Callable[[int, int], None] | None = None,
) -> Rewind:
    """Measure the curve of the run in `folder`, of `rewindable`, at `alphas` of `check_alphas`, and keep it there.

    The loss before is measured first, on the model as it is loaded. A curve that was measured with the same text,
    alphas and episodes is taken as it is. `report` is told how many points are done, and of how many.
    """
    target = read_finished(folder).result.target_return
    known = read_rewind(folder)
    if known and (known.text_sha256, known.episodes, tuple(known.alphas)) == (text.sha256, episodes, tuple(alphas)):
        return known
    device = torch.device(device)
    before = loss_before(config, text, device)
    policy = untrained_player(folder, config, device)
    assert isinstance(policy, LaMo)
    rewinding = Rewinding(policy.language_model)
    load_policy(folder / CHECKPOINT, policy)
    points = []
    for number, alpha in enumerate(alphas, 1):
        rewinding.to(alpha)
        points.append(_point(policy.eval(), config, text, alpha, target, episodes))
        if report:
            report(number, len(alphas))
    found = Rewind(
        text=text.name,
        text_sha256=text.sha256,
        bytes=text.bytes,
        tokens=before.tokens,
        episodes=episodes,
        seed=SEED,
        target_return=target,
        nats_before=before.nats_per_token,
        bits_before=before.bits_per_byte,
        points=tuple(points),
    )
    with hold(folder, wait=True):
        clear_temporaries(folder)
        write_rewind(folder, found)
    return found


def _point(
    policy: LaMo, config: OfflineConfig, text: MeasuredText, alpha: float, target: float, episodes: int
) -> Point:
    loss = loss_on(policy.language_model, config, text)
    played = evaluate(policy, config, evaluation_seeds(SEED, 0, episodes), [target], step=config.steps)
    score = find_task(config.task).normalise(fmean(episode.episode_return for episode in played))
    return Point(alpha, float(score), loss.nats_per_token, loss.bits_per_byte)
