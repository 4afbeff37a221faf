"""Loading and memory: reading data sets, opening them, and training on those that are larger than memory."""

import gzip
import warnings
from dataclasses import asdict
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from ...datasets import cache
from ...datasets.entries import D4RL, DATASETS, DQNReplay
from ...datasets.recording.collect import temporary_minari_root
from ...datasets.sources import d4rl
from ...datasets.storage import write_json
from ...datasets.trajectories import Array, Provenance, Trajectories, combine_hashes
from .harness import Measure, Row, Settings, below, faster, in_turn, memory_of

SAMPLING = """
import numpy as np
from lamobench.datasets.catalog import load
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.windows import ContextSampler, View

rng, whole = np.random.default_rng(0), take_fraction(load("breakout-medium"), 1.0, 0)
sampler = ContextSampler(whole, 30, View(frames=4))
for _ in range(200):
    sampler.sample(128, rng)
"""


def loading_d4rl(settings: Settings, scratch: Path, steps: int = 1_000_000) -> list[Row]:
    """Seconds to read a D4RL file of hopper's shape, against iterating the same data as Minari episodes."""
    path = scratch / "hopper_medium-v2.hdf5"
    dataset = DATASETS["hopper-medium"]
    (file,) = (source for source in dataset.sources if isinstance(source, D4RL))
    data = _hopper_like(steps)
    _write_d4rl(path, data)
    folder = _write_minari(scratch, data)
    ours = partial(d4rl.read, path, dataset, file)
    theirs = partial(_iterate_minari, folder)
    np.testing.assert_array_equal(ours().observations, theirs()["observations"])
    rounds = in_turn(settings, ours, theirs)
    return [faster(f"load {steps:,} transitions", "iterating Minari episodes", rounds, target=5.0, unit="s")]


def opening_cached(settings: Settings, scratch: Path, frames: int = 1_000_000) -> list[Row]:
    """Milliseconds to open a cached data set of a million Atari frames, 7 GB."""
    folder = empty_atari(frames)
    milliseconds = [1000 * seconds for (seconds,) in in_turn(settings, partial(cache.open_cached, folder))]
    return [below(f"open a cached data set of {frames:,} frames", "ms", milliseconds, 50.0)]


def unpacking_memory(settings: Settings, scratch: Path, frames: int = 300_000) -> list[Row]:
    """Peak memory (GB) of a process that reads DQN replay files: of 2.1 GB of frames it holds a block at a time."""
    _write_dqn_replay(scratch, frames)
    command = ["data", "fetch", "breakout-medium", "--from", str(scratch)]
    return [below(f"peak memory of unpacking {frames:,} frames", "GB", [memory_of(command, scratch)], 1.0)]


def sampling_memory(settings: Settings, scratch: Path, frames: int = 1_000_000) -> list[Row]:
    """Memory (GB) that a process has of its own after 200 batches from 7 GB of frames, which it never copies."""
    empty_atari(frames)
    memory = memory_of([], scratch, script=SAMPLING, kind="RssAnon")
    return [below(f"memory, but for mapped files, after 200 batches of {frames:,} frames", "GB", [memory], 1.0)]


def atari_training_memory(settings: Settings, scratch: Path, frames: int = 1_000_000) -> list[Row]:
    """Peak memory (GB) of a process that trains LaMo on 1 % of a million Atari frames and evaluates it."""
    empty_atari(frames)
    budget = ("steps=20", "evaluate_every=20", "evaluation_episodes=2", "headline_evaluations=1")
    command = ["train", "breakout-medium", "--fraction", "0.01", "--runs", str(scratch / "runs")]
    memory = memory_of([*command, *(word for change in budget for word in ("--budget", change))], scratch)
    return [below(f"peak memory of training on 1 % of {frames:,} frames", "GB", [memory], 1.5)]


MEASUREMENTS: dict[str, Measure] = {
    "load-d4rl": loading_d4rl,
    "open-cached": opening_cached,
    "memory-unpacking": unpacking_memory,
    "memory-sampling": sampling_memory,
    "memory-atari": atari_training_memory,
}


def _hopper_like(steps: int) -> dict[str, Array]:
    """Random data of hopper's shape in episodes of 500 steps, about as long as those of hopper-medium."""
    rng = np.random.default_rng(0)
    timeouts = np.arange(1, steps + 1) % 500 == 0
    observations = rng.standard_normal((steps, 11), np.float32)
    following = np.roll(observations, -1, axis=0)
    following[timeouts] = rng.standard_normal((int(timeouts.sum()), 11), np.float32)
    return {
        "observations": observations,
        "actions": rng.uniform(-1, 1, (steps, 3)).astype(np.float32),
        "rewards": rng.standard_normal(steps, np.float32),
        "terminals": np.zeros(steps, bool),
        "timeouts": timeouts,
        "next_observations": following,
    }


def _write_d4rl(path: Path, data: dict[str, Array]) -> None:
    with h5py.File(path, "w") as file:
        for name, array in data.items():
            file.create_dataset(name, data=array, compression="gzip")


def _write_minari(scratch: Path, data: dict[str, Array]) -> Path:
    """The same episodes, by Minari's own writer."""
    import gymnasium
    import minari
    from minari.data_collector import EpisodeBuffer

    ends = np.flatnonzero(data["timeouts"]) + 1
    episodes = []
    for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        part = slice(start, end)
        observations = np.concatenate([data["observations"][part], data["next_observations"][end - 1 : end]])
        arrays = (observations, data["actions"][part], data["rewards"][part], data["terminals"][part])
        episodes.append(EpisodeBuffer(number, None, None, *arrays, data["timeouts"][part]))
    with temporary_minari_root(scratch / "minari"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about an author whom nobody will write to
        minari.create_dataset_from_buffers(
            "bench/hopper-v0",
            episodes,
            env="Hopper-v5",
            observation_space=gymnasium.spaces.Box(-np.inf, np.inf, (11,), np.float32),
            jpeg_encoding=False,
        )
    return scratch / "minari/bench/hopper-v0/data"


def _iterate_minari(folder: Path) -> dict[str, Array]:
    """Do what a user writes to get flat arrays out of a Minari data set."""
    import minari

    episodes = list(minari.MinariDataset(folder).iterate_episodes())
    return {
        "observations": np.concatenate([episode.observations[:-1] for episode in episodes]),
        "next_observations": np.concatenate([episode.observations[1:] for episode in episodes]),
        "actions": np.concatenate([episode.actions for episode in episodes]),
        "rewards": np.concatenate([episode.rewards for episode in episodes]),
        "terminals": np.concatenate([episode.terminations for episode in episodes]),
        "timeouts": np.concatenate([episode.truncations for episode in episodes]),
    }


def _write_dqn_replay(folder: Path, frames: int) -> None:
    """Files of DQN replay's form, of grey frames in episodes of 1000."""
    (source,) = (s for s in DATASETS["breakout-medium"].sources if isinstance(s, DQNReplay))
    terminals = np.zeros(frames, np.uint8)
    terminals[999::1000] = 1
    blocks: dict[str, tuple[Array, int]] = {
        "observation": (np.full((1000, 84, 84), 7, np.uint8), frames // 1000),
        "action": (np.zeros(frames, np.int32), 1),
        "reward": (np.zeros(frames, np.float32), 1),
        "terminal": (terminals, 1),
    }
    for kind, (block, times) in blocks.items():
        header = {"descr": block.dtype.str, "fortran_order": False, "shape": (frames, *block.shape[1:])}
        with gzip.open(folder / source.file_names[kind], "wb", compresslevel=1) as file:
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(times):
                file.write(block.tobytes())


def empty_atari(frames: int) -> Path:
    """A cached data set of black frames in episodes of 1000: a sparse file, which takes no room on the disk."""
    provenance = Provenance("breakout-medium", "dqn_replay", "black frames", "none", "none")
    folder = cache.folder_of(provenance.dataset, provenance.source)
    folder.mkdir(parents=True)
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "observations": ((frames, 84, 84), np.uint8),
        "last_observations": ((frames // 1000, 84, 84), np.uint8),
        "actions": ((frames,), np.int64),
        "rewards": ((frames,), np.float32),
        "terminals": ((frames,), np.bool_),
        "timeouts": ((frames,), np.bool_),
        "offsets": ((frames // 1000 + 1,), np.int64),
    }
    assert shapes.keys() == set(Trajectories.ARRAYS)
    arrays = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
        for name, (shape, dtype) in shapes.items()
    }
    arrays["offsets"][:] = np.arange(0, frames + 1, 1000)
    arrays["timeouts"][999::1000] = True
    facts = {name: {"shape": list(a.shape), "dtype": a.dtype.str, "sha256": name} for name, a in arrays.items()}
    meta = {"format": cache.FORMAT, "provenance": asdict(provenance), "arrays": facts, "episodes": frames // 1000}
    statistic = dict.fromkeys(("return_mean", "return_std", "return_best"), 0.0)
    hashes = combine_hashes(dict.fromkeys(shapes, "black"))
    write_json(folder / cache.META, meta | statistic | {"steps": frames, "content_hash": hashes})
    return folder
