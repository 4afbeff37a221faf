import pytest

from lamobench.benchmark.offline.build import policy_config
from lamobench.benchmark.offline.hyperparameters import PROFILES, budget_for, overrides_for
from lamobench.benchmark.offline.resolve import _check_budget
from lamobench.benchmark.offline.settings import IMPORTED, LANGUAGE_MODEL_METHODS
from lamobench.benchmark.runs.methods import find_method, methods_of
from lamobench.datasets.errors import UserError
from lamobench.datasets.tasks import TASKS


@pytest.mark.parametrize("profile", PROFILES)
def test_every_task_has_settings_that_every_method_accepts(profile: str) -> None:
    assert PROFILES[profile].keys() == {*TASKS, IMPORTED}
    for task in TASKS.values():
        for method in map(find_method, methods_of("offline")):
            if task.frame_stack and not method.discrete:
                continue
            _check_budget(budget_for(profile, task.name, method.name))
            policy_config(method.name, overrides_for(profile, task.name, method.name))


def test_the_published_values() -> None:
    """LaMo, Tables 6 and 7, Section 5.1 and Appendices B and D."""
    hopper, breakout, pong = (
        policy_config("lamo", overrides_for("paper", t, "lamo")) for t in ("hopper", "breakout", "pong")
    )
    assert (hopper.context, hopper.embedding, hopper.lora_rank, hopper.learning_rate) == (20, "linear", 16, 1e-4)
    assert (breakout.context, breakout.embedding, breakout.lora_rank) == (30, "mlp", 32)
    assert (breakout.learning_rate, breakout.weight_decay, pong.learning_rate, pong.weight_decay) == (
        1e-3,
        1e-2,
        3e-4,
        0.1,
    )
    for task, steps, headline in (("hopper", 100_000, 8), ("breakout", 50_000, 4), ("reacher2d", 37_500, 5)):
        budget = budget_for("paper", task, "lamo")
        assert (budget.steps, budget.evaluate_every, budget.headline_evaluations) == (steps, 2500, headline)


def test_iql_has_corl_s_targets() -> None:
    """CORL, `configs/offline/iql`: tau 0.001 on hopper-medium, elsewhere 0.005."""
    rates = {
        task: policy_config("iql", overrides_for("paper", task, "iql")).target_rate
        for task in ("hopper", "halfcheetah", "walker2d")
    }
    assert rates == {"hopper": 0.001, "halfcheetah": 0.005, "walker2d": 0.005}
    assert overrides_for("cpu", "hopper", "iql")["target_rate"] == 0.02  # what makes that profile quick stays


@pytest.mark.parametrize("profile", PROFILES)
def test_on_atari_lamo_and_all_that_share_its_network_are_the_published_one(profile: str) -> None:
    """Published code for Atari: timesteps are added before the LayerNorm, and returns are not scaled."""
    for task in TASKS.values():
        for method in LANGUAGE_MODEL_METHODS:
            settings = policy_config(method, overrides_for(profile, task.name, method))
            expected = (False, 1.0) if task.frame_stack else (True, None)
            assert (settings.norm_before_time, settings.return_scale) == expected, (task.name, method)
        for method in ("dt", "dt-matched"):
            assert "return_scale" not in overrides_for(profile, task.name, method)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_tasks_of_imported_data_sets_have_settings_too(profile: str) -> None:
    assert budget_for(profile, "my-maze", "bc") == budget_for(profile, "walker2d", "bc")
    assert overrides_for(profile, "my-maze", "lamo") == overrides_for(profile, "walker2d", "lamo")


def test_an_unknown_profile_is_answered_with_the_known() -> None:
    with pytest.raises(UserError, match=r"unknown profile 'papr'; did you mean 'paper'"):
        budget_for("papr", "hopper", "bc")


def test_200_steps_are_a_quick_look_at_every_task() -> None:
    """The README says so; they have to be spread over each run's evaluations."""
    for task in PROFILES["cpu"]:
        for method in methods_of("offline"):
            budget = budget_for("cpu", task, method)
            assert 200 % (budget.steps // budget.evaluate_every) == 0, (task, method)
