import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from lamobench.benchmark.report import cells, charts, marks, svg, training
from lamobench.benchmark.report.contents import Contents, Setting
from lamobench.benchmark.runs.methods import METHODS, look_up, methods_of
from lamobench.benchmark.runs.tracks import TRACKS
from lamobench.tests.benchmark.figures.colour_vision import MACHADO, assert_apart, contrast

NAN = float("nan")
MINUS = marks.MINUS
DASH = marks.DASH


@pytest.fixture(scope="module")
def setting(contents: Contents) -> Setting:
    return next(setting for setting in contents.settings if setting.dataset == "hopper-medium")


def parse(chart: charts.Chart) -> ElementTree.Element:
    return ElementTree.fromstring(str(chart.svg))


def points(path: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", path)]
    return list(itertools.pairwise(numbers))[::2]


def drawn_line(chart: charts.Chart, method: str) -> list[tuple[float, float]]:
    lines = [
        path.attrib["d"]
        for group in parse(chart).iter("g")
        if group.attrib["data-method"] == method
        for path in group.iter("path")
        if path.attrib["class"] == "line"
    ]
    return points(lines[0])


def test_a_curve_is_drawn_where_its_numbers_are(setting: Setting) -> None:
    chart = training.learning_curve(setting, 1.0)
    row = next(row for row in setting.at(1.0) if row.method == "bc")
    mean = np.stack([run.result.curve_scores for run in row.runs]).mean(axis=0)
    across, down = zip(*drawn_line(chart, "bc"), strict=True)
    assert np.polyfit([100, 200, 300, 400], across, 1, full=True)[1] == pytest.approx(0, abs=0.02)
    slope, _ = np.polyfit(mean, down, 1)
    assert slope < 0  # larger scores are higher up
    assert np.polyfit(mean, down, 1, full=True)[1] == pytest.approx(0, abs=0.02)
    assert chart.head == ["step", "LaMo", "LaMo random", "BC"]
    assert [line[0] for line in chart.rows] == ["100", "200", "300", "400"]
    assert chart.rows[-1][3].startswith(f"{mean[-1]:.1f} (".replace("-", marks.MINUS))


def test_few_seeds_are_dots_and_their_interval_is_a_bar(setting: Setting) -> None:
    shares = parse(charts.over_fractions(setting))
    assert [path for path in shares.iter("path") if path.attrib["class"] == "band"] == []
    places = set()
    for group in [group for group in shares.iter("g") if group.attrib["data-method"] == "lamo"][:1]:
        ends = [points(path.attrib["d"]) for path in group.iter("path") if path.attrib["class"] == "whisker"]
        dots = [(float(dot.attrib["cx"]), float(dot.attrib["cy"])) for dot in group.iter("circle")]
        assert len(ends) == 2  # shares
        assert len(dots) == 4  # two seeds at each
        places = {across for across, _ in dots}
        assert places == {across for (across, _), _ in ends}
    steps = parse(training.learning_curve(setting, 1.0))
    assert len(list(steps.iter("circle"))) == 3 * 2 * 4  # methods, seeds, evaluations
    assert "small dots single seeds" in charts.about_figures(setting)


def test_six_seeds_have_bands() -> None:
    shares = np.array([0.1, 1.0])
    curve = marks.Curve("A", "bc", shares, shares, shares - 0.1, shares + 0.1)
    for seeds, style in ((6, "band"), (5, "whisker")):
        drawn = parse(charts.curves_over_shares("x", "t", "score", [curve], [seeds, 7]))
        styles = {path.attrib["class"] for path in drawn.iter("path")}
        assert styles & {"band", "whisker"} == {style}


def test_scores_over_shares_stand_at_the_shares(setting: Setting) -> None:
    chart = charts.over_fractions(setting)
    (left, _), (right, _) = drawn_line(chart, "lamo")
    assert left < right
    rows = {row.fraction: row for row in setting.rows if row.method == "lamo"}
    assert chart.head == ["method", "10 %", "100 %"]
    assert chart.rows[0] == ["LaMo", cells.cell_text(rows[0.1]), cells.cell_text(rows[1.0])]


def test_a_share_axis_is_logarithmic() -> None:
    scale, ticks = svg.log_scale([1.0, 0.01, 0.1], 0.0, 100.0)
    assert [scale(tick) for tick in ticks] == pytest.approx([0, 50, 100])
    alone, ticks = svg.log_scale([0.1], 0.0, 100.0)
    assert [alone(tick) for tick in ticks] == pytest.approx([50])


@pytest.mark.parametrize("values", [[3.0], [0.0, 0.0], [-5.0, 12.0], [NAN, 7.0, 8.0], [1e6, 2e6], []])
def test_scales_hold_their_values(values: list[float]) -> None:
    scale, ticks = svg.linear_scale(values, 10.0, 110.0)
    for value in values:
        assert np.isnan(value) or 10.0 - 1e-6 <= scale(value) <= 110.0 + 1e-6
    assert scale(ticks[0]) == pytest.approx(10.0)
    assert scale(ticks[-1]) == pytest.approx(110.0)


def test_a_scale_ends_with_values_that_hardly_pass_a_tick() -> None:
    scale, ticks = svg.linear_scale([-0.4, 101.0], 0.0, 100.0)
    assert (scale.low, scale.high) == (-0.4, 101.0)
    assert ticks == [0.0, 25.0, 50.0, 75.0, 100.0]
    assert svg.linear_scale([-8.0, 101.0], 0.0, 100.0)[1][0] <= -20.0


@pytest.mark.parametrize("places", [[50.0] * 8, [0.0, 100.0], [99.0, 98.0, 97.0], [10.0, 12.0, 60.0, 61.0]])
def test_labels_are_apart_in_order_and_inside(places: list[float]) -> None:
    spread = svg.spread(places, 0.0, 100.0, gap=12.0)
    ordered = [spread[index] for index in sorted(range(len(places)), key=lambda index: places[index])]
    assert all(after - before >= 12.0 - 1e-9 for before, after in itertools.pairwise(ordered))
    assert min(spread) >= 0.0
    assert max(spread) <= 100.0
    assert svg.spread([10.0, 40.0], 0.0, 100.0, gap=12.0) == [10.0, 40.0]  # where there is room, nothing moves


def test_one_seed_has_no_interval_and_is_drawn_all_the_same() -> None:
    entries = [marks.Interval("A", "lamo", 3.0, NAN, NAN), marks.Interval("B", "bc", -1.0, -2.0, 0.5)]
    chart = charts.intervals("x", "t", entries, reference=0.5)
    first, second = list(parse(chart).iter("g"))
    assert [path.attrib["class"] for path in first.iter("path")] == []
    assert [path.attrib["class"] for path in second.iter("path")] == ["line"]
    assert chart.rows == [["A", "3.0", DASH, DASH], ["B", f"{MINUS}1.0", f"{MINUS}2.0", "0.5"]]


def test_names_in_figures_are_escaped() -> None:
    chart = charts.intervals("x", "<i>&", [marks.Interval("<b>", '"><script>', 1.0, 0.0, 2.0)])
    assert "<script" not in chart.svg
    assert [text.text for text in parse(chart).iter("text")][-2] == "<b>"


def test_methods_are_told_apart_by_more_than_colour() -> None:
    looks = [(svg.marker_id(method), svg.dashes_of(method), cells.legend_key(method)) for method in METHODS]
    assert len({look[2] for look in looks}) == len(looks)
    assert svg.dashes_of("lamo-random") == "10 3.2"  # on and off in widths of the line, which is 2 wide


@pytest.mark.parametrize("track", TRACKS)
@pytest.mark.parametrize("vision", MACHADO)
def test_dark_colours_stay_apart_for_every_eye(vision: str, track: str) -> None:
    assert_apart({name: METHODS[name].dark for name in methods_of(track)}, vision)


def test_dark_colours_stand_out_from_a_dark_card() -> None:
    for method in (*METHODS.values(), look_up("")):
        assert contrast(method.dark, "#161b22") >= 3.0


def test_names_of_lines_that_lie_close_share_a_label() -> None:
    steps = np.array([0.0, 10.0])
    curve = marks.Curve("A", "bc", steps, np.array([0.0, 1.0]), steps * NAN, steps * NAN)
    axes = training.over_steps("error", 4)
    for values, expected in (
        ({"mean": 0.5, "last": 0.501}, ["last, mean"]),
        ({"mean": 0.2, "last": 0.8}, ["last", "mean"]),
    ):
        chart = charts.curves_chart("x", "t", axes, [curve], constants=values | {"far": 9.0})
        texts = [text.text for text in parse(chart).iter("text") if text.attrib.get("text-anchor") == "end"]
        assert [text for text in texts if text in ("mean", "last", "far") or "," in (text or "")] == expected
        assert chart.rows == [["0", "0.0000"], ["10", "1.0000"]]
