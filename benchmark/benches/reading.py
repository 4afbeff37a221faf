"""An update of an agent of text games whose language model is trained, beside the same without what makes it quick.

The plain way knows nothing from before: at each update every layer reads every sentence again, online and for the
target, all of them side by side and as long as the longest, by transformers' own pass in float32. Ours are the updates
of a run on its way: it has met its sentences, and every so many updates a new target reads them again.
"""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...baselines.text.drrn import DRRN, DRRNConfig
from ...baselines.text.replay import Transition
from ...baselines.text.texts import PieceVectors, Texts
from ...datasets.games.families import make_games
from ..lm.adapters import use_fast_layers
from ..lm.packaged import PACKAGED
from ..lm.sentences import SentenceEncoder, load_sentence_encoder
from ..lm.tuned_sentences import train_top
from ..runs.config import PRECISIONS
from .harness import Measure, Row, Settings, faster, in_turn

TIMES = 3  # faster
LAYERS = 2  # that are trained
BATCH = 16  # transitions
TARGET_EVERY = 25  # updates, as in the cpu profile
GAMES = 5
MOVES = 200  # of which batches are drawn
SAME = {"float32": 1e-4, "bfloat16": 1e-2}  # most that two losses of one batch differ by


class PaddedEncoder(SentenceEncoder):
    """All sentences in one batch, as long as the longest, through every layer."""

    def forward(self, pieces: Sequence[str]) -> Tensor:
        """The vectors (P, D)."""
        ids = [torch.tensor(self.tokens(piece)[: self.most]) for piece in pieces]
        present = pad_sequence([torch.ones(len(each)) for each in ids], batch_first=True)  # (P, L)
        hidden = self.base(pad_sequence(ids, batch_first=True), attention_mask=present.long()).last_hidden_state
        present[:, : len(self.first)] = 0.0
        return torch.einsum("pl,pld->pd", present / present.sum(1, keepdim=True), hidden)


def text_update(settings: Settings, scratch: Path) -> list[Row]:
    """An update on tidy-medium, where the last two layers of each language model at hand learn."""
    models = [model for model in ("gpt2-mini", "minilm") if at_hand(model)]
    return [_text_update(settings, model, precision) for model in models for precision in PRECISIONS]


def _text_update(settings: Settings, model: str, precision: str) -> Row:
    ours = make_agent(load_sentence_encoder(model, precision=precision))
    loaded = load_sentence_encoder(model)
    plain = make_agent(PaddedEncoder(loaded.model, loaded.tokenizer))
    plain.encoder.below = 0  # type: ignore[attr-defined]  # no layer's outputs are kept
    losses = [agent.loss(played(agent)[:BATCH]).item() for agent in (ours, plain)]
    assert abs(losses[0] - losses[1]) < SAME[precision]
    if isinstance(ours.encoder, SentenceEncoder):
        ours.encoder(ours.texts.piece_names)  # what is kept of them, all runs keep
    mine = updates(ours, TARGET_EVERY, forget=False)
    rounds = [(one / TARGET_EVERY, other) for one, other in in_turn(settings, mine, updates(plain, 1, forget=True))]
    what = f"update of {BATCH} transitions, {model}, {LAYERS} layers trained, {precision}"
    return faster(what, "every sentence read again, padded, float32", rounds, TIMES)


def at_hand(model: str) -> bool:
    """Tell if a language model ships with the suite, or its package is installed."""
    return model not in PACKAGED or importlib.util.find_spec(PACKAGED[model].module) is not None


def make_agent(encoder: SentenceEncoder) -> DRRN:
    """An agent of the cpu profile's size, whose encoder's last layers are trained."""
    train_top(encoder, LAYERS)
    use_fast_layers(encoder.model)
    settings = DRRNConfig(learning_rate=1e-3, batch_size=BATCH, target_every=TARGET_EVERY)
    return DRRN(settings, encoder, PieceVectors(Texts(encoder), encoder.encode), seed=0)


def played(agent: DRRN) -> list[Transition]:
    """Transitions of random moves."""
    rng = np.random.default_rng(0)
    found: list[Transition] = []
    for game in make_games("tidy-medium", "train", GAMES) * MOVES:
        scene = game.reset()
        while not scene.over and len(found) < MOVES:
            state = agent.texts.state(scene)
            index = int(rng.integers(len(scene.commands)))
            after = game.step(index)
            reward = after.score - scene.score
            found.append(Transition(state, state.commands[index], reward, agent.texts.state(after), after.over))
            scene = after
    return found


def updates(agent: DRRN, count: int, forget: bool) -> Callable[[], None]:
    """A function that takes so many updates; one that forgets before each what the target's encoder read."""
    transitions = played(agent)
    rng = np.random.default_rng(0)

    def update() -> None:
        for _ in range(count):
            if forget:
                agent.forget()
            agent.update([transitions[place] for place in rng.integers(len(transitions), size=BATCH)], rng)

    return update


MEASUREMENTS: dict[str, Measure] = {"text-update": text_update}
