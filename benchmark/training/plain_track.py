"""A plain track: its runs are trained one after the other, and a policy is whole in its checkpoint.

Here are the parts of its `tracks.Work`, whose docstrings say what each function has to do; a track's module imports
those that fit it.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...datasets.errors import UserError
from ...datasets.json_files import read_json
from ...datasets.storage import write_json
from ..runs.config import RunConfig
from ..runs.layout import CHECKPOINT, DATA_FACTS
from ..runs.methods import look_up
from ..runs.records import HASHED, file_hash, read_config
from ..runs.tracks import Job, Note, Tell
from .life import Life, Report, opened

SHA256 = re.compile("[0-9a-f]{64}")
Config = TypeVar("Config", bound=RunConfig)


def train_each(
    runs: Iterable[Config], root: Path, tell: Tell, note: Note, make: Callable[[Config, Path, Report], Life]
) -> dict[str, str]:
    """Train one run after the other, each as the life that `make` returns; a line for each that failed, by its id."""
    failed = {}
    for run in runs:

        def life_in(folder: Path, run: Config = run) -> Life:
            return make(run, folder, lambda done, total: tell(run.id, done, total))

        try:
            with opened(run, root, life_in, True, note) as life:
                if life is not None:
                    life.live()
        except UserError as error:
            failed[run.id] = str(error)
    return failed


def groups(runs: Sequence[RunConfig], device: str | None) -> Iterable[Job]:
    """A job for each run."""
    return [(run,) for run in runs]


def publish(folder: Path, target: Path, config: RunConfig) -> None:
    """Note the hash of the published checkpoint, and nothing else: it has all that was trained."""
    write_json(target / DATA_FACTS, {HASHED: file_hash(target / CHECKPOINT)})


def check_published(folder: Path, config: RunConfig) -> None:
    """Raise a `UserError` unless a hash is what is noted."""
    noted = read_json(folder / DATA_FACTS)
    if not isinstance(noted, dict) or list(noted) != [HASHED] or not SHA256.fullmatch(str(noted[HASHED])):
        raise UserError(f"{folder / DATA_FACTS} is not what is noted of such a run; pull the policy anew")


def missing(config: RunConfig) -> str:
    """Name nothing: a policy needs nothing else."""
    return ""


def card(folder: Path, repository: str, files: Mapping[str, Mapping[str, Any]]) -> str:
    """A few lines: what the run is, and how to get it."""
    config = read_config(folder)
    title = f"{look_up(config.method).title} on {config.task}, seed {config.seed}"
    return f"# {repository}\n\n{title}: the policy of run `{folder.name}`.\n\n    lamobench hub pull {repository}\n"
