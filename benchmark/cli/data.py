"""`lamobench data`: data sets, from recording to removal."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg, subcommand

from ...datasets.counts import count
from ...datasets.errors import UserError
from ...datasets.games.families import RECORDINGS
from ...datasets.games.stories import PREFIX
from ...datasets.nethack_recordings import NETHACK_RECORDINGS, path_of
from ..terminal import print_rows
from .games import export_games, import_own_story, record_games, remove_games, remove_own_story, show_recording
from .nethack import nethack_status, record_nethack, remove_nethack, show_nethack, verified_nethack

if TYPE_CHECKING:
    from ...datasets.trajectories import Trajectories


@dataclass(frozen=True)
class DataList:
    """List every data set: what is at hand, and what to type for the rest."""

    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the table."""
        from ...datasets.catalog import status
        from ...datasets.games import recordings
        from .display import print_datasets

        rows = [*status(), *recordings.status(), *nethack_status()]
        if self.json:
            print(json.dumps(rows, indent=2))
        else:
            print_datasets(rows)


@dataclass(frozen=True)
class DataShow:
    """Describe a data set: sizes, scores, published results, returns and lengths, as text and as figures: histograms,
    and a contact sheet of its worst, median and best episode. Of text games: a transcript."""

    name: Positional[str]
    """Data set, a name of `lamobench data list`."""
    source: str = "auto"
    """Source of the data; auto takes the first at hand."""
    output: Path | None = None
    """Folder for the figures; by default `figures` beside the data sets, in $LAMOBENCH_HOME."""
    figures: bool = True
    """Write the figures too."""
    episode: int = 0
    """Episode of a recorded text game whose transcript is printed."""
    json: bool = False
    """Print JSON instead of text."""

    def run(self) -> None:
        """Print the description and write the figures."""
        if self.name in RECORDINGS:
            return show_recording(self.name, self.episode, self.json)
        if self.name in NETHACK_RECORDINGS:
            return show_nethack(self.name, self.json)
        from ...datasets.catalog import find_dataset, load
        from ...datasets.own_datasets import own_tasks
        from ...datasets.storage import home
        from ...datasets.tasks import TASKS
        from .display import describe_data, print_description, write_figures

        dataset = find_dataset(self.name)
        data = load(self.name, self.source)
        task = (TASKS | own_tasks()).get(dataset.task)
        description = describe_data(data, dataset, task, as_table=not self.json)
        if not self.json:
            print_description(description, as_json=False)
        figures = write_figures(data, task, self.output or home() / "figures") if self.figures else []
        if self.json:
            print_description(description | {"figures": [str(path) for path in figures]}, as_json=True)
        elif figures:
            print("\n" + "\n".join(f"written: {path}" for path in figures))


@dataclass(frozen=True)
class DataSurvey:
    """Say how good the recorded data is: record what is missing and write one row a data set, as CSV."""

    names: Positional[tuple[str, ...]] = ()
    """Data sets to survey; none given: all that can be recorded."""
    output: Path = Path("results/recorded_data.csv")
    """File to write; rows of other data sets that are in it stay."""

    def run(self) -> None:
        """Record, then say what was written."""
        from ..offline.survey import survey

        for row in survey(self.names, self.output):
            print(
                f"{row['dataset']}: {count(int(row['episodes']), 'episode')}, {count(int(row['steps']), 'step')}, "
                f"mean return {row['return_mean']}, mean score {row['score_mean']}, best {row['score_best']}",
                flush=True,
            )
        print(f"written: {self.output}")


@dataclass(frozen=True)
class DataRecord:
    """Record a data set in its real simulator, unless it is there already."""

    name: Positional[str]
    """Data set to record."""
    force: bool = False
    """Record it again, in the place of the one that is there."""
    if_absent: bool = False
    """Record nothing where the data set is at hand from another source, such as a public file."""

    def run(self) -> None:
        """Record, then say what there is."""
        if self.name in RECORDINGS:
            return record_games(self.name, self.force)
        if self.name in NETHACK_RECORDINGS:
            return record_nethack(self.name, self.force)
        from .display import print_summary

        print_summary(_record(self))


@dataclass(frozen=True)
class DataSearch:
    """Find the players that record a locomotion task's data, by reinforcement learning in its simulator. What it
    finds is shipped already; this is the command that found it. Takes 5 to 10 minutes of one core."""

    task: Positional[str]
    """Task: hopper, halfcheetah, walker2d or ant."""
    seed: int = 0
    """Seed of everything random; 0 found what is shipped."""
    steps: int = 0
    """Environment steps; 0 takes the task's own number."""
    output: Path | None = None
    """File to write; by default TASK.safetensors in the current folder."""

    def run(self) -> None:
        """Search; print one line for each snapshot, then what was chosen."""
        from ...datasets.recording.search import search_players
        from .display import print_players, print_snapshot

        output = self.output or Path(f"{self.task}.safetensors")
        print_players(search_players(self.task, output, self.seed, self.steps, print_snapshot), output)


@dataclass(frozen=True)
class DataFetch:
    """Download a data set's public files, or import them from where they were brought by hand. Goes on with a download
    that was interrupted, and does nothing if the data set is there already."""

    name: Positional[str]
    """Data set to fetch."""
    source: str = "auto"
    """Source of the file, as in the column `source` of `lamobench data list`; auto takes the first."""
    from_: Annotated[Path | None, arg(name="from")] = None
    """File to import instead of downloading, or for Atari the folder of the four files; it stays where it is."""
    force: bool = False
    """Fetch it again, in the place of the one that is there."""

    def run(self) -> None:
        """Fetch, then say what there is."""
        from ...datasets.sources.fetched import fetch_dataset
        from .display import print_summary

        print_summary(fetch_dataset(self.name, self.source, self.from_, self.force))


@dataclass(frozen=True)
class DataImport:
    """Import a Minari data set, your own or a public one, whose environment decides the task; or a story file for the
    Z-machine, which becomes a text game."""

    name: Positional[str]
    """Name that it gets here; that of a story begins with story-."""
    minari: str = ""
    """Minari's id of it, as `minari list local` or, with --remote, `minari list remote` shows it."""
    story: Path | None = None
    """Story file, such as zork1.z5, instead."""
    remote: bool = False
    """Download it first, by Minari, from Minari's server; nothing but the import is kept."""
    root: Path | None = None
    """Folder of Minari; by default $MINARI_DATASETS_PATH or ~/.minari/datasets."""
    env: str = ""
    """Environment to evaluate in, ENV_ID or, as Gymnasium has it, MODULE:ENV_ID; by default the one that the data set
    names."""
    env_module: str = ""
    """Python module that registers the environment, where Gymnasium does not know it: kept with the data set and
    imported in every process that evaluates on it."""
    force: bool = False
    """Import it again, in the place of the one that is there."""

    def run(self) -> None:
        """Import, then say what there is."""
        if bool(self.minari) == bool(self.story):
            raise UserError("give --minari with Minari's id of a data set, or --story with a story file")
        if self.story:
            return import_own_story(self.name, self.story, self.force)
        from ...datasets.catalog import find_dataset, find_task
        from ...datasets.sources.imported import import_dataset
        from .display import print_summary

        data = import_dataset(self.name, self.minari, self.root, self.force, self.remote, self.env, self.env_module)
        print_summary(data)
        task = find_task(find_dataset(self.name).task)
        low, high = task.reference_scores
        print(f"task {task.name}, {task.env_id}: scores 0 and 100 at {low:g} and {high:g} ({task.score_source})")


@dataclass(frozen=True)
class DataExport:
    """Write a data set as a Minari data set, for Minari's own tools and everybody who reads its format; a recorded text
    game as JSON Lines, one a move."""

    name: Positional[str]
    """Data set to export."""
    to: Literal["minari", "jsonl"] = "minari"
    """Format; a text game is always written as jsonl, anything else as minari."""
    output: Path | None = None
    """File for jsonl; by default NAME.jsonl in the current folder."""
    source: str = "auto"
    """Source of the data; auto takes the first at hand."""
    root: Path | None = None
    """Folder of Minari; by default $MINARI_DATASETS_PATH or ~/.minari/datasets."""

    def run(self) -> None:
        """Export, then say where it is."""
        if self.name in RECORDINGS:
            return export_games(self.name, self.output)
        if self.name in NETHACK_RECORDINGS:
            raise UserError(f"'{self.name}' is a folder of NLE's own ttyrec files already: {path_of(self.name)}")
        if self.to == "jsonl":
            raise UserError(f"'{self.name}' is no recorded text game; type: lamobench data export {self.name}")
        from ...datasets.sources.exported import export_to_minari

        minari_id, root = export_to_minari(self.name, self.source, self.root)
        print(f"{self.name} is Minari's {minari_id} in {root}")


@dataclass(frozen=True)
class DataRemove:
    """Delete a data set from this machine: its copies in the cache, and what they were made from here."""

    name: Positional[str]
    """Data set to remove."""

    def run(self) -> None:
        """Remove, then say what is gone."""
        if self.name in RECORDINGS:
            return remove_games(self.name)
        if self.name in NETHACK_RECORDINGS:
            return remove_nethack(self.name)
        if self.name.startswith(PREFIX):
            return remove_own_story(self.name)
        from ...datasets.sources.removed import remove_dataset

        for path in remove_dataset(self.name):
            print(f"removed {path}")


@dataclass(frozen=True)
class DataVerify:
    """Read every byte of the data sets at hand and compare it with the hashes that were stored with it."""

    names: Positional[tuple[str, ...]] = ()
    """Data sets to verify; none given: all that are there."""
    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Verify; a damaged data set ends the command with status 2, after all were read."""
        from ...datasets.games.recordings import verify_games
        from ...datasets.verification import verify_data

        games = [name for name in self.names if name in RECORDINGS]
        nethack = [name for name in self.names if name in NETHACK_RECORDINGS]
        others = [name for name in self.names if name not in {*RECORDINGS, *NETHACK_RECORDINGS}]
        rows = verify_data(others) if others or not self.names else []
        rows += verify_games(games) if games or not self.names else []
        rows += verified_nethack(nethack) if nethack or not self.names else []
        print_rows(rows, self.json)
        if any(row["state"] != "intact" for row in rows):
            raise UserError("some data sets are damaged or absent, see above; record or fetch them again with --force")


@dataclass(frozen=True)
class DataGroup:
    """Data sets: list, show, record, search, fetch, import, export, remove, verify, survey."""

    command: (
        Annotated[DataList, subcommand("list")]
        | Annotated[DataShow, subcommand("show")]
        | Annotated[DataRecord, subcommand("record")]
        | Annotated[DataSearch, subcommand("search")]
        | Annotated[DataFetch, subcommand("fetch")]
        | Annotated[DataImport, subcommand("import")]
        | Annotated[DataExport, subcommand("export")]
        | Annotated[DataRemove, subcommand("remove")]
        | Annotated[DataVerify, subcommand("verify")]
        | Annotated[DataSurvey, subcommand("survey")]
    )

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()


def _record(command: DataRecord) -> "Trajectories":
    """The data set, recorded; with `--if-absent`, a recorded copy that is damaged is as good as none."""
    from ...datasets import cache
    from ...datasets.catalog import find_dataset, load
    from ...datasets.sources.recorded import SOURCE, mend_recorded, record_dataset

    dataset = find_dataset(command.name)
    if command.if_absent and command.force:
        raise UserError("--if-absent keeps what is there, --force replaces it; give one of them")
    automatic = [source.name for source in dataset.sources if source.automatic]
    at_hand = [name for name in automatic if cache.folder_of(dataset.name, name).is_dir()]
    if not command.if_absent or not at_hand:
        return record_dataset(dataset.name, command.force)
    try:
        return load(dataset.name)
    except UserError as error:
        if at_hand[0] != SOURCE:
            raise
        print(f"lamobench: it is made again now: {error}", file=sys.stderr)
        return mend_recorded(dataset.name)
