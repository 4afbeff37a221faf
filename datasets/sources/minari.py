"""Reads local Minari data sets through Minari's own interface."""

import os
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np

from ..errors import UserError
from ..trajectories import Array, Provenance, Trajectories

SIMULATORS = ("mujoco", "ale-py")  # the packages that may decide an environment's physics


def local_root() -> Path:
    """Where Minari keeps its data sets: `$MINARI_DATASETS_PATH`, or the user's `.minari` folder."""
    given = os.environ.get("MINARI_DATASETS_PATH")
    return Path(given) if given else Path.home() / ".minari" / "datasets"


def read(minari_id: str, root: Path, dataset: str, source: str = "minari") -> Trajectories:
    """Read the Minari data set `minari_id` below `root`, whole and checked, as the source `source` of `dataset`.

    Observations and rewards become float32 (images stay uint8), actions float32 or, for discrete ones, int64. An
    episode's extra last observation is kept; a last step that neither terminated nor was truncated becomes a timeout.
    Environment and simulator are the ones the data set names, not the ones installed here.

    Raises a `UserError` if the data set is missing, damaged, or of spaces that can't be flat arrays.
    """
    data = _open(minari_id, root)
    _check_spaces(minari_id, data.observation_space, data.action_space)
    observation_type = np.uint8 if data.observation_space.dtype == np.uint8 else np.float32
    action_type = np.int64 if isinstance(data.action_space, gymnasium.spaces.Discrete) else np.float32
    try:
        episodes = list(data.iterate_episodes())
    except (OSError, KeyError, RuntimeError) as error:  # h5py's words for a file that is cut short or altered
        raise UserError(f"{_main_file(root, minari_id)} is damaged ({error}); record or fetch it again") from None
    lengths = np.array([len(episode.rewards) for episode in episodes], np.int64)
    _check_lengths(minari_id, episodes)
    return Trajectories(
        observations=np.concatenate([e.observations[:-1] for e in episodes]).astype(observation_type),
        actions=np.concatenate([e.actions for e in episodes]).astype(action_type),
        rewards=np.concatenate([e.rewards for e in episodes]).astype(np.float32),
        terminals=np.concatenate([e.terminations for e in episodes]).astype(bool),
        timeouts=np.concatenate([_timeouts(e) for e in episodes]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        last_observations=np.stack([e.observations[-1] for e in episodes]).astype(observation_type),
        provenance=_provenance(data, dataset, source),
    ).check()


def _open(minari_id: str, root: Path) -> minari.MinariDataset:
    folder = root / minari_id / "data"
    if not folder.is_dir():
        raise UserError(
            f"no Minari data set '{minari_id}' in {root}; `minari list local` lists the ones that Minari has"
        )
    try:
        return minari.MinariDataset(folder)
    except (OSError, ValueError, KeyError, AssertionError) as error:  # Minari asserts what its metadata must hold
        raise UserError(f"{folder} is no readable Minari data set ({error!r}); record or fetch it again") from None


def _check_spaces(minari_id: str, observations: gymnasium.Space, actions: gymnasium.Space) -> None:
    if isinstance(observations, gymnasium.spaces.Dict):
        keys = ", ".join(observations.spaces)
        raise UserError(f"Minari data set '{minari_id}' has observations with the keys {keys}; expected one flat array")
    if not isinstance(observations, gymnasium.spaces.Box):
        raise UserError(f"Minari data set '{minari_id}' has observations in {observations}; expected a Box")
    if not isinstance(actions, gymnasium.spaces.Box | gymnasium.spaces.Discrete):
        raise UserError(f"Minari data set '{minari_id}' has actions in {actions}; expected a Box or a Discrete space")


def _check_lengths(minari_id: str, episodes: list[minari.EpisodeData]) -> None:
    if not episodes:
        raise UserError(f"Minari data set '{minari_id}' has no episodes; record or fetch it again")
    for episode in episodes:
        steps = len(episode.rewards)
        found = [len(a) for a in (episode.observations, episode.actions, episode.terminations, episode.truncations)]
        expected = [steps + 1, steps, steps, steps]
        if found != expected or steps < 1:
            raise UserError(
                f"Minari data set '{minari_id}', episode {episode.id} of {steps} rewards: observations, actions, "
                f"terminations, truncations have {found} entries, expected {expected}; record or fetch it again"
            )


def _timeouts(episode: minari.EpisodeData) -> Array:
    timeouts = np.array(episode.truncations, bool)
    timeouts[-1:] |= not episode.terminations[-1:].any()
    return timeouts


def _provenance(data: minari.MinariDataset, dataset: str, source: str) -> Provenance:
    requirements: list[str] = data.storage.metadata.get("requirements", [])
    simulators = [text for text in requirements if text.startswith(SIMULATORS)]
    env_id: Any = data.env_spec.id if data.env_spec is not None else "unknown"
    return Provenance(
        dataset=dataset,
        source=source,
        origin=f"minari {data.spec.dataset_id}",
        env_id=env_id,
        simulator=simulators[0].replace("==", " ") if simulators else "unknown",
    )


def _main_file(root: Path, minari_id: str) -> Path:
    return root / minari_id / "data" / "main_data.hdf5"
