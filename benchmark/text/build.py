"""Builds the parts of a run from its configuration: games, encoder, agent."""

import hashlib
from functools import lru_cache
from itertools import cycle
from typing import Any

from ...baselines.online.agent import first_weights
from ...baselines.text.encoders import Encoder, HashEncoder
from ...baselines.text.retention import Retention
from ...baselines.text.texts import PieceVectors, Texts
from ...datasets.errors import UserError
from ...datasets.games.families import content_hash, make_games
from ...datasets.games.game import Game
from ...datasets.games.tasks import GameTask
from ...datasets.games.views import VIEWS, view
from ..lm.adapters import use_fast_layers
from ..lm.checkpoints import model_hash
from ..lm.glove import glove_hash, load_glove
from ..lm.sentences import Outputs, SentenceEncoder, load_sentence_encoder
from ..runs.changes import changed
from ..runs.methods import find_method, look_up
from ..runs.plugins import imported
from .adaptations import ADAPTATIONS
from .config import ADAPTATION, TextConfig
from .encodings import Encodings
from .lamo import TextLaMo, load_text_lamo
from .settings import PARTS

# Part of the hash of all games. It has to get another value, such as "2", when rules or texts change that first scenes
# don't show, such as a template of a later move or what pays: runs before and after are not of the same games.
# `tests/benchmark/text/test_build.py` sees such changes.
REVISION = ""


def training_games(task: GameTask) -> list[Game]:
    """The games to learn from."""
    return make_games(task.family.name, "train", task.games)


def split_games(task: GameTask, split: str, episodes: int) -> list[tuple[int, Game]]:
    """A game for each of so many episodes, with its number: those to learn from in turn, of others each another."""
    family = task.family
    count = distinct_games(task, split, episodes)
    rounds = [make_games(family.name, split, count, task.games) for _ in range(-(-episodes // count))]
    return [(number, game) for games in rounds for number, game in enumerate(games)][:episodes]


def distinct_games(task: GameTask, split: str, episodes: int) -> int:
    """The number of games that so many episodes of a split take turns with."""
    return task.games if split == "train" else min(episodes, task.family.games[split])


def parts_of(task: GameTask) -> list[str]:
    """The splits in their views that runs on the task are examined in."""
    return [f"{split}/{view}" for split in task.family.games for view in VIEWS]


def games_hash(task: GameTask, episodes: int) -> str:
    """SHA-256 of the first scenes of all games of a run, in every view: games that changed are other games.

    Of games that are read from a file, its content counts too. Later scenes are not played; `REVISION` stands for them.
    """
    digest = hashlib.sha256(f"{content_hash(task.family)}{REVISION}".encode())
    for split in task.family.games:
        games = make_games(task.family.name, split, distinct_games(task, split, episodes), task.games)
        scenes = [game.reset() for game in games]
        for name in VIEWS:
            seen = [repr(view(scene, name)).encode() for scene in scenes]
            for _, first in zip(range(episodes), cycle(seen), strict=False):
                digest.update(first)
    return digest.hexdigest()


def encoder_hash(encoder: str, lm: str, weights: str, seed: int) -> str:
    """The hash of the weights that an encoder begins with; empty where it has none."""
    if encoder == "lm":
        return model_hash(lm, weights, seed)
    return glove_hash(weights, seed) if encoder == "glove" else ""


def build_encoder(config: TextConfig) -> Encoder:
    """The run's encoder, as it begins."""
    if config.encoder == "lm":
        return load_sentence_encoder(config.lm, look_up(config.method).weights, config.seed, config.precision)
    if config.encoder == "glove":
        return load_glove(look_up(config.method).weights, config.seed)
    return HashEncoder()


def check_encoder(config: TextConfig) -> None:
    """Raise a `UserError` if what the run reads with is not at hand, or has changed."""
    weights = look_up(config.method).weights
    if encoder_hash(config.encoder, config.lm, weights, config.seed) != config.lm_hash:
        raise UserError(f"'{config.lm}' has other weights than run {config.id} began with; put those back")


def agent_settings(method: str, given: dict[str, Any]) -> Any:
    """The settings of a method's agent; a `UserError` for what does not fit."""
    return changed(imported(find_method(method).config)(), given, f"setting of {PARTS[method].agent}")


def adaptation_settings(adaptation: str, given: dict[str, Any]) -> Any:
    """The settings of an adaptation; a `UserError` for what does not fit."""
    return changed(ADAPTATIONS[adaptation].config(), given, f"setting of {adaptation}")


def build_agent(config: TextConfig) -> tuple[Any, Encodings | None]:
    """The agent with first weights of its seed, and what of its encoder's vectors is kept for other runs."""
    check_encoder(config)
    agent = imported(find_method(config.method).policy)
    settings = agent_settings(config.method, config.settings_of(""))
    if agent is TextLaMo:
        updates = adaptation_settings(config.adaptation, config.settings_of(ADAPTATION))
        weights = look_up(config.method).weights
        return load_text_lamo(settings, updates, config.lm, weights, config.seed, config.precision), None
    encoder = build_encoder(config)
    texts = Texts(encoder)
    if not isinstance(encoder, SentenceEncoder):
        return agent(settings, encoder, PieceVectors(texts, encoder.encode), config.seed), None
    retention = adapt(encoder, config)
    if config.adaptation == "fixed":
        encodings = Encodings(encoder, config.lm_hash, config.precision)
        return agent(settings, encoder, PieceVectors(texts, encodings), config.seed), encodings
    return agent(settings, encoder, PieceVectors(texts, encoder.encode), config.seed, retention), None


def adapt(encoder: SentenceEncoder, config: TextConfig) -> Retention:
    """Let the weights of a run's language model learn that its adaptation says; returns what holds them."""
    row = ADAPTATIONS[config.adaptation]
    given = adaptation_settings(config.adaptation, config.settings_of(ADAPTATION))
    with first_weights(config.seed):
        row.prepare(encoder, given)
    encoder.outputs = shared_outputs(config.lm_hash, encoder.below)
    use_fast_layers(encoder.model)
    return row.retain(encoder, given, config.seed)


@lru_cache(maxsize=2)
def shared_outputs(weights_hash: str, layers: int) -> Outputs:
    """The outputs of a model's first layers, which the runs of this process share: sentences come again in all of them.

    Those of the last two models are kept, so that runs of one and of its control can take turns.
    """
    return Outputs()


def count_parameters(agent: Any) -> dict[str, int]:
    """The numbers of all parameters and of those that are trained; targets, which are copies, don't count."""
    trained = sum(parameter.numel() for parameter in agent.parameters)
    return {"params_total": trained + agent.frozen, "params_trainable": trained}
