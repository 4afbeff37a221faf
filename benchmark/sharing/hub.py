"""Policies for others: a finished run's weights, its logs and its model card, in a repository of the Hub or a folder.

What is published is the run without its optimiser: config.json, metrics.jsonl, episodes.csv, done.json, data.json,
checkpoint.safetensors, what else was logged, beside README.md and a manifest with the SHA-256 of each. What is fetched
is checked as an imported archive is. Only `lamobench hub` comes here.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ...datasets.cache import replaced_folder
from ...datasets.counts import count
from ...datasets.disk_errors import errors_about
from ...datasets.errors import UserError
from ...datasets.storage import write_text
from ..runs.config import RunConfig
from ..runs.layout import CHECKPOINT, DATA_FACTS, FILES
from ..runs.records import read_config
from ..runs.tracks import work_of
from .archive import MANIFEST, MANIFEST_LIMIT, manifest_of, read_manifest
from .files import LIMITS, OF_FINISHED, Placed, check_run, checkpoint_state, file_facts, place, waiting_room

CARD = "README.md"
SCRATCH = "lamobench-"
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
PUBLISHED = (*OF_FINISHED, DATA_FACTS, CHECKPOINT)  # of every run
LOGS = tuple(name for name, file in FILES.items() if file.sized and name not in PUBLISHED)  # of runs that have them
OF_THE_HUB = {".gitattributes", CARD}  # what a new repository may hold
LOGIN = "log in with `hf auth login`, or set HF_TOKEN to a token that may {action} {where}"


@dataclass(frozen=True)
class Pulled:
    """The outcome of pulling a policy."""

    run: str  # its id
    placed: Placed
    commit: str  # of the repository; empty for a folder
    missing: str  # what playing it needs that is not here, and what to type; empty if nothing is


def is_repository(name: str) -> bool:
    """Check whether a name is that of a repository on the Hub: OWNER/NAME, and no folder here."""
    return REPOSITORY.fullmatch(name) is not None and not Path(name).is_dir()


def local_paths(config: RunConfig) -> list[str]:
    """The places on this machine that a configuration names: of a language model, of a corpus."""
    named = [config.lm, *(value for value in config.policy.values() if isinstance(value, str))]
    return [name for name in named if "/" in name or "\\" in name]


def push(folder: Path, target: str, private: bool = False) -> str:
    """Publish the finished run in `folder`; where it is then.

    Raises a `UserError` if the run is not finished or damaged, if its data are not at hand (what the policy has to know
    of them goes with it), if what is there already is no policy of this suite, or if the Hub refuses.
    """
    if not is_repository(target):
        _check_target(Path(target))
        with replaced_folder(Path(target)) as temporary:
            prepare(folder, temporary, Path(target).resolve().name)
        return target
    with errors_about(Path(tempfile.gettempdir()), SCRATCH), tempfile.TemporaryDirectory(prefix=SCRATCH) as prepared:
        prepare(folder, Path(prepared), target)
        return _upload(Path(prepared), target, private, read_config(folder).id)


def prepare(folder: Path, target: Path, name: str) -> None:
    """Write what is published of the run in `folder` to the folder `target`, the same bytes each time."""
    folder = folder.resolve()
    status = check_run(folder)
    if status != "finished" or not (folder / CHECKPOINT).is_file():
        what = status if status != "finished" else "without its checkpoint"
        raise UserError(f"run {folder.name} is {what}; only a finished run's policy can be published")
    config = read_config(folder)
    work = work_of(config)
    logs = [file for file in LOGS if (folder / file).is_file()]
    for file in (*OF_FINISHED, *logs):
        shutil.copyfile(folder / file, target / file)
    _write_weights(folder / CHECKPOINT, target / CHECKPOINT, folder.name)
    work.publish(folder, target, config)
    facts = {file: file_facts(target / file) for file in (*PUBLISHED, *logs)}
    (target / MANIFEST).write_bytes(manifest_of({folder.name: facts}))
    write_text(target / CARD, work.card(folder, name, facts))


def _write_weights(checkpoint: Path, target: Path, run: str) -> None:
    """The checkpoint without the optimiser's state and the random streams; its logs stay, and say which run it is."""
    from safetensors.torch import load_file, save_file

    _, state = checkpoint_state(checkpoint)
    names = ("step", "train_seconds", "metrics", "episodes", "stages", "meters")
    kept = {name: state[name] for name in names if name in state} | {"run": run}
    weights = {name: tensor for name, tensor in load_file(checkpoint).items() if name.startswith("policy.")}
    save_file(weights, target, metadata={"state": json.dumps(kept)})  # one entry: several come in any order
    target.chmod(0o644)  # safetensors' own is the owner's alone


def _check_target(folder: Path) -> None:
    """Refuse to replace a folder that holds anything but a policy of this suite."""
    if folder.is_file():
        raise UserError(f"{folder} is a file; give OWNER/NAME of a repository, or a folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise UserError(f"{folder} holds something else than a policy; give a new folder")


def pull(origin: str, root: Path, revision: str = "") -> Pulled:
    """Bring a published policy to the folder of runs `root`, as a run; what there is then.

    Raises a `UserError`, and changes nothing, for the reasons that `run_archive.import_runs` has, if the repository or
    the revision is not there, or if the Hub refuses.
    """
    if not is_repository(origin):
        if revision:
            raise UserError(f"--revision {revision} is of a repository, but {origin} is a folder or no OWNER/NAME")
        if not Path(origin).is_dir():
            raise UserError(f"{origin} is neither a folder nor a repository's OWNER/NAME")
    with waiting_room(root) as arriving:
        try:
            commit = _download(origin, revision, arriving) if is_repository(origin) else _copy(Path(origin), arriving)
            run = _check_policy(arriving)
        except UserError as error:
            told = str(error).replace(f"{arriving}/", "")
            raise UserError(f"{origin} can't be pulled: {told}; nothing was changed") from None
        placed = place([run], root)
    config = read_config(root / run.name)
    return Pulled(run.name, placed, commit, work_of(config).missing(config))


def _check_policy(arriving: Path) -> Path:
    """The folder of the run that has arrived, every file as its manifest has it and as a run's must be."""
    contents = read_manifest((arriving / MANIFEST).read_bytes())
    if len(contents) != 1:
        raise UserError(f"its {MANIFEST} names {count(len(contents), 'run')}, expected one")
    ((name, files),) = contents.items()
    expected = [*PUBLISHED, *(file for file in LOGS if (arriving / file).is_file())]
    if sorted(files) != sorted(expected):
        raise UserError(f"its {MANIFEST} names {', '.join(sorted(files))}, expected {', '.join(sorted(expected))}")
    folder = arriving / name
    folder.mkdir()
    for file, facts in files.items():
        found = file_facts(arriving / file)
        if found != facts:
            raise UserError(
                f"{file} has {found['size']} bytes and SHA-256 {found['sha256'][:16]}..., but its {MANIFEST} says "
                f"{facts['size']} and {facts['sha256'][:16]}...: it is damaged or was changed"
            )
        os.rename(arriving / file, folder / file)
    config = read_config(folder)
    work_of(config).check_published(folder, config)
    check_run(folder)
    return folder


def _copy(origin: Path, arriving: Path) -> str:
    held = [file for file in LOGS if (origin / file).is_symlink() or (origin / file).exists()]
    for file in (MANIFEST, *PUBLISHED, *held):
        if (origin / file).is_symlink() or not (origin / file).is_file():
            raise UserError(f"there is no file {file} in it; it is not from `lamobench hub push`")
        _check_size(file, (origin / file).stat().st_size)
        shutil.copyfile(origin / file, arriving / file)
    return ""


def _check_size(file: str, size: int | None) -> None:
    limit = LIMITS.get(file, MANIFEST_LIMIT)
    if size is None or size > limit:
        raise UserError(f"{file} has {size} bytes, more than the {limit} that it may have")


def _download(repository: str, revision: str, arriving: Path) -> str:
    """Fetch what a policy has, and nothing else, at one commit; the commit."""
    with _hub(repository, revision) as api:
        info = api.model_info(repository, revision=revision or None, files_metadata=True)
        sizes = {file.rfilename: file.size for file in info.siblings or []}
        wanted = [MANIFEST, *PUBLISHED, *(file for file in LOGS if file in sizes)]
        for file in wanted:
            if file not in sizes:
                raise UserError(f"there is no file {file} in it; it is not from `lamobench hub push`")
            _check_size(file, sizes[file])
        for file in wanted:
            api.hf_hub_download(repository, file, revision=info.sha, local_dir=arriving)
    return str(info.sha)


def _upload(prepared: Path, repository: str, private: bool, run: str) -> str:
    with _hub(repository, "", action="write to") as api:
        api.create_repo(repository, private=private or None, exist_ok=True)
        held = {file.rfilename for file in api.model_info(repository).siblings or []}
        if MANIFEST not in held and not held <= OF_THE_HUB:
            raise UserError(
                f"{repository} holds something else than a policy ({', '.join(sorted(held - OF_THE_HUB)[:3])}); give "
                "a new repository"
            )
        commit = api.upload_folder(
            repo_id=repository, folder_path=prepared, commit_message=f"Policy of run {run}, by lamobench"
        )
    return f"{repository} at commit {commit.oid}"


@contextmanager
def _hub(repository: str, revision: str, action: str = "read") -> Iterator[Any]:
    """huggingface_hub's client; what goes wrong with it becomes a `UserError` of one line.

    `$HF_ENDPOINT` names another host than the Hub, a mirror for instance.
    """
    from huggingface_hub import HfApi, errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    endpoint = os.environ.get("HF_ENDPOINT") or None
    login = LOGIN.format(action=action, where=repository)
    try:
        yield HfApi(endpoint=endpoint, library_name="lamobench")
    except UserError:
        raise
    except errors.LocalTokenNotFoundError:
        raise UserError(f"no token for {repository}; {login}") from None
    except errors.RevisionNotFoundError:
        raise UserError(
            f"repository {repository} has no revision '{revision}'; leave --revision out, or correct it"
        ) from None
    except errors.GatedRepoError:
        raise UserError(f"repository {repository} is gated: ask for access on its page; then {login}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"there is no repository {repository}, or it is private; correct the name, or {login}"
        ) from None
    except errors.HfHubHTTPError as error:
        _refused(repository, error.response.status_code, _first_line(error), login)
    except errors.HFValidationError as error:
        raise UserError(f"'{repository}' is no name for a repository: {_first_line(error)}") from None
    except errors.OfflineModeIsEnabled:
        raise UserError("HF_HUB_OFFLINE is set: nothing is fetched or published; unset it") from None
    except (errors.HTTPError, errors.LocalEntryNotFoundError, ConnectionError) as error:  # type: ignore[attr-defined]
        raise UserError(
            f"{endpoint or 'the Hub'} can't be reached ({_first_line(error)}); check the network, or use a folder "
            "instead of a repository and carry it over"
        ) from None
    except OSError as error:
        if error.errno is not None:  # of this machine's disk, not of the Hub
            raise
        raise UserError(f"{repository} can't be had ({_first_line(error)}); type it again") from None


def _refused(repository: str, status: int, reason: str, login: str) -> NoReturn:
    if status in (401, 403):
        raise UserError(
            f"the Hub refuses {repository} ({status}): no token, or one without the right; {login}"
        ) from None
    raise UserError(f"the Hub answers {status} for {repository}: {reason}; try again later") from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
