"""TD3+BC.

Definitions agree but for their order: theirs updates the critics before it computes the actor's loss, and the actor in
the first update of every two, ours both at once and in the second. One batch is compared, before any update. Both are
given the same noise on the target's action.
"""

import torch

from lamobench.baselines.td3_bc import TD3BC, TD3BCConfig
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    draws,
    make_spec,
    normal,
    their_transitions,
    transitions,
)

SIZE = 64
ACTIONS = 3


def test_td3_bc() -> None:
    torch.manual_seed(0)
    spec = make_spec(action_dim=ACTIONS)
    policy = TD3BC(TD3BCConfig(hidden=(32, 32), actor_every=1), spec)
    with torch.no_grad():  # targets unlike their sources
        for parameter in (*policy.target_actor.parameters(), *policy.target_critic.parameters()):
            parameter += 0.05 * torch.randn_like(parameter)
    theirs, pairs = counterparts.td3_bc(policy, spec)
    batch = transitions(spec, SIZE)
    noise = normal(SIZE, ACTIONS, seed=3)

    loss, metrics = policy.loss(batch, noise)
    loss.backward()
    their_batch = their_transitions(batch, policy.normalize, policy.bounds)
    actor = theirs.compute_actor_grad(their_batch)
    with draws([noise]):
        critic = theirs.compute_critic_grad(their_batch)

    assert_equal("TD3+BC", "actor loss", metrics["actor_loss"], actor.actor_loss)
    assert_equal("TD3+BC", "cloning error", metrics["action_error"], actor.bc_loss)
    assert_equal("TD3+BC", "critic loss", metrics["critic_loss"], critic.critic_loss)
    assert_equal_gradients("TD3+BC", "actor and critics", pairs)
