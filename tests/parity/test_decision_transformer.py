"""Decision Transformer, against two implementations.

Where d3rlpy differs, and how it is made equal here:

- Its LayerNorms in the blocks have an epsilon of 0.003: it is set to PyTorch's 0.00001.
- Its loss sums over action dimensions and averages over all B * K steps, padding too (whose error is multiplied by
  zero); ours averages over dimensions and real steps: theirs is multiplied by B * K / (A * real steps).
- It pads on the left and counts steps from 1; the same windows, padded on the right, are given to both.

The model of transformers has no loss: ours is computed from its predictions. It adds a position embedding, always that
of position 0, to every token, which is set to zero.
"""

import pytest
import torch

from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.trajectory_model import action_error
from lamobench.datasets.windows import ContextBatch
from lamobench.tests.parity import counterparts
from lamobench.tests.parity.comparison import assert_equal, assert_equal_gradients, make_spec, their_windows, windows

SPEC = make_spec(horizon=40)
CONFIG = DecisionTransformerConfig(context=6, layers=2, heads=2, width=32, dropout=0.0)


@pytest.fixture
def policy() -> DecisionTransformer:
    torch.manual_seed(0)
    policy = DecisionTransformer(CONFIG, SPEC)
    with torch.no_grad():  # away from zero biases and gains of 1
        for parameter in policy.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return policy


@pytest.fixture
def batch() -> ContextBatch:
    return windows(SPEC, 16, CONFIG.context)


def test_against_d3rlpy(policy: DecisionTransformer, batch: ContextBatch) -> None:
    theirs, pairs = counterparts.decision_transformer(policy, SPEC)
    ours = policy.loss(batch)[0]
    ours.backward()

    their_batch = their_windows(batch, policy.model.normalize, SPEC.return_scale)
    scale = batch.mask.numel() / (SPEC.action_dim * batch.mask.sum())
    found = theirs.compute_loss(their_batch) * scale
    found.backward()

    assert_equal("DT (d3rlpy)", "mean squared error", ours, found)
    assert_equal_gradients("DT (d3rlpy)", "all weights", pairs)


def test_against_transformers(policy: DecisionTransformer, batch: ContextBatch) -> None:
    theirs, pairs = counterparts.transformers_model(policy, SPEC)
    ours = policy.loss(batch)[0]
    ours.backward()
    found = action_error(counterparts.predict(theirs, policy, batch), batch)
    found.backward()

    assert_equal("DT (transformers)", "mean squared error", ours, found)
    assert_equal_gradients("DT (transformers)", "all weights", pairs)
