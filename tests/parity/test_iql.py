"""Implicit Q-learning.

Where definitions differ, and how they are made equal here:

- Ours clips the actor's log standard deviations to [-5, 2], theirs are a sigmoid stretched to that interval: its
  parameter is set to give the same, and its gradient compared by the chain rule.
- Theirs updates critics and value before it computes the actor's loss, ours all at once: one batch is compared, before
  any update.
"""

import torch

from lamobench.baselines.iql import IQL, IQLConfig
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    make_spec,
    their_transitions,
    transitions,
)


def test_implicit_q_learning() -> None:
    torch.manual_seed(0)
    spec = make_spec()
    policy = IQL(IQLConfig(hidden=(32, 32), largest_weight=1.5), spec)
    with torch.no_grad():  # a target unlike its critic, widths unlike each other
        policy.log_std.uniform_(-1.0, 0.5)
        for parameter in policy.target_critic.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    theirs, pairs = counterparts.iql(policy, spec)
    slope = counterparts.match_width(theirs.policy, policy.log_std)
    batch = transitions(spec, 64)

    loss, metrics = policy.loss(batch)
    loss.backward()
    their_batch = their_transitions(batch, policy.normalize, policy.bounds)
    actor = theirs.compute_actor_grad(their_batch)
    width_gradient = theirs.policy._logstd.grad.squeeze(0)
    critic = theirs.compute_critic_grad(their_batch)

    assert_equal("IQL", "actor loss", metrics["actor_loss"], actor.actor_loss)
    assert_equal("IQL", "critic loss", metrics["critic_loss"], critic.q_loss)
    assert_equal("IQL", "value loss", metrics["value_loss"], critic.v_loss)
    assert policy.log_std.grad is not None
    assert_equal("IQL", "gradients of the widths", policy.log_std.grad * slope, width_gradient, 1e-4)
    assert_equal_gradients("IQL", "actor, value and critics", pairs)
