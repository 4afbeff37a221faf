"""`lamobench hub`: policies on the Hugging Face Hub, or in a folder."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg, subcommand

from .options import RUNS
from .runs import find_run


@dataclass(frozen=True)
class HubPush:
    """Publish a finished run's policy with its model card: on the Hugging Face Hub, or in a folder. Only safetensors
    and text; the optimiser's state stays here."""

    name: Positional[str]
    """Run to push, by id or folder."""
    to: Positional[str]
    """Repository, OWNER/NAME, made if there is none; or a folder (./NAME if it does not exist yet)."""
    runs: Path = RUNS
    """Folder of the runs."""
    private: bool = False
    """Make a new repository private."""

    def run(self) -> None:
        """Push, then say where it is."""
        from ..runs.records import read_config
        from ..sharing.hub import local_paths, push

        folder = find_run(self.name, self.runs)
        if places := local_paths(read_config(folder)):
            print(f"note: its config.json names places on this machine: {', '.join(places)}", file=sys.stderr)
        print(f"{folder.name} is published: {push(folder, self.to, self.private)}")


@dataclass(frozen=True)
class HubPull:
    """Fetch a policy that `lamobench hub push` published, check everything, and keep it as a run: `lamobench evaluate`
    plays it, without the data that it was trained on."""

    from_: Annotated[Positional[str], arg(name="from")]
    """Repository, OWNER/NAME, or a folder."""
    revision: str = ""
    """Commit, tag or branch of the repository; give a commit to get the same policy for ever."""
    runs: Path = RUNS
    """Folder of the runs."""
    json: bool = False
    """Print JSON instead of lines."""

    def run(self) -> None:
        """Pull, then say what there is and what is missing."""
        from ..sharing.hub import pull

        pulled = pull(self.from_, self.runs, self.revision)
        folder = self.runs / pulled.run
        if self.json:
            row = {"run": pulled.run, "folder": str(folder), "added": bool(pulled.placed.added)}
            print(json.dumps(row | {"commit": pulled.commit, "missing": pulled.missing}, indent=2))
            return
        print(f"{'' if pulled.placed.added else 'there already: '}{folder}")
        if pulled.commit:
            print(f"from {self.from_}, for ever the same with: --revision {pulled.commit}")
        if pulled.missing:
            print(f"to play it: {pulled.missing}")
        else:
            print(f"to play it: lamobench evaluate {folder}")


@dataclass(frozen=True)
class HubGroup:
    """Policies on the Hugging Face Hub: push, pull. The only commands of runs that use the network."""

    command: Annotated[HubPush, subcommand("push")] | Annotated[HubPull, subcommand("pull")]

    def run(self) -> None:
        """Run the chosen command."""
        self.command.run()
