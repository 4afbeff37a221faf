"""A contact sheet: what the worst, the median and the best episode of a data set look like, at even intervals."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from ...datasets.counts import count
from ...datasets.rendering import render, renderable
from ...datasets.storage import whole_file
from ...datasets.tasks import Task
from ...datasets.trajectories import Array, Trajectories
from .card import DPI, MARGIN, MUTED, STYLE, header_height, readable, write_header

Camera = Callable[[Array], Array]  # from observations (M, ...) to frames (M, H, W) or (M, H, W, 3) uint8

# Pixels. Every frame's pixel is drawn as a square of whole pixels, so nothing is blurred.
FRAME_HEIGHT = 168
GAP = 14
SHEET_WIDTH = 1460
MOST_COLUMNS = 8
SCENE_WIDTHS = {"reacher2d": 168}  # whose scene is square
SCENE_WIDTH = 224
HEADING = 44
LABEL = 32
BETWEEN = 26  # above a row of frames, below it, and between two rows


@dataclass(frozen=True)
class Strip:
    """One episode's row of the sheet: M frames, each with the step it shows and the return up to that step."""

    heading: str
    frames: Array  # (M, H, W) or (M, H, W, 3) uint8
    steps: list[int]
    returns: list[float]


def camera_of(data: Trajectories, task: Task | None) -> Camera | None:
    """The function from observations to frames: images as they are, states by the simulator; None if neither can."""
    if data.observations.dtype == np.uint8 and data.observations.ndim >= 3:
        return np.asarray
    if task is None or not renderable(task):
        return None
    return lambda states: render(task, states, FRAME_HEIGHT, SCENE_WIDTHS.get(task.name, SCENE_WIDTH))


def contact_sheet(data: Trajectories, task: Task | None, camera: Camera, path: Path) -> None:
    """Write the sheet as a PNG, whole or not at all; raises what `camera` raises."""
    about = "Each row is one episode. Below each frame: the step it shows, and the return so far."
    _draw(strips(data, task, camera), data.provenance.dataset, about, path)


def strips(data: Trajectories, task: Task | None, camera: Camera) -> list[Strip]:
    """The rows of the sheet. All frames come from one call of `camera`, since starting a renderer takes a second."""
    chosen = chosen_episodes(data.returns)
    columns = _columns(data, task)
    steps = [moments(int(data.lengths[episode]), columns) for _, episode in chosen]
    shots = [_observations(data, episode, at) for (_, episode), at in zip(chosen, steps, strict=True)]
    frames = np.split(camera(np.concatenate(shots)), np.cumsum([len(shot) for shot in shots])[:-1])
    return [
        Strip(_heading(data, task, word, episode), taken, at, _returns(data, episode, at))
        for (word, episode), taken, at in zip(chosen, frames, steps, strict=True)
    ]


def chosen_episodes(returns: Array) -> list[tuple[str, int]]:
    """The episodes of lowest, median and highest return, each with its word; fewer where there are not three."""
    order = [int(episode) for episode in np.argsort(returns, kind="stable")]
    if len(order) == 1:
        return [("Only", 0)]
    middle = [("Median", order[len(order) // 2])] if len(order) > 2 else []
    return [("Lowest", order[0]), *middle, ("Highest", order[-1])]


def moments(length: int, count: int) -> list[int]:
    """Steps at even distances from 0 to `length`, the observation after the last action; `count` of them or fewer."""
    return [int(step) for step in np.unique(np.linspace(0, length, count).round())]


def _columns(data: Trajectories, task: Task | None) -> int:
    if data.observations.ndim >= 3:
        height, width = data.observations.shape[1:3]
        width = width * _magnification(height)
    else:
        width = SCENE_WIDTHS.get(task.name if task else "", SCENE_WIDTH)
    return int(max(2, min(MOST_COLUMNS, (SHEET_WIDTH + GAP) // (width + GAP))))


def _magnification(height: int) -> int:
    return max(1, FRAME_HEIGHT // height)


def _observations(data: Trajectories, episode: int, steps: list[int]) -> Array:
    """The observations (M, ...) before the given steps of an episode; its last one where a step is its length."""
    start = int(data.offsets[episode])
    end = int(data.offsets[episode + 1])
    last = data.last_observations[episode]
    return np.stack([data.observations[start + step] if start + step < end else last for step in steps])


def _returns(data: Trajectories, episode: int, steps: list[int]) -> list[float]:
    start = int(data.offsets[episode])
    end = int(data.offsets[episode + 1])
    so_far = np.concatenate([[0.0], np.cumsum(data.rewards[start:end], dtype=np.float64)])
    return [float(so_far[step]) for step in steps]


def _heading(data: Trajectories, task: Task | None, word: str, episode: int) -> str:
    value = float(data.returns[episode])
    length = int(data.lengths[episode])
    score = "" if task is None else f" (score {readable(task.normalise(value))})"
    among = "" if word == "Only" else f" of {count(data.num_episodes, 'episode')}"
    return f"{word} return{among}: {readable(value)}{score}, {count(length, 'step')}"


def _draw(rows: list[Strip], title: str, caption: str, path: Path) -> None:
    times = _magnification(rows[0].frames.shape[1])
    height, width = (times * side for side in rows[0].frames.shape[1:3])
    columns = max(len(row.steps) for row in rows)
    margin = round(MARGIN * DPI)
    strip = HEADING + height + LABEL
    total_width = 2 * margin + max(columns * (width + GAP) - GAP, 900)
    lines = textwrap.wrap(caption, total_width // 14)
    header = round(header_height(len(lines)) * DPI) + BETWEEN // 2
    total_height = 2 * margin + header + len(rows) * (strip + BETWEEN) - BETWEEN
    with matplotlib.rc_context(STYLE):
        figure = Figure((total_width / DPI, total_height / DPI), dpi=DPI, facecolor="white")
        write_header(figure, title, lines, [])
        for number, row in enumerate(rows):
            top = margin + header + number * (strip + BETWEEN)
            _write(figure, margin, top, row.heading, size=9.0, weight="bold")
            for column, (frame, step, so_far) in enumerate(zip(row.frames, row.steps, row.returns, strict=True)):
                left = margin + column * (width + GAP)
                bottom = top + HEADING + height
                figure.figimage(_coloured(frame.repeat(times, 0).repeat(times, 1)), left, total_height - bottom)
                _write(figure, left, bottom + 6, f"step {step:,}", size=8.0, color=MUTED)
                _write(figure, left + width, bottom + 6, readable(so_far), size=8.0, ha="right")
        with whole_file(path) as temporary:
            figure.savefig(temporary, format="png")


def _coloured(frame: Array) -> Array:
    """A picture (H, W, 3) uint8; what has three channels already is left as it is."""
    return frame if frame.ndim == 3 else frame[..., None].repeat(3, axis=2)


def _write(figure: Figure, x: float, y: float, text: str, **style: object) -> None:
    """Text whose top is `y` pixels below the figure's."""
    width = figure.bbox.width
    height = figure.bbox.height
    figure.text(x / width, 1 - y / height, text, va="top", **style)  # type: ignore[arg-type]
