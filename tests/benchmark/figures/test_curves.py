import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from lamobench.benchmark.figures.card import INK, MUTED
from lamobench.benchmark.figures.curves import learning_curves, scores
from lamobench.benchmark.runs.methods import METHODS, look_up, methods_of
from lamobench.benchmark.runs.tracks import TRACKS
from lamobench.benchmark.scores.collect import collect, finished
from lamobench.benchmark.scores.leaderboard import leaderboard
from lamobench.benchmark.scores.run import FinishedRun, Result
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.figures.colour_vision import MACHADO, assert_apart, contrast

WriteRun = Callable[..., Path]
Draw = Callable[[pd.DataFrame, Path], None]
DRAWINGS = pytest.mark.parametrize("draw", [learning_curves, scores])


@pytest.fixture
def runs(runs_root: Path, write_run: WriteRun) -> list[FinishedRun]:
    """Three seeds of three methods at two fractions."""
    rng = np.random.default_rng(0)
    for method, fraction, seed in itertools.product(("lamo", "lamo-permuted", "dt"), (0.1, 1.0), range(3)):
        episodes = int(500 * fraction)
        returns = rng.uniform(5, 40, (4, 6))
        write_run(returns, method=method, fraction=fraction, seed=seed, episodes_in_subset=episodes)
    return finished(collect(runs_root))


def words(figure: Figure) -> str:
    """Everything that is written above the panels, on one line."""
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def results_of(runs: list[FinishedRun], method: str, fraction: float) -> list[Result]:
    return [run.result for run in runs if (run.config.method, run.data.fraction) == (method, fraction)]


def test_learning_curves_show_the_mean_and_each_of_a_few_seeds(
    tmp_path: Path, runs: list[FinishedRun], drawn: list[Any]
) -> None:
    learning_curves(runs, tmp_path / "curves.png")
    (figure,) = drawn
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "10 % of the data: 50 episodes",
        "100 % of the data: 500 episodes",
    ]
    for axes, fraction in zip(figure.axes, (0.1, 1.0), strict=True):
        assert [line.get_label() for line in axes.lines] == ["LaMo", "LaMo, permuted weights", "DT"]
        curves = np.stack([result.curve_scores for result in results_of(runs, "dt", fraction)])
        assert axes.lines[2].get_xdata() == pytest.approx([100, 200, 300, 400])
        assert axes.lines[2].get_ydata() == pytest.approx(curves.mean(axis=0))
        assert sorted(axes.collections[2].get_offsets()[:, 1]) == pytest.approx(sorted(curves.ravel()))
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert "mean of 3 seeds. Small dots: single seeds." in words(figure)


def test_learning_curves_of_many_seeds_have_a_dot_for_each_and_no_band(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any]
) -> None:
    rng = np.random.default_rng(0)
    for seed in range(6):
        write_run(rng.uniform(5, 40, (4, 6)), seed=seed)
    runs = finished(collect(runs_root))
    learning_curves(runs, tmp_path / "curves.png")
    (figure,) = drawn
    curves = np.stack([run.result.curve_scores for run in runs])
    (dots,) = figure.axes[0].collections
    assert sorted(dots.get_offsets()[:, 1]) == pytest.approx(sorted(curves.ravel()))
    assert "mean of 6 seeds. Small dots: single seeds." in words(figure)


@DRAWINGS
def test_one_seed_is_promised_no_interval(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any], draw: Draw
) -> None:
    write_run([[1.0, 2.0]] * 4)
    draw(collect(runs_root), tmp_path / "figure.png")
    assert "one seed, no interval." in words(drawn[0])
    assert not re.search("95 %|[Bb]ands?|Small dots", words(drawn[0]))


def test_scores_show_the_leaderboard_and_every_seed(tmp_path: Path, runs: list[FinishedRun], drawn: list[Any]) -> None:
    scores(runs, tmp_path / "scores.png")
    (figure,) = drawn
    board = leaderboard(runs).set_index(["fraction", "method"])
    for axes, fraction in zip(figure.axes, (0.1, 1.0), strict=True):
        for place, method in enumerate(("lamo", "lamo-permuted", "dt")):
            row = board.loc[fraction, method]
            assert axes.lines[place].get_xdata() == pytest.approx([row["ci_low"], row["ci_high"]])
            assert axes.lines[place].get_ydata().tolist() == [place, place]
            seeds = axes.collections[2 * place].get_offsets()
            mean = axes.collections[2 * place + 1].get_offsets()
            expected = sorted(result.score for result in results_of(runs, method, fraction))
            assert sorted(seeds[:, 0]) == pytest.approx(expected)
            assert mean[0].tolist() == pytest.approx([row["score_mean"], place])
            assert axes.texts[place].get_text() == f"{row['score_mean']:.1f}"
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["LaMo", "LaMo, permuted weights", "DT"]
    assert "reacher2d-medium-large (recorded data, cpu profile)" in words(figure)
    assert "mean of 3 seeds. Lines: 95 % interval. Small dots: single seeds." in words(figure)


@DRAWINGS
@pytest.mark.parametrize("methods", [["bc"], [*methods_of("offline"), "an-unknown-method"]])
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
    tmp_path: Path, runs: list[FinishedRun], draw: Draw
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
    tmp_path: Path, runs: list[FinishedRun], draw: Draw, monkeypatch: pytest.MonkeyPatch
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
    filled = {line.get_label(): line.get_fillstyle() for line in axes.get_lines()}
    assert filled == {"BC": "full", "BC (batch_size=64)": "none"}


def test_panels_say_what_tells_them_apart(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any]
) -> None:
    for source, content in (("recorded", "a" * 64), ("recorded", "b" * 64), ("minari", "a" * 64)):
        write_run([[1.0]], source=source, dataset_hash=content, headline_evaluations=1, method=content[0])
    scores(collect(runs_root), tmp_path / "figure.png")
    titles = [axes.get_title(loc="left").split("\n")[0] for axes in drawn[0].axes]
    assert titles == ["minari, aaaaaaaa", "recorded, aaaaaaaa", "recorded, bbbbbbbb"]


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("vision", MACHADO)
def test_colours_stay_apart_for_every_eye(vision: str, track: str) -> None:
    assert_apart({name: METHODS[name].colour for name in methods_of(track)}, vision)


@pytest.mark.parametrize("colour", [*(method.colour for method in METHODS.values()), look_up("").colour, INK, MUTED])
def test_colours_stand_out_from_white(colour: str) -> None:
    assert contrast(colour, "#FFFFFF") >= (4.5 if colour in (INK, MUTED) else 3.0)


def test_every_method_has_a_colour_of_its_own() -> None:
    unknown = look_up("")
    assert all(method.colour != unknown.colour and method.dark != unknown.dark for method in METHODS.values())


def test_a_legend_has_room_for_long_names(
    tmp_path: Path, runs_root: Path, write_run: WriteRun, drawn: list[Any]
) -> None:
    for model in ("gpt2-mini", "gpt2-mini-markov", "gpt2-mini-shuffled"):
        for method in ("lamo", "lamo-random", "lamo-permuted"):
            write_run([[1.0, 2.0]] * 4, method=method, lm=model)
    runs = finished(collect(runs_root))
    for draw in (learning_curves, scores):
        draw(runs, tmp_path / "figure.png")
    curves, bars = drawn
    curves.canvas.draw()
    (legend,) = curves.legends
    inside = legend.get_window_extent()
    assert inside.x1 <= curves.bbox.x1
    assert inside.y0 >= curves.axes[0].title.get_window_extent().y1  # it ends above the first panel
    assert "LaMo, permuted weights\n(gpt2-mini-shuffled)" in [text.get_text() for text in legend.get_texts()]
    assert "LaMo, permuted weights\n(gpt2-mini-shuffled)" in [
        text.get_text() for text in bars.axes[0].get_yticklabels()
    ]
