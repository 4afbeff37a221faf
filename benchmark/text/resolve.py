"""Fills in every number of a run on text games, from what a user asks for."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from ...datasets.errors import UserError, choose
from ...datasets.games.families import missing
from ...datasets.games.tasks import GameTask, find_game_task
from ..lm.checkpoints import check_at_hand, model_type
from ..lm.families import FAMILIES
from ..lm.glove import check_glove
from ..runs.changes import changed
from ..runs.config import MOST, PRECISIONS
from ..runs.methods import look_up, methods_of
from ..runs.store import note_on_terminal
from ..runs.tracks import Wanted
from .build import adaptation_settings, agent_settings, encoder_hash, games_hash, parts_of
from .config import ADAPTATION, TextConfig
from .lamo import TARGET
from .recorded import recording_of
from .settings import GLOVE, LANGUAGE_MODEL, PARTS, PROFILES, WORDS_MODEL, Budget, Parts

CONTINUES = "text-lamo"  # the agent that predicts words, and is told which return is wanted


def resolve(wanted: Wanted) -> list[TextConfig]:
    """Every method with every seed; a `UserError` for what does not fit, or is not at hand."""
    task = find_game_task(wanted.subject)
    choose("profile", wanted.profile, list(PROFILES))
    for seed in wanted.seeds:
        if not 0 <= seed < 2**32:
            raise UserError(f"seed {seed} is out of range; give 0 to {2**32 - 1}")
    if line := missing(task.family.name):
        raise UserError(line)
    others = sorted(set(wanted.choices) - {"lm", "precision"})
    if others:
        raise UserError(f"'{task.name}' is no data set: it has no choice of {', '.join(others)}")
    choose("precision", _precision(wanted), PRECISIONS)
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
    """Those of some methods, none of which was asked for by name, that can be trained here.

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
    recording = recording_of(task, policy) if look_up(method).recorded else None
    return TextConfig(
        task=task.name,
        method=method,
        profile=_named_profile(wanted),
        seed=seed,
        precision=_precision(wanted),
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


def _precision(wanted: Wanted) -> str:
    """The precision of the language model's products; methods without one have its name, and no use for it."""
    return str(wanted.choices.get("precision", PRECISIONS[0]))


def _named_profile(wanted: Wanted) -> str:
    """The profile's name, and whether anything of it was changed: such runs are rows of their own."""
    changes = [_precision(wanted)] if _precision(wanted) != PRECISIONS[0] else []
    changes += ["changed"] if wanted.budget or wanted.steps or wanted.settings else []
    return f"{wanted.profile} ({', '.join(changes)})" if changes else wanted.profile


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
    chosen = profile.policies.get(parts.agent, {}) | profile.chosen.get(method, {})
    given = _by_prefix(chosen | dict(wanted.settings))
    settings = agent_settings(method, given[""])
    if parts.adaptation == "warm-head" and "warm_up" not in given[""]:
        settings = replace(settings, warm_up=round(profile.warm_up * budget.steps / settings.update_every))
    adaptation = asdict(adaptation_settings(parts.adaptation, given[ADAPTATION]))
    policy = asdict(settings) | {f"{ADAPTATION}.{name}": value for name, value in adaptation.items()}
    found: dict[str, Any] = json.loads(json.dumps(policy))
    return found


def _by_prefix(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by what they are of: "" for the agent; a `UserError` for a prefix that there isn't."""
    found: dict[str, dict[str, Any]] = {"": {}, ADAPTATION: {}}
    for name, value in settings.items():
        prefix, dot, rest = name.rpartition(".")
        if dot:
            choose("kind of setting", prefix, [ADAPTATION], "settings of the agent have no prefix")
        found[prefix][rest] = value
    return found


def _budget(wanted: Wanted, budget: Budget) -> Budget:
    """The budget with what was asked for; other steps have as many evaluations."""
    found: Budget = changed(budget, _changes(wanted, budget), "budget")
    for name, value in vars(found).items():
        if not 1 <= value <= MOST:
            raise UserError(f"{name} is {value}; give 1 to {MOST}")
    evaluations = found.steps // found.evaluate_every + 1
    if found.steps % found.evaluate_every:
        raise UserError(f"steps {found.steps} must be a multiple of evaluate_every {found.evaluate_every}")
    if found.headline_evaluations >= evaluations:
        raise UserError(
            f"headline_evaluations is {found.headline_evaluations}, and {evaluations - 1} follow the first step; "
            "give as many or fewer"
        )
    return found


def _changes(wanted: Wanted, budget: Budget) -> dict[str, Any]:
    if not wanted.steps:
        return dict(wanted.budget)
    evaluations = budget.steps // budget.evaluate_every
    if wanted.steps < 1 or wanted.steps % evaluations:
        raise UserError(
            f"--steps {wanted.steps} can't be spread over {evaluations} evaluations; give a multiple of {evaluations}, "
            "or --budget steps=... with --budget evaluate_every=..."
        )
    return {"steps": wanted.steps, "evaluate_every": wanted.steps // evaluations} | dict(wanted.budget)
