"""Records a catalog data set in the real simulator, as a real Minari data set, by Minari's own `DataCollector`."""

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import gymnasium
import minari
import numpy as np
from tqdm import tqdm

from .. import storage
from ..cache import Place
from ..catalog import Dataset, find_task, recording_of
from ..environments import make_environment
from ..sources.minari import read
from ..tasks import Task
from ..trajectories import Trajectories
from . import reacher2d

NAMESPACE_FILE = "namespace_metadata.json"  # Minari's; it takes a folder for a namespace when this file is in it

# A player plays one whole episode from a seed; the wrapper around the environment does the recording.
PLAYERS: dict[str, tuple[str, Callable[[gymnasium.Env, int], None]]] = {
    "reacher2d": (reacher2d.ALGORITHM, reacher2d.play_episode),
}


def record(dataset: Dataset, root: Path, place: Place = storage.whole_folder) -> Trajectories:
    """Play the episodes of a data set's `Recorded` source, store them under `root`, and return what was stored.

    They are stored by their Minari id. The same seed and simulator give the same data. The recording is read back and
    checked before it appears, whole, in its folder; `place` says what happens to one that is there:
    `storage.whole_folder` keeps it, `cache.replaced_folder` takes its place.
    """
    root.mkdir(parents=True, exist_ok=True)
    minari_id = recording_of(dataset).minari_id
    target = root / minari_id
    with tempfile.TemporaryDirectory(dir=root, prefix=".recording.") as scratch:
        with temporary_minari_root(Path(scratch)):
            _collect(dataset, find_task(dataset.task))
        trajectories = read(minari_id, Path(scratch), dataset=dataset.name, source="recorded")
        with place(target) as temporary:
            os.rename(Path(scratch) / minari_id / "data", temporary / "data")
    name_namespaces(root, minari_id)
    return trajectories


def name_namespaces(root: Path, minari_id: str) -> None:
    """Make the folders above a data set namespaces that Minari knows."""
    for namespace in list(Path(minari_id).parents)[:-1]:
        if not (root / namespace / NAMESPACE_FILE).exists():
            storage.write_json(root / namespace / NAMESPACE_FILE, {})


def episode_seeds(record_seed: int, episodes: int) -> list[int]:
    """A seed for each episode; those of two recordings have nothing in common."""
    return [int(seed) for seed in np.random.SeedSequence(record_seed).generate_state(episodes, np.uint64)]


def _collect(dataset: Dataset, task: Task) -> None:
    algorithm, play_episode = PLAYERS[dataset.task]
    recording = recording_of(dataset)
    env = minari.DataCollector(make_environment(task), data_format="hdf5", jpeg_encoding=False)
    seeds = episode_seeds(recording.record_seed, recording.episodes)
    for seed in tqdm(seeds, desc=f"recording {dataset.name}", unit=" episodes", leave=False, disable=None):
        play_episode(env, seed)
    with warnings.catch_warnings():
        # Minari wants an address and a link from everyone; a recording on somebody's own machine has neither.
        warnings.filterwarnings("ignore", message=r"`(code_permalink|author_email)` is set to None")
        env.create_dataset(
            recording.minari_id,
            eval_env=task.env_id,
            algorithm_name=algorithm,
            author="lamobench",
            description=f"{dataset.description} (seed {recording.record_seed})",
            requirements=[f"{package}=={version(package)}" for package in (task.simulator, "gymnasium")],
        )
    env.close()


@contextmanager
def temporary_minari_root(root: Path) -> Iterator[None]:
    """Let Minari write below `root`; only the environment of the process tells it, so this is not for threads."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(root)
    try:
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
