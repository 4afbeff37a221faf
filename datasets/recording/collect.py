"""Record a catalog data set in the real simulator, as a real Minari data set."""

import atexit
import os
import resource
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import minari
import numpy as np
from minari.data_collector import EpisodeBuffer
from tqdm import tqdm

from .. import storage
from ..cache import Place
from ..catalog import find_task, recording_of
from ..entries import LOCOMOTION_SIZES, Dataset
from ..environments.simulators import make_environment
from ..errors import UserError
from ..processes import START_METHOD, cores, follow_parent
from ..sources.minari import read
from ..tasks import Task
from ..trajectories import Trajectories
from . import atari, kitchen, locomotion, reacher2d
from .part import Part

NAMESPACE_FILE = "namespace_metadata.json"  # Minari's; it takes a folder for a namespace when this file is in it
BOOKKEEPING = 20_000  # bytes of an episode beside its numbers
ROOM = 16_000_000  # bytes that stay free while HDF5 writes: what it holds back, and its own bookkeeping
WORTH_A_PROCESS = 20_000  # environment steps: fewer are played sooner than a worker process has started


@dataclass(frozen=True)
class Player:
    """A player of the episodes of a task's recordings."""

    algorithm: str  # in a few words, for the data set's metadata
    # Plays one whole episode of a grade, from reset to end; the wrapper around the environment records it.
    play: Callable[[gymnasium.Env, str, Part], None]


PLAYERS: dict[str, Player] = {
    "reacher2d": Player(reacher2d.ALGORITHM, reacher2d.play_episode),
    **{task: Player(locomotion.ALGORITHM, partial(locomotion.play_episode, task)) for task in LOCOMOTION_SIZES},
    "kitchen": Player(kitchen.ALGORITHM, kitchen.play_episode),
    "kitchen-mixed": Player(kitchen.ALGORITHM, kitchen.play_episode),
    **{game: Player(atari.ALGORITHM, atari.player(game)) for game in atari.STYLES},
}


def record(dataset: Dataset, root: Path, place: Place = storage.whole_folder) -> Trajectories:
    """Play the episodes of a data set's `Recorded` source, store them under `root`, and return what was stored.

    They are stored by their Minari id. The same seed and simulator give the same data, however many processes play. The
    recording is read back and checked before it appears, whole, in its folder; `place` says what happens to one that is
    there: `storage.whole_folder` keeps it, `cache.replaced_folder` takes its place.
    """
    write = partial(_write, dataset, find_task(dataset.task), root)
    return keep(recording_of(dataset).minari_id, root, dataset.name, write, place)


def keep(
    minari_id: str, root: Path, dataset: str, write: Callable[[], None], place: Place = storage.whole_folder
) -> Trajectories:
    """Let `write` make the Minari data set `minari_id`, and move it to its folder below `root`; returns what it holds.

    `dataset` is its name here. It is read back and checked before it appears, as `record` says.
    """
    with storage.scratch_folder(root, ".recording.") as scratch:
        with temporary_minari_root(scratch):
            write()
        trajectories = read(minari_id, scratch, dataset=dataset, source="recorded")
        with place(root / minari_id) as temporary:
            os.rename(scratch / minari_id / "data", temporary / "data")
    name_namespaces(root, minari_id)
    return trajectories


def name_namespaces(root: Path, minari_id: str) -> None:
    """Make the folders above a data set namespaces that Minari knows."""
    for namespace in list(Path(minari_id).parents)[:-1]:
        if not (root / namespace / NAMESPACE_FILE).exists():
            storage.write_json(root / namespace / NAMESPACE_FILE, {})


def parts(record_seed: int, episodes: int) -> list[Part]:
    """The episodes of a recording, each with a seed of its own; those of two recordings have nothing in common."""
    seeds = np.random.SeedSequence(record_seed).generate_state(episodes, np.uint64)
    return [Part(int(seed), number, episodes) for number, seed in enumerate(seeds)]


class Recorder(gymnasium.Wrapper):  # type: ignore[misc]
    """A wrapper that keeps one episode: all that passes through `reset` and `step`."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin the episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self.seed = seed
        self.observations = [observation]
        self.steps: list[tuple[Any, float, bool, bool]] = []
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.observations.append(observation)
        self.steps.append((action, float(reward), bool(terminated), bool(truncated)))
        return observation, float(reward), bool(terminated), bool(truncated), info

    def episode(self, number: int) -> EpisodeBuffer:
        """The episode; one that its player left before its end counts as truncated."""
        actions, rewards, terminations, truncations = (list(column) for column in zip(*self.steps, strict=True))
        truncations[-1] = truncations[-1] or not terminations[-1]
        return EpisodeBuffer(
            id=number,
            seed=self.seed,
            observations=np.stack(self.observations),
            actions=np.stack(actions),
            rewards=rewards,
            terminations=terminations,
            truncations=truncations,
        )


def with_room(episodes: Iterable[EpisodeBuffer], folder: Path) -> Iterator[EpisodeBuffer]:
    """The episodes, each checked to fit on the disk that `folder` is on, and into a file; a `UserError` otherwise.

    HDF5 does not survive a full disk or the end of a file's size: it can't even close its file, and takes the process
    down with it. So neither may be met while it writes.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    written = 0
    for episode in episodes:
        columns = (episode.observations, episode.actions)
        size = sum(len(column) * np.asarray(column[0]).nbytes for column in columns)
        storage.check_room(folder, "the next episode", size + ROOM)
        written += size + BOOKKEEPING
        if limit != resource.RLIM_INFINITY and written + ROOM > limit:
            raise UserError(
                f"a file may have {limit / 1e6:.1f} MB here, and the recording takes {(written + ROOM) / 1e6:.1f} MB "
                "or more; raise the limit (ulimit -f)"
            )
        yield episode


def _write(dataset: Dataset, task: Task, root: Path) -> None:
    """Play, and let Minari write what was played to its current root, a folder in `root`."""
    recording = recording_of(dataset)
    env = make_environment(task)
    bar = tqdm(total=recording.episodes, desc=f"recording {dataset.name}", unit=" episodes", leave=False, disable=None)
    with warnings.catch_warnings(), closing(_played(dataset, task)) as episodes, bar:
        # Minari wants an address and a link from everyone; a recording on somebody's own machine has neither.
        warnings.filterwarnings("ignore", message=r"`(code_permalink|author_email)` is set to None")
        data = minari.create_dataset_from_buffers(
            recording.minari_id,
            with_room(_counted(episodes, bar), root),
            env=env.unwrapped.spec,
            eval_env=task.env_id,
            observation_space=env.observation_space,
            action_space=env.action_space,
            algorithm_name=PLAYERS[dataset.task].algorithm,
            author="lamobench",
            description=f"Recorded for '{dataset.name}': grade {recording.grade}, seed {recording.record_seed}",
            requirements=[f"{package}=={version(package)}" for package in (task.simulator, "gymnasium")],
            data_format="hdf5",
            jpeg_encoding=False,
        )
    if task.frame_stack:
        compress(data)
    env.close()


def _counted(episodes: Iterator[EpisodeBuffer], bar: Any) -> Iterator[EpisodeBuffer]:
    for episode in episodes:
        yield episode
        bar.update()


def _played(dataset: Dataset, task: Task) -> Generator[EpisodeBuffer, None, None]:
    """The episodes in order, played by as many processes as are worth it."""
    recording = recording_of(dataset)
    todo = parts(recording.record_seed, recording.episodes)
    workers = min(cores(), len(todo), max(1, len(todo) * task.horizon // WORTH_A_PROCESS))
    if workers == 1:
        env = Recorder(make_environment(task))
        for part in todo:
            yield _play(env, dataset.task, recording.grade, part)
        env.close()
        return
    pool = ProcessPoolExecutor(workers, get_context(START_METHOD), _start_worker, (dataset.task,))
    try:
        yield from pool.map(partial(_play_in_worker, recording.grade), todo)
    finally:
        pool.shutdown(cancel_futures=True)


def _play(env: Recorder, task_name: str, grade: str, part: Part) -> EpisodeBuffer:
    PLAYERS[task_name].play(env, grade, part)
    return env.episode(part.number)


_worker: tuple[Recorder, str]  # a worker process's environment and the name of its task


def _start_worker(task_name: str) -> None:
    global _worker
    threading.Thread(target=follow_parent, daemon=True).start()
    _worker = Recorder(make_environment(find_task(task_name))), task_name
    atexit.register(_end_worker)


def _end_worker() -> None:
    """Let the environment go before the interpreter does: Atari's prints a page about leaks otherwise."""
    global _worker
    _worker[0].close()
    del _worker


def _play_in_worker(grade: str, part: Part) -> EpisodeBuffer:
    return _play(*_worker, grade, part)


def compress(data: minari.MinariDataset) -> None:
    """Pack a data set's arrays without loss: frames shrink to a few percent, and h5py unpacks them unasked."""
    path = data.storage.data_path / "main_data.hdf5"
    storage.check_room(path.parent, "packing the frames", path.stat().st_size)
    packed = path.with_suffix(".packed")
    with h5py.File(path, "r") as source, h5py.File(packed, "w", track_order=True) as target:
        for name, episode in source.items():
            group = target.create_group(name)
            group.attrs.update(episode.attrs)
            for key, array in episode.items():
                chunks = (min(len(array), 16), *array.shape[1:])
                group.create_dataset(key, data=array[()], chunks=chunks, compression="gzip", compression_opts=1)
    os.replace(packed, path)
    data.storage.update_metadata({"dataset_size": data.storage.get_size()})


def temporary_minari_root(root: Path) -> AbstractContextManager[None]:
    """Let Minari write below `root` for a while; only the environment of the process tells it."""
    return storage.temporary_variable("MINARI_DATASETS_PATH", str(root))
