from collections.abc import Callable
from pathlib import Path

import pytest

from lamobench.benchmark.report.contents import read_contents
from lamobench.benchmark.report.sections import unchanged
from lamobench.benchmark.runs.requests import named_profile
from lamobench.benchmark.runs.tracks import Wanted


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_changed_profile_is_known_by_the_name_that_it_was_given(precision: str) -> None:
    own = named_profile(Wanted("tidy-medium", choices={"precision": precision}))
    changed = named_profile(Wanted("tidy-medium", choices={"precision": precision}, settings={"learning_rate": 0.1}))
    assert changed != own
    assert unchanged(changed) == unchanged(own) == own


def test_a_track_that_shows_nothing_side_by_side_has_a_section_for_each_profile(
    runs_root: Path, write_run: Callable[..., Path]
) -> None:
    for profile, rate in (("cpu", 0.1), ("cpu (changed)", 0.1), ("cpu (changed)", 0.2)):
        write_run([[1.0]], headline_evaluations=1, profile=profile, policy={"learning_rate": rate})
    found = {setting.profile: [row.title for row in setting.rows] for setting in read_contents(runs_root).settings}
    assert found == {"cpu": ["BC"], "cpu (changed)": ["BC", "BC (learning_rate=0.2)"]}
