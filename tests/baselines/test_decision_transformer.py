from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers

from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.policy import History, Spec
from lamobench.baselines.trajectory_model import action_error
from lamobench.datasets.fractions import Subset
from lamobench.datasets.windows import ContextBatch

SMALL = DecisionTransformerConfig(context=4, layers=2, heads=2, width=16)


@pytest.fixture
def policy(make_spec: Callable[..., Spec]) -> DecisionTransformer:
    torch.manual_seed(0)
    return DecisionTransformer(SMALL, make_spec()).eval()


@pytest.fixture
def batch(policy: DecisionTransformer, five_trajectories: Subset) -> ContextBatch:
    return policy.sampler(five_trajectories).sample(16, np.random.default_rng(0))


def history_of(batch: ContextBatch, steps: int) -> History:
    """The first steps of each window, with the newest action not chosen yet."""
    actions = batch.actions[:, :steps].clone()
    actions[:, -1] = 0.0
    return History(batch.observations[:, :steps], actions, batch.returns_to_go[:, :steps], batch.timesteps[:, :steps])


def their_model(policy: DecisionTransformer) -> transformers.DecisionTransformerModel:
    """The independent implementation in transformers, with the weights of ours."""
    ours = policy.model
    theirs = transformers.DecisionTransformerModel(
        transformers.DecisionTransformerConfig(
            state_dim=3, act_dim=2, hidden_size=16, max_ep_len=12, n_layer=2, n_head=2, n_positions=64
        )
    )
    pairs = [(theirs.encoder.ln_f, ours.backbone.norm), (theirs.embed_ln, ours.embed_norm)]
    pairs += [(theirs.embed_return, ours.embed_return), (theirs.embed_state, ours.embed_state)]
    pairs += [(theirs.embed_action, ours.embed_action), (theirs.predict_action[0], ours.head[0])]
    transposed = []
    for block, mine in zip(theirs.encoder.h, ours.backbone.blocks, strict=True):
        pairs += [(block.ln_1, mine.norm_attention), (block.ln_2, mine.norm_network)]
        transposed += [(block.attn.c_attn, mine.query_key_value), (block.attn.c_proj, mine.project)]
        transposed += [(block.mlp.c_fc, mine.expand), (block.mlp.c_proj, mine.contract)]
    with torch.no_grad():
        theirs.encoder.wpe.weight.zero_()  # they add the position embedding 0 to every token
        theirs.embed_timestep.weight.copy_(ours.embed_time.weight)
        for target, source in pairs:
            target.load_state_dict(source.state_dict())
        for target, source in transposed:
            target.weight.copy_(source.weight.T)
            target.bias.copy_(source.bias)
    return theirs.eval()


def test_predictions_equal_those_of_transformers_with_the_same_weights(
    policy: DecisionTransformer, batch: ContextBatch
) -> None:
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.3 * torch.randn_like(parameter)  # away from zero biases and gains of 1
        ours = policy.model.predict(batch)
        theirs = their_model(policy)(
            states=(batch.observations - torch.tensor([0.5, -1.0, 0.0])) / torch.tensor([2.0, 0.5, 1.0]),
            actions=batch.actions,
            returns_to_go=batch.returns_to_go[..., None] / 10.0,
            timesteps=batch.timesteps,
        )
    assert ours.std() > 0.1  # so that equality says something
    torch.testing.assert_close(ours, theirs.action_preds, rtol=1e-5, atol=1e-5)


def test_acting_on_a_prefix_equals_predicting_its_last_step(policy: DecisionTransformer, batch: ContextBatch) -> None:
    predicted = policy.model.predict(batch)
    for steps in (1, 2, 4):
        torch.testing.assert_close(policy.act(history_of(batch, steps)), predicted[:, steps - 1])


def test_an_action_does_not_see_itself_nor_later_steps(policy: DecisionTransformer, batch: ContextBatch) -> None:
    before = policy.model.predict(batch)
    actions = batch.actions.clone()
    observations = batch.observations.clone()
    actions[:, 2] += 1.0
    observations[:, 3] += 1.0
    after = policy.model.predict(replace(batch, actions=actions, observations=observations))
    assert torch.equal(after[:, :3], before[:, :3])
    assert not torch.allclose(after[:, 3], before[:, 3])


def test_an_action_sees_its_own_state_return_and_time(policy: DecisionTransformer, batch: ContextBatch) -> None:
    history = history_of(batch, 3)
    before = policy.act(history)
    for name in ("observations", "returns_to_go", "timesteps"):
        changed = getattr(history, name).clone()
        changed[:, -1] += 1
        assert not torch.allclose(policy.act(replace(history, **{name: changed})), before), name


def test_padding_does_not_count(policy: DecisionTransformer, batch: ContextBatch) -> None:
    assert not batch.mask.all()
    padding = ~batch.mask[..., None]
    filled = replace(batch, observations=batch.observations + 9 * padding, actions=batch.actions + 9 * padding)
    torch.testing.assert_close(policy.loss(filled)[0], policy.loss(batch)[0])


def test_the_error_is_the_mean_over_real_steps_and_dimensions(batch: ContextBatch) -> None:
    predicted = torch.randn(batch.actions.shape, generator=torch.Generator().manual_seed(0))
    squares = [
        float((predicted[b, k, a] - batch.actions[b, k, a]) ** 2)
        for b, k, a in np.ndindex(*batch.actions.shape)
        if batch.mask[b, k]
    ]
    assert float(action_error(predicted, batch)) == pytest.approx(np.mean(squares), rel=1e-5)


def test_actions_stay_inside_the_bounds(make_spec: Callable[..., Spec], batch: ContextBatch) -> None:
    torch.manual_seed(0)
    policy = DecisionTransformer(replace(SMALL, head="mlp"), make_spec()).eval()
    with torch.no_grad():
        policy.model.head[-1].bias.copy_(torch.tensor([9.0, -9.0]))
    torch.testing.assert_close(policy.act(history_of(batch, 2)), torch.tensor([[2.0, -1.0]]).expand(16, 2))
