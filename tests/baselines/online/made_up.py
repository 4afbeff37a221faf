"""Small made-up transitions and agents for the tests of this folder."""

import torch

from lamobench.baselines.online.sac import SAC, SACConfig
from lamobench.baselines.online.transitions import StagedSpec, Transitions

CONTINUOUS = StagedSpec(observation_dim=3, action_dim=2, stages=2)
DISCRETE = StagedSpec(observation_dim=3, action_dim=4, stages=2, discrete=True)


def transitions(spec: StagedSpec, size: int, seed: int = 0, stage: int | None = None) -> Transitions:
    """Steps of all stages, or of one, a quarter of them the last of theirs."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(size, spec.action_dim, generator=generator)
    numbers = torch.randint(spec.stages, (size,), generator=generator)
    return Transitions(
        observations=torch.randn(size, spec.observation_dim, generator=generator),
        actions=uniform.argmax(1) if spec.discrete else 1.8 * uniform - 0.9,
        rewards=torch.randn(size, generator=generator),
        next_observations=torch.randn(size, spec.observation_dim, generator=generator),
        dones=(torch.rand(size, generator=generator) < 0.25).float(),
        stages=numbers if stage is None else torch.full((size,), stage),
    )


def small_sac(seed: int = 0, hidden: tuple[int, ...] = (16, 16)) -> SAC:
    """An agent for `CONTINUOUS`, its target critics unlike its critics."""
    agent = SAC(SACConfig(hidden=hidden), CONTINUOUS, seed)
    generator = torch.Generator().manual_seed(99)
    with torch.no_grad():
        for parameter in agent.target_critic.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
        agent.log_temperature.copy_(torch.tensor([-0.7, 0.2]))
    return agent
