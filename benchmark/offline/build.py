"""Build policies that are ready to train from configurations: the one place that knows every method's class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...baselines.policy import Policy, Spec
from ...datasets.catalog import find_task, load
from ...datasets.corpora import Corpus, check_length, load_corpus
from ...datasets.environments.simulators import make_environment
from ...datasets.errors import UserError
from ...datasets.fractions import SELECTIONS, Subset
from ...datasets.trajectories import Array, combine_hashes
from ...datasets.windows import View, reward_rates
from ..lm.checkpoints import load_language_model, load_tokenizer, model_hash, model_positions, model_type
from ..lm.families import FAMILIES
from ..lm.lamo import LaMo, LaMoConfig, check_trainable
from ..runs.changes import changed
from ..runs.methods import METHODS
from ..runs.plugins import imported
from .config import OfflineConfig
from .faulty_data import faulty_subset, training_view
from .faulty_model import faulty_language_model, faulty_policy


def config_class_of(method: str) -> type[Any]:
    """The dataclass of a method's settings."""
    found: type[Any] = imported(METHODS[method].config)
    return found


def policy_config(method: str, overrides: dict[str, Any]) -> Any:
    """The method's config dataclass with some fields changed."""
    config_class = config_class_of(method)
    return changed(config_class(), overrides, f"setting of {method}")


def language_corpus(settings: Any, lm: str) -> Corpus | None:
    """English to learn from or to measure with, in the tokens of `lm`; None for settings that read none.

    A `UserError` if it is shorter than one of the blocks that are drawn from it.
    """
    if not isinstance(settings, LaMoConfig) or not settings.needs_english:
        return None
    corpus = load_corpus(settings.corpus, load_tokenizer(lm))
    check_length(corpus, min(settings.language_length, model_positions(lm)), "--set language_length=")
    return corpus


def check_language_model(settings: Any, lm: str, legacy: Sequence[str] = ()) -> None:
    """Raise a `UserError` if a method with these settings can't have the language model `lm`, or it is not at hand."""
    if not isinstance(settings, LaMoConfig):
        return
    kind = model_type(lm)
    check_trainable(kind, settings)
    if "no-positions" in legacy and not FAMILIES[kind].positions:
        raise UserError(
            f"legacy 'no-positions': a language model of type '{kind}' has no position embeddings that could be left "
            "out; give a GPT-2 as --lm"
        )


def corpus_hash(corpus: Corpus | None) -> str:
    """SHA-256 of a corpus's content, empty for none; a part of a run's identity."""
    return "" if corpus is None else combine_hashes({"train": corpus.train_sha256, "held_out": corpus.held_out_sha256})


def drawn_subset(config: OfflineConfig) -> Subset:
    """The episodes that were drawn for a run from the data at hand."""
    return SELECTIONS[config.selection](load(config.dataset, config.source), config.fraction, config.data_seed)


def training_subset(config: OfflineConfig) -> Subset:
    """The episodes a run trains on; a `UserError` if the data at hand is no longer what the run was configured for."""
    subset = faulty_subset(drawn_subset(config), find_task(config.task), config.legacy)
    if subset.hash != config.subset_hash:
        raise UserError(
            f"data set '{config.dataset}' ({config.source}) has changed since this run was configured; "
            "start the run anew, or bring the former data back"
        )
    return subset


@dataclass(frozen=True)
class DataFacts:
    """The facts of its training data that a policy needs to be built again without them."""

    observation_mean: Array  # (S,) over the training subset; (0,) where observations are images
    observation_std: Array  # (S,)
    horizon: int  # most steps an episode can have: demonstrations may run over the task's limit
    reward_rates: tuple[float, float]  # of `windows.reward_rates`
    background: float = 0.0  # of images: the commonest grey


def data_facts(config: OfflineConfig, subset: Subset) -> DataFacts:
    """The facts of its training subset that the policy of a run needs."""
    task = find_task(config.task)
    view = _view(config)
    nothing = np.zeros(0, np.float32)
    mean, std = (nothing, nothing) if task.frame_stack else subset.observation_moments()
    horizon = max(task.horizon, int(subset.trajectories.lengths.max()) + view.padding_steps)
    rates = reward_rates(subset, horizon, view)
    return DataFacts(mean, std, horizon, rates, subset.background() if task.frame_stack else 0.0)


def make_spec(config: OfflineConfig, facts: DataFacts) -> Spec:
    """The facts of task and data that the policy needs."""
    task = find_task(config.task)
    environment = make_environment(task)
    space: Any = environment.action_space
    environment.close()
    discrete = hasattr(space, "n")
    nothing = np.zeros(0, np.float32)
    return Spec(
        observation_dim=len(facts.observation_mean),
        action_dim=int(space.n) if discrete else len(space.low),
        action_low=nothing if discrete else space.low,
        action_high=nothing if discrete else space.high,
        observation_mean=facts.observation_mean,
        observation_std=facts.observation_std,
        horizon=facts.horizon,
        return_scale=task.return_scale,
        discrete=discrete,
        unit_actions=config.unit_actions,
        view=_view(config),
        sub_goals=task.sub_goals,
        background=facts.background,
        reward_rates=facts.reward_rates,
    )


def _view(config: OfflineConfig) -> View:
    """The view of the task's steps in the run's training."""
    task = find_task(config.task)
    return training_view(View(task.frame_stack, task.clip_rewards), config.legacy)


def build_policy(config: OfflineConfig, subset: Subset, device: torch.device) -> Policy:
    """A freshly initialised policy; PyTorch's generator is seeded with the run's seed first."""
    return _build(config, data_facts(config, subset), device, plays_only=False)


def build_player(config: OfflineConfig, facts: DataFacts, device: torch.device) -> Policy:
    """The same, from what is known of the data and without English: a policy that can play, but not learn."""
    return _build(config, facts, device, plays_only=True)


def _build(config: OfflineConfig, facts: DataFacts, device: torch.device, *, plays_only: bool) -> Policy:
    torch.manual_seed(config.seed)
    spec = make_spec(config, facts)
    settings = policy_config(config.method, config.policy)
    if METHODS[config.method].weights:
        corpus = None if plays_only else _corpus_of(config, settings)
        policy: Policy = _build_lamo(config, settings, spec, corpus, device)
    else:
        policy = imported(METHODS[config.method].policy)(settings, spec)
    return faulty_policy(policy, config.legacy).to(device)


def _corpus_of(config: OfflineConfig, settings: LaMoConfig) -> Corpus | None:
    corpus = language_corpus(settings, config.lm)
    if corpus_hash(corpus) != config.corpus_hash:
        raise UserError(f"corpus '{settings.corpus}' has changed since this run was configured; start the run anew")
    return corpus


def _build_lamo(
    config: OfflineConfig, settings: LaMoConfig, spec: Spec, corpus: Corpus | None, device: torch.device
) -> LaMo:
    weights = METHODS[config.method].weights
    if model_hash(config.lm, weights, config.seed) != config.lm_hash:
        raise UserError(f"language model '{config.lm}' has changed since this run was configured; start the run anew")
    # Transformers' kernel, for English and encoders: on a CPU the fused one's backward pass is fast in float32 and very
    # slow under bfloat16 autocast. GPT-2 reads trajectories with our own (`lm/gpt2.py`).
    attention = "eager" if device.type == "cpu" and config.precision == "bfloat16" else "sdpa"
    language_model = load_language_model(config.lm, weights, config.seed, attention)
    return LaMo(settings, spec, faulty_language_model(language_model, config.legacy), corpus)
