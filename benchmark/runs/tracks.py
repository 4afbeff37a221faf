"""Every track by name, a row each, and what the harness calls. Light: a track's code is imported when it is used.

A track is a folder above the harness. Sweeps, sharing and the report reach it through its row alone.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...datasets.errors import UserError
from ...datasets.games.stories import PREFIX
from ...datasets.games.tasks import SHORT, TASKS, TUNING_TASKS
from .config import RunConfig
from .plugins import Registry, imported

if TYPE_CHECKING:
    from ...datasets.trajectories import Array  # imports NumPy, which would slow down the help

BEFORE_TRACKS = "offline"  # the track of runs that name none
NEAR = 0.8  # of two names: few letters are others (difflib's ratio)

Job = tuple[RunConfig, ...]  # the work of a worker at a time: one run, or seeds that are trained in one pass
Tell = Callable[[str, int, int], None]  # called with (run id, steps done, steps in all)
Note = Callable[[str], None]  # called with a line that a person should read


@dataclass(frozen=True)
class Wanted:
    """A user's request to a track: each method with each seed; empty values mean the track's defaults."""

    subject: str  # what to train on: of the offline track a data set's name
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    profile: str = "cpu"
    steps: int = 0  # of training, with as many evaluations as the track has; 0: the track's own
    budget: Mapping[str, Any] = field(default_factory=dict)  # of steps and evaluations
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the method
    choices: Mapping[str, Any] = field(default_factory=dict)  # of the track's own
    plan: bool = False  # whether the runs are only to be planned: nothing is trained, not even what they begin with


@dataclass(frozen=True)
class Played:
    """An episode to watch: observations (L + 1, ...), the last one after the last step, and its outcome."""

    seed: int
    target_return: float
    observations: "list[Array]"
    episode_return: float
    length: int


class Work(Protocol):
    """The functions of a track that the harness calls; a module whose functions have these names is one."""

    def resolve(self, wanted: Wanted) -> Sequence[RunConfig]:
        """The runs that were asked for, every number filled in; a `UserError` names whatever does not fit."""

    def train(self, job: Job, root: Path, device: str, tell: Tell, note: Note) -> dict[str, str]:
        """Train the runs of a job, each from its last checkpoint; a line for each run that failed, by its id."""

    def groups(self, runs: Sequence[RunConfig], device: str | None) -> Iterable[Job]:
        """Jobs of runs that can be trained in one pass on a device, "cpu" or "cuda"; any other run is a job by itself.

        None stands for devices elsewhere, of which nothing is known.
        """

    def play(
        self, folder: Path, config: RunConfig, device: str, lm: str, first_seed: int, episodes: int
    ) -> list[Played]:
        """Episodes of a finished run's policy, from starts of their own; `lm` as of `lamobench evaluate`."""

    def draw(self, config: RunConfig, observations: "Array") -> "Array":
        """Pictures (M, H, W, 3) uint8 of M observations; a `UserError` if nothing here can draw them."""

    def publish(self, folder: Path, target: Path, config: RunConfig) -> None:
        """Write to `target`, beside the checkpoint there, what else the policy of the run in `folder` needs."""

    def check_published(self, folder: Path, config: RunConfig) -> None:
        """Raise a `UserError` if what `publish` wrote to a folder is not of this run."""

    def missing(self, config: RunConfig) -> str:
        """Name what a fetched policy needs to play and is not here, and what to type; empty if nothing is missing."""

    def card(self, folder: Path, repository: str, files: Mapping[str, Mapping[str, Any]]) -> str:
        """The model card of the run in `folder`, Markdown; `files` are the size and hash of what is published."""


class Scored(Protocol):
    """The facts that the harness needs of a track's task."""

    name: str
    horizon: int  # most steps of an episode
    reference_scores: tuple[float, float]  # returns that score 0 and 100
    score_source: str  # where these are from

    def normalise(self, episode_return: Any) -> Any:
        """Scores, 0 to 100 at the reference returns, of returns of any shape."""


@dataclass(frozen=True)
class Track:
    """A track: its names, and the import paths of its parts."""

    name: str
    title: str
    config: str  # import path of the class of its runs' configurations, light
    tasks: str  # import path of a function that finds a task, a `Scored`, by its name, light
    work: str  # import path of what does its work: a `Work`
    about: str = ""  # a sentence on what it compares, for the report
    published: str = ""  # on published scores, where none can be set beside its own
    subjects: tuple[str, ...] = ()  # names by which it is known on the command line; the others are `BEFORE_TRACKS`'
    unlisted: tuple[str, ...] = ()  # more such names, which help leaves out: for tuning, or refused with a reason
    prefix: str = ""  # of the names of a user's own subjects, where there can be some
    board: str = ""  # import path of its leaderboard's own columns, tables and figures, a `scores.boards.Board`
    report: str = ""  # import path of its own parts of a report's pages, a `report.parts.Part`
    tuning: str = ""  # import path of how its settings are chosen, a `scores.tuning.Tuning`
    score_range: tuple[float, float] = (-math.inf, math.inf)  # what a score can be; the interval of a mean is cut to it

    def config_class(self) -> type[RunConfig]:
        """The class of its runs' configurations."""
        found: type[RunConfig] = imported(self.config)
        return found

    def find_task(self, name: str) -> Scored:
        """The task of that name; a `UserError` if the track has none."""
        task: Scored = imported(self.tasks)(name)
        return task

    def range_of(self, task: str) -> tuple[float, float]:
        """The least and the most that a score of a task can be; of one in points, more than 100 too."""
        low, high = self.score_range
        return low, math.inf if getattr(self.find_task(task), "scored", False) else high

    def open(self) -> Work:
        """Import the module that does its work."""
        work: Work = imported(self.work)
        return work


_ALL = (
    Track(
        "offline",
        "offline RL on fractions of a data set",
        config="lamobench.benchmark.offline.config:OfflineConfig",
        tasks="lamobench.datasets.catalog:find_task",
        work="lamobench.benchmark.offline.track",
        about="LaMo puts a pre-trained language model to work as a policy; here it stands beside its controls and the "
        "baselines, on whole data sets and on small shares of them.",
    ),
    Track(
        "finetune",
        "online fine-tuning, and what it forgets",
        config="lamobench.benchmark.finetune.config:FinetuneConfig",
        tasks="lamobench.datasets.environments.staged_tasks:find_staged_task",
        work="lamobench.benchmark.finetune.track",
        about="Fine-tuning begins with a policy that knows a part of its task; here stands what each method forgets of "
        "that part while it learns the rest.",
        published="what is published of fine-tuning is of other tasks and budgets: results/reported/finetuning.csv",
        subjects=(
            "apple-retrieval",
            "grid-relay",
            "grid-relay-cloned",
            "robotic-sequence-2",
            "robotic-sequence",
            "nethack-lite",
            "nethack-score",
        ),
        board="lamobench.benchmark.finetune.board",
        report="lamobench.benchmark.finetune.report",
        tuning="lamobench.benchmark.finetune.tuning",
        score_range=(0, 100),
    ),
    Track(
        "text",
        "text games with fixed and fine-tuned language models",
        config="lamobench.benchmark.text.config:TextConfig",
        tasks="lamobench.datasets.games.tasks:find_game_task",
        work="lamobench.benchmark.text.track",
        about="Text games are played with language models that were pre-trained, fixed or fine-tuned; here stands what "
        "they learn, and how much of it is left in other words and in new games.",
        published="of text games, the result tables of the paper could not be found",
        subjects=tuple(TASKS),
        unlisted=(*SHORT, *TUNING_TASKS),
        prefix=PREFIX,
        board="lamobench.benchmark.text.board",
        tuning="lamobench.benchmark.text.tuning",
        report="lamobench.benchmark.text.report",
        score_range=(0, 100),
    ),
)
TRACKS = Registry("track", Track, _ALL)


def find_track(name: str) -> Track:
    """The track of that name; a `UserError` if none is known here."""
    if (track := TRACKS.known(name)) is None:
        known = ", ".join(TRACKS)
        raise UserError(f"no track '{name}' is known here (known: {known}); install the package that has it")
    return track


def track_of(subject: str) -> Track:
    """The track of what a user names to train on; what no track lists is a data set.

    A `UserError` for what is none, and is almost the name of something else.
    """
    for track in TRACKS.values():
        if subject in (*track.subjects, *track.unlisted) or (track.prefix and subject.startswith(track.prefix)):
            return track
    if meant := get_close_matches(subject, [name for track in TRACKS.values() for name in track.subjects], 1, NEAR):
        from ...datasets.catalog import find_dataset

        try:
            find_dataset(subject)
        except UserError:
            raise UserError(f"unknown task '{subject}'; did you mean '{meant[0]}'?") from None
    return TRACKS[BEFORE_TRACKS]


def work_of(config: RunConfig) -> Work:
    """The module that does the work of a run's track."""
    return find_track(config.track).open()
