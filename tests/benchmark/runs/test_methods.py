from dataclasses import fields
from typing import get_type_hints

import pytest

from lamobench.benchmark.lm.lamo import LaMoConfig
from lamobench.benchmark.offline.build import config_class_of, policy_config
from lamobench.benchmark.offline.hyperparameters import PROFILES, budget_for, overrides_for
from lamobench.benchmark.offline.settings import LAMO_METHODS
from lamobench.benchmark.runs.methods import METHODS, find_method, methods_for, methods_of
from lamobench.datasets.errors import UserError


def test_a_table_has_lamo_its_control_and_every_baseline_that_applies() -> None:
    continuous, discrete = (methods_for(discrete=kind) for kind in (False, True))
    assert {"lamo", "lamo-random", "dt", "bc"} <= set(continuous) & set(discrete)
    assert "cql" in continuous
    assert "cql" not in discrete
    assert not {"lamo-permuted", "lamo-initialised"} & {*continuous, *discrete}


@pytest.mark.parametrize("method", methods_of("offline"))
def test_every_method_has_a_config_whose_fields_are_of_their_types(method: str) -> None:
    config = policy_config(method, {})
    assert isinstance(config, LaMoConfig) == bool(METHODS[method].weights)
    for field in fields(config):  # a default that its own type refuses could not be given on the command line either
        again = policy_config(method, {field.name: getattr(config, field.name)})
        assert again == config


@pytest.mark.parametrize("method", methods_of("offline"))
@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_settings_that_fit_every_method(profile: str, method: str) -> None:
    for task in PROFILES[profile]:
        config = policy_config(method, overrides_for(profile, task, method))
        for name, value in overrides_for(profile, task, method).items():
            assert getattr(config, name) == value
        budget = budget_for(profile, task, method)
        assert budget.steps % budget.evaluate_every == 0
        assert budget.steps // budget.evaluate_every >= budget.headline_evaluations >= 1


def test_the_methods_of_the_lamo_family_differ_in_their_weights_alone() -> None:
    assert [METHODS[name].weights for name in LAMO_METHODS] == ["pretrained", "random", "permuted", "initialised"]
    assert {name for name in methods_of("offline") if METHODS[name].weights} == {*LAMO_METHODS, "wiki-rl"}
    for profile in PROFILES:
        for task in PROFILES[profile]:
            settings = [(overrides_for(profile, task, m), budget_for(profile, task, m)) for m in LAMO_METHODS]
            assert all(other == settings[0] for other in settings[1:])


def test_an_unknown_method_gets_the_closest_one() -> None:
    with pytest.raises(UserError, match=r"unknown method 'lamo-radnom'; did you mean 'lamo-random'\? \(valid: lamo, "):
        find_method("lamo-radnom")


def test_numbers_of_every_config_have_bounds() -> None:
    """A negative rate or a depth of 0 ends in one line, not in a traceback of PyTorch's."""
    free = {"target_entropy"}  # may be any number
    for config in map(config_class_of, methods_of("offline")):
        for name, kind in get_type_hints(config, include_extras=True).items():
            bounded = "Bounds" in str(kind) or kind in (bool, str) or "Literal" in str(kind)
            assert bounded or name in free, f"{config.__name__}.{name}"
