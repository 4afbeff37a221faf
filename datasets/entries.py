"""Every data set of the suite and its sources. Plain data: importing this module loads no numerical library.

A new task is one `Task` (`tasks.py`) and its environment (`environments/simulators.py`); a new data set is one
`Dataset` and a source that can read it (`sources/`) or a player that can record it (`recording/`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar


@dataclass(frozen=True)
class Recorded:
    """A recording on the user's own machine, in the real simulator, by a player of `recording/`."""

    episodes: int
    minari_id: str  # the Minari id under which the recording is stored
    record_seed: int  # the seed of the recording; not one that the player was tuned on
    grade: str = "medium"  # how well the player plays, in the player's own terms

    name: ClassVar[str] = "recorded"
    automatic: ClassVar[bool] = True


@dataclass(frozen=True)
class D4RL:
    """A public HDF5 file of D4RL, fetched once and read without D4RL's package."""

    d4rl_id: str  # the id under which D4RL registers it, version included
    address: str
    observation_size: int
    action_size: int
    legacy: bool = False  # keep the stored rewards, which in kitchen files count the satisfied sub-goals at every step
    steps: int | None = None  # about as many as it has, as D4RL's authors say; None if they do not

    @property
    def name(self) -> str:
        """The source's name in the cache, in commands and in every row."""
        return "d4rl-legacy" if self.legacy else "d4rl"

    @property
    def automatic(self) -> bool:
        """Check whether `auto` may choose it; what is known to be faulty has to be asked for by name."""
        return not self.legacy

    @property
    def file_name(self) -> str:
        """The file's name, here and on D4RL's server."""
        return self.address.rpartition("/")[2]

    @property
    def files(self) -> dict[str, str]:
        """The address of each file, by its path below the download folder."""
        return {self.file_name: self.address}

    @property
    def brought(self) -> str:
        """The value of `data fetch --from` for files that were brought by hand."""
        return self.file_name


@dataclass(frozen=True)
class DQNReplay:
    """A million frames of the public DQN replay data of an Atari game (Agarwal et al. 2020), in four files."""

    game: str  # as the public bucket names it, e.g. "Breakout"
    run: int  # 1 to 5: which of the five agents
    checkpoint: int  # 0 to 50: which million of its 50

    name: ClassVar[str] = "dqn_replay"
    automatic: ClassVar[bool] = True
    brought: ClassVar[str] = "FOLDER"  # what `data fetch --from` is given: the one that holds the four files
    KINDS: ClassVar = ("observation", "action", "reward", "terminal")

    @property
    def folder(self) -> str:
        """The folder of the files, in the public bucket and below the download folder."""
        return f"dqn/{self.game}/{self.run}/replay_logs"

    @property
    def file_names(self) -> dict[str, str]:
        """The name of the file of each kind."""
        return {kind: f"$store$_{kind}_ckpt.{self.checkpoint}.gz" for kind in self.KINDS}

    @property
    def files(self) -> dict[str, str]:
        """The address of each file, by its path below the download folder."""
        return {f"{self.folder}/{f}": f"{DQN_REPLAY_SERVER}/{self.folder}/{f}" for f in self.file_names.values()}

    @property
    def address(self) -> str:
        """The addresses of all four files as one that curl understands."""
        kinds = ",".join(self.KINDS)
        return f"{DQN_REPLAY_SERVER}/{self.folder}/$store$_{{{kinds}}}_ckpt.{self.checkpoint}.gz"


@dataclass(frozen=True)
class Minari:
    """A user's own data set, imported from Minari's folder."""

    minari_id: str

    name: ClassVar[str] = "minari"
    automatic: ClassVar[bool] = True


Public = D4RL | DQNReplay  # what `data fetch` gets
Source = Recorded | Public | Minari


def command_to_get(name: str, source: str) -> str:
    """The command that puts a data set into the cache."""
    if source == Recorded.name:
        return f"lamobench data record {name}"
    if source == Minari.name:
        return f"lamobench data import {name} --minari ID"
    return f"lamobench data fetch {name}" + (f" --source {source}" if source == "d4rl-legacy" else "")


@dataclass(frozen=True)
class Dataset:
    """A set of trajectories of one task, from one or more sources (whose scores are never compared as one)."""

    name: str
    task: str
    description: str
    sources: tuple[Source, ...]  # in the order in which "auto" tries them
    published_fractions: tuple[float, ...]  # the shares of episodes with published scores; empty if there are none

    @property
    def source_names(self) -> list[str]:
        """The names of its sources, in order."""
        return [source.name for source in self.sources]


D4RL_SERVER = "http://rail.eecs.berkeley.edu/datasets/offline_rl"  # as in D4RL, d4rl/infos.py: DATASET_URLS
DQN_REPLAY_SERVER = "https://storage.googleapis.com/atari-replay-datasets"  # the bucket of batch_rl's README, by HTTP

LOCOMOTION_SIZES = {"hopper": (11, 3), "halfcheetah": (17, 6), "walker2d": (17, 6), "ant": (111, 8)}  # (S, A) of v2
QUALITIES = {
    "medium": "A policy stopped at about a third of an expert's return",
    "medium-replay": "All that the medium policy's training had seen until it was stopped",
    "medium-expert": "Half of it by the medium policy, half by an expert",
}
LOCOMOTION_STEPS = {"medium": 1_000_000, "medium-expert": 2_000_000}  # Fu et al. 2020; replays end as they learned
# Episodes and seed of each recording: as many episodes as make about 200,000 steps.
RECORDINGS = {
    "hopper-medium": (530, 101),
    "hopper-medium-replay": (1280, 102),
    "hopper-medium-expert": (325, 103),
    "halfcheetah-medium": (200, 111),
    "halfcheetah-medium-replay": (200, 112),
    "halfcheetah-medium-expert": (200, 113),
    "walker2d-medium": (500, 121),
    "walker2d-medium-replay": (1000, 122),
    "walker2d-medium-expert": (340, 123),
    "ant-medium": (200, 131),
    "ant-medium-replay": (440, 132),
    "ant-medium-expert": (200, 133),
}
PUBLISHED_FRACTIONS = {  # LaMo, Tables 3, 8, 9 and 11
    "medium": (0.005, 0.01, 0.1, 1.0),
    "medium-replay": (0.01,),
    "medium-expert": (1.0,),
    "ant-medium": (0.005, 0.01, 0.1),
    "ant-medium-replay": (),
    "ant-medium-expert": (),
}


def _locomotion(task: str, quality: str, version: int) -> Dataset:
    """One of D4RL's locomotion files; the catalog's plain name means version 2."""
    name = f"{task}-{quality}"
    file = f"gym_mujoco_v{version}/{name.replace('-', '_')}-v{version}.hdf5"
    if version == 0:  # before the names were put in order
        owner = "walker" if name == "walker2d-medium-replay" else task
        file = f"gym_mujoco/{owner}_{'mixed' if quality == 'medium-replay' else quality.replace('-', '_')}.hdf5"
    sizes = LOCOMOTION_SIZES[task]
    public = D4RL(f"{name}-v{version}", f"{D4RL_SERVER}/{file}", *sizes, steps=LOCOMOTION_STEPS.get(quality))
    episodes, seed = RECORDINGS[name]
    own = Recorded(episodes, f"lamobench/{task}/{quality}-v0", record_seed=seed, grade=quality)
    return Dataset(
        name=name if version == 2 else f"{name}-v{version}",
        task=task,
        description=QUALITIES[quality],
        sources=(public, own) if version == 2 else (public,),
        published_fractions=PUBLISHED_FRACTIONS.get(name, PUBLISHED_FRACTIONS[quality]) if version == 2 else (),
    )


# Episodes as D4RL has them; the seeds are none that the player was tuned on, and not chosen among others.
KITCHEN_RECORDINGS = {
    "complete": Recorded(19, "lamobench/kitchen/complete-v0", record_seed=31, grade="complete"),
    "partial": Recorded(601, "lamobench/kitchen/partial-v0", record_seed=32, grade="partial"),
    "mixed": Recorded(601, "lamobench/kitchen/mixed-v0", record_seed=33, grade="mixed"),
}


def _kitchen(quality: str, file: str, published_fractions: tuple[float, ...]) -> Dataset:
    """One of D4RL's kitchen files, with its rewards put right and as they are stored, and its recorded analogue."""
    d4rl_id = f"kitchen-{quality}-v0"
    address = f"{D4RL_SERVER}/kitchen/{file}-v0.hdf5"
    data = D4RL(d4rl_id, address, 60, 9, steps=3_680 if quality == "complete" else 136_950)  # Fu et al. 2020
    return Dataset(
        name=f"kitchen-{quality}",
        task="kitchen-mixed" if quality == "mixed" else "kitchen",
        description={
            "complete": "All four sub-goals, in order; by people, or recorded: by a script",
            "partial": "All kinds of things, now and then all four sub-goals; by people, or recorded: by a script",
            "mixed": "All kinds of things, never all four of other sub-goals; by people, or recorded: by a script",
        }[quality],
        sources=(data, KITCHEN_RECORDINGS[quality], replace(data, legacy=True)),
        published_fractions=published_fractions,
    )


def _atari(game: str, published_fractions: tuple[float, ...], episodes: int, record_seed: int) -> Dataset:
    """The data that LaMo trained on: the first agent's eleventh million frames, `<game>-medium-v0` in d4rl-atari.

    Its recording has as many episodes as make 20,000 to 60,000 steps.
    """
    name = f"{game.lower()}-medium"
    return Dataset(
        name=name,
        task=game.lower(),
        description="The eleventh million frames of a DQN agent's training; recorded: players that see the emulator",
        sources=(
            DQNReplay(game, run=1, checkpoint=10),
            Recorded(episodes=episodes, minari_id=f"lamobench/{game.lower()}/medium-v0", record_seed=record_seed),
        ),
        published_fractions=published_fractions,
    )


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="reacher2d-medium",
            task="reacher2d",
            description="As many episodes as LaMo's Reacher2d set and about its mean return, 36, by a noisy player",
            sources=(
                # The first seed from 0 on whose 50 episodes have a mean return within 1 of the published 36.
                Recorded(episodes=50, minari_id="lamobench/reacher2d/medium-v0", record_seed=4),
            ),
            published_fractions=(0.1, 0.3, 1.0),  # LaMo, Table 1
        ),
        Dataset(
            name="reacher2d-medium-large",
            task="reacher2d",
            description="Ten times reacher2d-medium: an independent draw by the same player",
            sources=(Recorded(episodes=500, minari_id="lamobench/reacher2d/medium-large-v0", record_seed=1),),
            published_fractions=(),
        ),
        *(_locomotion(task, quality, version=2) for task in LOCOMOTION_SIZES for quality in QUALITIES),
        _kitchen("complete", "mini_kitchen_microwave_kettle_light_slider", (0.3, 0.5, 1.0)),  # LaMo, Table 1
        _kitchen("partial", "kitchen_microwave_kettle_light_slider", (0.01, 0.1, 1.0)),  # LaMo, Table 1
        _kitchen("mixed", "kitchen_microwave_kettle_bottomburner_light", ()),
        _atari("Breakout", (0.1, 1.0), episodes=40, record_seed=40),  # LaMo, Table 2
        _atari("Qbert", (0.1, 1.0), episodes=24, record_seed=41),
        _atari("Pong", (0.1, 1.0), episodes=16, record_seed=42),
        _atari("Seaquest", (), episodes=20, record_seed=43),
        _atari("Freeway", (0.1,), episodes=20, record_seed=44),  # LaMo, Table 10
        _atari("Asterix", (0.1,), episodes=30, record_seed=45),
    )
}

# What a full table has: a data set for each task, by the make target that trains every method on it.
TABLE: dict[str, str] = {
    "hopper": "hopper-medium",
    "halfcheetah": "halfcheetah-medium",
    "walker2d": "walker2d-medium",
    "kitchen-complete": "kitchen-complete",
    "kitchen-partial": "kitchen-partial",
    "reacher2d": "reacher2d-medium",
    "breakout": "breakout-medium",
    "pong": "pong-medium",
    "qbert": "qbert-medium",
}

# Other data than v2's, whose scores are not comparable: data sets of their own, found by their full name and listed
# only when they are at hand.
OLDER: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        _locomotion(task, quality, version) for version in (0, 1) for task in LOCOMOTION_SIZES for quality in QUALITIES
    )
}

SECOND_EPISODES = 10  # of a held-out recording: a few hundred windows are read of it


def _second(dataset: Dataset, purpose: str, offset: int, episodes: int | None) -> Iterator[Dataset]:
    """Another recording by the same players with a seed of its own, if the data set is recorded; None: as long."""
    for source in dataset.sources:
        if isinstance(source, Recorded):
            own = replace(
                source,
                episodes=episodes or source.episodes,
                minari_id=source.minari_id.replace("-v0", f"-{purpose}-v0"),
                record_seed=source.record_seed + offset,
            )
            description = f"{SECOND[purpose]}, by the players of {dataset.name}"
            yield Dataset(f"{dataset.name}-{purpose}", dataset.task, description, (own,), published_fractions=())


# What recordings of the same players with other seeds are for: runs on all of a recording are measured on one, settings
# are chosen on the other, so that neither is data that results are reported of.
SECOND = {"held-out": "Episodes that no run learns from", "tuning": "Data to choose settings on"}
SECOND_RECORDINGS: dict[str, Dataset] = {
    second.name: second
    for dataset in DATASETS.values()
    for second in (
        *_second(dataset, "held-out", 1_000_000, SECOND_EPISODES),
        *_second(dataset, "tuning", 2_000_000, None),
    )
}

# Found by their full name, and listed only when they are at hand.
UNLISTED: dict[str, Dataset] = OLDER | SECOND_RECORDINGS

# D4RL's names of what the catalog calls otherwise.
ALIASES: dict[str, str] = {
    **{f"{name}-v2": name for name, dataset in DATASETS.items() if dataset.task in LOCOMOTION_SIZES},
    **{f"{name}-v0": name for name, dataset in DATASETS.items() if dataset.task.startswith("kitchen")},
    **{f"{task}-mixed-v0": f"{task}-medium-replay-v0" for task in LOCOMOTION_SIZES},
}
