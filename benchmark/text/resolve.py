"""Fills in every number of a run on text games, from what a user asks for."""

import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from ...datasets.errors import UserError, choose
from ...datasets.games.families import missing
from ...datasets.games.tasks import GameTask, find_game_task
from ..lm.checkpoints import check_at_hand, model_shape, model_type
from ..lm.families import FAMILIES
from ..lm.glove import check_glove
from ..lm.tuned_sentences import check_layers
from ..runs.methods import look_up, methods_of
from ..runs.requests import asked_budget, asked_precision, by_prefix, check_wanted, named_profile, prefixed
from ..runs.store import note_on_terminal
from ..runs.tracks import Wanted
from .build import adaptation_settings, agent_settings, encoder_hash, games_hash, parts_of
from .config import ADAPTATION, TextConfig
from .lamo import TARGET
from .recorded import recording_of
from .settings import GLOVE, LANGUAGE_MODEL, PARTS, PROFILES, WORDS_MODEL, Budget, Parts

LAYERS = "layers"  # how many the language model has, and how many of them are trained
CONTINUES = "text-lamo"  # the agent that predicts words, and is told which return is wanted


def resolve(wanted: Wanted) -> list[TextConfig]:
    """Every method with every seed; a `UserError` for what does not fit, or is not at hand."""
    task = find_game_task(wanted.subject)
    choose("profile", wanted.profile, list(PROFILES))
    if line := missing(task.family.name):
        raise UserError(line)
    check_wanted(wanted, known=("lm", "precision"))
    methods = wanted.methods or at_hand(listed_methods(), wanted)
    for method in methods:
        choose(f"method of {task.name}", method, methods_of("text"))
    profile = PROFILES[wanted.profile]
    budgets = {method: profile.budget(task, recorded=look_up(method).recorded) for method in methods}
    changed_budgets = {method: _budget(wanted, budget) for method, budget in budgets.items()}
    games = {count: games_hash(task, count) for count in {each.view_episodes for each in changed_budgets.values()}}
    return [
        _config(wanted, task, method, seed, budget, games[budget.view_episodes])
        for method, budget in changed_budgets.items()
        for seed in wanted.seeds
    ]


def listed_methods() -> list[str]:
    """The names of the methods that a table of a task has, unless others are asked for: those that play themselves."""
    return [method for method in methods_of("text") if look_up(method).listed]


def at_hand(methods: Sequence[str], wanted: Wanted) -> list[str]:
    """Methods that can be trained here, of some that were not asked for by name.

    A line says what the others lack. A language model that was asked for and is not here is a `UserError`.
    """
    lacking: dict[str, list[str]] = {}
    for method in methods:
        encoder = PARTS[method].encoder
        try:
            _language_model(wanted, PARTS[method])
            if encoder == GLOVE:
                check_glove()
        except UserError as error:
            if encoder != GLOVE and "lm" in wanted.choices:
                raise
            lacking.setdefault(str(error), []).append(method)
    for line, left_out in lacking.items():
        note_on_terminal(f"left out: {', '.join(left_out)}; {line}")
    return [method for method in methods if not any(method in left_out for left_out in lacking.values())]


def _config(wanted: Wanted, task: GameTask, method: str, seed: int, budget: Budget, games: str) -> TextConfig:
    parts = PARTS[method]
    lm = _language_model(wanted, parts)
    policy = _policy(wanted, method, budget)
    if layers := policy.get(f"{ADAPTATION}.{LAYERS}"):
        check_layers(layers, model_shape(lm)[LAYERS])
    recording = recording_of(task, policy) if look_up(method).recorded else None
    return TextConfig(
        task=task.name,
        method=method,
        profile=named_profile(wanted),
        seed=seed,
        precision=asked_precision(wanted),  # of a language model; methods without one have its name, and no use for it
        batch_size=policy.get("batch_size", 1),
        **asdict(budget),
        policy=policy,
        version=importlib.metadata.version("lamobench"),
        lm=lm,
        lm_hash=encoder_hash(parts.encoder, lm, look_up(method).weights, seed),
        agent=parts.agent,
        encoder=parts.encoder,
        adaptation=parts.adaptation,
        parts=parts_of(task),
        games_hash=games,
        target_returns=[TARGET if parts.agent == CONTINUES else 0.0],
        dataset=recording.name if recording else "",
        dataset_hash=recording.sha256 if recording else "",
    )


def _language_model(wanted: Wanted, parts: Parts) -> str:
    """The name of the model that the method reads with."""
    if parts.encoder != "lm":
        return GLOVE if parts.encoder == GLOVE else ""
    predicts = parts.agent == CONTINUES
    name = str(wanted.choices.get("lm", WORDS_MODEL if predicts else LANGUAGE_MODEL))
    check_at_hand(name)
    if predicts and not (family := FAMILIES[model_type(name)]).predicts_words:
        raise UserError(
            f"{CONTINUES} predicts the words of commands, and '{name}' is an encoder ({family.title}); "
            f"give a language model that predicts words, e.g. --lm {WORDS_MODEL}"
        )
    return name


def _policy(wanted: Wanted, method: str, budget: Budget) -> dict[str, Any]:
    """The settings of agent and adaptation, as they will read in config.json; of one that learns nothing, none."""
    parts = PARTS[method]
    if not parts.encoder:  # what reads nothing learns nothing
        return {}
    profile = PROFILES[wanted.profile]
    given = by_prefix(profile.settings(method) | dict(wanted.settings), [ADAPTATION])
    settings = agent_settings(method, given[""])
    if parts.adaptation == "warm-head" and "warm_up" not in given[""]:
        settings = replace(settings, warm_up=round(profile.warm_up * budget.steps / settings.update_every))
    adaptation = asdict(adaptation_settings(parts.adaptation, given[ADAPTATION]))
    policy = asdict(settings) | prefixed(ADAPTATION, adaptation)
    found: dict[str, Any] = json.loads(json.dumps(policy))
    return found


def _budget(wanted: Wanted, budget: Budget) -> Budget:
    """The budget with what was asked for; other steps have as many evaluations."""
    found: Budget = asked_budget(wanted, budget)
    evaluations = found.steps // found.evaluate_every + 1
    if found.headline_evaluations >= evaluations:
        raise UserError(
            f"headline_evaluations is {found.headline_evaluations}, and {evaluations - 1} follow the first step; "
            "give as many or fewer"
        )
    return found
