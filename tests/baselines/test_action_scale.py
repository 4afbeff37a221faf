"""Trajectory models in another box than [-1, 1] are the same models as in that one; the other methods stay inside."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from lamobench.baselines.bc import BC, BCConfig
from lamobench.baselines.cql import CQL, CQLConfig
from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.iql import IQL, IQLConfig
from lamobench.baselines.policy import ActionBounds, History, Policy, Spec
from lamobench.baselines.rebrac import ReBRAC, ReBRACConfig
from lamobench.baselines.rvs import RvS, RvSConfig
from lamobench.baselines.td3_bc import TD3BC, TD3BCConfig
from lamobench.benchmark.lm.lamo import LaMo, LaMoBatch, LaMoConfig
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.windows import ContextBatch, ContextSampler

LOW = torch.tensor([-2.0, -1.0])  # of `make_spec`
HIGH = torch.tensor([2.0, 3.0])
UNIT = {"action_low": -np.ones(2, np.float32), "action_high": np.ones(2, np.float32)}
Make = Callable[..., Spec]


def to_box(actions: torch.Tensor) -> torch.Tensor:
    return LOW + (actions + 1.0) * (HIGH - LOW) / 2.0


def decision_transformer(spec: Spec, head: str) -> Policy:
    config = DecisionTransformerConfig(context=4, layers=2, heads=2, width=16, dropout=0.0, head=head)  # type: ignore[arg-type]
    return DecisionTransformer(config, spec)


def lamo(spec: Spec, head: str) -> Policy:
    model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=30, n_positions=12))
    config = LaMoConfig(context=4, dropout=0.0, lora_rank=2, lora_dropout=0.0, head=head)  # type: ignore[arg-type]
    return LaMo(config, spec, model, None)


@pytest.fixture(
    params=[(decision_transformer, "linear"), (decision_transformer, "mlp"), (lamo, "linear"), (lamo, "mlp")]
)
def pair(request: pytest.FixtureRequest, make_spec: Make) -> tuple[Policy, Policy]:
    """The same weights for the box of `make_spec` and for [-1, 1]."""
    make, head = request.param
    torch.manual_seed(0)
    ours = make(make_spec(unit_actions=True), head)
    unit = make(make_spec(**UNIT), head)
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    unit.load_state_dict({name: v for name, v in ours.state_dict().items() if "bounds" not in name}, strict=False)
    return ours, unit


def windows(subset: Subset) -> ContextBatch:
    return ContextSampler(subset, 4).sample(16, np.random.default_rng(0))


def loss_of(policy: Policy, batch: ContextBatch) -> torch.Tensor:
    return policy.loss(LaMoBatch(batch, None) if isinstance(policy, LaMo) else batch)[0]


def test_learning_in_a_box_is_learning_in_the_unit_box(pair: tuple[Policy, Policy], five_trajectories: Subset) -> None:
    ours, unit = pair
    batch = windows(five_trajectories)
    found = loss_of(ours, replace(batch, actions=to_box(batch.actions)))
    expected = loss_of(unit, batch)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    for mine, theirs in zip(ours.parameters(), unit.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("cached", [False, True])
def test_acting_in_a_box_is_acting_in_the_unit_box(
    pair: tuple[Policy, Policy], five_trajectories: Subset, cached: bool
) -> None:
    batch = windows(five_trajectories)
    actors = [policy.eval().begin_episodes(cached) for policy in pair]
    spread = []
    for steps in range(1, 5):
        parts = (batch.observations[:, :steps], batch.returns_to_go[:, :steps], batch.timesteps[:, :steps])
        known = batch.actions[:, :steps].clone()
        known[:, -1] = 0.0
        histories = [History(parts[0], actions, *parts[1:]) for actions in (to_box(known), known)]
        found, expected = (act(history, torch.arange(16)) for act, history in zip(actors, histories, strict=True))
        torch.testing.assert_close(found, to_box(expected), rtol=1e-4, atol=1e-5)
        spread.append(expected)
    assert torch.stack(spread).std() > 0.1  # so that equality says something


@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_decision_transformer_learns_actions_far_from_0(
    make_spec: Make, five_trajectories: Subset, head: str
) -> None:
    data = five_trajectories.trajectories
    far = np.tile(np.array([1.8, 2.7], np.float32), (data.num_steps, 1))
    subset = take_fraction(replace(data, actions=far), 1.0, 0)
    torch.manual_seed(0)
    policy = decision_transformer(make_spec(unit_actions=True), head)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    rng = np.random.default_rng(0)
    for _ in range(150):
        loss, _ = policy.loss(policy.sampler(subset).sample(16, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    batch = windows(subset)
    with torch.no_grad():
        chosen = policy.eval().act(History(batch.observations, batch.actions, batch.returns_to_go, batch.timesteps))
    torch.testing.assert_close(chosen, torch.tensor([1.8, 2.7]).expand(16, 2), rtol=0.0, atol=0.2)


@torch.no_grad()
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_runs_from_before_actions_were_mapped_play_as_they_did(make_spec: Make, head: str) -> None:
    """Policies of data in [-1, 1] do so too: the actions that are embedded are those of the history, bit by bit."""
    torch.manual_seed(0)
    policy = decision_transformer(make_spec(), head)
    embedded: list[torch.Tensor] = []
    policy.model.embed_action.register_forward_pre_hook(lambda _, given: embedded.append(given[0]))
    actions = torch.randn(3, 2, 2)
    policy.act(History(torch.randn(3, 2, 3), actions, torch.rand(3, 2), torch.arange(2).expand(3, 2)))
    assert torch.equal(embedded[0], actions)


@torch.no_grad()
@pytest.mark.parametrize(
    ("make", "config"),
    [
        (BC, BCConfig()),
        (CQL, CQLConfig()),
        (IQL, IQLConfig()),
        (TD3BC, TD3BCConfig()),
        (ReBRAC, ReBRACConfig()),
        (RvS, RvSConfig()),
    ],
)
def test_saturated_actions_stay_inside_although_mapping_rounds(make_spec: Make, make: Any, config: Any) -> None:
    low = np.full(2, -0.2, np.float32)
    high = np.full(2, 0.1, np.float32)
    spec = make_spec(action_low=low, action_high=high, reward_rates=(0.0, 1.0))
    rounded = ActionBounds(spec).from_unit(torch.ones(2))
    assert (rounded > torch.from_numpy(high)).all(), "the box is one in which mapping leaves it"
    policy = make(config, spec)
    policy.actor[-1].bias.fill_(100.0)
    history = History(
        torch.randn(5, 1, 3), torch.zeros(5, 1, 2), torch.ones(5, 1), torch.zeros(5, 1, dtype=torch.int64)
    )
    assert torch.equal(policy.act(history), torch.from_numpy(high).expand(5, 2))


def test_in_the_unit_box_staying_inside_changes_no_bit(make_spec: Make) -> None:
    bounds = ActionBounds(make_spec(**UNIT))
    mapped = bounds.from_unit(torch.tanh(torch.linspace(-20.0, 20.0, 200_002).view(-1, 2)))
    assert mapped.min() == -1.0
    assert mapped.max() == 1.0
    assert torch.equal(bounds.clip(mapped), mapped)
