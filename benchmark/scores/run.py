"""Runs as the leaderboard knows them, from `collect` to the report: frozen records of what their folders hold."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ...datasets.trajectories import Array
from ..runs.config import RunConfig
from ..runs.held_out import HeldOut
from ..runs.methods import look_up
from ..runs.records import is_verified


@dataclass(frozen=True)
class Data:
    """The data that a run learned from; where its track has no data sets, what rows have in these columns."""

    dataset: str  # or whatever else it was trained on
    source: str = ""
    dataset_hash: str = ""
    subset_hash: str = ""
    env_id: str = ""
    fraction: float = 1.0
    episodes_in_subset: int = 0


_NAMES = tuple(field.name for field in fields(Data))


def data_of(config: RunConfig) -> Data:
    """The data of a run with this configuration."""
    known = {name: value for name in _NAMES if (value := getattr(config, name, None))}
    return Data(**({"dataset": config.subject} | known))


@dataclass(frozen=True)
class Result:
    """The outcome of a finished run at one target return, of V evaluations and M headline episodes."""

    target_return: float
    score: float
    best_score: float
    return_mean: float  # of the headline episodes
    headline_scores: Array  # (M,)
    curve_steps: Array  # (V,)
    curve_scores: Array  # (V,)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as it was found."""

    folder: Path
    status: str  # "finished", "unfinished", "failed" or "damaged"
    config: RunConfig | None = None  # None where it can't be read
    problem: str = ""  # one line that says what is wrong; empty for finished runs
    advice: str = ""  # what to do about damage

    @property
    def id(self) -> str:
        """The name of its folder; of a sound run the id of its configuration."""
        return self.folder.name

    @property
    def what_and_how(self) -> str:
        """The problem, and what to do about it."""
        return f"{self.problem}; {self.advice}" if self.advice else self.problem


@dataclass(frozen=True, kw_only=True)
class FinishedRun(Run):
    """A run whose files are whole, with what it scored."""

    status: str = "finished"
    config: RunConfig
    done: Mapping[str, Any]  # of its `done.json`: `runs.records.DONE_KINDS`, and those of `LATER_DONE_KINDS` it has
    results: tuple[Result, ...]  # at each target that could be ranked
    result: Result  # at the one that is
    held_out: HeldOut | None = None  # None where it was not measured

    @property
    def verified(self) -> bool:
        """Tell whether the hashes of what was read are known."""
        return is_verified(self.done)

    @cached_property
    def data(self) -> Data:
        """The data that it learned from."""
        return data_of(self.config)

    @property
    def data_seed(self) -> int:
        """The seed that drew its subset; its own where none is drawn."""
        return int(getattr(self.config, "data_seed", self.config.seed))

    @cached_property
    def fields(self) -> dict[str, Any]:
        """Every field of its configuration, a method's settings as "policy.name", and those of `Data`."""
        config = self.config
        flat = {field.name: getattr(config, field.name) for field in fields(config) if field.name != "policy"}
        flat |= {f"policy.{name}": value for name, value in config.policy.items()}
        return {"track": config.track} | vars(self.data) | flat

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Values that runs of one leaderboard row must have in common, by name."""
        config = self.config
        drawn = look_up(config.method).weights not in ("", "pretrained")  # weights drawn by the seed
        may_differ = (*config.per_seed, *(("lm_hash",) if drawn else ()))
        common = {name: value for name, value in self.fields.items() if name not in may_differ}
        for name, default in config.later_settings.items():  # as in the run's id
            if common.get(f"policy.{name}", default) == default:
                common.pop(f"policy.{name}", None)
        return common | {"simulator": self.done["simulator"]}
