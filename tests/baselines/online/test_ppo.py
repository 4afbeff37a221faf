import copy
import math

import numpy as np
import pytest
import torch

from lamobench.baselines.online.distributions import Categorical
from lamobench.baselines.online.ppo import PPO, Minibatch, PPOConfig, Rollout, SharedPPO, generalized_advantages
from lamobench.baselines.online.retention import RETENTIONS, Retention, RetentionConfig
from lamobench.baselines.online.transitions import StagedSpec
from lamobench.tests.baselines.online.made_up import CONTINUOUS, DISCRETE, transitions

NOTHING = Retention(RetentionConfig())


def small_ppo(spec: StagedSpec = DISCRETE, seed: int = 0, **changes: object) -> PPO:
    settings: dict[str, object] = {"hidden": (8, 8), "epochs": 2, "batch_size": 10, **changes}
    return PPO(PPOConfig(**settings), spec, seed)  # type: ignore[arg-type]


def rollout(agent: PPO, spec: StagedSpec = DISCRETE, steps: int = 6, environments: int = 5, seed: int = 2) -> Rollout:
    """Made-up observations and rewards, with what the agent itself does."""
    generator = torch.Generator().manual_seed(seed)
    observations = torch.randn(steps, environments, 3, generator=generator)
    stages = torch.randint(2, (steps, environments), generator=generator)
    decisions = [agent.decide(*each) for each in zip(observations, stages, strict=True)]
    return Rollout(
        observations=observations,
        stages=stages,
        actions=torch.stack([decision.actions for decision in decisions]),
        log_probs=torch.stack([decision.log_probs for decision in decisions]),
        values=torch.stack([decision.values for decision in decisions]),
        rewards=torch.randn(steps, environments, generator=generator),
        dones=(torch.rand(steps, environments, generator=generator) < 0.3).float(),
        last_values=torch.randn(environments, generator=generator),
    )


def test_advantages_are_sums_of_errors_to_the_end_of_an_episode() -> None:
    made = rollout(small_ppo())
    advantages = generalized_advantages(made, 0.9, 0.8)
    steps, environments = made.rewards.shape
    following = torch.cat([made.values[1:], made.last_values[None]])
    for environment in range(environments):
        for first in range(steps):
            expected = 0.0
            factor = 1.0
            for step in range(first, steps):
                done = float(made.dones[step, environment])
                value = float(following[step, environment])
                error = float(made.rewards[step, environment]) + 0.9 * (1 - done) * value
                expected += factor * (error - float(made.values[step, environment]))
                if done:
                    break
                factor *= 0.9 * 0.8
            assert advantages[first, environment].item() == pytest.approx(expected, abs=1e-5)
    assert 0 < made.dones.sum() < made.dones.numel()


def test_the_loss_by_hand() -> None:
    agent = small_ppo(entropy_weight=0.3, value_weight=0.7, clip=0.1)
    steps = agent.steps(rollout(agent))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():  # a policy that is no longer the one that collected them
        for parameter in agent.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    policy = agent.actor.distribution(steps.observations, steps.stages)
    assert isinstance(policy, Categorical)
    log_probs = policy.log_probabilities.detach().double().numpy()
    count = len(log_probs)
    ratios = np.exp(log_probs[np.arange(count), steps.actions.numpy()] - steps.log_probs.double().numpy())
    advantages = steps.advantages.double().numpy()
    advantages = (advantages - advantages.mean()) / (advantages.std(ddof=1) + 1e-8)
    surrogate = np.minimum(ratios * advantages, np.clip(ratios, 0.9, 1.1) * advantages)
    assert 0 < np.mean(np.abs(ratios - 1) > 0.1) < 1
    values = agent.value(steps.observations, steps.stages).detach().double().numpy()
    value_loss = np.mean((values - steps.returns.double().numpy()) ** 2)
    entropy = -np.mean((np.exp(log_probs) * log_probs).sum(1))
    loss, info, _ = agent.loss(steps)
    assert info["policy_loss"].item() == pytest.approx(-surrogate.mean(), abs=1e-5)
    assert info["value_loss"].item() == pytest.approx(value_loss, rel=1e-4)
    assert info["entropy"].item() == pytest.approx(entropy, rel=1e-4)
    assert loss.item() == pytest.approx(-surrogate.mean() + 0.7 * value_loss - 0.3 * entropy, rel=1e-4)


@pytest.mark.parametrize("spec", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_what_is_learned_from_is_what_was_done(spec: StagedSpec) -> None:
    agent = small_ppo(spec)
    made = rollout(agent, spec)
    steps = agent.steps(made)
    policy = agent.actor.distribution(steps.observations, steps.stages)
    torch.testing.assert_close(policy.log_prob(steps.actions), steps.log_probs, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(steps.returns.view(6, 5), generalized_advantages(made, 0.99, 0.95) + made.values)


def test_an_update_is_its_minibatches_and_every_step_is_seen_once_an_epoch() -> None:
    agent = small_ppo()
    seen = []
    original = agent.update_once

    def spy(batch: Minibatch, retention: Retention) -> dict[str, torch.Tensor]:
        seen.append(batch.returns)
        return original(batch, retention)

    agent.update_once = spy  # type: ignore[method-assign]
    made = rollout(agent)
    steps = agent.steps(made)
    agent.update(made, NOTHING)
    assert [len(returns) for returns in seen] == [10] * 6
    for epoch in range(2):
        together = torch.cat(seen[3 * epoch : 3 * epoch + 3])
        assert torch.equal(together.sort().values, steps.returns.sort().values)
    assert agent.updates.done == 6


def test_gradients_are_clipped_together() -> None:
    agent = small_ppo(gradient_clip=1e-3)
    agent.update_once(agent.steps(rollout(agent)), NOTHING)
    squares = [parameter.grad.square().sum() for parameter in agent.parameters() if parameter.grad is not None]
    assert torch.stack(squares).sum().sqrt().item() == pytest.approx(1e-3, rel=1e-3)


def test_the_critic_is_warmed_up_alone() -> None:
    agent = small_ppo()
    before = copy.deepcopy(agent.state_dict())
    first = agent.update_critic(rollout(agent))["value_loss"]
    moved = {name.split(".")[0] for name, tensor in agent.state_dict().items() if not torch.equal(tensor, before[name])}
    assert moved == {"critic"}
    for _ in range(30):
        last = agent.update_critic(rollout(agent))["value_loss"]
    assert last < first


def test_an_agent_goes_on_bitwise() -> None:
    agent = small_ppo()
    agent.update(rollout(agent), NOTHING)
    other = small_ppo(seed=9)
    other.load(agent.tensors())
    for each in (agent, other):
        each.update(rollout(each), NOTHING)
    for name, tensor in agent.tensors().items():
        assert torch.equal(tensor, other.tensors()[name]), name


def test_a_reward_that_is_no_number_shows_in_what_is_logged() -> None:
    agent = small_ppo()
    made = vars(rollout(agent))
    broken = Rollout(**made | {"rewards": torch.full((6, 5), math.nan)})
    assert not agent.update(broken, NOTHING)["value_loss"].isfinite()


def test_it_learns_a_bandit() -> None:
    """The best action is the stage's number."""
    agent = small_ppo(hidden=(16,), head_a_stage=True, learning_rate=3e-3, batch_size=64)
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        observations = torch.randn(1, 128, 3, generator=generator)
        stages = torch.randint(2, (1, 128), generator=generator)
        decision = agent.decide(observations[0], stages[0])
        rewards = (decision.actions == stages[0]).float()[None]
        fields = (decision.actions[None], decision.log_probs[None], decision.values[None])
        agent.update(Rollout(observations, stages, *fields, rewards, torch.ones(1, 128), torch.zeros(128)), NOTHING)
    assert rewards.mean() > 0.9


@pytest.mark.parametrize("spec", [CONTINUOUS, DISCRETE])
@pytest.mark.parametrize("name", ["none", "bc", "ks", "ewc", "l2-init"])
def test_seeds_that_share_a_pass_come_to_what_each_learns_alone(name: str, spec: StagedSpec) -> None:
    changes = {"head_a_stage": True, "entropy_weight": 0.01, "learning_rate": 0.01}
    alone, agents = ([small_ppo(spec, seed, **changes) for seed in range(3)] for _ in range(2))
    row = RETENTIONS[name]
    settings = {"none": {}, "bc": {"batch_size": 7}, "ewc": {"step": "penalty"}}.get(name, {"coefficient": 0.5})

    def retentions(every: list[PPO]) -> list[Retention]:
        found = [row.build(row.config(**settings)) for _ in every]
        for seed, (agent, own) in enumerate(zip(every, found, strict=True)):
            own.prepare(agent.actor, transitions(spec, 30, seed, seed % 2), torch.Generator().manual_seed(seed))
        return found

    kept = retentions(alone)
    shared = SharedPPO(agents)
    together = row.build.together(retentions(agents))
    for seen in range(3):
        rollouts = [rollout(agent, spec, seed=seen + seed) for seed, agent in enumerate(alone)]
        for agent in agents:  # whose actions the rollouts have, too
            _draw_as_often(agent, spec)
        infos = [agent.update(*each) for agent, each in zip(alone, zip(rollouts, kept, strict=True), strict=True)]
        columns = zip(*(vars(made).values() for made in rollouts), strict=True)
        info = shared.update(Rollout(*(torch.stack(column) for column in columns)), together)
        for number, own in enumerate(infos):
            torch.testing.assert_close({key: value[number] for key, value in info.items()}, own, rtol=1e-4, atol=1e-5)
    for agent, other in zip(agents, alone, strict=True):
        torch.testing.assert_close(agent.tensors(), other.tensors(), rtol=1e-4, atol=1e-5)
    assert not torch.equal(*(agent.actor.network.weights[0] for agent in agents[:2]))


def test_seeds_that_share_a_pass_draw_what_each_draws_alone() -> None:
    alone, agents = ([small_ppo(seed=seed) for seed in range(3)] for _ in range(2))
    shared = SharedPPO(agents)
    observations = torch.randn(15, 3, generator=torch.Generator().manual_seed(0))
    stages = torch.zeros(15, dtype=torch.int64)
    decision = shared.decide(shared.split(observations), shared.split(stages))
    assert shared.joined(decision.actions).shape == (15,)
    for number, agent in enumerate(alone):
        rows = slice(5 * number, 5 * number + 5)
        own = agent.decide(observations[rows], stages[rows])
        assert torch.equal(decision.actions[number], own.actions)
        torch.testing.assert_close(decision.values[number], own.values)


def test_only_the_critics_of_seeds_that_share_a_pass_are_warmed_up() -> None:
    agents = [small_ppo(seed=seed) for seed in range(2)]
    before = [copy.deepcopy(agent.state_dict()) for agent in agents]
    rollouts = [rollout(agent) for agent in agents]
    columns = zip(*(vars(made).values() for made in rollouts), strict=True)
    assert SharedPPO(agents).update_critic(Rollout(*(torch.stack(column) for column in columns)))[
        "value_loss"
    ].shape == (2,)
    for agent, first in zip(agents, before, strict=True):
        moved = {name.split(".")[0] for name, now in agent.state_dict().items() if not torch.equal(now, first[name])}
        assert moved == {"critic"}


def _draw_as_often(agent: PPO, spec: StagedSpec) -> None:
    """Bring an agent's random state to where that of its counterpart is after `rollout`."""
    rollout(agent, spec)
