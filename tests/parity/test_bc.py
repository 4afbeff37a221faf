"""Behavioural cloning. Theirs takes actions in [-1, 1]; ours, in any box, has its error in the box's units."""

import torch

from lamobench.baselines.bc import BC, BCConfig
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    make_spec,
    their_transitions,
    transitions,
)


def test_behavioural_cloning() -> None:
    """Made equal first: a box of [-1, 1]."""
    torch.manual_seed(0)
    spec = make_spec()
    policy = BC(BCConfig(hidden=(32, 32)), spec)
    theirs, pairs = counterparts.bc(policy, spec)
    batch = transitions(spec, 64)

    loss, _ = policy.loss(batch)
    loss.backward()
    found = theirs.compute_imitator_grad(their_transitions(batch, policy.normalize, policy.bounds))

    assert_equal("BC", "mean squared error", loss, found.loss)
    assert_equal_gradients("BC", "the actor", pairs)
