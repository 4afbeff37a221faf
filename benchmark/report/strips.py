"""Frame strips: what a finished run's policy does, as one small picture in the run's folder.

A few episodes are played from starts of their own, and of these the one of median return is pictured: neither the best
nor the worst. Only the pictured states are drawn, by `datasets/rendering.py`; observations that are images are shown as
they are.
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...baselines.fields import Count
from ...datasets.errors import UserError
from ...datasets.storage import whole_file, write_json
from ...datasets.trajectories import Array
from ..figures.frames import moments
from ..runs.layout import ABOUT_PICTURE, PICTURE
from ..runs.records import content_of, read_config, read_object
from ..runs.store import clear_temporaries, hold
from ..runs.tracks import find_track, work_of
from .contents import Contents

FRAMES = 8  # of a strip
GAP = 4  # pixels
QUALITY = 72  # of JPEG: a strip is about 20 kB
EPISODES = 3  # played for a strip
SEED = 2_000_000  # of their starts: neither training evaluations' nor those of `lamobench evaluate`
ABOUT_KINDS: dict[str, Any] = {"episodes": int, "seed": int, "target_return": float, "return": float, "length": int}
ABOUT_KINDS |= {"score": float, "width": Count, "height": Count}
MOST_BYTES = 400_000  # of a picture that is put into a report
GREY = 128  # between frames: seen on light and dark pages alike


@dataclass(frozen=True)
class Strip:
    """A picture of an episode, ready for a page."""

    title: str
    about: str
    alternative: str
    address: str  # the picture itself
    width: int
    height: int


def picture_run(folder: Path, device: str = "auto", lm: str = "") -> Path:
    """Play a finished run's policy and write its strip and what it shows beside it; the picture's path.

    Does nothing if it is there. `lm` says where the language model lies, if not where the run was trained. Raises a
    `UserError` if the run is not finished, its data is gone, or nothing here can draw its scene.
    """
    if (folder / PICTURE).exists() and (folder / ABOUT_PICTURE).exists():
        return folder / PICTURE
    config = read_config(folder)
    if not (folder / "done.json").exists():
        raise UserError(f"run {folder.name} is not finished; start the command that made it again")
    work = work_of(config)
    played = work.play(folder, config, device, lm, SEED + config.seed, EPISODES)
    episodes = sorted(played, key=lambda episode: episode.episode_return)
    chosen = episodes[len(episodes) // 2]
    steps = moments(chosen.length, FRAMES)
    picture = side_by_side(work.draw(config, np.stack([chosen.observations[step] for step in steps])))
    about = {
        "episodes": len(episodes),
        "seed": chosen.seed,
        "target_return": chosen.target_return,
        "return": chosen.episode_return,
        "score": find_track(config.track).find_task(config.task).normalise(chosen.episode_return),
        "length": chosen.length,
        "steps": steps,
        "width": picture.shape[1],
        "height": picture.shape[0],
    }
    with hold(folder, wait=True):
        clear_temporaries(folder)  # of a process that was killed here: training opens no finished run
        _write_jpeg(folder / PICTURE, picture)
        write_json(folder / ABOUT_PICTURE, about)
    return folder / PICTURE


def read_strip(folder: Path, title: str) -> Strip | None:
    """The strip of a run; None if none was drawn. A `UserError` if it can't be read."""
    if not (folder / PICTURE).exists() or not (folder / ABOUT_PICTURE).exists():
        return None
    try:
        about = read_object(folder, ABOUT_PICTURE, ABOUT_KINDS)
        picture = content_of(folder, PICTURE)
    except (OSError, UserError) as error:
        raise _damaged(folder, str(error)) from error
    if not picture.startswith(b"\xff\xd8") or not picture.endswith(b"\xff\xd9") or len(picture) > MOST_BYTES:
        raise _damaged(folder, f"{PICTURE} is no whole JPEG of at most {MOST_BYTES // 1000} kB")
    said = f"return {about['return']:.1f}, score {about['score']:.1f}, {about['length']:,} steps"
    return Strip(
        title,
        f"{said}; start {about['seed']}, the median of {about['episodes']} episodes at target return "
        f"{about['target_return']:g}",
        f"Frames at even intervals of an episode of {title}: {said}",
        f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}",
        about["width"],
        about["height"],
    )


def read_strips(contents: Contents) -> tuple[dict[str, list[Strip]], list[str]]:
    """The strips that lie beside runs, by the anchor of their setting; and a line for each that can't be read."""
    found: dict[str, list[Strip]] = {}
    problems: list[str] = []
    for setting in contents.settings:
        strips = found.setdefault(setting.anchor, [])
        for row, run in [(each, run) for each in setting.rows for run in each.runs]:
            try:
                share = f", {row.share} of the data" if row.share else ""
                strip = read_strip(run.folder, f"{row.title}{share}, seed {run.config.seed}")
            except UserError as error:
                problems.append(str(error))
                continue
            strips += [strip] if strip else []
    return found, problems


def side_by_side(frames: Array) -> Array:
    """A picture (H, W', 3) uint8 of frames (M, H, W, 3) in a row, with a thin gap between any two."""
    padded = np.pad(frames, ((0, 0), (0, 0), (0, GAP), (0, 0)), constant_values=GREY)
    return np.ascontiguousarray(np.concatenate(list(padded), axis=1)[:, :-GAP])


def _write_jpeg(path: Path, picture: Array) -> None:
    import cv2

    done, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])  # cv2: BGR
    if not done:
        raise RuntimeError(f"the picture for {path} could not be encoded")
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _damaged(folder: Path, problem: str) -> UserError:
    return UserError(
        f"the picture in '{folder}' can't be read ({problem}); delete {PICTURE} and {ABOUT_PICTURE} there, "
        "then render again"
    )
