"""Write data sets as Minari data sets, by Minari's own writer."""

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer

from .. import storage
from ..actions import native_actions, native_space
from ..catalog import find_dataset, find_task, load
from ..environments.simulators import make_environment
from ..errors import UserError
from ..recording.collect import compress, name_namespaces, temporary_minari_root, with_room
from ..tasks import Task
from ..trajectories import Trajectories
from .minari import local_root


def export_to_minari(name: str, source: str = "auto", root: Path | None = None) -> tuple[str, Path]:
    """Write a data set below `root` (Minari's own folder if None); returns its Minari id and that folder.

    Nothing is lost: read back, it has the same content. A `UserError` if the data set is not at hand, or if a Minari
    data set of that id is there already.
    """
    dataset = find_dataset(name)
    trajectories = load(name, source)
    root = root or local_root()
    minari_id = f"lamobench/{dataset.name}/{trajectories.provenance.source}-v0"
    if (root / minari_id).exists():
        raise UserError(f"{root / minari_id} is there already; delete it with `minari delete {minari_id}` first")
    with storage.plain_disk_errors():
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, prefix=".exporting.") as scratch:
            with temporary_minari_root(Path(scratch)):
                _write(minari_id, trajectories, find_task(dataset.task), root)
            with storage.whole_folder(root / minari_id) as temporary:
                os.rename(Path(scratch) / minari_id / "data", temporary / "data")
        name_namespaces(root, minari_id)
    return minari_id, root


def _write(minari_id: str, trajectories: Trajectories, task: Task, root: Path) -> None:
    provenance = trajectories.provenance
    env = make_environment(task)
    spec = env.unwrapped.spec  # with its options, and without the wrappers, which are this suite's
    assert spec is not None
    spec.max_episode_steps = task.horizon
    images = trajectories.observations.dtype == np.uint8
    low, high = (0, 255) if images else (-np.inf, np.inf)
    space = gymnasium.spaces.Box(low, high, trajectories.observations.shape[1:], trajectories.observations.dtype.type)
    with warnings.catch_warnings():
        # Minari wants an address and a link from everyone; an export on somebody's own machine has neither.
        warnings.filterwarnings("ignore", message=r"`(code_permalink|author_email)` is set to None")
        data = minari.create_dataset_from_buffers(
            minari_id,
            with_room(_episodes(trajectories, env), root),
            env=spec,
            eval_env=spec,
            observation_space=space,
            action_space=native_space(env),
            author="lamobench",
            algorithm_name=f"{provenance.dataset} from {provenance.source}",
            description=f"{provenance.origin}; made by {provenance.env_id}, {provenance.simulator}",
            ref_min_score=task.reference_scores[0],
            ref_max_score=task.reference_scores[1],
            requirements=[provenance.simulator.replace(" ", "==", 1)] if " " in provenance.simulator else [],
            data_format="hdf5",
            jpeg_encoding=False,
        )
    if images:
        compress(data)
    env.close()


def _episodes(trajectories: Trajectories, env: gymnasium.Env) -> Iterator[EpisodeBuffer]:
    for n in range(trajectories.num_episodes):
        steps = slice(trajectories.offsets[n], trajectories.offsets[n + 1])
        yield EpisodeBuffer(
            id=n,
            observations=[*trajectories.observations[steps], trajectories.last_observations[n]],
            actions=list(native_actions(env, trajectories.actions[steps])),
            rewards=list(trajectories.rewards[steps]),
            terminations=list(trajectories.terminals[steps]),
            truncations=list(trajectories.timeouts[steps]),
        )
