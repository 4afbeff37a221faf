"""Frames of episodes: which are kept, where, and how they reach the page; and `lamobench report --render`."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lamobench.benchmark import cli
from lamobench.benchmark.config import RunRequest, resolve
from lamobench.benchmark.report import strips
from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.report.strips import (
    frames_of,
    picture_run,
    read_strip,
    read_strips,
    side_by_side,
)
from lamobench.benchmark.rollout import evaluation_seeds
from lamobench.benchmark.run_layout import ABOUT_PICTURE, PICTURE
from lamobench.benchmark.train import train
from lamobench.datasets.catalog import find_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.tasks import Task
from lamobench.datasets.trajectories import Array

Request = Callable[..., RunRequest]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """The observations that were to be drawn; in place of a scene there is a shade."""
    asked: list[Array] = []

    def render(task: Task, observations: Array, height: int, width: int) -> Array:
        asked.append(observations)
        shades = np.linspace(40, 200, len(observations)).astype(np.uint8)
        return np.tile(shades[:, None, None, None], (1, height, width, 3))

    monkeypatch.setattr(strips, "render", render)
    return asked


@pytest.fixture
def run(tiny_request: Request, tmp_path: Path) -> Path:
    """A finished run."""
    return train(resolve(tiny_request()), tmp_path / "runs")


def test_the_episode_of_median_return_is_kept(run: Path, drawn: list[Array], monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[Any] = []
    play = strips._play
    monkeypatch.setattr(strips, "_play", lambda *given: played.append(play(*given)) or played[-1])
    assert picture_run(run) == run / PICTURE
    (episodes,) = played
    assert [episode.seed for episode in episodes] == evaluation_seeds(strips.SEED, 0, 3)
    assert all(len(episode.observations) == episode.length + 1 for episode in episodes)
    chosen = sorted(episodes, key=lambda episode: float(episode.episode_return))[1]
    about = json.loads((run / ABOUT_PICTURE).read_text())
    assert (about["seed"], about["return"], about["length"]) == (chosen.seed, chosen.episode_return, chosen.length)
    assert about["score"] == chosen.episode_return  # Reacher2d's score is its return
    assert about["steps"] == [0, 14, 29, 43, 57, 71, 86, 100]
    assert np.array_equal(drawn[0], np.stack([chosen.observations[step] for step in about["steps"]]))
    picture = cv2.imread(str(run / PICTURE))
    assert picture.shape == (120, 8 * 120 + 7 * strips.GAP, 3)
    shades = [float(picture[60, 60 + 124 * place].mean()) for place in range(8)]
    assert shades == pytest.approx(np.linspace(40, 200, 8), abs=3)


def test_a_strip_is_drawn_once_and_the_same_each_time(run: Path, drawn: list[Array]) -> None:
    before = picture_run(run).read_bytes()
    picture_run(run)
    assert len(drawn) == 1
    (run / ABOUT_PICTURE).unlink()  # half of it is not it
    assert picture_run(run).read_bytes() == before
    assert len(drawn) == 2


def test_what_a_killed_process_had_half_drawn_is_cleared_away(run: Path, drawn: list[Array]) -> None:
    leftovers = [run / f".{name}.abcdefgh" for name in (PICTURE, ABOUT_PICTURE)]
    for leftover in leftovers:
        leftover.touch()
    picture_run(run)
    assert not any(leftover.exists() for leftover in leftovers)


def test_the_page_carries_the_picture(run: Path, drawn: list[Array], tmp_path: Path) -> None:
    picture_run(run)
    strip = read_strip(run, "BC")
    assert strip is not None
    assert base64.b64decode(strip.address.partition(",")[2]) == (run / PICTURE).read_bytes()
    cli.parse(["report", "--runs", str(run.parent), "--output", str(tmp_path / "report.html")]).run()
    page = (tmp_path / "report.html").read_text()
    assert page.count("<img ") == 1
    image = re.search(r'<img src="([^"]+)" alt="([^"]+)" width="988" height="120">', page)
    assert image
    assert image[1] == strip.address
    assert image[2].startswith("Frames at even intervals of an episode of BC, 100 % of the data, seed 0: return")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        (ABOUT_PICTURE, b"{", "episode.json can't be read (Expecting property name"),
        (ABOUT_PICTURE, b"{}", "episode.json lacks episodes, seed"),
        (ABOUT_PICTURE, b"[]", "it holds no object"),
        (PICTURE, b"<svg onload=alert(1)>", "no whole JPEG"),
        (PICTURE, b"\xff\xd8 cut short", "no whole JPEG"),
        (PICTURE, b"\xff\xd8" + bytes(500_000) + b"\xff\xd9", "at most 400 kB"),
    ],
)
def test_a_picture_that_can_t_be_read_is_left_out_and_named(
    run: Path, drawn: list[Array], file: str, content: bytes, complaint: str
) -> None:
    picture_run(run)
    (run / file).write_bytes(content)
    found, (problem,) = read_strips(read_contents(run.parent))
    assert list(found.values()) == [[]]
    assert complaint in problem
    assert f"delete {PICTURE} and {ABOUT_PICTURE} there" in problem


def test_runs_that_can_t_be_pictured_are_named_and_the_page_is_written(
    run: Path, drawn: list[Array], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["report", "--render", "--runs", str(run.parent), "--output", str(tmp_path / "report.html")]
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "empty"))
    cli.parse(command).run()
    assert f"not pictured: {run.name}: " in capsys.readouterr().err
    assert (tmp_path / "report.html").exists()
    monkeypatch.undo()


def test_render_pictures_the_first_seed_with_most_data(
    tiny_request: Request, drawn: list[Array], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tmp_path / "runs"
    folders = {(f, s): train(resolve(tiny_request(fraction=f, seed=s)), runs) for f in (0.5, 1.0) for s in (0, 1)}
    output = tmp_path / "report.html"
    cli.parse(["report", "--render", "--runs", str(runs), "--output", str(output)]).run()
    assert [key for key, folder in folders.items() if (folder / PICTURE).exists()] == [(1.0, 0)]
    printed = capsys.readouterr()
    assert re.search(r"report\.html: 4 runs, 1 data set, 0\.\d MB", printed.out)
    assert "not pictured" not in printed.err
    assert output.read_text().count("<img ") == 1


def test_evaluate_keeps_frames_too(run: Path, drawn: list[Array], capsys: pytest.CaptureFixture[str]) -> None:
    cli.parse(["evaluate", str(run), "--episodes", "1", "--render"]).run()
    assert (run / PICTURE).exists()
    assert str(run / PICTURE) in capsys.readouterr().err


def test_an_unfinished_run_is_not_pictured(run: Path) -> None:
    (run / "done.json").unlink()
    with pytest.raises(UserError, match="is not finished"):
        picture_run(run)


def test_images_are_shown_as_they_are() -> None:
    screens = np.arange(2 * 84 * 84, dtype=np.uint8).reshape(2, 84, 84)
    frames = frames_of(find_task("breakout"), screens)
    assert frames.shape == (2, 84, 84, 3)
    assert np.array_equal(frames[..., 1], screens)
    row = side_by_side(frames)
    assert np.array_equal(row[:, :84], frames[0])
    assert np.array_equal(row[:, 84 + strips.GAP :], frames[1])
