"""The recording of a stage of a task: a Minari data set that is made once, and then read."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from numpy.typing import NDArray

from .. import storage
from ..environments.staged_tasks import StagedTask
from ..environments.stages import StagedEnvironment
from ..errors import UserError
from ..sources.minari import read, step_infos
from ..sources.minari_files import AGAIN
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
        """The Minari id; the whole plan and the task's options are in it, not the versions of packages."""
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
            if not (root / self.minari_id).is_dir():
                return keep(self.minari_id, root, name, partial(self._write, environment, played))
            with self._advice():
                return read(self.minari_id, root, dataset=name, source="recorded")

    def infos(self, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
        """Whole numbers that were noted of each step, by name (`step_infos`)."""
        with self._advice():
            return step_infos(self.minari_id, minari_root(), names)

    @contextmanager
    def _advice(self) -> Iterator[None]:
        """Say of any damage how to mend it."""
        try:
            yield
        except UserError as error:
            problem = str(error).removesuffix(f"; {AGAIN}")
            raise UserError(
                f"{problem}; delete the folder {minari_root() / self.minari_id}, and it is recorded anew"
            ) from None

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
