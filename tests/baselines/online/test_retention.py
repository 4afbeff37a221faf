import copy
import math
from typing import Any

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from lamobench.baselines.online.actors import Actor
from lamobench.baselines.online.distributions import Categorical, Distribution, SquashedGaussian
from lamobench.baselines.online.fisher import batch_fisher, fisher_information
from lamobench.baselines.online.networks import NetworkConfig
from lamobench.baselines.online.replay import ReplayBuffer
from lamobench.baselines.online.retention import RETENTIONS, Anchored, Retention, step_sizes
from lamobench.baselines.online.sac import SAC
from lamobench.baselines.online.transitions import StagedSpec, Transitions, Visited
from lamobench.tests.baselines.online.made_up import CONTINUOUS, DISCRETE, small_sac, transitions

TINY = NetworkConfig((4,), "tanh", layer_norm=True, head_a_stage=True)
SPECS = {"continuous": CONTINUOUS, "discrete": DISCRETE}
by_space = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)


def actor_of(spec: StagedSpec, seed: int = 0, config: NetworkConfig = TINY) -> Actor:
    torch.manual_seed(seed)
    return Actor(spec, config)


def moved(actor: Actor, size: float = 0.3) -> Actor:
    """A student some way from its teacher."""
    generator = torch.Generator().manual_seed(8)
    student = copy.deepcopy(actor)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += size * torch.randn(parameter.shape, generator=generator)
    return student


def prepared(name: str, actor: Actor, memory: Transitions, **settings: Any) -> Retention:
    row = RETENTIONS[name]
    retention = row.build(row.config(**settings))
    retention.prepare(actor, memory, torch.Generator().manual_seed(0))
    return retention


def loss_of(retention: Retention, actor: Actor, states: Transitions, step: int = 0) -> torch.Tensor:
    policy = actor.distribution(states.observations, states.stages)
    visited = Visited(states.observations, states.stages, policy)
    return retention.loss(actor, visited, step, [torch.Generator().manual_seed(1)])


def their_kl(first: Distribution, second: Distribution) -> torch.Tensor:
    if isinstance(first, SquashedGaussian) and isinstance(second, SquashedGaussian):
        pair = [Independent(Normal(each.mean, each.log_std.exp()), 1) for each in (first, second)]
    else:
        assert isinstance(first, Categorical)
        assert isinstance(second, Categorical)
        pair = [torch.distributions.Categorical(logits=each.log_probabilities) for each in (first, second)]
    return kl_divergence(*pair)


@by_space
@pytest.mark.parametrize("name", [name for name in RETENTIONS if name != "em"])
def test_at_the_teacher_s_weights_nothing_is_lost_and_nothing_pulls(spec: StagedSpec, name: str) -> None:
    actor = actor_of(spec)
    memory = transitions(spec, 60, stage=1)
    settings = {"step": "penalty"} if name in ("ewc", "l2-init") else {}
    loss = loss_of(prepared(name, actor, memory, **settings), actor, transitions(spec, 20, seed=1))
    assert abs(loss.item()) < 1e-6
    if name != "none":
        loss.backward()
        gradients = [parameter.grad for parameter in actor.parameters() if parameter.grad is not None]
        assert gradients
        assert all(gradient.abs().max() < 1e-6 for gradient in gradients)


@by_space
def test_cloning_is_the_divergence_from_the_teacher_on_its_data(spec: StagedSpec) -> None:
    teacher = actor_of(spec)
    memory = transitions(spec, 30, stage=1)
    student = moved(teacher)
    retention = prepared("bc", teacher, memory, coefficient=3.0, batch_size=64)  # more than there are: all of them
    expected = 3.0 * their_kl(
        teacher.distribution(memory.observations, memory.stages).detach(),
        student.distribution(memory.observations, memory.stages),
    )
    _same_gradients(student, loss_of(retention, student, transitions(spec, 5)), expected.mean())


@by_space
def test_states_of_the_memory_are_drawn(spec: StagedSpec) -> None:
    teacher = actor_of(spec)
    memory = transitions(spec, 30, stage=1)
    student = moved(teacher)
    retention = prepared("bc", teacher, memory, batch_size=10)
    rows = torch.randint(30, (10,), generator=torch.Generator().manual_seed(1))
    apart = their_kl(
        teacher.distribution(memory.observations[rows], memory.stages[rows]),
        student.distribution(memory.observations[rows], memory.stages[rows]),
    )
    assert loss_of(retention, student, transitions(spec, 5)).item() == pytest.approx(apart.mean().item(), rel=1e-4)


@by_space
def test_kickstarting_counts_states_that_the_teacher_knows(spec: StagedSpec) -> None:
    teacher = actor_of(spec)
    memory = transitions(spec, 30, stage=1)
    student = moved(teacher)
    states = transitions(spec, 40, seed=2)
    apart = their_kl(
        teacher.distribution(states.observations, states.stages).detach(),
        student.distribution(states.observations, states.stages),
    )
    taught = (states.stages == 1).float()
    assert 0 < taught.sum() < 40
    retention = prepared("ks", teacher, memory, coefficient=0.5)
    _same_gradients(student, loss_of(retention, student, states), 0.5 * (apart * taught).mean())
    everywhere = prepared("ks", teacher, memory, coefficient=0.5, untaught=True)
    apart = their_kl(
        teacher.distribution(states.observations, states.stages).detach(),
        student.distribution(states.observations, states.stages),
    )
    _same_gradients(student, loss_of(everywhere, student, states), 0.5 * apart.mean())


def test_one_head_for_all_stages_is_taught_everywhere() -> None:
    single = NetworkConfig((4,), "tanh", layer_norm=False, head_a_stage=False)
    teacher = actor_of(DISCRETE, config=single)
    memory = transitions(DISCRETE, 30, stage=1)
    states = transitions(DISCRETE, 9, stage=0)
    assert loss_of(prepared("ks", teacher, memory), moved(teacher), states).item() > 0.01


def test_kickstarting_fades_to_its_floor() -> None:
    teacher = actor_of(DISCRETE)
    memory = transitions(DISCRETE, 30)
    student = moved(teacher)
    states = transitions(DISCRETE, 9)
    retention = prepared("ks", teacher, memory, coefficient=2.0, decay=0.5, floor=0.3)
    first, second, late = (loss_of(retention, student, states, step).item() for step in (0, 1, 9))
    assert second == pytest.approx(first / 2)
    assert late == pytest.approx(first * 0.15)


def test_padding_does_not_count() -> None:
    teacher = actor_of(DISCRETE)
    memory = transitions(DISCRETE, 30)
    student = moved(teacher)
    states = transitions(DISCRETE, 9)
    retention = prepared("ks", teacher, memory)
    weights = torch.tensor([1.0] * 4 + [0.0] * 5)
    policy = student.distribution(states.observations, states.stages)
    padded = retention.loss(student, Visited(states.observations, states.stages, policy, weights), 0, [])
    assert padded.item() == pytest.approx(loss_of(retention, student, states.rows(slice(0, 4))).item(), rel=1e-5)


@by_space
@pytest.mark.parametrize("heads", [False, True])
def test_the_fisher_information_is_that_of_a_loop_over_states_and_actions(spec: StagedSpec, heads: bool) -> None:
    actor = actor_of(spec)
    states = transitions(spec, 6)
    held = actor.trunk() | (actor.stage_heads() if heads else {})
    names = list(held)
    shared = list(held.values())
    expected = [torch.zeros_like(parameter) for parameter in shared]
    for row in range(6):
        policy = actor.distribution(states.observations[row : row + 1], states.stages[row : row + 1])
        if isinstance(policy, Categorical):
            terms = [(p.exp().item(), p) for p in policy.log_probabilities[0]]  # sum of pi (d log pi)^2
        else:
            assert isinstance(policy, SquashedGaussian)
            pairs = zip(policy.mean[0], policy.log_std[0].exp(), strict=True)
            terms = [(w / (std.item() ** 2 + 1e-6), t) for mean, std in pairs for w, t in ((1.0, mean), (2.0, std))]
        for weight, term in terms:
            gradients = torch.autograd.grad(term, shared, retain_graph=True)
            for summed, gradient in zip(expected, gradients, strict=True):
                summed += weight * gradient**2 / 6
    found = fisher_information(actor, held, states.observations, states.stages)
    assert list(found) == names
    for name, value in zip(names, expected, strict=True):
        assert value.max() > 0.0
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-6)


def test_the_fisher_information_is_that_of_actions_that_are_drawn() -> None:
    """The definition: the mean squared gradient of the log density of the policy's own actions."""
    actor = actor_of(CONTINUOUS)
    states = transitions(CONTINUOUS, 1)
    shared = list(actor.trunk().values())
    draws = 4000
    policy = actor.distribution(states.observations, states.stages)
    assert isinstance(policy, SquashedGaussian)
    outputs = torch.cat([policy.mean, policy.log_std], 1)[0]
    jacobian = torch.stack([_flat(torch.autograd.grad(output, shared, retain_graph=True)) for output in outputs])
    noise = torch.randn(draws, 2, generator=torch.Generator().manual_seed(0))
    scores = torch.cat([noise / policy.log_std.exp(), noise**2 - 1.0], 1).detach()  # of mean and log std
    expected = (scores @ jacobian).square().mean(0)
    found = _flat(fisher_information(actor, actor.trunk(), states.observations, states.stages).values())
    assert (found - expected).norm() / expected.norm() < 0.1


def test_the_batch_form_squares_gradients_of_batches() -> None:
    actor = actor_of(DISCRETE)
    states = transitions(DISCRETE, 7)
    shared = list(actor.trunk().values())
    expected = 0.0
    for rows in (slice(0, 4), slice(4, 7)):
        log_probs = actor.distribution(states.observations[rows], states.stages[rows]).log_probabilities  # type: ignore[attr-defined]
        gradients = torch.autograd.grad(-log_probs.max(1).values.mean(), shared)
        expected = expected + _flat(gradients) ** 2 / 2
    found = batch_fisher(actor, actor.trunk(), states.observations, states.stages, batch_size=4)
    torch.testing.assert_close(_flat(found.values()), expected)


@by_space
def test_the_elastic_penalty_and_its_gradient_by_hand(spec: StagedSpec) -> None:
    teacher = actor_of(spec)
    memory = transitions(spec, 20, stage=1)
    student = moved(teacher)
    retention = prepared("ewc", teacher, memory, coefficient=7.0, step="penalty", least=1e-3)
    fisher = fisher_information(teacher, teacher.trunk(), memory.observations, memory.stages)
    loss = loss_of(retention, student, transitions(spec, 5))
    loss.backward()
    expected = 0.0
    for name, parameter in student.trunk().items():
        importance = fisher[name].clamp(min=1e-3)
        gap = parameter.detach() - teacher.trunk()[name].detach()
        expected += 7.0 * float((importance * gap**2).sum())
        torch.testing.assert_close(parameter.grad, 14.0 * importance * gap, rtol=1e-3, atol=1e-6)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    heads = set(dict(student.named_parameters())) - set(student.trunk())
    assert all(dict(student.named_parameters())[name].grad is None for name in heads)


def test_importance_can_be_made_comparable_between_networks() -> None:
    retention = prepared("ewc", actor_of(DISCRETE), transitions(DISCRETE, 20), normalised=True, least=0.0)
    assert isinstance(retention, Anchored)
    assert _flat(retention.importance.values()).mean().item() == pytest.approx(1.0)


def test_the_proximal_step_minimises_pull_and_distance() -> None:
    """The minimum is that of c F (theta* - x)^2 + (x - theta)^2 / (2 step), for every parameter."""
    teacher = actor_of(CONTINUOUS)
    student = moved(teacher)
    optimizer = torch.optim.Adam(student.parameters(), 1e-2)
    memory = transitions(CONTINUOUS, 20)
    retention = prepared("ewc", teacher, memory, coefficient=5.0)
    assert isinstance(retention, Anchored)
    loss_of(prepared("bc", teacher, memory), student, memory).backward()
    optimizer.step()
    before = {name: p.detach().clone() for name, p in student.trunk().items()}
    sizes = step_sizes(optimizer)
    retention.after_step(student, optimizer)
    for name, parameter in student.trunk().items():
        x = parameter.detach().double()
        pull = 2.0 * 5.0 * retention.importance[name] * (x - retention.anchor[name])
        torch.testing.assert_close(pull + (x - before[name]) / sizes[parameter], torch.zeros_like(x), atol=1e-3, rtol=0)


def test_step_sizes_are_what_optimisers_do() -> None:
    for kind in (torch.optim.SGD, torch.optim.Adam):
        parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimizer = kind([parameter], lr=0.1)  # type: ignore[operator]
        parameter.grad = torch.tensor([3.0, -0.5])
        before = parameter.detach().clone()
        optimizer.step()
        torch.testing.assert_close(before - step_sizes(optimizer)[parameter] * parameter.grad, parameter.detach())


def narrow_sac() -> SAC:
    """An agent that is sure of what to do in its second stage."""
    agent = small_sac()
    with torch.no_grad():
        agent.actor.network.biases[-1][..., 6:8] = -4.0  # log deviations of the second head
    return agent


@pytest.mark.parametrize(("step", "low", "high"), [("proximal", 0.0, 1e-8), ("penalty", 1e-3, 1.0), ("none", 0.1, 9.0)])
def test_a_large_weight_holds_a_narrow_policy_under_adam(step: str, low: float, high: float) -> None:
    """Adam's first steps are as long as its rate, whatever the penalty: only what comes after the step can hold."""
    memory = transitions(CONTINUOUS, 100, stage=1)
    agent = narrow_sac()
    teacher = agent.gaussian(memory.observations, memory.stages).detach()
    settings = {"coefficient": 0.0 if step == "none" else 1e6, "step": "penalty" if step == "none" else step}
    retention = prepared("ewc", agent.actor, memory, **settings)
    largest = 0.0
    for seed in range(40):
        agent.update(transitions(CONTINUOUS, 32, seed, stage=0), retention)
        largest = max(largest, teacher.kl(agent.gaussian(memory.observations, memory.stages)).mean().item())
    assert low <= largest < high


@pytest.mark.parametrize("name", ["ewc", "l2-init"])
@pytest.mark.parametrize(("heads", "low", "high"), [(True, 0.0, 1e-6), (False, 0.1, 1e9)])
def test_once_far_is_met_a_large_weight_holds_if_it_holds_the_head_too(
    name: str, heads: bool, low: float, high: float
) -> None:
    memory = transitions(CONTINUOUS, 100, stage=1)
    agent = narrow_sac()
    start = copy.deepcopy(agent.actor)
    retention = prepared(name, agent.actor, memory, coefficient=1e9, heads=heads)
    largest = 0.0
    for seed in range(40):
        agent.update(transitions(CONTINUOUS, 32, seed), retention)  # of both stages
        student = agent.gaussian(memory.observations, memory.stages)
        largest = max(largest, start.distribution(memory.observations, memory.stages).kl(student).mean().item())
    assert low <= largest < high
    close = transitions(CONTINUOUS, 50, stage=0)
    learned = agent.gaussian(close.observations, close.stages)
    assert start.distribution(close.observations, close.stages).kl(learned).mean().item() > 1e-3  # its head is free


def test_episodic_memory_fills_a_share_that_is_kept() -> None:
    row = RETENTIONS["em"]
    memory = transitions(CONTINUOUS, 30, stage=1)
    buffer = ReplayBuffer(100, CONTINUOUS)
    row.build(row.config(share=0.2)).seed(buffer, memory)
    for seed in range(5):
        buffer.add(transitions(CONTINUOUS, 40, seed, stage=0))
    assert (buffer.protected, buffer.size) == (20, 100)
    assert torch.equal(torch.from_numpy(buffer.columns["observations"][:20]), memory.observations[:20])
    few = ReplayBuffer(1000, CONTINUOUS)
    row.build(row.config(share=0.2)).seed(few, memory)
    assert few.protected == 30  # as many as there are
    for name in RETENTIONS.keys() - {"em"}:
        other = ReplayBuffer(100, CONTINUOUS)
        RETENTIONS[name].build(RETENTIONS[name].config()).seed(other, memory)
        assert other.size == 0


def test_preparing_again_finds_the_same() -> None:
    actor = actor_of(CONTINUOUS)
    memory = transitions(CONTINUOUS, 50)
    first, second = (prepared("ewc", actor, memory, states=10) for _ in range(2))
    assert isinstance(first, Anchored)
    assert isinstance(second, Anchored)
    for name, value in first.importance.items():
        assert torch.equal(value, second.importance[name])
    whole = prepared("ewc", actor, memory)
    assert isinstance(whole, Anchored)
    assert any(not torch.equal(value, whole.importance[name]) for name, value in first.importance.items())


def _same_gradients(student: Actor, loss: torch.Tensor, expected: torch.Tensor) -> None:
    assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    parameters = list(student.parameters())
    ours = torch.autograd.grad(loss, parameters)
    theirs = torch.autograd.grad(expected, parameters)
    assert max(float(gradient.abs().max()) for gradient in theirs) > 1e-3
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert math.isfinite(loss.item())


def _flat(tensors: Any) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
