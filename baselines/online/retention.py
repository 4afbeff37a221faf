"""Retention: methods that keep an agent from forgetting what its policy pi* could do before fine-tuning.

These are the methods of "Fine-tuning Reinforcement Learning Models is Secretly a Forgetting Mitigation Problem"
(Wołczyk et al. 2024, arXiv 2402.02868), behind one interface for all agents. They bind the actor, never the critic.
Divergences are KL(pi*, pi): the paper's Appendix C.2 once prints the reverse, its other text and code do not.
Shapes: N seeds, B batch, M rows of the memory, S observation; the dots stand for N, and for nothing where there is one
seed. A row is a step, or several steps of a recurrent policy, one after the other.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from ..fields import Amount, Count, Share
from .actors import Actor, stacked_actor
from .distributions import stacked
from .fisher import batch_fisher, fisher_information
from .replay import ReplayBuffer
from .sequences import SequenceMemory
from .transitions import Transitions, Visited

Memory = Transitions | SequenceMemory  # rows are steps, or stretches of them


@dataclass(frozen=True)
class RetentionConfig:
    """Settings of plain fine-tuning: none."""


class Retention:
    """Plain fine-tuning, which retains nothing, and the interface of every method.

    `prepare` depends on pi*, memory and generator alone, so a resumed run prepares again to the same result.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.parts: Sequence[Self] = ()  # of N seeds in one pass: what each has alone

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Prepare from pi*, once, before the first update; `memory` are M rows on which pi* was trained."""

    def seed(self, buffer: ReplayBuffer, memory: Transitions) -> None:
        """Put what is to be kept into the agent's empty buffer."""

    @classmethod
    def together(cls, parts: Sequence[Self]) -> Self:
        """The losses of N seeds in one pass; after a step each of the `parts`, which are prepared, acts by itself."""
        found = cls(parts[0].config)
        found.parts = parts
        found.join(parts)
        return found

    def join(self, parts: Sequence[Self]) -> None:
        """Put together what the parts' losses need."""

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Return a term (...) of the actor's loss for update `step`, from 0; there is a generator for each seed."""
        return torch.zeros(visited.stages.shape[:-1])

    def after_step(self, actor: Actor, optimizer: torch.optim.Optimizer) -> None:
        """Correct the actor after its optimiser's step."""


@dataclass(frozen=True)
class BehavioralCloningConfig:
    """Settings of the paper's "BC"; coefficients are chosen for each environment."""

    coefficient: Amount = 1.0  # RoboticSequence 1; NetHack 2
    batch_size: Count = 128  # states of the memory in each update; RoboticSequence's batch


class BehavioralCloning(Retention):
    """KL(pi*, pi) at states on which pi* was trained."""

    config: BehavioralCloningConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep the states, and pi*'s distribution at each."""
        self.memories = [memory]  # of each seed
        with torch.no_grad():
            self.teachers = [actor.distribution(memory.observations, memory.stages)]

    def join(self, parts: Sequence[Self]) -> None:
        """Put the memories side by side."""
        self.memories = [memory for part in parts for memory in part.memories]
        self.teachers = [teacher for part in parts for teacher in part.teachers]

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The mean divergence at states drawn from the memory with replacement; at all if they fit in a batch."""
        rows = [self._rows(memory, generator) for memory, generator in zip(self.memories, generators, strict=True)]
        own = list(zip(self.memories, rows, strict=True))
        observations = _stacked([memory.observations[numbers] for memory, numbers in own])
        student = actor.distribution(observations, _stacked([memory.stages[numbers] for memory, numbers in own]))
        steps = [memory.steps_of(numbers) for memory, numbers in own]
        taught = stacked([teacher.rows(numbers) for teacher, numbers in zip(self.teachers, steps, strict=True)])
        return self.config.coefficient * taught.kl(student).mean(-1)

    def _rows(self, memory: Memory, generator: torch.Generator) -> Tensor:
        """The numbers (B,) of a seed's rows."""
        size = self.config.batch_size
        if len(memory) <= size:
            return torch.arange(len(memory))
        return torch.randint(len(memory), (size,), generator=generator)


@dataclass(frozen=True)
class KickstartingConfig:
    """Settings of the paper's "KS"."""

    coefficient: Amount = 0.5  # of the first update; NetHack, as the paper has it (its code: 0.75)
    decay: Share = 0.99998  # the coefficient's factor from update to update; NetHack
    floor: Amount = 0.0  # the least value of the coefficient; NetHack's code: 0.33
    untaught: bool = False  # whether states count whose head pi* never trained, and for which it has nothing to teach


class Kickstarting(Retention):
    """KL(pi*, pi) at states that the student visits."""

    config: KickstartingConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep pi*, and which heads it trained."""
        self.teacher = copy.deepcopy(actor).requires_grad_(False)
        self.taught = _taught_heads(actor, memory)  # (..., heads)
        if self.config.untaught:
            self.taught = torch.ones_like(self.taught)

    def join(self, parts: Sequence[Self]) -> None:
        """Stack every pi*."""
        self.teacher = stacked_actor([part.teacher for part in parts])
        self.taught = torch.stack([part.taught for part in parts])

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The mean divergence over visited states; states that do not count are zero in it."""
        coefficient = max(self.config.floor, self.config.coefficient * self.config.decay**step)
        with torch.no_grad():
            teacher = self.teacher.distribution(visited.observations, visited.stages)
        apart = teacher.kl(visited.student)
        if not bool(self.taught.all()):
            apart = apart * torch.take_along_dim(self.taught, visited.stages, -1)
        return coefficient * visited.mean(apart)


@dataclass(frozen=True)
class AnchoredConfig:
    """Settings of a quadratic pull towards the weights of pi*."""

    coefficient: Amount = 1.0
    # "penalty": a term of the loss, as published. "proximal": after each optimiser step, the exact minimum of the
    # penalty plus the distance to where the optimiser went, in the optimiser's metric. It has the penalty's stationary
    # points, and is stable at any coefficient, where Adam's steps keep their size however large the gradient is.
    step: Literal["penalty", "proximal"] = "proximal"
    # Whether the heads that pi* trained are held too, where there is one a stage. Continual World's code holds the
    # trunk alone, since a head there learns in its own stage and never again; here FAR's goes on as soon as FAR is met.
    heads: bool = False


class Anchored(Retention):
    """The sum of F (theta* - theta)^2 over the parameters that are held, where F is each one's importance."""

    config: AnchoredConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep the weights and their importance, which is 0 in heads that pi* never trained."""
        self.anchor = {name: parameter.detach().clone() for name, parameter in self.held(actor).items()}
        self.importance = self.find_importance(actor, memory, generator)
        for stage in torch.nonzero(~_taught_heads(actor, memory)).flatten().tolist():
            for name in self.anchor.keys() & actor.stage_heads().keys():
                self.importance[name][..., actor.network.head_columns(stage)] = 0.0

    def held(self, actor: Actor) -> dict[str, nn.Parameter]:
        """The actor's parameters that are held, by name: its trunk, and its heads where they are wanted."""
        return actor.trunk() | (actor.stage_heads() if self.config.heads else {})

    def find_importance(self, actor: Actor, memory: Memory, generator: torch.Generator) -> dict[str, Tensor]:
        """Importance F of each parameter that is held, by name: 1."""
        return {name: torch.ones_like(value) for name, value in self.anchor.items()}

    def join(self, parts: Sequence[Self]) -> None:
        """Stack the weights and their importance."""
        self.anchor = {name: torch.cat([part.anchor[name] for part in parts]) for name in parts[0].anchor}
        self.importance = {name: torch.cat([part.importance[name] for part in parts]) for name in parts[0].anchor}

    def penalty(self, actor: Actor) -> Tensor:
        """The sum (...) over the parameters that are held, without the coefficient."""
        return anchor_penalty(self.held(actor), self.anchor, self.importance, actor.seeds)

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The penalty; zero for "proximal", which acts after the step."""
        if self.config.step == "proximal":
            return super().loss(actor, visited, step, generators)
        return self.config.coefficient * self.penalty(actor)

    def after_step(self, actor: Actor, optimizer: torch.optim.Optimizer) -> None:
        """Move back to the anchor by the share c / (1 + c) of the way, c = 2 * coefficient * F * step size."""
        if self.config.step == "proximal":
            pull_back(self.held(actor), self.anchor, self.importance, self.config.coefficient, optimizer)


@dataclass(frozen=True)
class ElasticWeightsConfig(AnchoredConfig):
    """Settings of the paper's "EWC"."""

    coefficient: Amount = 100.0  # RoboticSequence; NetHack 2e6
    states: Count = 2560  # states of the memory over which the Fisher information is averaged; Continual World's code
    least: Amount = 1e-5  # the least value of F: lower ones are raised to it; Continual World's code
    # Whether F is divided by its mean over the parameters, so that a coefficient means the same for another network.
    normalised: bool = False
    # "exact": the exact expectation over actions. "batch": the form of the paper's NetHack code, for discrete
    # actions.
    estimate: Literal["exact", "batch"] = "exact"


class ElasticWeights(Anchored):
    """Elastic weight consolidation (Kirkpatrick et al. 2017): F is the Fisher information of pi*."""

    config: ElasticWeightsConfig

    def find_importance(self, actor: Actor, memory: Memory, generator: torch.Generator) -> dict[str, Tensor]:
        """The Fisher information at states drawn from the memory without replacement."""
        rows = torch.randperm(len(memory), generator=generator)[: self.config.states]
        observations = memory.observations[rows]
        stages = memory.stages[rows]
        if self.config.estimate == "batch":
            found = batch_fisher(actor, self.held(actor), observations, stages, batch_size=max(1, 128 // memory.length))
        else:
            found = fisher_information(actor, self.held(actor), observations, stages)
        if self.config.normalised:
            mean = torch.cat([value.flatten() for value in found.values()]).mean()
            found = {name: value / mean for name, value in found.items()}
        return {name: value.clamp(min=self.config.least) for name, value in found.items()}


@dataclass(frozen=True)
class EpisodicMemoryConfig:
    """Settings of the paper's "EM"."""

    share: Share = 0.1  # of the buffer; RoboticSequence: 10,000 of 100,000


class EpisodicMemory(Retention):
    """Transitions of pi* in a part of the replay buffer that is never overwritten. It adds no loss."""

    config: EpisodicMemoryConfig

    def seed(self, buffer: ReplayBuffer, memory: Transitions) -> None:
        """Protect the first of the memory's steps: a share of the buffer, or all of them if there are fewer."""
        count = min(len(memory), int(self.config.share * buffer.capacity))
        buffer.protect(memory.rows(slice(0, count)))


@dataclass(frozen=True)
class RetentionMethod:
    """A row of `RETENTIONS`."""

    title: str
    build: type[Retention]
    config: type[Any]  # of its settings, all of which have defaults
    replay: bool = False  # whether it needs an agent with a replay buffer
    strength: str = "coefficient"  # the setting that says how much is kept


RETENTIONS = {
    "none": RetentionMethod("fine-tuning", Retention, RetentionConfig),
    "bc": RetentionMethod("behavioural cloning", BehavioralCloning, BehavioralCloningConfig),
    "ks": RetentionMethod("kickstarting", Kickstarting, KickstartingConfig),
    "ewc": RetentionMethod("elastic weight consolidation", ElasticWeights, ElasticWeightsConfig),
    "em": RetentionMethod("episodic memory", EpisodicMemory, EpisodicMemoryConfig, replay=True, strength="share"),
    "l2-init": RetentionMethod("pull towards the first weights", Anchored, AnchoredConfig),
}


def step_sizes(optimizer: torch.optim.Optimizer) -> dict[Tensor, Tensor | float]:
    """Return the factor of each entry of a parameter's gradient (or its running mean) in the optimiser's next step.

    It is 0 for a parameter that Adam has not moved yet.
    """
    sizes: dict[Tensor, Tensor | float] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if isinstance(optimizer, torch.optim.SGD):
                sizes[parameter] = group["lr"]
            elif state := optimizer.state[parameter]:
                corrected = state["exp_avg_sq"] / (1.0 - group["betas"][1] ** float(state["step"]))
                sizes[parameter] = group["lr"] / (corrected.sqrt() + group["eps"])
            else:
                sizes[parameter] = 0.0
    return sizes


def anchor_penalty(
    parameters: Mapping[str, nn.Parameter], anchor: Mapping[str, Tensor], importance: Mapping[str, Tensor], seeds: int
) -> Tensor:
    """The sum (...) of importance * (anchor - parameter)^2 over parameters, by name; they are (N, ...) of N seeds."""
    terms = [importance[name] * (anchor[name] - now).square() for name, now in parameters.items()]
    if seeds == 1:
        return torch.stack([term.sum() for term in terms]).sum()
    return torch.stack([term.flatten(1).sum(1) for term in terms], 1).sum(1)


@torch.no_grad()
def pull_back(
    parameters: Mapping[str, nn.Parameter],
    anchor: Mapping[str, Tensor],
    importance: Mapping[str, Tensor],
    coefficient: float,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Move parameters, after the optimiser's step, by c / (1 + c) of the way back to the anchor.

    c = 2 * coefficient * importance * step size. This is the exact minimum of the penalty plus the distance to where
    the optimiser went, in the optimiser's own metric.
    """
    sizes = step_sizes(optimizer)
    for name, parameter in parameters.items():
        pull = 2.0 * coefficient * importance[name] * sizes[parameter]
        parameter.lerp_(anchor[name], pull / (1.0 + pull))


def _taught_heads(actor: Actor, memory: Memory) -> Tensor:
    """The heads that pi* trained, as a mask (heads,): those of the memory's stages, or a single one for all."""
    if actor.heads == 1:
        return torch.ones(1, dtype=torch.bool)
    return torch.isin(torch.arange(actor.heads), memory.stages)


def _stacked(columns: Sequence[Any]) -> Any:
    """The tensors of N seeds as one; what there is of a single seed as it is."""
    return columns[0] if len(columns) == 1 else torch.stack(list(columns))
