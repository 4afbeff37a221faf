"""Faults: where each can be, and the names of runs with one."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline.config import LATER_FIELDS
from lamobench.benchmark.offline.faults import FAULTS, check_legacy, cumulative_factor
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.datasets.catalog import find_task
from lamobench.datasets.errors import UserError

Requests = Callable[..., RunRequest]


def test_every_fault_says_what_it_is_and_where_it_was_found() -> None:
    assert len(FAULTS) == 10
    assert all(fault.summary and fault.published and fault.signature for fault in FAULTS.values())
    assert all(FAULTS[name].name == name for name in FAULTS)


@pytest.mark.parametrize(
    ("task", "method", "discrete", "fitting"),
    [
        ("reacher2d", "dt", False, {"shifted-episodes", "drop-best", "cumulative-schedule", "best-target"}),
        ("kitchen", "lamo", False, {"shifted-episodes", "kitchen-counts", "drop-best", "no-positions"}),
        ("breakout", "dt", True, {"drop-best", "tanh-logits", "unclipped-evaluation", "padding-steps", "best-target"}),
        (
            "qbert",
            "lamo-random",
            True,
            {"no-positions", "tanh-logits", "unclipped-evaluation", "padding-steps", "drop-best"},
        ),
        ("hopper", "bc", False, set()),
    ],
)
def test_a_fault_fits_where_the_task_and_the_method_have_what_it_spoils(
    task: str, method: str, discrete: bool, fitting: set[str]
) -> None:
    expected = fitting | ({"cumulative-schedule", "late-returns"} if fitting else set())
    for name in expected:
        assert check_legacy([name], find_task(task), method, discrete=discrete) == [name]
    for name in FAULTS.keys() - expected:
        with pytest.raises(UserError, match=f"^legacy '{name}' .*"):
            check_legacy([name], find_task(task), method, discrete=discrete)


def test_names_come_in_one_order_and_once() -> None:
    names = ["best-target", "drop-best", "best-target"]
    assert check_legacy(names, find_task("reacher2d"), "dt", discrete=False) == ["drop-best", "best-target"]


@pytest.mark.parametrize(
    ("method", "name", "line"),
    [
        ("dt", "drop_best", r"unknown legacy option 'drop_best'; did you mean 'drop-best'\? \(valid: .*best-target\)"),
        ("cql", "drop-best", r"legacy 'drop-best' is no fault of method 'cql'; give one of lamo, .*dt, dt-matched$"),
        ("dt", "no-positions", r"legacy 'no-positions' is no fault of method 'dt'; give one of lamo, "),
        (
            "dt",
            "kitchen-counts",
            r"'kitchen-counts' needs sub-goals, which task 'reacher2d' has not; choose from: shift",
        ),
        ("dt", "tanh-logits", r"'tanh-logits' needs discrete actions, which task 'reacher2d' has not"),
        ("dt", "unclipped-evaluation", r"needs clipped rewards, which task 'reacher2d' has not"),
        ("dt", "padding-steps", r"'padding-steps' needs stacked frames, which task 'reacher2d' has not"),
    ],
)
def test_a_fault_that_does_not_apply_is_one_line(tiny_request: Requests, method: str, name: str, line: str) -> None:
    with pytest.raises(UserError, match=line):
        resolve(tiny_request(method, legacy=(name,)))


def test_a_run_with_a_fault_is_another_run_and_says_so(tiny_request: Requests) -> None:
    names = ("shifted-episodes", "drop-best", "cumulative-schedule", "best-target")
    none, *each = [resolve(tiny_request("dt", legacy=legacy)) for legacy in ((), *((name,) for name in names))]
    assert none.legacy == []
    assert "legacy" not in none.profile
    assert [config.legacy for config in each] == [[name] for name in names]
    assert [config.profile for config in each] == [f"cpu (changed, legacy {name})" for name in names]
    assert len({config.id for config in (none, *each)}) == 5
    both = [resolve(tiny_request("dt", legacy=order)) for order in (names[1:3], names[2:0:-1])]
    assert both[0] == both[1]
    assert both[0].profile == "cpu (changed, legacy drop-best, legacy cumulative-schedule)"


def test_without_a_fault_the_id_is_what_it_was_before_there_were_any(tiny_request: Requests) -> None:
    import hashlib
    import json
    from dataclasses import asdict

    config = resolve(tiny_request("dt"))
    values = asdict(config)
    for later in LATER_FIELDS:
        values.pop(later, None)
    assert config.id.endswith(hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10])


def naive_schedule(steps: int) -> list[float]:
    """The schedule as the published code has it: a count that each step raises by the sum of all tokens so far."""
    factors = []
    seen = 0.0
    count = 0.0
    for _ in range(steps):
        seen += 128 * 30 * 0.75
        count += seen
        if count < 375e6:
            factors.append(count / 375e6)
        else:
            progress = (count - 375e6) / (260e9 - 375e6)
            factors.append(max(0.1, 0.5 * (1 + math.cos(math.pi * progress))))
    return factors


def test_the_cumulative_schedule_is_the_published_one() -> None:
    factors = naive_schedule(31_000)
    assert [cumulative_factor(step) for step in range(31_000)] == pytest.approx(factors)
    warmed_up = next(step for step, factor in enumerate(factors) if factor >= 0.999)
    assert 500 < warmed_up < 520
    # what was computed of the published code by others
    published = {12_999: 0.1, 19_999: 0.89, 29_999: 0.1}
    assert {step: round(cumulative_factor(step), 2) for step in published} == published


@pytest.mark.parametrize("steps", [1000, 37_500])
def test_a_short_run_has_the_shape_of_a_long_one(steps: int) -> None:
    scale = 100_000 / steps
    for share in (0.13, 0.2, 0.3):
        step = round(share * steps) - 1
        assert cumulative_factor(step, scale) == pytest.approx(cumulative_factor(round(share * 100_000) - 1), abs=1e-3)


def test_the_documentation_describes_every_fault() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "offline.md").read_text()
    described = page.partition("| `--legacy` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z][a-z-]+)` \|", described, re.M) == list(FAULTS)


def test_settings_and_faults_show_side_by_side(home: Any) -> None:
    request = RunRequest("reacher2d-medium", "dt", legacy=("drop-best",), precision="bfloat16")
    assert resolve(request).profile == "cpu (bfloat16, legacy drop-best)"
