"""Budgets and settings of each profile, and the parts of each method. Light: no heavy imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...baselines.fields import Count, Episodes
from ...datasets.games.tasks import FEW, GameTask
from ..runs.methods import look_up

LANGUAGE_MODEL = "minilm"  # unless --lm names another
WORDS_MODEL = "gpt2-mini"  # likewise, of an agent that has to predict words
GLOVE = "glove"  # in the place of a language model's name
PUBLISHED = "gruppi2024"
HARD = "-hard"  # how the names of families end whose games are long


@dataclass(frozen=True)
class Parts:
    """The parts of a method; which weights its encoder has stands in its row of `runs/method_tables/text.py`."""

    agent: str  # a kind of agents with the same settings; "random" and "gold" learn nothing
    encoder: str = ""  # "hash", "glove", or "lm", the language model
    adaptation: str = "fixed"  # what of the language model is trained
    like: str = ""  # the method whose chosen settings it has, but for its own: controls have those of what they control


PARTS = {
    "random": Parts("random"),
    "gold": Parts("gold"),
    "drrn-hash": Parts("drrn", "hash"),
    "drrn-glove": Parts("drrn", "glove"),
    "drrn-glove-random": Parts("drrn", "glove", like="drrn-glove"),
    "drrn-glove-permuted": Parts("drrn", "glove", like="drrn-glove"),
    "drrn-fixed": Parts("drrn", "lm"),
    "drrn-fixed-random": Parts("drrn", "lm", like="drrn-fixed"),
    "drrn-fixed-permuted": Parts("drrn", "lm", like="drrn-fixed"),
    # What is trained begins as `drrn-fixed`, and whatever holds it trains the same layers as `drrn-top-k`.
    **{f"drrn-{name}": Parts("drrn", "lm", name, like="drrn-fixed") for name in ("top-k", "lora", "full")},
    **{
        f"drrn-{name}": Parts("drrn", "lm", name, like="drrn-top-k")
        for name in ("warm-head", "l2-init", "distill", "ewc")
    },
    "drrn-top-k-random": Parts("drrn", "lm", "top-k", like="drrn-top-k"),
    "actor-critic-hash": Parts("actor-critic", "hash"),
    "actor-critic-fixed": Parts("actor-critic", "lm"),
    "actor-critic-top-k": Parts("actor-critic", "lm", "top-k", like="actor-critic-fixed"),
    "text-bc-hash": Parts("text-bc", "hash"),
    "text-bc-fixed": Parts("text-bc", "lm"),
    "text-lamo": Parts("text-lamo", "lm", "lora"),
    "text-lamo-random": Parts("text-lamo", "lm", "lora", like="text-lamo"),
}


def controlled(method: str) -> str:
    """The method whose pre-trained weights a control replaces; "" of other methods."""
    return "" if look_up(method).weights in ("", "pretrained") else PARTS[method].like


@dataclass(frozen=True)
class Budget:
    """The length of a run, and how it is measured."""

    steps: Count  # of all games together; of recorded games, of the optimiser
    evaluate_every: Count  # steps between evaluations; there is one before the first step too
    evaluation_episodes: Episodes  # on the games it learns from, as they are
    view_episodes: Episodes  # of each split in each view, in the last evaluations
    headline_evaluations: Count = 3  # of these; Q-learning goes up and down


@dataclass(frozen=True)
class Profile:
    """All that a profile decides."""

    few: Budget  # where there are `FEW` games to learn from, and not hard ones: those are hardly begun by then
    many: Budget
    recorded: Budget  # where these were played by others
    policies: Mapping[str, dict[str, Any]] = field(default_factory=dict)  # settings of agents, where not the defaults
    # By method: settings of the agent, and "adaptation.NAME", that `lamobench tune` chose; for what is `like` it, too.
    chosen: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    warm_up: float = 0.3  # share of the updates of `warm-head` in which the language model stands still

    def budget(self, task: GameTask, *, recorded: bool) -> Budget:
        """The budget of a task."""
        if recorded:
            return self.recorded
        return self.few if task.games <= FEW and not task.family.name.endswith(HARD) else self.many

    def settings(self, method: str) -> dict[str, Any]:
        """The settings of a method, where not its agent's defaults."""
        parts = PARTS[method]
        inherited = self.settings(parts.like) if parts.like else self.policies.get(parts.agent, {})
        return inherited | self.chosen.get(method, {})


ONLINE_CPU = {
    "learning_rate": 1e-3,
    "batch_size": 16,
    "environments": 1,
    "update_every": 4,
    "target_every": 25,
}
# Cloning does not go up and down: one evaluation at the end is enough, and a language model that reads each move anew
# takes seconds for a game.
RECORDED = Budget(steps=600, evaluate_every=200, evaluation_episodes=50, view_episodes=50, headline_evaluations=1)
# LaMo, Table 7, for D4RL tasks.
CONTINUING: dict[str, Any] = {"adaptation.rank": 16, "adaptation.alpha": 32.0}

PROFILES = {
    "cpu": Profile(
        few=Budget(steps=3000, evaluate_every=300, evaluation_episodes=50, view_episodes=50),
        many=Budget(steps=6000, evaluate_every=600, evaluation_episodes=50, view_episodes=50),
        recorded=RECORDED,
        policies={
            # T: of 0.05 to 0.3, on seed 1000 with hashes: above it too little is repeated.
            "drrn": ONLINE_CPU | {"temperature": 0.1},
            "actor-critic": ONLINE_CPU,
            "text-lamo": CONTINUING,
        },
        # Of results/text/tidy-medium/tuning and tuning-rates.
        chosen={
            "drrn-hash": {"temperature": 0.05},
            "drrn-glove": {"temperature": 0.1},
            "drrn-fixed": {"temperature": 0.05, "learning_rate": 3e-4},
            "actor-critic-hash": {"learning_rate": 3e-4, "entropy": 0.1},
            "actor-critic-fixed": {"learning_rate": 1e-4, "entropy": 0.1},
            "drrn-top-k": {"encoder_learning_rate": 1e-5},
            "drrn-lora": {"encoder_learning_rate": 1e-3},
            "actor-critic-top-k": {"encoder_learning_rate": 1e-5},
        },
    ),
    # 100,000 steps of 8 games side by side, and the agent's own defaults.
    PUBLISHED: Profile(
        few=Budget(steps=800_000, evaluate_every=40_000, evaluation_episodes=50, view_episodes=50),
        many=Budget(steps=800_000, evaluate_every=40_000, evaluation_episodes=50, view_episodes=50),
        recorded=RECORDED,  # nothing of the kind was published
        policies={"text-lamo": CONTINUING},
    ),
}
