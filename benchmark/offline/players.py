"""Policies of finished runs, ready to play: from the data that they were trained on, or from what was noted of it."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...baselines.policy import Policy
from ...datasets.catalog import find_task
from ...datasets.errors import UserError
from ...datasets.json_files import read_json
from ...datasets.storage import write_json
from ..runs.checkpoint import load_policy
from ..runs.layout import CHECKPOINT, DATA_FACTS
from ..runs.methods import find_method
from ..runs.records import HASHED, file_hash
from .build import DataFacts, build_player, build_policy, data_facts, training_subset
from .config import OfflineConfig

LONGEST = 1_000_000  # steps of an episode that a file may promise
WIDEST = 100_000  # numbers in an observation


def load_player(folder: Path, config: OfflineConfig, device: torch.device, lm: str = "") -> Policy:
    """The policy of the finished run in `folder`.

    `lm` says where its language model lies, if not where it was trained. Where the folder has what was noted of the
    data, as runs that were pulled from a hub have, neither data nor English is needed. Raises a `UserError` that says
    what is missing.
    """
    policy = untrained_player(folder, with_language_model(config, lm), device)
    load_policy(folder / CHECKPOINT, policy)
    return policy


def with_language_model(config: OfflineConfig, lm: str) -> OfflineConfig:
    """The configuration with `lm` as the place of its language model, if one is given and it is the run's own."""
    find_method(config.method)
    if not lm:
        return config
    if not config.lm:
        raise UserError(f"run {config.id} has no language model; leave --lm out")
    from .language import language_model_problem

    if problem := language_model_problem(config, lm):
        raise UserError(problem)
    return replace(config, lm=lm)


def untrained_player(folder: Path, config: OfflineConfig, device: torch.device) -> Policy:
    """The policy of the run in `folder` as it was before training."""
    if not (folder / DATA_FACTS).is_file():
        return build_policy(config, training_subset(config), device)
    checked = with_language_model(config, config.lm)  # a `UserError` where that is another than it was trained with
    return build_player(checked, read_data_facts(folder, config), device)


def write_data_facts(folder: Path, run: Path, config: OfflineConfig) -> None:
    """Note beside the published checkpoint in `folder` its hash, and what the policy of `run` has to know of its data.

    The data must be at hand and unchanged, but for a run that was pulled itself.
    """
    pulled = (run / DATA_FACTS).is_file()
    facts = read_data_facts(run, config) if pulled else data_facts(config, training_subset(config))
    values = asdict(facts).items()
    lists = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values}
    write_json(folder / DATA_FACTS, lists | {HASHED: file_hash(folder / CHECKPOINT)})


def read_data_facts(folder: Path, config: OfflineConfig) -> DataFacts:
    """The inverse of `write_data_facts`; a `UserError` for what can't be of this run's task."""
    path = folder / DATA_FACTS
    content = read_json(path)
    try:
        mean, std = (_numbers(content[name], WIDEST) for name in ("observation_mean", "observation_std"))
        low, high = _numbers(content["reward_rates"], 2)
        (background,) = _numbers([content["background"]], 1)
        horizon = content["horizon"]
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} is not what is noted of a run's data; pull the policy anew") from None
    shortest = find_task(config.task).horizon
    sound = len(mean) == len(std) and (std >= 0).all() and 0 <= background <= 1
    if not sound or type(horizon) is not int or not shortest <= horizon <= LONGEST:
        raise UserError(f"{path} can't be of data of task {config.task}; pull the policy anew")
    return DataFacts(mean, std, horizon, (float(low), float(high)), float(background))


def _numbers(value: Any, max_length: int) -> Any:
    if not isinstance(value, list) or len(value) > max_length or not all(type(v) in (int, float) for v in value):
        raise TypeError
    return np.asarray(value, np.float32 if max_length == WIDEST else np.float64)
