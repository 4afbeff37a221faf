import pytest

from lamobench.benchmark.offline.settings import Budget
from lamobench.benchmark.runs.requests import asked_budget, by_prefix, named_profile, prefixed
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.datasets.errors import UserError

USUAL = Budget(steps=40, evaluate_every=10, evaluation_episodes=5, headline_evaluations=1)


def test_other_steps_have_as_many_evaluations() -> None:
    found = asked_budget(Wanted("a task", steps=80, budget={"evaluation_episodes": "7"}), USUAL)
    assert (found.steps, found.evaluate_every, found.evaluation_episodes) == (80, 20, 7)
    assert asked_budget(Wanted("a task"), USUAL) == USUAL


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (Wanted("a task", steps=42), r"--steps 42 can't be spread over 4 evaluations; give a multiple of 4, or"),
        (Wanted("a task", budget={"steps": "45"}), "steps 45 must be a multiple of evaluate_every 10"),
        (Wanted("a task", budget={"steps": "0"}), r"steps is 0; give 1 to \d+"),
        (Wanted("a task", budget={"step": "45"}), "unknown budget 'step'; did you mean 'steps'"),
    ],
)
def test_a_budget_that_does_not_fit_is_one_line(wanted: Wanted, line: str) -> None:
    with pytest.raises(UserError, match=line):
        asked_budget(wanted, USUAL)


def test_settings_are_taken_apart_by_prefix_and_put_together_again() -> None:
    found = by_prefix({"hidden": 8, "retention.share": 0.5, "retention.size": 3}, ("retention", "environment"))
    assert found == {"": {"hidden": 8}, "retention": {"share": 0.5, "size": 3}, "environment": {}}
    assert prefixed("retention", found["retention"]) == {"retention.share": 0.5, "retention.size": 3}
    with pytest.raises(UserError, match="unknown kind of setting 'retenion'; did you mean 'retention'"):
        by_prefix({"retenion.share": 0.5}, ("retention",))


def test_a_profile_says_whether_anything_of_it_was_changed() -> None:
    assert named_profile(Wanted("a task")) == "cpu"
    assert named_profile(Wanted("a task", steps=5, choices={"precision": "bfloat16"})) == "cpu (bfloat16, changed)"
    for changed in (Wanted("a task", steps=8), Wanted("a task", budget={"a": 1}), Wanted("a task", settings={"b": 2})):
        assert named_profile(changed) == "cpu (changed)"
