"""Every task in stages, by name. Plain data, light to import: an environment's module is imported when it is made."""

import importlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import choose

if TYPE_CHECKING:
    from .stages import StagedEnvironment


@dataclass(frozen=True)
class AppleRetrievalOptions:
    """The options of AppleRetrieval; forgetting grows with the distance, and with a fainter signal."""

    distance: int = 20  # of the apple, in steps; the paper's M
    signal: float = 0.2  # size of the observation; the paper's c
    horizon: int = 100  # most steps of an episode; the paper's T


@dataclass(frozen=True)
class GridRelayOptions:
    """The options of GridRelay; forgetting grows with the goals of the room."""

    goals: int = 8  # of the room
    signal: float = 0.2  # size of the part of the observation that tells the rooms apart
    horizon: int = 80  # most steps in a room


@dataclass(frozen=True)
class RoboticSequenceOptions:
    """The options of RoboticSequence: the paper's four stages, of which a policy knows the last two."""

    stages: tuple[str, ...] = ("hammer", "push", "peg-unplug-side", "push-wall")  # any of Meta-World, without "-v3"
    known: tuple[int, ...] = (2, 3)  # numbers of the stages that a policy knows before: FAR
    horizon: int = 200  # actions in a stage; Appendix B.3
    repeat: int = 1  # times that an action is repeated
    bonus: float = 1.5  # of the reward with which a stage is done; the paper's beta
    reward_scale: float = 1.0  # which rewards are multiplied by
    shift: float = 0.0  # which is added to observations in stages that are not known; the paper's c, 0.01 to 10


@dataclass(frozen=True)
class NetHackOptions:
    """The options of NetHack: which games are played, and for how long."""

    recording: str = "nethack-autoascend"  # whose games lead deeper: FAR begins where they have come
    far_level: int = 4  # dungeon level on which FAR begins; the paper's
    horizon: int = 10_000  # most keys of an episode
    fixed_moon_phase: bool = True  # whether luck is the same on every date
    level_seed: int | None = None  # of the levels of all games; None: each game's own


@dataclass(frozen=True)
class StagedTask:
    """A task in stages, and the part of it that a policy knows before it is fine-tuned.

    An evaluation episode that goes through all stages returns 1 if every one of them succeeded, else 0. Of a task that
    is `scored` it returns what was paid, and success is a share of the score that counts as 100.
    """

    name: str
    environment: str  # module beside this one, and its class: "apple_retrieval:AppleRetrieval"
    options: Any  # a dataclass of what the environment is made with
    stages: tuple[str, ...]
    far: tuple[int, ...]  # later stages that pi* was trained on: success there can be forgotten
    trained: tuple[int, ...]  # stages on which pi* was trained, those of `far` at least
    horizon: int  # most steps of an episode, with the options as they are
    reference_scores: tuple[float, float] = (0.0, 1.0)
    score_source: str = "the share of episodes in which every stage succeeds"
    simulator: str = "numpy"  # the installed package whose version decides the environment's steps
    scored: bool = False  # whether an episode is worth its return, and stages are places to begin at

    def normalise(self, episode_return: Any) -> Any:
        """Success in per cent, of returns of any shape."""
        low, high = self.reference_scores
        return 100.0 * (episode_return - low) / (high - low)

    def with_options(self, options: Any) -> "StagedTask":
        """The task with options of the class of `self.options`, which may say what its stages are."""
        if isinstance(options, RoboticSequenceOptions):
            return _robotic_sequence(self.name, options)
        return replace(self, options=options)

    def make(self, options: Any = None) -> "StagedEnvironment":
        """An environment, with options of the class of `self.options`; a `UserError` for values that make no sense."""
        module, _, name = self.environment.partition(":")
        made: StagedEnvironment = getattr(importlib.import_module(f".{module}", __package__), name)(
            **vars(self.options if options is None else options)
        )
        return made


_APPLE = StagedTask(
    name="apple-retrieval",
    environment="apple_retrieval:AppleRetrieval",
    options=AppleRetrievalOptions(),
    stages=("to the apple", "back home"),
    far=(1,),
    trained=(1,),
    horizon=100,
)
_RELAY = StagedTask(
    name="grid-relay",
    environment="grid_relay:GridRelay",
    options=GridRelayOptions(),
    stages=("room", "maze"),
    far=(1,),
    trained=(1,),
    horizon=160,
)


def _robotic_sequence(name: str, options: RoboticSequenceOptions) -> StagedTask:
    """A sequence of Meta-World's tasks; pi* was trained on what it knows, and on nothing else."""
    return StagedTask(
        name=name,
        environment="robotic_sequence:RoboticSequence",
        options=options,
        stages=options.stages,
        far=options.known,
        trained=options.known,
        horizon=len(options.stages) * options.horizon,
        simulator="metaworld",
    )


_NETHACK = StagedTask(
    name="nethack-lite",
    environment="nethack_lite:NetHackLite",
    options=NetHackOptions(),
    stages=("start", "deep"),
    far=(1,),
    trained=(0, 1),
    horizon=10_000,
    reference_scores=(0.0, 1377.0),
    score_source="AutoAscend's mean score after 10,000 keys, in the 30 games of nethack-autoascend-pilot",
    simulator="nle",
    scored=True,
)
_WHOLE_GAME = 1_000_000  # keys: more than any game of a bot has
# The settings of a pilot: of its stages, a policy learns the first in minutes, and the second is soon forgotten.
_TWO = RoboticSequenceOptions(("handle-press", "push-wall"), known=(1,), horizon=40, repeat=4, reward_scale=0.1)
STAGED_TASKS = {
    task.name: task
    for task in (
        _APPLE,
        _RELAY,
        replace(_RELAY, name="grid-relay-cloned", trained=(0, 1)),  # all of it known, but not well: a cloning gap
        _robotic_sequence("robotic-sequence-2", _TWO),
        _robotic_sequence("robotic-sequence", RoboticSequenceOptions()),
        _NETHACK,
        replace(
            _NETHACK,
            name="nethack-score",
            options=NetHackOptions(horizon=_WHOLE_GAME),
            horizon=_WHOLE_GAME,
            reference_scores=(0.0, 12_050.0),
            score_source="AutoAscend's mean score in the 4 games of nethack-autoascend-small",
        ),
    )
}


def find_staged_task(name: str) -> StagedTask:
    """The task of that name; a `UserError` names the valid ones."""
    return STAGED_TASKS[choose("task in stages", name, list(STAGED_TASKS))]
