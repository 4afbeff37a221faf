"""`lamobench ablation`: LaMo with one part changed at a time, on little data, each compared with LaMo seed by seed.

The variants are the paper's Figures 4 to 7, 10 and Tables 15 and 16, the controls that a claim about language needs,
and the alternatives to the language loss that the paper leaves open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.errors import UserError, choose
from ...datasets.measured_text import MeasuredText
from ..lm.checkpoints import perplexity
from ..runs.methods import METHODS
from ..runs.store import run_folder
from ..scores.collect import read_finished
from ..scores.leaderboard import Group
from ..scores.power import spread_of_episodes
from ..scores.statistics import known, paired_difference, summarise
from .build import config_class_of, policy_config
from .config import OfflineConfig
from .forgetting import LanguageChange, language_change
from .language import check_language_model
from .resolve import RunRequest, resolve

BASE = "lamo"
EMBEDDED = "gpt2-mini"  # the language model that has counterparts with another pre-training


@dataclass(frozen=True)
class Variant:
    """LaMo with one part changed."""

    name: str
    title: str  # for tables and figures
    method: str = "lamo"
    settings: dict[str, Any] = field(default_factory=dict)
    lm: str = ""  # another language model than the base's
    beside: str = ""  # the base's language model that it is a counterpart of; "": it can stand beside any


LANGUAGE = ("nats_before", "nats_after", "nats_change", "bits_change", "perplexity")  # columns about language

_LINEAR = {"embedding": "linear", "head": "linear"}
_SEPARATE = {"lora_pairs": "separate"}  # what an encoder can have; elsewhere than on Atari the default
_ENGLISH = {"language_length": 128}  # gpt2-mini's context is no longer, and the same for all keeps them comparable

VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(BASE, "LaMo"),
        Variant("dt", "DT", method="dt"),
        # Parts (Figures 4 and 5)
        Variant("linear", "linear embeddings and head", settings=_LINEAR),
        Variant("full", "all of GPT-2 trained", settings={"adaptation": "full"}),
        Variant("frozen", "GPT-2 frozen, no updates", settings={"adaptation": "frozen"}),
        Variant("wiki-rl", "Wiki-RL: all trained, linear", settings={"adaptation": "full", **_LINEAR}),
        # What pre-training gave (Tables 15 and 16, and controls of ours)
        Variant("random", "random weights, scale-matched", method="lamo-random"),
        Variant("permuted", "permuted weights", method="lamo-permuted"),
        Variant("initialised", "fresh weights, as in the paper", method="lamo-initialised"),
        Variant("scratch", "fresh weights, all trained", method="lamo-initialised", settings={"adaptation": "full"}),
        # What it was pre-trained on (Figure 7)
        Variant("early", "pre-training stopped early", lm="gpt2-mini-early", beside=EMBEDDED),
        Variant("shuffled", "pre-trained on shuffled words", lm="gpt2-mini-shuffled", beside=EMBEDDED),
        Variant("markov", "pre-trained on a Markov chain", lm="gpt2-mini-markov", beside=EMBEDDED),
        # Other language models (Figure 10: GPT-2 medium)
        Variant("medium", "GPT-2 medium", lm="gpt2-medium", beside="gpt2"),
        Variant("minilm", "MiniLM, a real pre-trained encoder", lm="minilm", settings=_SEPARATE),
        Variant(
            "minilm-random",
            "MiniLM, random weights, scale-matched",
            method="lamo-random",
            lm="minilm",
            settings=_SEPARATE,
        ),
        # Keeping what it knew (Figure 6, and what the paper leaves open)
        Variant("language-0.1", "language loss, weight 0.1", settings={"language_weight": 0.1, **_ENGLISH}),
        Variant("language-0.5", "language loss, weight 0.5", settings={"language_weight": 0.5, **_ENGLISH}),
        Variant("language-1", "language loss, weight 1", settings={"language_weight": 1.0, **_ENGLISH}),
        Variant("language-2", "language loss, weight 2", settings={"language_weight": 2.0, **_ENGLISH}),
        Variant("weight-anchor", "weights held near the start", settings={"weight_anchor": 0.01}),
        Variant("output-anchor", "predictions held near the start", settings={"output_anchor": 0.1, **_ENGLISH}),
        Variant("dropout", "dropout 0.3", settings={"dropout": 0.3, "lora_dropout": 0.3}),
    )
}


@dataclass(frozen=True)
class Setting:
    """One data set at one fraction: a panel's worth of runs."""

    dataset: str
    fraction: float


def find_variants(names: Sequence[str], lm: str = EMBEDDED) -> tuple[list[Variant], list[str]]:
    """The named variants, LaMo itself always first, and nothing else; a `UserError` names the valid ones.

    If none is named: all that make sense beside `lm` and can be trained here, and a line for each that can't, with what
    to type.
    """
    base = VARIANTS[BASE]
    if names:
        chosen = [VARIANTS[choose("variant", name, list(VARIANTS))] for name in names]
        return [base, *(variant for variant in chosen if variant is not base)], []
    _check_at_hand(base, lm)  # without it there is nothing to compare with
    found = []
    reasons = []
    for variant in VARIANTS.values():
        if variant.beside not in ("", lm) or variant.lm == lm:
            continue
        try:
            _check_at_hand(variant, lm)
            found.append(variant)
        except UserError as error:
            reasons.append(f"{variant.name}: {error}")
    return found, reasons


def _check_at_hand(variant: Variant, lm: str) -> None:
    """Raise a `UserError` unless the language model it would adapt, if any, is here and can be adapted that way."""
    if METHODS[variant.method].weights:
        check_language_model(policy_config(variant.method, variant.settings), variant.lm or lm)


def plan(
    settings: Sequence[Setting], variants: Sequence[Variant], seeds: Sequence[int], request: RunRequest
) -> dict[tuple[Setting, str], list[OfflineConfig]]:
    """The runs of each variant in each setting, resolved, in order of seed; `request` has all that they share."""
    runs = {}
    for setting in settings:
        for variant in variants:
            asked = replace(
                request,
                dataset=setting.dataset,
                fraction=setting.fraction,
                method=variant.method,
                lm=variant.lm or request.lm,
                settings={**_that_apply(request.settings, variant.method), **variant.settings},
            )
            runs[setting, variant.name] = [resolve(replace(asked, seed=seed)) for seed in sorted(set(seeds))]
    return runs


def _that_apply(settings: dict[str, Any], method: str) -> dict[str, Any]:
    """Keep the settings that a method has of those meant for LaMo; LaMo itself gets all, and refuses what it lacks."""
    fields = config_class_of(method).__dataclass_fields__
    return {name: value for name, value in settings.items() if name in fields or METHODS[method].weights}


def compare(
    runs: dict[tuple[Setting, str], list[OfflineConfig]], root: Path, text: MeasuredText
) -> list[dict[str, Any]]:
    """Compare finished runs: one row a setting and variant, with the runs' learning curves.

    `text`: what the change of cross entropy is measured on: `nats_change` a token, `bits_change` a byte, after training
    less before; `perplexity` is that after training.

    `minus_lamo` is the mean over seeds and episodes of the score less LaMo's on the same data, starts and seed, with
    its 95 % interval (`scores/statistics.py`), `detectable` the true difference that it could have seen
    (`scores/power.py`).
    """
    found = {
        (setting, name): Group(name, [read_finished(run_folder(root, config)) for config in configs])
        for (setting, name), configs in runs.items()
    }
    changes = {
        key: [language_change(run_folder(root, config), config, text) for config in configs]
        for key, configs in runs.items()
    }
    return [
        _row(key[0], VARIANTS[key[1]], group, found[key[0], BASE]) | _language(changes[key], text)
        for key, group in found.items()
    ]


def _row(setting: Setting, variant: Variant, group: Group, base: Group) -> dict[str, Any]:
    own = summarise(group.headline_scores)
    apart = paired_difference(group.headline_scores, base.headline_scores)
    first = group.runs[0]
    return {
        "dataset": setting.dataset,
        "source": group.data.source,
        "fraction": setting.fraction,
        "episodes": group.data.episodes_in_subset,
        "variant": variant.name,
        "title": variant.title,
        "seeds": own.seeds,
        "score": own.mean,
        "ci_low": own.ci_low,
        "ci_high": own.ci_high,
        "minus_lamo": apart.mean,
        "minus_lamo_low": apart.ci_low,
        "minus_lamo_high": apart.ci_high,
        "detectable": known(spread_of_episodes(group.headline_scores - base.headline_scores).detectable),
        "params_trainable": first.done["params_trainable"],
        "curve_steps": first.result.curve_steps,
        "curves": group.curves,
    }


def _language(changes: Sequence[LanguageChange | None], text: MeasuredText) -> dict[str, Any]:
    """The change of language, mean over runs; None for all where there is no language model that predicts words."""
    measured = [change for change in changes if change is not None]
    if len(measured) < len(changes):
        return {"text": None, **dict.fromkeys(LANGUAGE)}
    before = float(np.mean([change.before.nats_per_token for change in measured]))
    after = float(np.mean([change.after.nats_per_token for change in measured]))
    bits = float(np.mean([change.bits_per_byte for change in measured]))
    return {"text": text.name} | dict(
        zip(LANGUAGE, (before, after, after - before, bits, perplexity(after)), strict=True)
    )


CURVES = ("curve_steps", "curves")


def table(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows without their curves: what `ablation_lamo.csv` holds."""
    return [{key: value for key, value in row.items() if key not in CURVES} for row in rows]
