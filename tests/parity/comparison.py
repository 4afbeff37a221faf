"""The parts that comparisons share: a fixed batch, draws that both sides are given alike, and how equal is equal.

Shapes: B batch, S observation, A action.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from d3rlpy.torch_utility import TorchMiniBatch, TorchTrajectoryMiniBatch
from torch import Tensor, nn

from lamobench.baselines.policy import ActionBounds, Spec
from lamobench.datasets.windows import ContextBatch, TransitionBatch, View
from lamobench.tests.parity.counterparts import Pair

SEEN: dict[tuple[str, str], float] = {}  # (method, quantity) -> the largest relative difference of this session
LOSS = 1e-5  # relative
GRADIENT = 1e-4  # a gradient's entries are sums of terms that cancel


def make_spec(observation_dim: int = 11, action_dim: int = 3, **changes: Any) -> Spec:
    """Observations that need normalising and actions in [-1, 1], which d3rlpy's losses take for granted."""
    rng = np.random.default_rng(1)
    facts: dict[str, Any] = {
        "observation_dim": observation_dim,
        "action_dim": action_dim,
        "action_low": -np.ones(action_dim, np.float32),
        "action_high": np.ones(action_dim, np.float32),
        "observation_mean": rng.standard_normal(observation_dim).astype(np.float32),
        "observation_std": rng.uniform(0.5, 2.0, observation_dim).astype(np.float32),
        "horizon": 1000,
        "return_scale": 10.0,
    }
    return Spec(**facts | changes)


def make_frames_spec(action_dim: int = 4) -> Spec:
    """Four stacked frames, numbered actions."""
    nothing = np.zeros(0, np.float32)
    empty = dict.fromkeys(("action_low", "action_high", "observation_mean", "observation_std"), nothing)
    return make_spec(0, action_dim, discrete=True, view=View(frames=4, clip_rewards=True), **empty)


def transitions(spec: Spec, size: int, seed: int = 2) -> TransitionBatch:
    """A fixed batch of made-up steps of continuous control, a fifth of them terminal."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.from_numpy(spec.observation_mean)
    std = torch.from_numpy(spec.observation_std)
    return TransitionBatch(
        observations=mean + std * torch.randn(size, spec.observation_dim, generator=generator),
        actions=1.9 * torch.rand(size, spec.action_dim, generator=generator) - 0.95,
        rewards=torch.randn(size, generator=generator),
        next_observations=mean + std * torch.randn(size, spec.observation_dim, generator=generator),
        terminals=(torch.rand(size, generator=generator) < 0.2).float(),
    )


def their_transitions(batch: TransitionBatch, normalize: nn.Module, bounds: ActionBounds) -> TorchMiniBatch:
    """The same batch as d3rlpy's losses get it: observations normalised, actions in [-1, 1]."""
    return _their_batch(batch, normalize, bounds.to_unit(batch.actions))


def their_frames(batch: TransitionBatch) -> TorchMiniBatch:
    """The same batch as d3rlpy's losses get it: frames in [0, 1], actions as numbers in a column."""
    return _their_batch(batch, lambda stack: stack.float() / 255.0, batch.actions[:, None].float())


def _their_batch(batch: TransitionBatch, normalize: Callable[[Tensor], Tensor], actions: Tensor) -> TorchMiniBatch:
    column = torch.ones(len(batch.rewards), 1)
    return TorchMiniBatch(
        observations=normalize(batch.observations),
        actions=actions,
        rewards=batch.rewards[:, None],
        next_observations=normalize(batch.next_observations),
        next_actions=torch.zeros_like(actions),  # read by no method that is compared here
        returns_to_go=torch.zeros_like(column),
        terminals=batch.terminals[:, None],
        intervals=column,
        device="cpu",
    )


def frames(spec: Spec, size: int, seed: int = 2) -> TransitionBatch:
    """The same of stacked frames of noise and numbered actions."""
    generator = torch.Generator().manual_seed(seed)
    stack = torch.randint(256, (2, size, spec.view.frames, 84, 84), dtype=torch.uint8, generator=generator)
    return TransitionBatch(
        observations=stack[0],
        actions=torch.randint(spec.action_dim, (size,), generator=generator),
        rewards=torch.randint(-1, 2, (size,), generator=generator).float(),
        next_observations=stack[1],
        terminals=(torch.rand(size, generator=generator) < 0.2).float(),
    )


def windows(spec: Spec, size: int, context: int, seed: int = 2) -> ContextBatch:
    """A fixed batch of made-up windows of `context` steps, some of which end early."""
    generator = torch.Generator().manual_seed(seed)
    mean = torch.from_numpy(spec.observation_mean)
    std = torch.from_numpy(spec.observation_std)
    lengths = torch.randint(1, 2 * context, (size, 1), generator=generator)  # about half of them are cut off
    steps = torch.arange(context)
    mask = steps < lengths
    first = torch.randint(spec.horizon - context + 1, (size, 1), generator=generator)
    observations = mean + std * torch.randn(size, context, spec.observation_dim, generator=generator)
    actions = 1.9 * torch.rand(size, context, spec.action_dim, generator=generator) - 0.95
    returns_to_go = spec.return_scale * torch.rand(size, context, generator=generator)
    return ContextBatch(
        observations=observations * mask[..., None],
        actions=actions * mask[..., None],
        returns_to_go=returns_to_go * mask,
        timesteps=(first + steps) * mask,
        mask=mask,
    )


def their_windows(batch: ContextBatch, normalize: nn.Module, return_scale: float) -> TorchTrajectoryMiniBatch:
    """The same windows as d3rlpy's losses get them: observations normalised, returns scaled."""
    unread = torch.zeros(*batch.mask.shape, 1)
    return TorchTrajectoryMiniBatch(
        observations=normalize(batch.observations),
        actions=batch.actions,
        rewards=unread,
        returns_to_go=batch.returns_to_go[..., None] / return_scale,
        terminals=unread,
        timesteps=batch.timesteps,
        masks=batch.mask.float(),
        device="cpu",
    )


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal draws that can be had twice."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape: int, seed: int) -> Tensor:
    """Draw from [-1, 1], the same for the same seed."""
    return 2.0 * torch.rand(shape, generator=torch.Generator().manual_seed(seed)) - 1.0


@contextmanager
def draws(normals: list[Tensor], uniforms: list[Tensor] | None = None) -> Iterator[None]:
    """Hand out these draws, in this order, to their code when it asks PyTorch for random numbers; all must be used."""
    normal_queue = list(normals)
    uniform_queue = list(uniforms or [])

    def next_normal(shape: Any, *rest: int, **_: Any) -> Tensor:
        shape = (shape, *rest) if isinstance(shape, int) else shape
        return normal_queue.pop(0).reshape(shape)

    def next_uniform(tensor: Tensor, low: float, high: float) -> Tensor:
        assert (low, high) == (-1.0, 1.0)
        return tensor.copy_(uniform_queue.pop(0).reshape(tensor.shape))

    with (
        patch("torch.randn", next_normal),
        patch("torch.randn_like", lambda tensor: next_normal(tensor.shape)),
        patch("torch.distributions.normal._standard_normal", lambda shape, **_: next_normal(shape)),
        patch("torch.Tensor.uniform_", next_uniform),
    ):
        yield
    assert not normal_queue, "fewer normal draws were asked for than expected"
    assert not uniform_queue, "fewer uniform draws were asked for than expected"


def assert_equal(method: str, quantity: str, ours: Tensor, theirs: Tensor, tolerance: float = LOSS) -> None:
    """Compare two tensors relative to the largest entry of theirs, and remember how far apart they were."""
    _compare(method, quantity, ours, theirs, float(theirs.detach().abs().max()), tolerance)


def assert_equal_gradients(method: str, owner: str, pairs: list[Pair]) -> None:
    """Compare the gradients that both sides' backward passes left, relative to the largest of each of our tensors.

    Our tensors are compared whole, since the bias of the keys, a part of one, has no gradient but rounding.
    """
    assert pairs
    for pair in pairs:
        assert pair.ours.grad is not None
        assert pair.theirs.grad is not None
        scale = float(pair.ours.grad.abs().max())
        _compare(method, f"gradients of {owner}", pair.view(pair.ours.grad), pair.theirs.grad, scale, GRADIENT)


def _compare(method: str, quantity: str, ours: Tensor, theirs: Tensor, scale: float, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    assert scale > 0.0, f"{quantity} is zero: nothing is compared"
    difference = float((ours - theirs).detach().abs().max()) / scale
    SEEN[method, quantity] = max(difference, SEEN.get((method, quantity), 0.0))
    assert difference <= tolerance, f"{method}, {quantity}: {difference:.1e} apart, relative to {scale:.3g}"
