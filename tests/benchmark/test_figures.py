import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from lamobench.benchmark.card import INK, MUTED
from lamobench.benchmark.collect import collect
from lamobench.benchmark.figures import COLOURS, FALLBACK_COLOUR, learning_curves, scores
from lamobench.benchmark.leaderboard import leaderboard
from lamobench.benchmark.methods import METHODS
from lamobench.datasets.errors import UserError
from lamobench.datasets.trajectories import Array

WriteRun = Callable[..., Path]
Draw = Callable[[pd.DataFrame, Path], None]
DRAWINGS = pytest.mark.parametrize("draw", [learning_curves, scores])


@pytest.fixture
def runs(runs_root: Path, write_run: WriteRun) -> pd.DataFrame:
    """Three seeds of three methods at two fractions."""
    rng = np.random.default_rng(0)
    for method, fraction, seed in itertools.product(("lamo", "lamo-permuted", "dt"), (0.1, 1.0), range(3)):
        episodes = int(500 * fraction)
        returns = rng.uniform(5, 40, (4, 6))
        write_run(returns, method=method, fraction=fraction, seed=seed, episodes_in_subset=episodes)
    return collect(runs_root)


def test_learning_curves_show_the_mean_and_the_range_of_the_seeds(
    tmp_path: Path, runs: pd.DataFrame, drawn: list[Any]
) -> None:
    learning_curves(runs, tmp_path / "curves.png")
    (figure,) = drawn
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "10 % of the data: 50 episodes",
        "100 % of the data: 500 episodes",
    ]
    for axes, fraction in zip(figure.axes, (0.1, 1.0), strict=True):
        assert [line.get_label() for line in axes.lines] == ["LaMo", "LaMo, permuted weights", "DT"]
        chosen = runs[(runs["method"] == "dt") & (runs["fraction"] == fraction)]
        curves = np.stack(list(chosen["curve_scores"]))
        assert axes.lines[2].get_xdata() == pytest.approx([100, 200, 300, 400])
        assert axes.lines[2].get_ydata() == pytest.approx(curves.mean(axis=0))
        band = axes.collections[2].get_paths()[0].vertices
        assert band[:, 1].min() == pytest.approx(curves.min())
        assert band[:, 1].max() == pytest.approx(curves.max())
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "Bands: lowest to highest seed" in " ".join(text.get_text() for text in figure.texts)


def test_scores_show_the_leaderboard_and_every_seed(tmp_path: Path, runs: pd.DataFrame, drawn: list[Any]) -> None:
    scores(runs, tmp_path / "scores.png")
    (figure,) = drawn
    board = leaderboard(runs).set_index(["fraction", "method"])
    for axes, fraction in zip(figure.axes, (0.1, 1.0), strict=True):
        for place, method in enumerate(("lamo", "lamo-permuted", "dt")):
            row = board.loc[fraction, method]
            assert axes.lines[place].get_xdata() == pytest.approx([row["ci_low"], row["ci_high"]])
            assert axes.lines[place].get_ydata().tolist() == [place, place]
            seeds, mean = axes.collections[2 * place].get_offsets(), axes.collections[2 * place + 1].get_offsets()
            chosen = runs[(runs["method"] == method) & (runs["fraction"] == fraction)]
            assert sorted(seeds[:, 0]) == pytest.approx(sorted(chosen["score"]))
            assert mean[0].tolist() == pytest.approx([row["score_mean"], place])
            assert axes.texts[place].get_text() == f"{row['score_mean']:.1f}"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["LaMo", "LaMo, permuted weights", "DT"]
    about = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
    assert "reacher2d-medium-large (recorded data, cpu profile)" in about
    assert "mean of 3 seeds; lines: 95 % interval" in about


@DRAWINGS
@pytest.mark.parametrize("methods", [["bc"], [*METHODS, "an-unknown-method"]])
@pytest.mark.parametrize("fractions", [[1.0], [0.01, 0.1, 1.0]])
def test_nothing_is_cut_off_or_covered(
    tmp_path: Path,
    runs_root: Path,
    write_run: WriteRun,
    drawn: list[Any],
    draw: Draw,
    methods: list[str],
    fractions: list[float],
) -> None:
    for method, fraction, seed in itertools.product(methods, fractions, range(2)):
        write_run([[90.0, -20.0], [95.0, 3.0 * seed]], method=method, fraction=fraction, seed=seed)
    draw(collect(runs_root), tmp_path / "figure.png")
    (figure,) = drawn
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    boxes = [part.get_window_extent(renderer) for part in (*figure.texts, *figure.legends)]
    panels = [axes.get_tightbbox(renderer) for axes in figure.axes]
    for box in (*boxes, *panels):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for one, other in itertools.combinations([*boxes, *panels], 2):
        assert not (one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)


@DRAWINGS
def test_the_file_is_an_opaque_card_of_at_least_twice_700_pixels(
    tmp_path: Path, runs: pd.DataFrame, draw: Draw
) -> None:
    path = tmp_path / "deeper" / "figure.png"
    draw(runs, path)
    image = imread(path)
    assert image.shape[1] >= 1400
    assert image.shape[2] == 3 or (image[..., 3] == 1.0).all()
    border = np.concatenate([image[:20].reshape(-1, image.shape[2]), image[:, :20].reshape(-1, image.shape[2])])
    assert (border == 1.0).all()
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
    draw(runs, tmp_path / "again.png")
    assert path.read_bytes() == (tmp_path / "again.png").read_bytes()


@DRAWINGS
def test_a_failed_drawing_leaves_the_old_file(
    tmp_path: Path, runs: pd.DataFrame, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(figure: Figure, *args: Any, **options: Any) -> None:
        raise OSError("no space left on device")

    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", disk_full)
    with pytest.raises(OSError, match="no space"):
        draw(runs, path)
    assert [(file.name, file.read_bytes()) for file in tmp_path.glob("*.png")] == [("figure.png", b"old")]


@DRAWINGS
def test_runs_that_do_not_belong_together_are_refused(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, draw: Draw
) -> None:
    write_run([[1.0]], seed=0, headline_evaluations=1)
    write_run([[1.0]], seed=0, headline_evaluations=1, data_seed=1)
    with pytest.raises(UserError, match="differ in data_seed"):
        draw(collect(runs_root), tmp_path / "figure.png")
    assert not (tmp_path / "figure.png").exists()


def test_variants_have_lines_of_their_own(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any]
) -> None:
    write_run([[1.0]], seed=0, headline_evaluations=1)
    write_run([[1.0]], seed=1, headline_evaluations=1, batch_size=1)
    learning_curves(collect(runs_root), tmp_path / "figure.png")
    ((axes,),) = (figure.axes for figure in drawn)
    assert {line.get_label() for line in axes.get_lines()} == {"BC", "BC (batch_size=64)"}


def test_panels_say_what_tells_them_apart(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any]
) -> None:
    for source, content in (("recorded", "a" * 64), ("recorded", "b" * 64), ("minari", "a" * 64)):
        folder = write_run([[1.0]], source=source, dataset_hash=content, headline_evaluations=1, method=content[0])
        folder.rename(runs_root / f"{source}-s0-{content[:10]}")
    scores(collect(runs_root), tmp_path / "figure.png")
    titles = [axes.get_title(loc="left").split("\n")[0] for axes in drawn[0].axes]
    assert titles == ["minari, aaaaaaaa", "recorded, aaaaaaaa", "recorded, bbbbbbbb"]


def linear_rgb(colour: str) -> Array:
    values = np.asarray([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(linear: Array) -> Array:
    matrix = np.asarray([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    scaled = matrix @ np.clip(linear, 0, 1) / np.asarray([0.9505, 1.0, 1.089])
    f = np.where(scaled > 0.008856, np.cbrt(scaled), 7.787 * scaled + 16 / 116)
    return np.asarray([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


# Machado, Oliveira and Fernandes 2009, severity 1.
MACHADO = {
    "protanopia": "0.152286 1.052583 -0.204868  0.114503 0.786281 0.099216  -0.003882 -0.048116 1.051998",
    "deuteranopia": "0.367322 0.860646 -0.227968  0.280085 0.672501 0.047413  -0.011820 0.042940 0.968881",
    "tritanopia": "1.255528 -0.076749 -0.178779  -0.078411 0.930809 0.147602  0.004733 0.691367 0.303900",
    "full": "1 0 0  0 1 0  0 0 1",
}


def meet(*methods: str) -> bool:
    """Whether some task can have them all: one that all can play has either kind of actions."""
    return any(all(METHODS[name].plays(discrete=kind) for name in methods) for kind in (True, False))


@pytest.mark.parametrize("vision", MACHADO)
def test_colours_stay_apart_for_every_eye(vision: str) -> None:
    matrix = np.asarray(MACHADO[vision].split(), float).reshape(3, 3)
    seen = {method: lab(matrix @ linear_rgb(colour)) for method, colour in COLOURS.items()}
    pairs = [pair for pair in itertools.combinations(seen, 2) if meet(*pair)]
    distances = {(a, b): np.linalg.norm(seen[a] - seen[b]) for a, b in pairs}
    assert min(distances.values()) > 15, min(distances, key=distances.__getitem__)


@pytest.mark.parametrize("colour", [*COLOURS.values(), FALLBACK_COLOUR, INK, MUTED])
def test_colours_stand_out_from_white(colour: str) -> None:
    luminance = float(np.asarray([0.2126, 0.7152, 0.0722]) @ linear_rgb(colour))
    assert 1.05 / (luminance + 0.05) >= (4.5 if colour in (INK, MUTED) else 3.0)


def test_every_method_has_a_colour() -> None:
    assert set(METHODS) <= set(COLOURS)
