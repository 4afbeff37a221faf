"""Builds the parts of a run from its configuration: environment, agent, retention."""

from dataclasses import asdict
from typing import Any

from ...baselines.online.agent import Agent
from ...baselines.online.ppo import PPO, PPOConfig
from ...baselines.online.reinforce import Reinforce, ReinforceConfig
from ...baselines.online.retention import RETENTIONS, Retention
from ...baselines.online.transitions import StagedSpec
from ...datasets.environments.stages import StagedEnvironment
from ..runs.changes import changed
from .config import ENVIRONMENT, PRETRAINING, RETENTION, FinetuneConfig
from .settings import SETTINGS, PretrainingConfig

AGENTS: dict[str, type[Any]] = {"reinforce": ReinforceConfig, "ppo": PPOConfig}  # the classes of their settings


def build_environment(config: FinetuneConfig) -> StagedEnvironment:
    """The run's environment, not reset yet."""
    task = config.staged_task
    return task.make(changed(task.options, config.settings_of(ENVIRONMENT), "setting of the environment"))


def spec_of(environment: StagedEnvironment) -> StagedSpec:
    """The facts that an agent needs of an environment with discrete actions."""
    return StagedSpec(
        observation_dim=environment.observation_space.shape[0],
        action_dim=int(environment.action_space.n),
        stages=len(environment.stages),
        discrete=True,
    )


def build_agent(config: FinetuneConfig, spec: StagedSpec, seed: int) -> Agent:
    """An agent with first weights of a seed."""
    settings = agent_settings(config.agent, config.settings_of(""))
    if config.agent == "reinforce":
        return Reinforce(settings, spec, [seed])
    return PPO(settings, spec, seed)


def agent_settings(agent: str, given: dict[str, Any]) -> Any:
    """The settings of an agent, of its defaults and what is given; a `UserError` for what does not fit."""
    kind = AGENTS[agent]
    return changed(kind(), given, f"setting of {agent}")


def build_retention(config: FinetuneConfig) -> Retention:
    """The retention of the run's method, not prepared yet."""
    row = RETENTIONS[retention_name(config.method)]
    return row.build(changed(row.config(), config.settings_of(RETENTION), f"setting of {config.method}"))


def retention_name(method: str) -> str:
    """The retention of a method of the track: "finetune-bc" has "bc", plain fine-tuning and controls have "none"."""
    start, _, name = method.partition("-")
    return name if start == "finetune" and name in RETENTIONS else "none"


def pretraining_of(config: FinetuneConfig) -> PretrainingConfig:
    """The settings with which its pi* was made."""
    found: PretrainingConfig = changed(
        SETTINGS[config.task].pretraining, config.settings_of(PRETRAINING), "setting of pre-training"
    )
    return found


def prefixed(prefix: str, settings: Any) -> dict[str, Any]:
    """The fields of a dataclass, their names behind "PREFIX."."""
    return {f"{prefix}.{name}": value for name, value in asdict(settings).items()}
