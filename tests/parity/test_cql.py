"""Conservative Q-learning.

Where definitions differ, and how they are made equal here:

- Ours takes the mean inside the logarithm of the soft maximum, as the paper's Appendix F does, theirs the sum: the
  difference, log(3n) for each critic, is given to theirs as the threshold of its gap.
- Theirs learns alpha by default (Lagrange): it is fixed here, as ours is.
- Without entropy in the target, theirs evaluates the actor's mode at s', ours (and the authors' code) a sample: with
  noise of zero the sample is the mode.
- Theirs updates the temperature inside the actor's loss, before using it: with a learning rate of 0 it stays.
- Theirs minimises temperature * (entropy - target), ours log(temperature) * (entropy - target): our gradient by the
  log-temperature is theirs divided by the temperature, which is not 1 here.
- Theirs updates the critics before it computes the actor's loss, ours both at once: one batch is compared, before any
  update.
"""

import pytest
import torch

from lamobench.baselines.cql import CQL, CQLConfig, Noise
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    draws,
    make_spec,
    normal,
    their_transitions,
    transitions,
    uniform,
)

SIZE = 64
ACTIONS = 3
SAMPLES = 5


@pytest.mark.parametrize("backup_entropy", [True, False])
def test_conservative_q_learning(backup_entropy: bool) -> None:
    torch.manual_seed(0)
    spec = make_spec(action_dim=ACTIONS)
    config = CQLConfig((32, 32), sampled_actions=SAMPLES, initial_temperature=0.7, backup_entropy=backup_entropy)
    policy = CQL(config, spec)
    with torch.no_grad():  # a target unlike its critic
        for parameter in policy.target_critic.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    theirs, pairs = counterparts.cql(policy, spec)
    theirs._modules.temp_optim.optim.param_groups[0]["lr"] = 0.0

    acted = normal(SIZE, ACTIONS, seed=3)
    proposed = [normal(SAMPLES, SIZE, ACTIONS, seed=seed) for seed in (4, 5)]
    at_next = normal(SIZE, ACTIONS, seed=6) if backup_entropy else torch.zeros(SIZE, ACTIONS)
    anywhere = uniform(SAMPLES, SIZE, ACTIONS, seed=7)
    batch = transitions(spec, SIZE)

    loss, metrics = policy.loss(batch, Noise(acted, at_next, anywhere, *proposed))
    loss.backward()

    their_batch = their_transitions(batch, policy.normalize, policy.bounds)
    with draws([acted]):
        actor = theirs.compute_actor_grad(their_batch)
    with draws([at_next, *proposed] if backup_entropy else proposed, [anywhere.transpose(0, 1)]):
        critic = theirs.compute_critic_grad(their_batch)

    gap = config.conservative_weight * metrics["conservative_gap"]
    assert_equal("CQL", "actor loss", metrics["actor_loss"], actor.actor_loss)
    assert_equal("CQL", "critic loss: Bellman error and gap", metrics["bellman_loss"] + gap, critic.critic_loss)
    assert_equal("CQL", "gap, weighted", gap, critic.conservative_loss)
    assert policy.log_temperature.grad is not None
    assert_equal("CQL", "temperature loss", policy.log_temperature.grad * actor.temp, actor.temp_loss)
    assert_equal_gradients("CQL", "actor and critics", pairs)
