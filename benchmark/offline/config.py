"""The configuration of an offline run."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from ...baselines.fields import Bounds
from ...datasets.errors import UserError
from ...datasets.fractions import SELECTIONS
from ..runs.config import Number, RunConfig
from ..runs.methods import METHODS
from ..runs.records import read_config
from .faults import FAULTS
from .hyperparameters import PROFILES, overrides_for

LATER_FIELDS: dict[str, Any] = {
    "track": "offline",
    "legacy": [],
    "selection": "uniform",
    "accumulation": 1,
    "compiled": False,
    "cached_context": False,
    "unit_actions": False,
}
LATER_SETTINGS: dict[str, Any] = {
    "measure_language": False,  # of LaMo
    "lora_targets": "qkv",
    "norm_before_time": True,
    "return_scale": None,
    "input_scale": "published",
    "best_share": 1.0,  # of BC
    "automatic_entropy": True,  # from here on of CQL
    "target_gap": None,
    "importance_sampling": True,
    "soft_maximum_temperature": 1.0,
    "max_backup": False,
    "scale_rewards": False,
}


@dataclass(frozen=True, kw_only=True)
class OfflineConfig(RunConfig):
    """A run that learns from a data set alone."""

    track: ClassVar[str] = "offline"
    later_fields: ClassVar[Mapping[str, Any]] = LATER_FIELDS
    later_settings: ClassVar[Mapping[str, Any]] = LATER_SETTINGS
    per_seed: ClassVar[tuple[str, ...]] = ("seed", "data_seed", "subset_hash", "episodes_in_subset")

    dataset: str
    source: str
    dataset_hash: str
    fraction: Annotated[float, Bounds(math.ulp(0.0), 1.0)]
    data_seed: int
    subset_hash: str
    episodes_in_subset: Number
    env_id: str
    corpus_hash: str  # of the English in the language model's tokens; "" where the language loss is off
    legacy: list[str] = field(default_factory=list)  # faults of the published code that it reproduces
    selection: str = "uniform"  # how the fraction's episodes were drawn
    compiled: bool = False  # whether its training steps went through torch.compile
    cached_context: bool = False  # whether its evaluations read a context step by step
    unit_actions: bool = False  # whether its trajectory model sees actions mapped from another box to [-1, 1]

    @property
    def subject(self) -> str:
        """The data set."""
        return self.dataset

    @property
    def outdated(self) -> Mapping[str, Any]:
        """Later settings that a run of an unchanged profile has otherwise than the profile has them now."""
        profile = self.profile.partition(" (")[0]
        if "changed" in self.profile or profile not in PROFILES or self.method not in METHODS:
            return {}
        now = LATER_SETTINGS | overrides_for(profile, self.task, self.method)
        had = LATER_SETTINGS | self.policy
        return {name: had[name] for name in LATER_SETTINGS if had[name] != now[name]}

    @property
    def ranked_targets(self) -> list[float]:
        """The first, or all under legacy "best-target"."""
        return self.target_returns if "best-target" in self.legacy else super().ranked_targets

    @property
    def share(self) -> str:
        """The share of its episodes."""
        return f"{self.fraction * 100:g} %"

    def choices(self) -> list[tuple[str, Sequence[str], Collection[str]]]:
        """The choices of any run, and how a subset was drawn and which faults were put back."""
        return [*super().choices(), ("selection", [self.selection], SELECTIONS), ("legacy", self.legacy, FAULTS)]

    @property
    def _readable(self) -> str:
        return f"{self.dataset}-{self.fraction:g}-{self.method}"


def offline_config(folder: Path) -> OfflineConfig:
    """The configuration of the run in `folder`; a `UserError` if it is of another track."""
    config = read_config(folder)
    if not isinstance(config, OfflineConfig):
        raise UserError(f"run {config.id} is of track '{config.track}'; this command is for runs of track 'offline'")
    return config
