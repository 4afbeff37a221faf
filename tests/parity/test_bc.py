"""Behavioural cloning.

Where definitions differ, and how they are made equal here:

- Theirs takes actions in [-1, 1]; ours, in any box, has its error in the box's units: the box is [-1, 1].
- Theirs adds half the mean square of the logits to the cross entropy of discrete actions: its weight is set to zero.
"""

import torch

from lamobench.baselines.bc import BC, BCConfig
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    frames,
    make_frames_spec,
    make_spec,
    their_frames,
    their_transitions,
    transitions,
)


def test_of_continuous_actions() -> None:
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


def test_of_discrete_actions() -> None:
    torch.manual_seed(0)
    spec = make_frames_spec()
    policy = BC(BCConfig(hidden=(32,)), spec)
    theirs, pairs = counterparts.discrete_bc(policy, spec)
    batch = frames(spec, 16)

    loss, _ = policy.loss(batch)
    loss.backward()
    found = theirs.compute_imitator_grad(their_frames(batch))

    assert_equal("BC (Atari)", "cross entropy", loss, found.loss)
    assert_equal_gradients("BC (Atari)", "all weights", pairs)
