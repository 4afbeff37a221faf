"""The policy pi*, good in some stages of a task before it is fine-tuned. It is made once, then read from a file.

The file holds the policy and the steps that retention may look back at. Its hash, and that of what it was cloned from,
are part of a run's identity.
"""

import hashlib
import json
import math
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from ...baselines.online.agent import Agent, Info
from ...baselines.online.distributions import Categorical, SquashedGaussian
from ...baselines.online.nethack_networks import ScreenConfig
from ...baselines.online.ppo import PPO
from ...baselines.online.recurrent_ppo import RecurrentPPO
from ...baselines.online.reinforce import Reinforce
from ...baselines.online.retention import Memory, Retention, RetentionConfig
from ...baselines.online.sac import SAC
from ...baselines.online.sequences import SequenceMemory
from ...baselines.online.transitions import Transitions
from ...datasets.environments.demonstrations import Demonstrations
from ...datasets.environments.staged_tasks import StagedTask
from ...datasets.environments.stages import StagedEnvironment
from ...datasets.errors import UserError
from ...datasets.recording.experts import Expert, recorded
from ...datasets.recording.shortest_ways import Ways, recorded_ways
from ...datasets.storage import home, whole_file
from ..runs.records import file_hash
from .build import build_agent, build_environment, pretraining_of, spec_of
from .config import CONTROL, PRETRAINING, RETENTION, FinetuneConfig
from .recurrent_rounds import RecurrentRounds
from .rounds import PPORounds, ReinforceRounds
from .settings import GamePretrainingConfig, PretrainingConfig, RecordedPretrainingConfig

FACTS = "facts."  # prefix of tensors
# Settings of pre-training that decide a clone of games; the others are of what comes after it.
CLONING = ("updates", "streams", "sequence", "learning_rate", "gradient_clip", "held_out")
PARTS = ("actor.", "critic.", "target_critic.")  # names of the tensors that an agent goes on with; counters begin anew


@dataclass(frozen=True)
class Pretrained:
    """The policy pi*, and what it was trained on."""

    weights: dict[str, Tensor]  # of the agent's networks
    memory: Memory  # of M rows, with what pi* was to do in each step
    hash: str  # SHA-256 of the file
    data_hash: str  # of the demonstrations; "" where it learned by itself
    facts: dict[str, float]  # of how it was made, as the first row of a run's metrics has them

    def load_into(self, agent: Agent) -> None:
        """Copy pi*'s networks into an agent."""
        agent.load_state_dict(self.weights, strict=False)


def pretrained(config: FinetuneConfig) -> Pretrained:
    """The run's pi*, which is made and kept if it isn't there yet. Hashes in the configuration may be empty: not known.

    Raises a `UserError` if it is another one than the run was planned with.
    """
    path = path_of(config)
    if not path.exists():
        make(config, path)
    found = read(path)
    if config.pretrained_hash and found.hash != config.pretrained_hash:
        raise UserError(
            f"run {config.id} begins with the policy {config.pretrained_hash[:12]}..., but {path} is "
            f"{found.hash[:12]}...; bring that file from where the run was planned, or delete it and plan the run anew"
        )
    return found


def path_of(config: FinetuneConfig) -> Path:
    """The file of a run's pi*; its name has all that decides it."""
    recipe = {
        "task": config.task,
        "agent": config.agent,
        "policy": {name: value for name, value in config.policy.items() if _decides(name, value)},
        "environments": config.environments,
        "rollout_steps": config.rollout_steps,
        "version": config.version,
    }
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()
    return home() / "finetune" / f"{config.task}-s{config.pretraining_seed}-{digest[:12]}.safetensors"


def _decides(name: str, value: Any) -> bool:
    """Check whether a setting decides what pi* is, not what becomes of it; its seed is in the file's name anyway."""
    later = (name, value) in FinetuneConfig.later_settings.items()  # as it was before there was the choice
    return not name.startswith((f"{RETENTION}.", f"{CONTROL}.")) and name != f"{PRETRAINING}.seed" and not later


def read(path: Path) -> Pretrained:
    """Read a file of `make`; a `UserError` if it can't be read."""
    try:
        tensors = load_file(path)
        kind = SequenceMemory if "memory.screens" in tensors else Transitions
        memory = kind(**{field.name: tensors[f"memory.{field.name}"] for field in fields(kind)})
        data_hash = bytes(tensors["data_hash"].tolist()).hex()
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} can't be read ({error}); delete it, and it is made anew") from None
    weights = {name: tensor for name, tensor in tensors.items() if name.startswith(PARTS)}
    facts = {name.removeprefix(FACTS): float(value) for name, value in tensors.items() if name.startswith(FACTS)}
    return Pretrained(weights, memory, file_hash(path), data_hash, facts)


def make(config: FinetuneConfig, path: Path) -> None:
    """Train pi* on one thread, and write it with its memory.

    A sweep makes it before its workers begin, where PyTorch would take all cores. Its nets are too small for that: it
    took ten times as long. And sums in another order are another pi*.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _make(config, path)
    finally:
        torch.set_num_threads(threads)


def _make(config: FinetuneConfig, path: Path) -> None:
    environment = build_environment(config)
    recipe = pretraining_of(config)
    agent = build_agent(config, spec_of(environment), config.pretraining_seed)
    stages = config.staged_task.trained
    memory: Memory
    facts: dict[str, float] = {}
    if isinstance(recipe, GamePretrainingConfig):
        memory, data_hash, facts = make_from_games(agent, environment, recipe, config)
    elif isinstance(recipe, RecordedPretrainingConfig):
        memory, data_hash = make_from_recording(agent, environment, recipe, config)
    elif recipe.kind == "cloning":
        shown = experts(environment, config.staged_task, recipe, config.pretraining_seed)
        clone(agent, shown, recipe, config.pretraining_seed)
        if recipe.critic_warm_up:
            warm_up_critic(agent, environment, recipe.critic_warm_up, config)
        memory = transitions_of(shown, recipe.memory)
        data_hash = shown.hash
    else:
        learn(agent, environment, recipe, stages, config)
        memory = remembered(agent, environment, recipe.memory, stages, config)
        data_hash = ""
    tensors = {name: tensor for name, tensor in agent.state_dict().items() if name.startswith(PARTS)}
    tensors |= {f"memory.{name}": tensor.contiguous() for name, tensor in vars(memory).items()}
    tensors |= {f"{FACTS}{name}": torch.tensor(value) for name, value in facts.items()}
    tensors["data_hash"] = torch.tensor(list(bytes.fromhex(data_hash)), dtype=torch.uint8)
    with whole_file(path) as temporary:
        save_file(tensors, temporary)


def make_from_games(
    agent: Agent, environment: StagedEnvironment, recipe: GamePretrainingConfig, config: FinetuneConfig
) -> tuple[Memory, str, dict[str, float]]:
    """Clone recorded games, and let the critic learn from play of the clone; memory, the games' hash, and facts.

    The clone by itself is kept in a file of its own, since it takes long: other settings of the critic, of the memory
    or of the agent's learning begin with the same one.
    """
    from ...datasets.environments.nethack_lite import DEEP, NetHackLite
    from ...datasets.sources.nethack import game_files, hash_of, prefixes
    from .cloning import clone_games
    from .remembered_games import clone_quality, remembered_games

    assert isinstance(agent, RecurrentPPO)
    assert isinstance(environment, NetHackLite)
    recording = recipe.recording or environment.recording
    files = game_files(recording)
    if len(files) <= recipe.held_out:
        raise UserError(
            f"'{recording}' has {len(files)} games, of which {recipe.held_out} are not cloned; give fewer: "
            f"--set {PRETRAINING}.held_out=0"
        )
    prefixes(environment.recording, environment.far_level)  # if FAR has no beginning, that is said before the cloning
    seed = config.pretraining_seed
    print(f"making pi* of {config.task}, seed {seed}: this takes long, once, and goes on if stopped", file=sys.stderr)
    shown = files[: len(files) - recipe.held_out]
    games = hash_of(recording)
    clone_games(agent, shown, recipe, seed, clone_path(config, recipe, games))
    facts = clone_quality(agent.actor, files[len(shown) :]) if recipe.held_out else {}
    agent.freeze_encoder()
    for group in agent.optimizers["all"].param_groups:
        group["lr"] = recipe.learning_rate  # a run's own would move the critic too little
    warmed = warm_up_critic(agent, environment, recipe.critic_rounds, config)
    memory = remembered_games(agent.actor, shown, recipe, seed, environment.far_level)
    facts |= {f"warm_up_{name}": float(value) for name, value in warmed.items()}
    facts["memory_far_share"] = float((memory.stages == DEEP).float().mean())
    print(", ".join(f"{name} {value:.3f}" for name, value in facts.items()), file=sys.stderr)
    return memory, games, facts


def clone_path(config: FinetuneConfig, recipe: GamePretrainingConfig, games: str) -> Path:
    """The file of a clone before its critic was trained; its name has all that decides it."""
    network = {name: config.policy[name] for name in (field.name for field in fields(ScreenConfig))}
    decisive = {name: getattr(recipe, name) for name in CLONING}
    told = json.dumps([games, network, decisive, config.version], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return home() / "finetune" / f"nethack-clone-s{config.pretraining_seed}-{digest[:12]}.safetensors"


def make_from_recording(
    agent: Agent, environment: StagedEnvironment, recipe: RecordedPretrainingConfig, config: FinetuneConfig
) -> tuple[Transitions, str]:
    """Clone an expert's recording and let the critics learn its value; return memory, and the recording's hash.

    The paper's pi* was trained by SAC. This one needs none of those days of training, and its critics' warm-up is
    optional.
    """
    assert isinstance(agent, SAC)
    task = config.staged_task
    print(f"making pi* of {task.name}, seed {config.pretraining_seed}: this takes minutes, once", file=sys.stderr)
    shown = recorded(environment, task, Expert(recipe.episodes, recipe.noise, config.pretraining_seed))
    clone_recorded(agent, shown, recipe, config.pretraining_seed)
    if agent.actor.network.heads > 1:
        for stage in set(range(len(task.stages))) - set(task.trained):
            agent.actor.shrink_head(stage, recipe.untaught_scale)
    memory = remembered(agent, environment, recipe.memory, task.trained, config)
    rng = np.random.default_rng([config.pretraining_seed, recipe.critic_updates])
    agent.target_critic.load_state_dict(agent.critic.state_dict())
    for _ in range(recipe.critic_updates):
        agent.update_critics(memory.rows(torch.from_numpy(rng.integers(len(memory), size=agent.config.batch_size))))
    return memory, shown.hash


def clone_recorded(agent: SAC, shown: Demonstrations, recipe: RecordedPretrainingConfig, seed: int) -> None:
    """Imitate recorded actions: KL from a narrow Gaussian around each, before the squashing, by Adam."""
    observations = torch.from_numpy(shown.observations)
    means = torch.atanh(torch.from_numpy(shown.actions).clamp(-recipe.largest, recipe.largest))
    wanted = SquashedGaussian(means, torch.full_like(means, math.log(recipe.deviation)))
    stages = torch.from_numpy(shown.stages)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(agent.actor.parameters(), recipe.learning_rate, fused=True)
    for _ in range(recipe.updates):
        rows = torch.randint(len(stages), (recipe.batch_size,), generator=generator)
        loss = wanted.rows(rows).kl(agent.gaussian(observations[rows], stages[rows])).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def experts(environment: StagedEnvironment, task: StagedTask, recipe: PretrainingConfig, seed: int) -> Demonstrations:
    """The steps that pi* is cloned from: recorded from the beginning of each of its stages, equally many of each.

    In random order where there are several stages.
    """
    stages = task.trained
    share = -(-recipe.transitions // len(stages))
    parts = [
        recorded_ways(environment, task, Ways(share, recipe.wandering, recipe.mistaken, seed, number), stage)
        for number, stage in enumerate(stages)
    ]
    if len(parts) == 1:
        return parts[0]
    mixed = np.random.default_rng([seed, len(parts)]).permutation(share * len(parts))[: recipe.transitions]
    columns = ([getattr(part, field.name) for part in parts] for field in fields(Demonstrations))
    return Demonstrations(*(np.concatenate(column)[mixed] for column in columns))


def clone(agent: Agent, shown: Demonstrations, recipe: PretrainingConfig, seed: int) -> None:
    """Imitate what was shown: cross entropy with smoothed labels, by Adam."""
    observations = torch.from_numpy(shown.observations)
    actions = torch.from_numpy(shown.actions)
    stages = torch.from_numpy(shown.stages)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(agent.actor.parameters(), recipe.learning_rate, fused=True)
    for _ in range(recipe.updates):
        rows = torch.randint(len(actions), (recipe.batch_size,), generator=generator)
        policy = agent.actor.distribution(observations[rows], stages[rows])
        assert isinstance(policy, Categorical)
        loss = F.cross_entropy(policy.log_probabilities, actions[rows], label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def warm_up_critic(agent: Agent, environment: StagedEnvironment, count: int, config: FinetuneConfig) -> Info:
    """Let the critic learn for some rounds what pi* is worth, from episodes that begin in its first stage.

    Returns what the last round measured; nothing without one.
    """
    assert isinstance(agent, PPO)
    kind: type[PPORounds] = RecurrentRounds if isinstance(agent, RecurrentPPO) else PPORounds
    rng = np.random.default_rng([config.pretraining_seed, count])
    size = (config.environments, config.rollout_steps)
    rounds = kind(agent, environment, Retention(RetentionConfig()), rng, *size, config.staged_task.trained[0])
    info: Info = {}
    for _ in range(count):
        info = rounds.warm_up().info
    return info


def learn(
    agent: Agent,
    environment: StagedEnvironment,
    recipe: PretrainingConfig,
    stages: tuple[int, ...],
    config: FinetuneConfig,
) -> None:
    """Train pi* on the stages by itself, as a run would learn the whole task."""
    assert isinstance(agent, Reinforce)
    rng = np.random.default_rng([config.pretraining_seed, *stages])
    rounds = ReinforceRounds(agent, environment, Retention(RetentionConfig()), rng, config.environments, stages[0])
    for _ in range(recipe.updates):
        rounds.learn()


def remembered(
    agent: Agent, environment: StagedEnvironment, count: int, stages: tuple[int, ...], config: FinetuneConfig
) -> Transitions:
    """Steps of pi* itself in its stages, equally many of each; in random order where there are several."""
    generator = torch.Generator().manual_seed(config.pretraining_seed)
    rng = np.random.default_rng([config.pretraining_seed, count])
    share = -(-count // len(stages))
    rows = []
    for stage in stages:
        seeds = rng.integers(2**32, size=config.environments)
        observations = environment.reset(seeds, stage, only=True)
        for _ in range(-(-share // len(seeds))):
            actions = agent.act(torch.from_numpy(observations), torch.from_numpy(environment.stage), generator).numpy()
            step = environment.step(actions)
            dones = step.episode_ended.astype(np.float32)
            rows.append((observations, actions, step.rewards, step.next_observations, dones, step.stages_before))
            observations = step.observations
    found = transitions_of(Demonstrations(*map(np.concatenate, zip(*rows, strict=True))), None)
    if len(stages) > 1:
        found = found.rows(torch.from_numpy(rng.permutation(len(found))))
    return found.rows(slice(0, count))


def transitions_of(shown: Demonstrations, count: int | None) -> Transitions:
    """The first steps, or all, as tensors."""
    return Transitions(**{field.name: torch.from_numpy(getattr(shown, field.name)[:count]) for field in fields(shown)})
