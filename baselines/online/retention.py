"""Retention: methods that keep an agent from forgetting what its policy pi* could do before it was fine-tuned.

The methods of "Fine-tuning Reinforcement Learning Models is Secretly a Forgetting Mitigation Problem" (Wołczyk et al.
2024, arXiv 2402.02868), behind one interface for all agents, and a control. They bind the actor; the critic is never
bound. Divergences are KL(pi*, pi): the paper's Appendix C.2 once prints the reverse, its other text and code do not.
Shapes: N seeds, B batch, M rows of the memory, S observation. A row is a step; of a recurrent policy, several in a row.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..fields import Amount, Count, Share
from .actors import Actor
from .fisher import batch_fisher, fisher_information
from .replay import ReplayBuffer
from .sequences import SequenceMemory
from .transitions import Transitions, Visited

Memory = Transitions | SequenceMemory  # rows are steps, or stretches of them


@dataclass(frozen=True)
class RetentionConfig:
    """Nothing is retained."""


class Retention:
    """Plain fine-tuning, and what every method is asked.

    What `prepare` finds follows from pi*, memory and generator alone: a run that goes on prepares again.
    """

    def __init__(self, config: Any) -> None:
        self.config = config

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Look at pi*, once, before the first update; `memory` are M rows on which it was trained."""

    def seed(self, buffer: ReplayBuffer, memory: Transitions) -> None:
        """Put what is to be kept into the empty buffer of an agent that has one."""

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the term of the actor's loss in its update number `step`, from 0; a generator for each of N seeds."""
        return torch.zeros(())

    def after_step(self, actor: Actor, optimizer: torch.optim.Optimizer) -> None:
        """Correct the actor after its optimiser moved it."""


@dataclass(frozen=True)
class BehavioralCloningConfig:
    """The paper's "BC"; coefficients are chosen for each environment."""

    coefficient: Amount = 1.0  # RoboticSequence 1; NetHack 2
    batch_size: Count = 128  # states of the memory in each update; RoboticSequence's batch


class BehavioralCloning(Retention):
    """KL(pi*, pi) at states on which pi* was trained."""

    config: BehavioralCloningConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep the states, and what pi* does there."""
        self.memory = memory
        with torch.no_grad():
            self.teacher = actor.distribution(memory.observations, memory.stages)

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Take states from the memory, with replacement; all of them where they are no more than a batch."""
        rows = self._rows(generators)
        student = actor.distribution(self.memory.observations[rows], self.memory.stages[rows])
        taught = self.teacher.rows(self.memory.steps_of(rows))
        return self.config.coefficient * taught.kl(student).mean(-1).sum()

    def _rows(self, generators: Sequence[torch.Generator]) -> Tensor:
        """(B,), or (N, B) for several seeds."""
        count = len(self.memory)
        size = self.config.batch_size
        if count <= size:
            drawn = [torch.arange(count)] * len(generators)
        else:
            drawn = [torch.randint(count, (size,), generator=generator) for generator in generators]
        return torch.stack(drawn) if len(drawn) > 1 else drawn[0]


@dataclass(frozen=True)
class KickstartingConfig:
    """The paper's "KS"."""

    coefficient: Amount = 0.5  # of the first update; NetHack, as the paper has it (its code: 0.75)
    decay: Share = 0.99998  # the coefficient's factor from update to update; NetHack
    floor: Amount = 0.0  # what the coefficient never falls below; NetHack's code: 0.33
    untaught: bool = False  # whether states count whose head pi* never trained, and which has nothing to teach


class Kickstarting(Retention):
    """KL(pi*, pi) at states that the student visits."""

    config: KickstartingConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep pi*, and which heads it trained: those of the memory's stages; one head for all is trained."""
        self.teacher = copy.deepcopy(actor).requires_grad_(False)
        heads = actor.heads
        self.taught = torch.ones(heads, dtype=torch.bool)
        if heads > 1 and not self.config.untaught:
            self.taught = torch.isin(torch.arange(heads), memory.stages)

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The mean over visited states, of which those that count for nothing are zero."""
        coefficient = max(self.config.floor, self.config.coefficient * self.config.decay**step)
        with torch.no_grad():
            teacher = self.teacher.distribution(visited.observations, visited.stages)
        apart = teacher.kl(visited.student)
        if not bool(self.taught.all()):
            apart = apart * self.taught[visited.stages]
        return coefficient * visited.mean(apart).sum()


@dataclass(frozen=True)
class AnchoredConfig:
    """A quadratic pull towards the weights of pi*."""

    coefficient: Amount = 1.0
    # "penalty": a term of the loss, as published. "proximal": after each step of the optimiser, the exact minimum of
    # the pull and the distance to where the optimiser went, measured as it measures: it has the penalty's stationary
    # points, and holds at any coefficient, where Adam makes steps of one size of any gradient.
    step: Literal["penalty", "proximal"] = "proximal"


class Anchored(Retention):
    """The sum over the trunk's parameters of F (theta* - theta)^2, with an importance F of each."""

    config: AnchoredConfig

    def prepare(self, actor: Actor, memory: Memory, generator: torch.Generator) -> None:
        """Keep the weights, and how important each is."""
        self.anchor = {name: parameter.detach().clone() for name, parameter in actor.trunk().items()}
        self.importance = self.find_importance(actor, memory, generator)

    def find_importance(self, actor: Actor, memory: Memory, generator: torch.Generator) -> dict[str, Tensor]:
        """F of each parameter of the trunk, by name: 1."""
        return {name: torch.ones_like(value) for name, value in self.anchor.items()}

    def penalty(self, actor: Actor) -> Tensor:
        """The sum, without the coefficient; over all seeds."""
        return anchor_penalty(actor.trunk(), self.anchor, self.importance)

    def loss(self, actor: Actor, visited: Visited, step: int, generators: Sequence[torch.Generator]) -> Tensor:
        """The penalty, unless it is dealt with after the step."""
        if self.config.step == "proximal":
            return torch.zeros(())
        return self.config.coefficient * self.penalty(actor)

    def after_step(self, actor: Actor, optimizer: torch.optim.Optimizer) -> None:
        """Go back towards the anchor, by the share c / (1 + c) of the way, c = 2 * coefficient * F * step size."""
        if self.config.step == "proximal":
            pull_back(actor.trunk(), self.anchor, self.importance, self.config.coefficient, optimizer)


@dataclass(frozen=True)
class ElasticWeightsConfig(AnchoredConfig):
    """The paper's "EWC"."""

    coefficient: Amount = 100.0  # RoboticSequence; NetHack 2e6
    states: Count = 2560  # of the memory, that the Fisher information is the mean over; Continual World's code
    least: Amount = 1e-5  # which it is raised to; Continual World's code
    # Whether it is divided by its mean over the parameters, so that a coefficient means the same for another network.
    normalised: bool = False
    # "exact": the expectation over actions is taken in full. "batch": as the paper's NetHack code has it, for discrete
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
            found = batch_fisher(actor, observations, stages, batch_size=max(1, 128 // memory.length))
        else:
            found = fisher_information(actor, observations, stages)
        if self.config.normalised:
            mean = torch.cat([value.flatten() for value in found.values()]).mean()
            found = {name: value / mean for name, value in found.items()}
        return {name: value.clamp(min=self.config.least) for name, value in found.items()}


@dataclass(frozen=True)
class EpisodicMemoryConfig:
    """The paper's "EM"."""

    share: Share = 0.1  # of the buffer; RoboticSequence: 10,000 of 100,000


class EpisodicMemory(Retention):
    """Transitions of pi* in a part of the replay buffer that is never overwritten. No loss."""

    config: EpisodicMemoryConfig

    def seed(self, buffer: ReplayBuffer, memory: Transitions) -> None:
        """Protect the first of them, which are of all stages alike: a share of the buffer, or as many as there are."""
        count = min(len(memory), int(self.config.share * buffer.capacity))
        buffer.protect(memory.rows(slice(0, count)))


@dataclass(frozen=True)
class RetentionMethod:
    """A row of `RETENTIONS`."""

    title: str
    build: type[Retention]
    config: type[Any]  # of its settings, all of which have defaults
    replay: bool = False  # whether it is for agents with a replay buffer alone


RETENTIONS = {
    "none": RetentionMethod("fine-tuning", Retention, RetentionConfig),
    "bc": RetentionMethod("behavioural cloning", BehavioralCloning, BehavioralCloningConfig),
    "ks": RetentionMethod("kickstarting", Kickstarting, KickstartingConfig),
    "ewc": RetentionMethod("elastic weight consolidation", ElasticWeights, ElasticWeightsConfig),
    "em": RetentionMethod("episodic memory", EpisodicMemory, EpisodicMemoryConfig, replay=True),
    "l2-init": RetentionMethod("pull towards the first weights", Anchored, AnchoredConfig),
}


def step_sizes(optimizer: torch.optim.Optimizer) -> dict[Tensor, Tensor | float]:
    """Return the factor of each entry of a parameter's gradient, or of its running mean, in the optimiser's next step.

    0 for a parameter that Adam has not moved yet.
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
    parameters: Mapping[str, nn.Parameter], anchor: Mapping[str, Tensor], importance: Mapping[str, Tensor]
) -> Tensor:
    """The sum over parameters, by name, of importance * (anchor - parameter)^2."""
    terms = [(importance[name] * (anchor[name] - now).square()).sum() for name, now in parameters.items()]
    return torch.stack(terms).sum()


@torch.no_grad()
def pull_back(
    parameters: Mapping[str, nn.Parameter],
    anchor: Mapping[str, Tensor],
    importance: Mapping[str, Tensor],
    coefficient: float,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Move parameters, after the optimiser's step, by c / (1 + c) of the way back to the anchor.

    c = 2 * coefficient * importance * step size: the exact minimum of the penalty and of the distance to where the
    optimiser went, measured as it measures.
    """
    sizes = step_sizes(optimizer)
    for name, parameter in parameters.items():
        pull = 2.0 * coefficient * importance[name] * sizes[parameter]
        parameter.lerp_(anchor[name], pull / (1.0 + pull))
