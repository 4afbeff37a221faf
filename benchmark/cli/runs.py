"""The command line's `runs` and `hub` commands; see `main.py` for how commands are declared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

from .options import RUNS


@dataclass(frozen=True)
class RunsList:
    """List the runs of a folder: what they are, how far they are, what they scored."""

    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print the table."""
        from .runs_commands import list_runs

        list_runs(self)


@dataclass(frozen=True)
class RunsExport:
    """Write runs to one file, a tar with the SHA-256 of everything in it, for `lamobench runs import` on another
    machine. The same runs give the same bytes."""

    file: Positional[Path]
    """The archive to write, e.g. runs.tar."""
    names: Positional[tuple[str, ...]] = ()
    """Runs, by id or folder; none given: every finished run. Name an unfinished one to go on with it elsewhere."""
    runs: Path = RUNS
    """Folder of the runs."""
    without_checkpoints: bool = False
    """Leave the policies out: a small archive, enough for leaderboards, figures and reports."""
    force: bool = False
    """Replace a file that is there."""

    def run(self) -> None:
        """Export, then say what there is."""
        from .runs_commands import export

        export(self)


@dataclass(frozen=True)
class RunsImport:
    """Bring the runs of an archive to a folder of runs, all of them or none. Every path, size, hash and id is checked
    first; a run that is there already is never overwritten."""

    file: Positional[Path]
    """An archive of `lamobench runs export`."""
    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Import, then say what is new."""
        from .runs_commands import bring_in

        bring_in(self)


@dataclass(frozen=True)
class RunsRemove:
    """Delete runs from this machine. One that a process is working on is left alone."""

    names: Positional[tuple[str, ...]]
    """Runs, by id or folder; ID.broken-1 too, a damaged one that was set aside."""
    runs: Path = RUNS
    """Folder of the runs."""

    def run(self) -> None:
        """Remove, then say what is gone."""
        from .runs_commands import remove

        remove(self)


@dataclass(frozen=True)
class RunsTensorBoard:
    """Write runs' metrics and evaluations as TensorBoard's event files, of runs in progress too: typed again, it adds
    what is new. Needs the extra `tensorboard`."""

    names: Positional[tuple[str, ...]] = ()
    """Runs, by id or folder; none given: all of them."""
    runs: Path = RUNS
    """Folder of the runs."""
    output: Path | None = None
    """Folder for the event files, `tensorboard` in the folder of the runs by default; give it to --logdir."""
    follow: bool = False
    """Go on adding what is new, every few seconds, until stopped."""

    def run(self) -> None:
        """Write, then say what to type."""
        from .runs_commands import write_tensorboard

        write_tensorboard(self)


@dataclass(frozen=True)
class RunsGroup:
    """Runs: list, export, import, remove, tensorboard."""

    command: (
        Annotated[RunsList, subcommand("list")]
        | Annotated[RunsExport, subcommand("export")]
        | Annotated[RunsImport, subcommand("import")]
        | Annotated[RunsRemove, subcommand("remove")]
        | Annotated[RunsTensorBoard, subcommand("tensorboard")]
    )

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()


@dataclass(frozen=True)
class HubPush:
    """Publish a finished run's policy with its model card: on the Hugging Face Hub, or in a folder. Only safetensors
    and text; the optimiser's state stays here."""

    name: Positional[str]
    """The run, by id or folder."""
    to: Positional[str]
    """OWNER/NAME of a repository, made if there is none, or a folder (./NAME if it does not exist yet)."""
    runs: Path = RUNS
    """Folder of the runs."""
    private: bool = False
    """Make a new repository private."""

    def run(self) -> None:
        """Push, then say where it is."""
        from .runs_commands import push

        push(self)


@dataclass(frozen=True)
class HubPull:
    """Fetch a policy that `lamobench hub push` published, check everything, and keep it as a run: `lamobench evaluate`
    plays it, without the data that it was trained on."""

    from_: Annotated[Positional[str], arg(name="from")]
    """OWNER/NAME of a repository, or a folder."""
    revision: str = ""
    """A commit, tag or branch of the repository; give a commit to get the same policy for ever."""
    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Pull, then say what there is and what is missing."""
        from .runs_commands import pull

        pull(self)


@dataclass(frozen=True)
class HubGroup:
    """Policies on the Hugging Face Hub: push, pull. The only commands of runs that use the network."""

    command: Annotated[HubPush, subcommand("push")] | Annotated[HubPull, subcommand("pull")]

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()
