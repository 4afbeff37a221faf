"""Discrete CQL on QR-DQN: one critic of N quantiles, double Q-learning.

Definitions agree; frames reach ours as bytes and theirs in [0, 1], which its scaler makes of them.
"""

import torch

from lamobench.baselines.discrete_cql import DiscreteCQL, DiscreteCQLConfig
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import (
    assert_equal,
    assert_equal_gradients,
    frames,
    make_frames_spec,
    their_frames,
)


def test_discrete_conservative_q_learning() -> None:
    torch.manual_seed(0)
    spec = make_frames_spec()
    policy = DiscreteCQL(DiscreteCQLConfig(hidden=(32,), quantiles=50), spec)
    with torch.no_grad():  # a target unlike its critic
        for parameter in policy.target_network.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    theirs, pairs = counterparts.discrete_cql(policy, spec)
    batch = frames(spec, 16)

    loss, metrics = policy.loss(batch)
    loss.backward()
    found = theirs.compute_grad(their_frames(batch))

    assert_equal("CQL (Atari)", "quantile loss", metrics["bellman_loss"], found.td_loss)
    assert_equal("CQL (Atari)", "conservative gap", metrics["conservative_gap"], found.conservative_loss)
    assert_equal("CQL (Atari)", "loss", loss, found.loss)
    assert_equal_gradients("CQL (Atari)", "all weights", pairs)
