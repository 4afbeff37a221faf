import json
import math
from typing import Any

import pytest

from lamobench.benchmark.runs.held_out import held_out_in
from lamobench.datasets.errors import UserError


def row(step: int, **values: Any) -> dict[str, Any]:
    names = ("error", "mean_action", "previous_action")
    given = {f"held_out_{name}": value for name, value in values.items()}
    return {"step": step, "loss": 9.0, **{f"held_out_{name}": 0.5 for name in names}, **given}


def content(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in rows).encode()


def test_rows_without_an_evaluation_are_passed_over() -> None:
    rows = [{"step": 5, "loss": 1.0}, row(10, error=0.4, loss=0.3), row(20, error=0.2), row(30, error=0.1)]
    found = held_out_in(content(*rows), 30)
    assert found is not None
    assert found.steps.tolist() == [10, 20, 30]
    assert found.errors.tolist() == [0.4, 0.2, 0.1]
    assert found.losses[0] == 0.3
    assert math.isnan(found.losses[1])
    assert (found.mean_action, found.previous_action) == (0.5, 0.5)
    assert found.headline(2) == pytest.approx(0.15)


def test_runs_from_before_have_none() -> None:
    assert held_out_in(content({"step": 5, "loss": 1.0, "held_out_language_loss": 3.0}), 10) is None
    assert held_out_in(b"", 10) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (content(row(10, error=1.0)).replace(b"1.0", b"NaN"), "NaN"),
        (content(row(10, error="much")), "not finite numbers"),
        (content(row(11, error=0.1)), "steps that grow up to 10"),
        (content({"step": 10, "held_out_error": 0.1}), "without held_out_mean_action"),
        (b'{"held_out_error": \n', "can't be read"),
    ],
)
def test_what_can_t_be_is_refused_in_one_line(text: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        held_out_in(text, 10)
    assert str(caught.value).startswith("metrics.jsonl")
    assert "\n" not in str(caught.value)
