"""Builds the parts of a run from its configuration: games, encoder, agent."""

import hashlib
from typing import Any

from ...baselines.online.agent import first_weights
from ...baselines.text.drrn import DRRN, DRRNConfig
from ...baselines.text.encoders import Encoder, HashEncoder
from ...baselines.text.retention import Retention
from ...baselines.text.texts import PieceVectors, Texts
from ...datasets.errors import UserError
from ...datasets.games.families import content_hash, make_games
from ...datasets.games.game import Game
from ...datasets.games.tasks import GameTask
from ...datasets.games.views import VIEWS, ViewedGame
from ..lm.checkpoints import model_hash
from ..lm.glove import glove_hash, load_glove
from ..lm.sentences import SentenceEncoder, load_sentence_encoder
from ..runs.changes import changed
from ..runs.methods import look_up
from .adaptations import ADAPTATIONS
from .config import ADAPTATION, TextConfig, split_and_view
from .encodings import Encodings


def training_games(task: GameTask) -> list[Game]:
    """The games to learn from."""
    return make_games(task.family.name, "train", task.games)


def split_games(task: GameTask, split: str, episodes: int) -> list[tuple[int, Game]]:
    """A game for each of so many episodes, with its number: those to learn from in turn, of others each another."""
    family = task.family
    count = task.games if split == "train" else min(episodes, family.games[split])
    rounds = [make_games(family.name, split, count) for _ in range(-(-episodes // count))]
    return [(number, game) for games in rounds for number, game in enumerate(games)][:episodes]


def parts_of(task: GameTask) -> list[str]:
    """The splits in their views that runs on the task are examined in."""
    return [f"{split}/{view}" for split in task.family.games for view in VIEWS]


def games_hash(task: GameTask, episodes: int) -> str:
    """SHA-256 of the first scenes of all games of a run, in every view: games that changed are other games.

    Of games that are read from a file, its content counts too.
    """
    digest = hashlib.sha256(content_hash(task.family).encode())
    for split, view in map(split_and_view, parts_of(task)):
        for _, game in split_games(task, split, episodes):
            digest.update(repr(ViewedGame(game, view).reset()).encode())
    return digest.hexdigest()


def encoder_hash(encoder: str, lm: str, weights: str, seed: int) -> str:
    """The hash of the weights that an encoder begins with; empty where it has none."""
    if encoder == "lm":
        return model_hash(lm, weights, seed)
    return glove_hash(weights, seed) if encoder == "glove" else ""


def build_encoder(config: TextConfig) -> Encoder:
    """The run's encoder, as it begins; a `UserError` if what it is made of is not at hand, or has changed."""
    weights = look_up(config.method).weights
    if encoder_hash(config.encoder, config.lm, weights, config.seed) != config.lm_hash:
        raise UserError(f"'{config.lm}' has other weights than run {config.id} began with; put those back")
    if config.encoder == "lm":
        return load_sentence_encoder(config.lm, weights, config.seed)
    return load_glove(weights, config.seed) if config.encoder == "glove" else HashEncoder()


def agent_settings(given: dict[str, Any]) -> DRRNConfig:
    """The settings of the agent; a `UserError` for what does not fit."""
    settings: DRRNConfig = changed(DRRNConfig(), given, "setting of drrn")
    return settings


def adaptation_settings(adaptation: str, given: dict[str, Any]) -> Any:
    """The settings of an adaptation; a `UserError` for what does not fit."""
    return changed(ADAPTATIONS[adaptation].config(), given, f"setting of {adaptation}")


def build_agent(config: TextConfig) -> tuple[DRRN, Encodings | None]:
    """The agent with first weights of its seed, and what of its encoder's vectors is kept for other runs."""
    encoder = build_encoder(config)
    settings = agent_settings(config.settings_of(""))
    texts = Texts(encoder)
    if not isinstance(encoder, SentenceEncoder):
        return DRRN(settings, encoder, PieceVectors(texts, encoder.encode, one_by_one=False), config.seed), None
    if config.adaptation == "fixed":
        encodings = Encodings(encoder, config.lm_hash)
        return DRRN(settings, encoder, PieceVectors(texts, encodings, one_by_one=True), config.seed), encodings
    retention = adapt(encoder, config)
    vectors = PieceVectors(texts, encoder.encode, one_by_one=True)
    return DRRN(settings, encoder, vectors, config.seed, retention), None


def adapt(encoder: SentenceEncoder, config: TextConfig) -> Retention:
    """Let the weights of a run's language model learn that its adaptation says; returns what holds them."""
    row = ADAPTATIONS[config.adaptation]
    given = adaptation_settings(config.adaptation, config.settings_of(ADAPTATION))
    with first_weights(config.seed):
        row.prepare(encoder, given)
    return row.retain(encoder, given, config.seed)


def count_parameters(agent: DRRN) -> dict[str, int]:
    """The numbers of all parameters and of those that are trained; targets, which are copies, don't count."""
    trained = sum(parameter.numel() for parameter in agent.parameters)
    return {"params_total": trained + agent.encoder.frozen, "params_trainable": trained}
