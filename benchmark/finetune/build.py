"""Building the parts of a run from its configuration: environment, agent, retention."""

from typing import Any

from gymnasium.spaces import Discrete

from ...baselines.online.agent import Agent
from ...baselines.online.ppo import PPO, PPOConfig
from ...baselines.online.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from ...baselines.online.reinforce import Reinforce, ReinforceConfig
from ...baselines.online.retention import RETENTIONS, Retention
from ...baselines.online.sac import SAC, SACConfig
from ...baselines.online.transitions import StagedSpec
from ...datasets.environments.stages import StagedEnvironment
from ..runs.changes import changed
from .config import PRETRAINING, RETENTION, FinetuneConfig
from .settings import SETTINGS, AnyPretraining

# The classes of their settings.
AGENTS: dict[str, type[Any]] = {
    "reinforce": ReinforceConfig,
    "ppo": PPOConfig,
    "sac": SACConfig,
    "recurrent-ppo": RecurrentPPOConfig,
}


def build_environment(config: FinetuneConfig) -> StagedEnvironment:
    """The run's environment, not reset yet."""
    return config.staged_task.make()


def spec_of(environment: StagedEnvironment) -> StagedSpec:
    """The sizes of an environment, from which an agent is built."""
    actions = environment.action_space
    discrete = isinstance(actions, Discrete)
    return StagedSpec(
        observation_dim=environment.observation_space.shape[0],
        action_dim=int(actions.n if discrete else actions.shape[0]),
        stages=len(environment.stages),
        discrete=discrete,
    )


def build_agent(config: FinetuneConfig, spec: StagedSpec, seed: int) -> Agent:
    """An agent with the first weights of a seed."""
    settings = agent_settings(config.agent, config.settings_of(""))
    if config.agent == "reinforce":
        return Reinforce(settings, spec, seed)
    if config.agent == "sac":
        return SAC(settings, spec, seed)
    if config.agent == "recurrent-ppo":
        return RecurrentPPO(settings, spec, seed)
    return PPO(settings, spec, seed)


def agent_settings(agent: str, given: dict[str, Any]) -> Any:
    """The settings of an agent: its defaults, changed by what is given; a `UserError` for what does not fit."""
    kind = AGENTS[agent]
    return changed(kind(), given, f"setting of {agent}")


def build_retention(config: FinetuneConfig) -> Retention:
    """The retention of the run's method, before `prepare`."""
    row = RETENTIONS[retention_name(config.method)]
    return row.build(changed(row.config(), config.settings_of(RETENTION), f"setting of {config.method}"))


def retention_name(method: str) -> str:
    """The retention of a method of the track: "bc" for "finetune-bc", "none" for plain fine-tuning and controls."""
    start, _, name = method.partition("-")
    return name if start == "finetune" and name in RETENTIONS else "none"


def pretraining_of(config: FinetuneConfig) -> AnyPretraining:
    """The settings with which its pi* was made."""
    found: AnyPretraining = changed(
        SETTINGS[config.task].pretraining, config.settings_of(PRETRAINING), "setting of pre-training"
    )
    return found
