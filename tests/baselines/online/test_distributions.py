import numpy as np
import pytest
import torch
from torch.distributions import Categorical as TheirCategorical
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution, kl_divergence

from lamobench.baselines.online.distributions import Categorical, Distribution, SquashedGaussian


def gaussians(*shape: int, seed: int = 0) -> SquashedGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(2, *shape, generator=generator)
    return SquashedGaussian(mean, 0.5 * log_std - 0.5)


def theirs(policy: SquashedGaussian) -> Independent:
    return Independent(Normal(policy.mean, policy.log_std.exp()), 1)


def categoricals(*shape: int, seed: int = 0) -> Categorical:
    return Categorical.of_logits(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def test_a_squashed_gaussian_is_that_of_torch() -> None:
    policy = gaussians(5, 3)
    other = gaussians(5, 3, seed=1)
    squashed = TransformedDistribution(theirs(policy), [TanhTransform(cache_size=1)])
    noise = policy.noise(torch.Generator().manual_seed(2))
    actions, log_probs = policy.sample_with_log_prob(noise)
    torch.testing.assert_close(actions, policy.sample(noise))
    torch.testing.assert_close(log_probs, squashed.log_prob(actions), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(policy.log_prob(actions), log_probs, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(policy.kl(other), kl_divergence(theirs(policy), theirs(other)))
    torch.testing.assert_close(policy.entropy(), theirs(policy).entropy())
    torch.testing.assert_close(policy.mode(), policy.mean.tanh())


def test_an_action_at_the_edge_has_a_finite_density() -> None:
    assert gaussians(1, 2).log_prob(torch.tensor([[1.0, -1.0]])).isfinite().all()


def test_a_categorical_is_that_of_torch() -> None:
    policy = categoricals(6, 4)
    other = categoricals(6, 4, seed=1)
    reference = TheirCategorical(logits=policy.log_probabilities)
    actions = torch.tensor([0, 1, 2, 3, 0, 1])
    torch.testing.assert_close(policy.log_prob(actions), reference.log_prob(actions))
    torch.testing.assert_close(policy.entropy(), reference.entropy())
    expected = kl_divergence(reference, TheirCategorical(logits=other.log_probabilities))
    torch.testing.assert_close(policy.kl(other), expected)
    assert torch.equal(policy.mode(), reference.probs.argmax(-1))


def test_actions_are_drawn_by_the_inverse_of_the_cumulative_distribution() -> None:
    policy = Categorical(torch.tensor([0.2, 0.5, 0.3]).log().expand(5, 3))
    noise = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.9999999])
    assert policy.sample(noise).tolist() == [0, 0, 1, 1, 2]
    many = Categorical(torch.tensor([0.2, 0.5, 0.3]).log().expand(20_000, 3))
    drawn = many.sample(many.noise(torch.Generator().manual_seed(0)))
    shares = np.bincount(drawn.numpy(), minlength=3) / 20_000
    np.testing.assert_allclose(shares, [0.2, 0.5, 0.3], atol=0.015)  # four standard errors


@pytest.mark.parametrize("policy", [gaussians(7, 2), categoricals(7, 3)], ids=["gaussian", "categorical"])
def test_nothing_is_apart_from_itself_and_rows_are_chosen(policy: Distribution) -> None:
    assert torch.equal(policy.kl(policy), torch.zeros(7))
    which = torch.tensor([4, 0, 4])
    for chosen, of_all in zip(vars(policy.rows(which)).values(), vars(policy).values(), strict=True):
        assert torch.equal(chosen, of_all[which])


def test_rows_are_chosen_for_each_seed() -> None:
    policy = categoricals(2, 5, 3)
    which = torch.tensor([[4, 0], [1, 1]])
    for seed in range(2):
        expected = policy.log_probabilities[seed][which[seed]]
        assert torch.equal(policy.rows(which).log_probabilities[seed], expected)
