"""Check a Minari data set, which may come from anywhere: its folder before Minari reads it, then each episode.

Minari follows links, believes what metadata say of sizes, and hands on whatever shapes and types it finds.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import minari
import numpy as np
import pyarrow as pa
import pyarrow.dataset
from gymnasium import spaces

from ..conversions import to_flags, to_floats, to_integers
from ..errors import UserError
from ..file_checks import check_regular_file, check_unpacked_size
from ..json_files import MOST, check_fields, parse_python_json
from ..kitchen import ENV_ID as KITCHEN
from ..trajectories import Array
from .hdf5 import open_hdf5

FIELDS = {"total_episodes": int, "total_steps": int, "data_format": str, "dataset_id": str}
OTHER_FIELDS = {
    "observation_space": str,
    "action_space": str,
    "env_spec": str | None,
    "eval_env_spec": str | None,
    "minari_version": str,
    "jpeg_encoding": bool,
    "author": str | list[str],
    "author_email": str | list[str],
    "requirements": list[str],
    "ref_min_score": float | None,
    "ref_max_score": float | None,
}
SPACES = ("observation_space", "action_space")
SPECS = ("env_spec", "eval_env_spec")
LEAST = 6  # bytes of a step: a reward and two flags
AGAIN = "record or fetch it again"


def check_metadata(folder: Path) -> dict[str, Any]:
    """The metadata of the data set in `folder`, every field of its type, and every file in its place.

    Raises a `UserError` if a file is none or lies outside the data set, and a `ValueError` that says what is wrong with
    the metadata.
    """
    for path in folder.rglob("*"):  # which goes into no folder that is a link
        if path.is_symlink():
            check_regular_file(path, folder=folder)
        elif not path.is_dir():
            check_regular_file(path)
    path = folder / "metadata.json"
    check_regular_file(path, MOST)
    metadata = check_fields(parse_python_json(path.read_text(encoding="utf-8")), FIELDS, OTHER_FIELDS)
    for name in SPACES:
        parse_python_json(metadata.get(name, "{}"))
    for name in SPECS:
        _check_spec(parse_python_json(metadata.get(name) or "null"))
    if math.inf in (abs(metadata.get(name) or 0) for name in ("ref_min_score", "ref_max_score")):
        raise ValueError("a reference score is infinite")
    check_unpacked_size(path, LEAST * max(metadata["total_steps"], metadata["total_episodes"]))
    return metadata


def _check_spec(spec: Any) -> None:
    if spec is None:
        return
    check_fields(spec, {"id": str, "kwargs": dict, "max_episode_steps": int | None})
    if spec["id"] == KITCHEN:
        check_fields(spec["kwargs"], {}, {"tasks_to_complete": list[str]})


@contextmanager
def checked_data(folder: Path, data_format: str) -> Iterator[None]:
    """Refuse, with a `UserError`, data that lead to other files or declare more than the limit; none are read.

    An HDF5 file stays open meanwhile: whoever opens it again finds what was looked at in HDF5's cache.
    """
    if data_format == "hdf5":
        with open_hdf5(folder / "main_data.hdf5", AGAIN):
            yield
    else:
        _check_arrow(folder, data_format)
        yield


def _check_arrow(folder: Path, data_format: str) -> None:
    try:
        data = pa.dataset.dataset(folder, format=data_format, ignore_prefixes=["_", ".", "metadata.json"])
        needed = data.count_rows() * sum(_width(field.type) for field in data.schema)
    except Exception as error:  # Arrow raises anything for a file that is cut short or altered
        raise UserError(f"{folder} is damaged ({' '.join(str(error).split())}); {AGAIN}") from None
    check_unpacked_size(folder, needed)


def checked_episode(episode: minari.EpisodeData, space: gymnasium.Space, minari_id: str) -> minari.EpisodeData:
    """The episode with T actions of the Box or Discrete `space`, rewards (T,) float32, and flags (T,) bool.

    Raises a `UserError` if one has another shape or something that its type can't hold.
    """
    discrete = isinstance(space, spaces.Discrete)
    found: dict[str, Array] = {}
    for name in ("actions", "rewards", "terminations", "truncations"):
        where = f"Minari data set '{minari_id}', episode {episode.id}: {name}"
        array = np.asarray(getattr(episode, name))
        expected = space.shape if name == "actions" else ()
        if array.ndim == 0 or array.shape[1:] != expected:
            raise UserError(f"{where} has the shape {array.shape}, expected {expected} at each step; {AGAIN}")
        if name == "actions" and discrete:
            found[name] = to_integers(array, np.int64, where)
        else:
            found[name] = to_floats(array, where) if name in ("actions", "rewards") else to_flags(array, where)
    return replace(episode, **found)


def _width(kind: pa.DataType) -> int:
    """Bytes of a value; of one of any length, such as a text, none."""
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size) * _width(kind.value_type)
    if pa.types.is_struct(kind):
        return sum(_width(field.type) for field in kind)
    return -(-int(kind.bit_width) // 8) if pa.types.is_primitive(kind) else 0
