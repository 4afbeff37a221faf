import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread

from lamobench.benchmark.figures.data import bin_edges, spread_figure
from lamobench.benchmark.figures.frames import camera_of, chosen_episodes, contact_sheet, moments, strips
from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.tasks import Task
from lamobench.datasets.trajectories import Array, Provenance, Trajectories


@pytest.fixture(scope="module")
def pong() -> Trajectories:
    """Three short pieces of real games, of different lengths, with made up rewards."""
    env = make_environment(find_task("pong"))
    env.action_space.seed(0)
    lengths = [3, 9, 30]
    frames = []
    last = []
    for seed, length in enumerate(lengths):
        frames.append(env.reset(seed=seed)[0])
        frames += [env.step(env.action_space.sample())[0] for _ in range(length)]
        last.append(frames.pop())
    env.close()
    steps = sum(lengths)
    ends = np.cumsum(lengths) - 1
    rewards = np.zeros(steps, np.float32)
    rewards[ends] = 5.0, -21.0, 1.0
    return Trajectories(
        observations=np.stack(frames),
        actions=np.zeros(steps, np.int64),
        rewards=rewards,
        terminals=np.isin(np.arange(steps), ends),
        timeouts=np.zeros(steps, bool),
        offsets=np.concatenate([[0], ends + 1]),
        last_observations=np.stack(last),
        provenance=Provenance("pong-medium", "recorded", "a test", "ALE/Pong-v5", "ale-py"),
    )


def spread(returns: Any, lengths: Any) -> Trajectories:
    """Episodes of the given returns and lengths, with nothing else in them."""
    lengths = np.asarray(lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rewards = np.zeros(offsets[-1], np.float32)
    rewards[offsets[:-1]] = returns
    nothing = np.zeros((offsets[-1], 1), np.float32)
    flags = np.zeros(offsets[-1], bool)
    provenance = Provenance("hopper-medium-expert", "recorded", "a test", "Hopper-v5", "mujoco 3.3.0")
    return Trajectories(nothing, nothing, rewards, flags, flags, offsets, nothing[: len(lengths)], provenance)


def test_few_whole_numbers_have_a_bin_each() -> None:
    assert bin_edges(np.array([0.0, 4.0, 1.0])).tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    assert bin_edges(np.array([100, 100])).tolist() == [99.5, 100.5]


@pytest.mark.parametrize("count", [1, 2, 5, 100, 5000])
def test_bins_hold_every_value_and_are_neither_few_nor_many(count: int) -> None:
    values = np.random.default_rng(0).normal(2000.0, 700.0, count)
    edges = bin_edges(values)
    assert np.histogram(values, edges)[0].sum() == count
    assert count == 1 or 10 <= len(edges) - 1 <= 40


def test_histograms_show_every_episode_and_the_scores(tmp_path: Path, drawn: list[Any]) -> None:
    task = find_task("hopper")
    data = spread([-10.0, 1000.0, 3000.0, 3100.0], [5, 300, 1000, 900])
    spread_figure(data, task, tmp_path / "figure.png")
    (figure,) = drawn
    returns, lengths = figure.axes
    for axes, values in ((returns, data.returns), (lengths, data.lengths)):
        assert sum(bar.get_height() for bar in axes.patches) == 4
        assert axes.lines[0].get_xdata()[0] == pytest.approx(values.mean())
    figure.draw(FigureCanvasAgg(figure).get_renderer())
    low, high = returns.child_axes[0].get_xlim()
    assert (low, high) == pytest.approx([task.normalise(value) for value in returns.get_xlim()])
    text = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "Score: mean 55.1, best 95.9, where a return of \N{MINUS SIGN}20.3 scores 0 and 3,234 scores 100" in text


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("returns", "lengths"), [([100.0], [7]), ([0.0, 4.0, 2.0], [280, 280, 280]), ([-1e5, 1e6, 3.5], [1, 2, 4096])]
)
def test_nothing_is_cut_off_or_covered(
    tmp_path: Path, drawn: list[Any], known: bool, returns: list[float], lengths: list[int]
) -> None:
    path = tmp_path / "deeper" / "figure.png"
    spread_figure(spread(returns, lengths), find_task("hopper") if known else None, path)
    (figure,) = drawn
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    check_boxes(figure, [part.get_window_extent(renderer) for part in figure.texts])
    check_boxes(figure, [axes.get_tightbbox(renderer) for axes in figure.axes])
    image = imread(path)
    assert image.shape[1] >= 1000
    assert image.shape[2] == 3 or (image[..., 3] == 1.0).all()
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]


def check_boxes(figure: Any, boxes: list[Any]) -> None:
    for box in boxes:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations(boxes, 2):
        assert not (one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


def test_the_lowest_the_median_and_the_highest_return_are_chosen() -> None:
    assert chosen_episodes(np.array([5.0, 1.0, 9.0, 7.0, 3.0])) == [("Lowest", 1), ("Median", 0), ("Highest", 2)]
    assert chosen_episodes(np.array([5.0, 1.0])) == [("Lowest", 1), ("Highest", 0)]
    assert chosen_episodes(np.array([5.0])) == [("Only", 0)]
    assert len({episode for _, episode in chosen_episodes(np.zeros(9))}) == 3


def test_moments_reach_from_the_start_to_the_last_observation() -> None:
    assert moments(280, 6) == [0, 56, 112, 168, 224, 280]
    assert moments(2, 8) == [0, 1, 2]


def test_image_data_are_shown_as_they_are(pong: Trajectories) -> None:
    task = find_task("pong")
    camera = camera_of(pong, task)
    assert camera is not None
    lowest, median, highest = strips(pong, task, camera)
    assert lowest.heading == "Lowest return of 3 episodes: \N{MINUS SIGN}21 (score \N{MINUS SIGN}1.0), 9 steps"
    assert median.steps == [0, 4, 9, 13, 17, 21, 26, 30]
    assert highest.steps == [0, 1, 2, 3]
    assert highest.returns == [0.0, 0.0, 0.0, 5.0]
    assert (highest.frames[:3] == pong.observations[:3]).all()
    assert (highest.frames[3] == pong.last_observations[0]).all()
    assert (median.frames[1] == pong.observations[12 + 4]).all()


def test_the_sheet_holds_every_frame_s_every_pixel(tmp_path: Path, pong: Trajectories, drawn: list[Any]) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet(pong, find_task("pong"), np.asarray, path)
    (figure,) = drawn
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    image = (imread(path)[..., :3] * 255).round().astype(np.uint8)
    boxes = [text.get_window_extent(renderer) for text in figure.texts]
    for picture in figure.images:
        x = int(picture.ox)
        y = int(picture.oy)
        rows, columns, _ = picture.get_array().shape
        top = image.shape[0] - y - rows
        assert (image[top : top + rows, x : x + columns] == picture.get_array()).all()
        boxes.append(picture.get_window_extent(renderer))
    assert len(figure.images) == 8 + 8 + 4
    check_boxes(figure, boxes)


@pytest.mark.parametrize("shape", [(210, 160, 3), (64, 64), (400, 900)])
def test_frames_of_any_size_fit(tmp_path: Path, pong: Trajectories, drawn: list[Any], shape: tuple[int, ...]) -> None:
    frames = np.zeros((pong.num_steps, *shape), np.uint8)
    data = replace(pong, observations=frames, last_observations=frames[:3])
    contact_sheet(data, None, np.asarray, tmp_path / "sheet.png")
    renderer = FigureCanvasAgg(drawn[0]).get_renderer()  # type: ignore[no-untyped-call]
    parts = (*drawn[0].texts, *drawn[0].images)
    assert len(drawn[0].images) >= 3, "a row of frames for each of three episodes"
    check_boxes(drawn[0], [part.get_window_extent(renderer) for part in parts])


def test_states_are_drawn_by_the_simulator_in_one_call(pong: Trajectories, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Array] = []

    def fake(task: Task, states: Array, height: int, width: int) -> Array:
        calls.append(states)
        return np.zeros((len(states), height, width, 3), np.uint8)

    monkeypatch.setattr("lamobench.benchmark.figures.frames.render", fake)
    states = np.arange(pong.num_steps * 11, dtype=np.float32).reshape(-1, 11)
    data = replace(pong, observations=states, last_observations=-states[:3])
    task = find_task("hopper")
    camera = camera_of(data, task)
    assert camera is not None
    rows = strips(data, task, camera)
    assert [len(row.frames) for row in rows] == [len(row.steps) for row in rows] == [6, 6, 4]
    assert len(calls) == 1
    assert (calls[0][-1] == -states[0]).all()
    assert camera_of(data, None) is None
    assert camera_of(data, find_task("pong")) is None
