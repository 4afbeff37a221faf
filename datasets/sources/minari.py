"""Read local Minari data sets, in any of Minari's file formats, through Minari's own interface.

What is not already an array a step becomes one, and the provenance's `origin` says how:

- FrankaKitchen's dictionaries become D4RL's 60 numbers, when the sub-goals are those of a kitchen task. Where the
  metadata says that a sub-goal pays at every step at which it is done (`remove_task_when_completed` false, as in
  `D4RL/kitchen/*`), rewards become +1 once per sub-goal, as the environment of the task pays.
- Other dictionaries become vectors (`observations.py`).
- Images stay as they are. Minari may have stored them as JPEG, with losses.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
from gymnasium import spaces
from minari.dataset.minari_storage import is_image_space

from ..actions import check_actions, notes_on, plain_actions
from ..conversions import to_floats, to_integers
from ..counts import count
from ..errors import UserError
from ..file_checks import check_unpacked_size
from ..json_files import parse_python_json
from ..kitchen import ENV_ID as KITCHEN
from ..kitchen import OBSERVATION_SIZE, achieved, d4rl_observations, done_so_far, kitchen_task
from ..observations import vector_size, vectors
from ..own_tasks import Environment
from ..trajectories import Array, Provenance, Trajectories
from .minari_files import AGAIN, check_metadata, checked_data, checked_episode

SIMULATORS = ("mujoco", "ale-py")  # the packages that may decide an environment's physics


@dataclass(frozen=True)
class Form:
    """The way in which an episode's observations become an array."""

    shape: tuple[int, ...]  # of one of them
    convert: Callable[[Any], Array]
    notes: tuple[str, ...] = ()
    dtype: type = np.float32
    sub_goals: tuple[str, ...] = ()  # of a kitchen data set
    counted: bool = False  # a kitchen data set whose rewards count the sub-goals that are done, at every step


def local_root() -> Path:
    """The folder where Minari keeps its data sets: `$MINARI_DATASETS_PATH`, or the user's `.minari` folder."""
    given = os.environ.get("MINARI_DATASETS_PATH")
    return Path(given) if given else Path.home() / ".minari" / "datasets"


def read(minari_id: str, root: Path, dataset: str, source: str = "minari") -> Trajectories:
    """Read the Minari data set `minari_id` below `root`, whole and checked, as the source `source` of `dataset`.

    Observations and rewards become float32 (images stay uint8), actions float32 or, for discrete ones, int64. An
    episode's extra last observation is kept; a last step that neither terminated nor was truncated becomes a timeout.
    Environment and simulator are the ones the data set names, not the ones installed here. Memory holds the result and
    one episode.

    Raises a `UserError` if the data set is missing, damaged, or of spaces that can't be flat arrays.
    """
    data = _open(minari_id, root)
    form = _form(data, minari_id)
    notes = (*form.notes, *notes_on(data.action_space))
    found = _allocate(data, form, _provenance(data, dataset, source, notes))
    start = 0
    doubtful = 0
    episodes = 0
    for stored in _episodes(data, root / minari_id):
        episode = checked_episode(stored, data.action_space, minari_id)
        steps = _check_lengths(minari_id, episode, observations := _converted(form, episode, minari_id))
        if start + steps > found.num_steps or episodes == found.num_episodes:
            raise _miscounted(found, minari_id)
        here = slice(start, start + steps)
        found.observations[here] = observations[:-1]
        found.last_observations[episodes] = observations[-1]
        found.actions[here] = _actions(data, episode, minari_id)
        found.terminals[here] = episode.terminations
        found.timeouts[here] = _timeouts(episode)
        found.rewards[here], agree = _rewards(form, episode, minari_id)
        start = start + steps
        doubtful = doubtful + (not agree)
        episodes = episodes + 1
        found.offsets[episodes] = start
    if (episodes, start) != (found.num_episodes, found.num_steps):
        raise _miscounted(found, minari_id)
    return _noted(found, doubtful).check()


def step_infos(minari_id: str, root: Path, names: Sequence[str]) -> dict[str, Array]:
    """Whole numbers that a data set holds of each step in its `infos`, end to end (B,) int64, by their names.

    Raises a `UserError` where an episode has none, another number of them, or other than whole numbers.
    """
    found: dict[str, list[Array]] = {name: [] for name in names}
    for episode in _episodes(_open(minari_id, root), root / minari_id):
        for name, parts in found.items():
            where = f"Minari data set '{minari_id}', episode {episode.id}: infos '{name}'"
            values = np.asarray((episode.infos or {}).get(name, ()))
            if values.shape != (len(episode.rewards),):
                raise UserError(f"{where} have the shape {values.shape}, expected {(len(episode.rewards),)}; {AGAIN}")
            parts.append(to_integers(values, np.int64, where))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def action_space(minari_id: str, root: Path) -> gymnasium.Space:
    """The space that a data set says its actions are in."""
    return _open(minari_id, root).action_space


def environment_of(minari_id: str, root: Path) -> Environment | None:
    """The environment that a data set names for evaluation, or else the one that it was recorded in, if any."""
    metadata = _open(minari_id, root).storage.metadata
    spec = parse_python_json(metadata.get("eval_env_spec") or metadata.get("env_spec") or "null")
    if spec is None:
        return None
    low = metadata.get("ref_min_score")
    high = metadata.get("ref_max_score")
    scores = (float(low), float(high)) if low is not None and high is not None and low < high else None
    options = {key: value for key, value in spec["kwargs"].items() if key != "render_mode"}  # how it was watched
    return Environment(spec["id"], options, spec["max_episode_steps"], scores)


def _open(minari_id: str, root: Path) -> minari.MinariDataset:
    folder = root / minari_id / "data"
    if not folder.is_dir():
        raise UserError(
            f"no Minari data set '{minari_id}' in {root}; `minari list local` lists the ones that Minari has"
        )
    try:
        metadata = check_metadata(folder)
        # Without its spaces, Minari would make the environment, by running whatever code the metadata name.
        missing = [key for key in ("observation_space", "action_space") if key not in metadata]
        if missing:
            raise UserError(f"{folder} names no {' and no '.join(missing)}; write it again with a current Minari")
        data = minari.MinariDataset(folder)
        _ = data.spec  # which parses its id
        return data
    except UserError:
        raise
    except Exception as error:  # Minari and Gymnasium raise anything for metadata that they do not expect
        raise UserError(f"{folder} is no readable Minari data set ({repr(error)[:300]}); {AGAIN}") from None


def _form(data: minari.MinariDataset, minari_id: str) -> Form:
    space = data.observation_space
    try:
        check_actions(data.action_space)
    except UserError as error:
        raise UserError(f"Minari data set '{minari_id}' has {error}") from None
    if isinstance(space, spaces.Box):
        lossy = ("its images were stored as JPEG, with losses",) if _is_jpeg(data, space) else ()
        return Form(space.shape, np.asarray, lossy, np.uint8 if space.dtype == np.uint8 else np.float32)
    if not isinstance(space, spaces.Dict):
        raise UserError(f"Minari data set '{minari_id}' has observations in {space}; expected a Box or a Dict")
    options = data.env_spec.kwargs if data.env_spec is not None and data.env_spec.id == KITCHEN else {}
    task = kitchen_task(options.get("tasks_to_complete", ()))
    if task is not None:
        return _kitchen_form(task.sub_goals, counted=not options.get("remove_task_when_completed", True))
    try:
        size = vector_size(space)
    except UserError as error:
        raise UserError(f"Minari data set '{minari_id}': {error}") from None
    lossy = ("images in them were stored as JPEG, with losses",) if _is_jpeg(data, space) else ()
    note = f"observations are the parts {', '.join(sorted(space.spaces))} end to end"
    return Form((size,), lambda o: vectors(space, o), (note, *lossy))


def _kitchen_form(sub_goals: tuple[str, ...], counted: bool) -> Form:
    notes = ["observations brought into D4RL's 60 numbers"]
    notes += ["rewards, stored at every step, paid once per sub-goal"] if counted else []
    return Form(
        shape=(OBSERVATION_SIZE,),
        convert=lambda observations: d4rl_observations(observations["observation"], sub_goals),
        notes=tuple(notes),
        sub_goals=sub_goals,
        counted=counted,
    )


def _is_jpeg(data: minari.MinariDataset, space: gymnasium.Space) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_is_jpeg(data, part) for part in space.spaces.values())
    return bool(data.storage.jpeg_encoding and is_image_space(space))


def _allocate(data: minari.MinariDataset, form: Form, provenance: Provenance) -> Trajectories:
    """Room for as many episodes and steps as the metadata say."""
    episodes = data.total_episodes
    steps = data.total_steps
    actions = data.action_space
    if episodes < 1 or steps < 1:
        raise UserError(f"Minari data set '{data.spec.dataset_id}' has no episodes; record or fetch it again")
    step = math.prod(form.shape) * np.dtype(form.dtype).itemsize
    check_unpacked_size(data.storage.data_path, (steps + episodes) * step + steps * 4 * math.prod(actions.shape))
    discrete = isinstance(actions, spaces.Discrete)
    return Trajectories(
        observations=np.empty((steps, *form.shape), form.dtype),
        actions=np.empty(steps, np.int64) if discrete else np.empty((steps, int(np.prod(actions.shape))), np.float32),
        rewards=np.empty(steps, np.float32),
        terminals=np.empty(steps, bool),
        timeouts=np.empty(steps, bool),
        offsets=np.zeros(episodes + 1, np.int64),
        last_observations=np.empty((episodes, *form.shape), form.dtype),
        provenance=provenance,
    )


def _episodes(data: minari.MinariDataset, folder: Path) -> Iterator[minari.EpisodeData]:
    try:
        with checked_data(folder / "data", data.storage.FORMAT):
            yield from data.iterate_episodes()
    except UserError:
        raise
    except Exception as error:  # a damaged file makes Minari's readers, and what they are built on, raise anything
        place = folder / "data" / "main_data.hdf5"
        place = place if place.exists() else folder / "data"
        raise UserError(f"{place} is damaged ({' '.join(str(error).split())}); {AGAIN}") from None


def _converted(form: Form, episode: minari.EpisodeData, minari_id: str) -> Array:
    """An episode's observations (T + 1, S) as an array."""
    try:
        found = form.convert(episode.observations)
    except (UserError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id}: {error}; record or fetch it again"
        ) from None
    if found.ndim == 0 or found.shape[1:] != form.shape:
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id}: observations have the shape {found.shape[1:]}, "
            f"but its metadata say {form.shape}; record or fetch it again"
        )
    where = f"Minari data set '{minari_id}', episode {episode.id}: observations"
    return to_integers(found, np.uint8, where) if form.dtype == np.uint8 else to_floats(found, where)


def _check_lengths(minari_id: str, episode: minari.EpisodeData, observations: Array) -> int:
    """The steps of an episode, if all its arrays have as many."""
    steps = len(episode.rewards)
    found = [len(a) for a in (observations, episode.actions, episode.terminations, episode.truncations)]
    expected = [steps + 1, steps, steps, steps]
    if found != expected or steps < 1:
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id} of {steps} rewards: observations, actions, "
            f"terminations, truncations have {found} entries, expected {expected}; record or fetch it again"
        )
    return steps


def _actions(data: minari.MinariDataset, episode: minari.EpisodeData, minari_id: str) -> Array:
    try:
        return plain_actions(data.action_space, episode.actions)
    except UserError as error:
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id}: {error}; record or fetch it again"
        ) from None


def _timeouts(episode: minari.EpisodeData) -> Array:
    timeouts = np.array(episode.truncations, bool)
    timeouts[-1:] |= not episode.terminations[-1:].any()
    return timeouts


def _rewards(form: Form, episode: minari.EpisodeData, minari_id: str) -> tuple[Array, bool]:
    """An episode's rewards (T,), and whether what was stored agrees with what was seen.

    Reward t of a kitchen data set is for what action t led to, observation t + 1.
    """
    rewards = np.asarray(episode.rewards)
    most = len(form.sub_goals)
    if most and not (np.isin(rewards, np.arange(most + 1)).all() and (form.counted or rewards.sum() <= most)):
        paid = "count sub-goals at every step" if form.counted else "are paid once per sub-goal"
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id}: rewards {paid}, its metadata say, but they reach "
            f"{rewards.max():g} and sum up to {rewards.sum():g} with {most} sub-goals"
        )
    if not form.counted:
        return rewards, True
    try:
        so_far, agree = done_so_far(achieved(episode.observations["achieved_goal"], form.sub_goals)[1:], rewards)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"Minari data set '{minari_id}', episode {episode.id}: achieved goals don't fit ({error}); {AGAIN}"
        ) from None
    return np.diff(so_far, prepend=0), agree


def _miscounted(found: Trajectories, minari_id: str) -> UserError:
    promised = f"{count(found.num_episodes, 'episode')} and {count(found.num_steps, 'step')}"
    return UserError(
        f"Minari data set '{minari_id}' does not hold the {promised} that its metadata say; record or fetch it again"
    )


def _noted(found: Trajectories, doubtful: int) -> Trajectories:
    if not doubtful:
        return found
    note = f"the stored counts of {doubtful} of {found.num_episodes} episodes are not those of the observations"
    return replace(found, provenance=replace(found.provenance, origin=f"{found.provenance.origin}; {note}"))


def _provenance(data: minari.MinariDataset, dataset: str, source: str, notes: tuple[str, ...]) -> Provenance:
    requirements: list[str] = data.storage.metadata.get("requirements", [])
    simulators = [text for text in requirements if text.startswith(SIMULATORS)]
    env_id: Any = data.env_spec.id if data.env_spec is not None else "unknown"
    return Provenance(
        dataset=dataset,
        source=source,
        origin="; ".join([f"minari {data.spec.dataset_id}", *notes]),
        env_id=env_id,
        simulator=simulators[0].replace("==", " ") if simulators else "unknown",
    )
