"""Faults of LaMo's published code, each an option that reproduces it alone, so that its cost can be measured.

Everything here is right by default; `--legacy NAME` puts one fault back. Line numbers are of the published code
(srzer/LaMo-2023 at 3e4fcc8) unless another project is named. Light: the command line's help reads this table.
What a fault does is in `faulty_data.py` (data and evaluation), `faulty_model.py` (the language model),
`faulty_policy.py` (the head) and, for the learning rate, at the end of this file; `best-target` in `runs/config.py`,
which keeps all targets, and `scores/collect.py`, which picks one.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...datasets.errors import UserError, choose
from ...datasets.tasks import Task
from .settings import LAMO_METHODS, SEQUENCE_METHODS


@dataclass(frozen=True)
class Fault:
    """One fault of the published code."""

    name: str
    summary: str  # what goes wrong
    published: str  # where
    signature: str  # what shows it in a run
    methods: tuple[str, ...] = SEQUENCE_METHODS  # those it can be in
    needs: str = ""  # what a task must have for it to make a difference, in words; "": nothing
    fits: Callable[[Task, bool], bool] = lambda task, discrete: True  # the same, of a task and of discrete actions


_ALL = (
    Fault(
        "shifted-episodes",
        "steps that end by time-out are left out, and a counter that starts one too late cuts the rest into episodes",
        "data/download_d4rl_datasets.py:16-61, on what D4RL's qlearning_dataset returns",
        "episodes end with the first step of the next one; of kitchen data the last demonstration is lost",
        needs="observations that are vectors",
        fits=lambda task, discrete: not task.frame_stack,
    ),
    Fault(
        "kitchen-counts",
        "training counts every satisfied sub-goal at each step, evaluation pays each sub-goal once",
        "D4RL's scripts/generation/generate_kitchen_datasets.py:73,91-95; experiment-d4rl/experiment.py:75-79",
        "returns-to-go in training exceed the number of sub-goals",
        needs="sub-goals",
        fits=lambda task, discrete: bool(task.sub_goals),
    ),
    Fault(
        "drop-best",
        "the episode with the highest return is never trained on",
        "experiment-d4rl/experiment.py:112,134-144",
        "one episode less, the one with the highest return",
    ),
    Fault(
        "no-positions",
        "GPT-2's position embeddings are left out, for trajectories and English alike",
        "experiment-d4rl/decision_transformer/models/trajectory_gpt2_LoRA.py:853,949-950",
        "no parameters are position embeddings, and the loss on English starts higher",
        methods=LAMO_METHODS,
    ),
    Fault(
        "tanh-logits",
        "logits of actions go through tanh",
        "experiment-atari/model.py:208",
        "no action is likelier than e / (e + (A - 1) / e): 0.711 of 4 actions, 0.596 of 6",
        needs="discrete actions",
        fits=lambda task, discrete: discrete,
    ),
    Fault(
        "cumulative-schedule",
        "the learning-rate schedule adds up counts of tokens that are sums already",
        "experiment-atari/core.py:38-44,170-171",
        "after the warm-up the learning rate falls and rises, faster and faster",
    ),
    Fault(
        "unclipped-evaluation",
        "training clips rewards, but evaluation takes unclipped ones off the target return",
        "experiment-atari/core.py:46-82, on the clipped rewards of d4rl-atari",
        "a reward of 4 takes 4 off the return-to-go of evaluation, and 1 in training",
        needs="clipped rewards",
        fits=lambda task, discrete: task.clip_rewards,
    ),
    Fault(
        "late-returns",
        "training leaves each step's own reward out of its return-to-go, evaluation does not",
        "experiment-atari/buffer.py:26; core.py:46-82",
        "the last step's return-to-go is 0 whatever it earned; each other one is that of the step after it",
    ),
    Fault(
        "padding-steps",
        "the rows of zeros that a replay buffer puts before each episode, to stack with its first frames, are steps",
        "experiment-atari/buffer.py:12-20, on what d4rl-atari reads from DQN replay",
        "each episode begins with 3 black steps of action 0, and its own first step has the timestep 3",
        needs="stacked frames",
        fits=lambda task, discrete: task.frame_stack > 1,
    ),
    Fault(
        "best-target",
        "of several target returns, the one that scored best is reported",
        "the first author on GitHub, srzer/LaMo-2023 issue 1, 6 March 2024",
        "all targets are played, and none scores higher than the one that is ranked",
        needs="several target returns",
        fits=lambda task, discrete: len(task.target_returns) > 1,
    ),
)
FAULTS = {fault.name: fault for fault in _ALL}


def check_legacy(names: Sequence[str], task: Task, method: str, *, discrete: bool) -> list[str]:
    """The faults by these names, each once and in the order of `FAULTS`; a `UserError` for one that does not apply."""
    for name in names:
        fault = FAULTS[choose("legacy option", name, list(FAULTS))]
        if method not in fault.methods:
            raise UserError(f"legacy '{name}' is no fault of method '{method}'; give one of {', '.join(fault.methods)}")
        if not fault.fits(task, discrete):
            able = [other.name for other in _ALL if method in other.methods and other.fits(task, discrete)]
            raise UserError(
                f"legacy '{name}' needs {fault.needs}, which task '{task.name}' has not; choose from: {', '.join(able)}"
            )
    return [name for name in FAULTS if name in names]


# experiment-atari/core.py and cfgs/config.yaml; three quarters of the actions are taken to be other than 0, which the
# published code does not count.
TOKENS_PER_STEP = 128 * 30 * 0.75
WARMUP_TOKENS = 375e6
FINAL_TOKENS = 260e9


def cumulative_factor(step: int, scale: float = 1.0) -> float:
    """The factor of the learning rate at `step`, from 0, under `cumulative-schedule`.

    Each step adds the number of all tokens so far, not its own, so the schedule's count grows with the square of the
    steps: the warm-up meant for all of training ends near step 510, and the half cosine that follows is run through
    again and again, never below 0.1. `scale` is how many published steps one step of this run stands for.
    """
    published = (step + 1) * scale
    tokens = TOKENS_PER_STEP * published * (published + 1) / 2
    if tokens < WARMUP_TOKENS:
        return tokens / WARMUP_TOKENS
    progress = (tokens - WARMUP_TOKENS) / (FINAL_TOKENS - WARMUP_TOKENS)
    return max(0.1, 0.5 * (1.0 + math.cos(math.pi * progress)))
