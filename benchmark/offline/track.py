"""The offline track as the harness sees it: `tracks.Work`, whose docstrings say what each function has to do."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ...datasets.catalog import find_dataset, load
from ...datasets.errors import UserError
from ..runs.methods import methods_for
from ..runs.tracks import Job, Note, Tell, Wanted
from . import together
from .config import OfflineConfig
from .loop import train as train_run
from .players import read_data_facts, write_data_facts
from .policy_card import policy_card as card
from .resolve import RunRequest, grid, shorter_budget
from .watched import draw, play

__all__ = ["card", "check_published", "draw", "groups", "missing", "play", "publish", "resolve", "train"]


def resolve(wanted: Wanted) -> Sequence[OfflineConfig]:
    """Every method at every share of the data; `choices` are `fractions` and other fields of `RunRequest`."""
    choices = dict(wanted.choices)
    fractions = choices.pop("fractions", None) or find_dataset(wanted.subject).published_fractions or (1.0,)
    discrete = load(wanted.subject, choices.get("source", "auto")).discrete
    runs: list[OfflineConfig] = []
    for method in wanted.methods or methods_for(discrete=discrete):
        steps = shorter_budget(wanted.subject, method, wanted.profile, wanted.steps) if wanted.steps else {}
        request = RunRequest(
            wanted.subject,
            method,
            profile=wanted.profile,
            budget=steps | dict(wanted.budget),
            settings=dict(wanted.settings),
            **choices,
        )
        runs += grid(request, fractions, wanted.seeds)
    return runs


def train(job: tuple[OfflineConfig, ...], root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
    """Train one run, or several seeds in one pass; wait while another process works on one of them."""
    if len(job) > 1:
        return together.train_together(job, root, device, tell, True, note)
    (run,) = job
    try:
        train_run(run, root, device, lambda done, total: tell(run.id, done, total), True, note)
    except UserError as error:
        return {run.id: str(error)}
    return {}


def groups(runs: Sequence[OfflineConfig], device: str | None) -> Iterable[Job]:
    """Runs that differ in their seeds alone, where they can be stacked on the device."""
    return together.groups(runs, None if device is None else torch.device(device))


def publish(folder: Path, target: Path, config: OfflineConfig) -> None:
    """Write what the policy needs to know of its data, which must be at hand unless the run was fetched itself."""
    write_data_facts(target, folder, config)


def check_published(folder: Path, config: OfflineConfig) -> None:
    """Raise a `UserError` unless what is noted of the data can be of this run's task."""
    read_data_facts(folder, config)


def missing(config: OfflineConfig) -> str:
    """The language model, if the run has one that is not here."""
    if not config.lm:
        return ""
    from .language import language_model_problem

    return language_model_problem(config, config.lm)
