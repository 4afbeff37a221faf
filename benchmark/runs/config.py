"""A run's configuration: every number that defines the run, and its id.

Its folder's name alone tells a run from any other, and no choice that changes results goes unseen. Device, threads
and library versions are not part of it: they change rounding, and `done.json` records them.
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import Annotated, Any, ClassVar

from ...baselines.fields import Bounds

MOST = 10**15  # steps, episodes, evaluations of a run: floats count exactly up to here
Number = Annotated[int, Bounds(1, MOST)]
PRECISIONS = ["float32", "bfloat16"]

ID_END = r"-s\d{1,10}-[0-9a-f]{10}"  # of `RunConfig.id`
RUN_ID_END = re.compile(rf"{ID_END}$")  # by which a folder is known as a run's
BROKEN_END = re.compile(rf"{ID_END}\.broken-\d+$")  # of a damaged run that was set aside
RUN_ID = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,127}}{ID_END}")  # the whole of it, for names from elsewhere


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The fields that every run has, `config.json` in its folder; a track's own configuration is a subclass."""

    track: ClassVar[str]  # a name of `tracks.TRACKS`
    # Fields that older runs do not have, with the values that they had in effect; then the same for `policy`.
    later_fields: ClassVar[Mapping[str, Any]] = {}
    later_settings: ClassVar[Mapping[str, Any]] = {}
    per_seed: ClassVar[tuple[str, ...]] = ("seed",)  # fields in which the seeds of one row may differ

    task: str
    method: str
    profile: str
    seed: Annotated[int, Bounds(0, 2**32 - 1)]
    precision: str  # of matrix products
    steps: Number
    batch_size: Number
    evaluate_every: Number
    evaluation_episodes: Number
    headline_evaluations: Number
    policy: dict[str, Any]  # the method's config
    version: str  # of lamobench
    accumulation: Number = 1  # parts that a batch was computed in
    target_returns: list[float] = field(default_factory=lambda: [0.0])  # that evaluations ask for; the first is ranked
    lm: str = ""  # language model: a name or a folder; "" for none
    lm_hash: str = ""

    @property
    def subject(self) -> str:
        """The name of what it is trained on, where runs are listed."""
        return self.task

    @property
    def outdated(self) -> Mapping[str, Any]:
        """The settings that the run's profile had then and has changed since; rows of such runs are variants."""
        return {}

    @property
    def unmade(self) -> str:
        """The name of what the run begins with, if it was planned before that was made; its id is another one then."""
        return ""

    @property
    def ranked_targets(self) -> list[float]:
        """The target returns of which the best score is a run's: only the first, unless a track says otherwise."""
        return self.target_returns[:1]

    @property
    def episodes_each_time(self) -> float:
        """The episodes of an evaluation, on average: each target return is played so often."""
        return self.evaluation_episodes * len(self.target_returns)

    @property
    def share(self) -> str:
        """The share of the data, where runs are listed; empty where there is no such choice."""
        return ""

    def settings_of(self, prefix: str) -> dict[str, Any]:
        """The settings whose names begin with "PREFIX.", by the rest of their names; "": those without a prefix."""
        if not prefix:
            return {name: value for name, value in self.policy.items() if "." not in name}
        start = f"{prefix}."
        return {name[len(start) :]: value for name, value in self.policy.items() if name.startswith(start)}

    def choices(self) -> list[tuple[str, Sequence[str], Collection[str]]]:
        """Fields that hold names: the field, the names it holds, and the names it may hold."""
        return [("precision", [self.precision], PRECISIONS)]

    def stored(self) -> dict[str, Any]:
        """The content of `config.json`; runs from before there were tracks name none."""
        track = {} if self.later_fields.get("track") == self.track else {"track": self.track}
        return track | asdict(self)

    @cached_property
    def id(self) -> str:
        """A readable name that ends in a hash of the whole configuration."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"track": self.track, "policy": dict(self.policy)}
        for given, later in ((values, self.later_fields), (values["policy"], self.later_settings)):
            for name, default in later.items():  # runs from before there was the choice keep their ids
                if name in given and given[name] == default:
                    del given[name]
        digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        return f"{self._readable}-s{self.seed}-{digest[:10]}"

    @property
    def _readable(self) -> str:
        return f"{self.task}-{self.method}"
