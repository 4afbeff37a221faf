"""The recording of a stage of a task: a Minari data set that is made once, and then read."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import minari
from minari.data_collector import EpisodeBuffer

from .. import storage
from ..environments.staged_tasks import StagedTask
from ..environments.stages import StagedEnvironment
from ..sources.minari import read
from ..sources.recorded import minari_root
from ..trajectories import Trajectories
from .collect import keep, with_room


@dataclass(frozen=True)
class StageRecording:
    """A recording: what it is of, and how it is played."""

    task: StagedTask
    stage: int
    plan: Mapping[str, Any]  # all that decides how it is played, and a "seed"
    algorithm: str  # in a few words, for the data set's metadata
    packages: tuple[str, ...]  # that decide what is seen

    @property
    def minari_id(self) -> str:
        """The Minari id; all that decides what the recording holds is in it."""
        recipe = json.dumps([asdict(self.task.options), self.plan, self.stage], sort_keys=True)
        digest = hashlib.sha256(recipe.encode()).hexdigest()
        stage = self.task.stages[self.stage].replace(" ", "-")
        return f"lamobench/{self.task.name}/{stage}-s{self.plan['seed']}-{digest[:8]}-v0"

    def trajectories(
        self, environment: StagedEnvironment, played: Callable[[], Iterable[EpisodeBuffer]]
    ) -> Trajectories:
        """The episodes, which are `played` first where they aren't there yet; they are kept in `minari_root`."""
        name = self.minari_id.partition("/")[2]
        root = minari_root()
        with storage.plain_disk_errors():
            if (root / self.minari_id).is_dir():
                return read(self.minari_id, root, dataset=name, source="recorded")
            return keep(self.minari_id, root, name, partial(self._write, environment, played))

    def _write(self, environment: StagedEnvironment, played: Callable[[], Iterable[EpisodeBuffer]]) -> None:
        """Play, and let Minari write what was played to its current root, a folder in `minari_root`."""
        with warnings.catch_warnings():
            # Minari wants an address and a link from everyone; a recording on somebody's own machine has neither. The
            # environment is no Gymnasium one, so none can be named.
            warnings.simplefilter("ignore")
            minari.create_dataset_from_buffers(
                self.minari_id,
                with_room(iter(played()), minari_root()),
                observation_space=environment.observation_space,
                action_space=environment.action_space,
                algorithm_name=self.algorithm,
                author="lamobench",
                description=(
                    f"Stage {self.stage} of {self.task.name}: {self.task.stages[self.stage]}; seed {self.plan['seed']}"
                ),
                requirements=[f"{package}=={version(package)}" for package in self.packages],
                data_format="hdf5",
                jpeg_encoding=False,
            )
