"""Every task by name: an environment, and what turns its returns into scores. Plain data, light to import."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from .json_files import from_fields

if TYPE_CHECKING:
    from .trajectories import Array

Returns = TypeVar("Returns", float, "Array")


@dataclass(frozen=True)
class Task:
    """An environment with everything that turns its returns into scores and steers a return-conditioned policy."""

    name: str
    env_id: str  # Gymnasium id
    simulator: str  # the installed package whose version decides the physics
    horizon: int  # environment steps after which an episode is cut
    reference_scores: tuple[float, float]  # the returns that score 0 and 100
    score_source: str  # who published the reference scores
    # Returns to condition on. The first one is ranked: fixed here before any training, never picked afterwards.
    target_returns: tuple[float, ...]
    return_scale: float  # returns-to-go are divided by this before a network sees them
    sub_goals: tuple[str, ...] = ()  # kitchen tasks: each pays 1 when it is done first, the last one ends the episode
    frame_stack: int = (
        0  # image tasks: how many of the newest frames a policy sees at once; 0: observations are vectors
    )
    # Learning sees rewards, and so returns-to-go and target returns, clipped to [-1, 1]; scores never are clipped.
    clip_rewards: bool = False
    sticky_actions: float = 0.0  # Atari: the probability that the emulator repeats its last action instead of the given
    # Of the task of an imported data set (`own_tasks.py`): the options of its environment, as JSON.
    env_options: str | None = None
    env_module: str = ""  # importing it registers that environment; named by the user, never by a data set
    # What the environment calls its first discrete action, and the box (A,) of actions that stands in for one that is
    # open somewhere (`actions.py`).
    action_start: int = 0
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()

    def normalise(self, episode_return: Returns) -> Returns:
        """The score of a return, or of each in an array: 0 and 100 at the reference returns, linear and not clipped."""
        low, high = self.reference_scores
        return 100.0 * (episode_return - low) / (high - low)


def task_from(entry: dict[str, Any]) -> Task:
    """A task from its fields as JSON has them, which knows lists only; a `ValueError` if one is missing or wrong."""
    return from_fields(Task, entry)


D4RL_SCORES = "D4RL, d4rl/infos.py: REF_MIN_SCORE and REF_MAX_SCORE"
NATURE_SCORES = "Mnih et al. 2015, Extended Data Table 2: random play and a professional human tester"


def _atari(name: str, rom: str, scores: tuple[float, float], targets: tuple[float, ...], return_scale: float) -> Task:
    """An Atari 2600 game as the Decision Transformer and LaMo evaluate it: no sticky actions; an episode is a game."""
    return Task(
        name=name,
        env_id=f"ALE/{rom}-v5",
        simulator="ale-py",
        horizon=4096,  # agent steps of four frames; LaMo, experiment-atari/core.py
        reference_scores=scores,
        score_source=NATURE_SCORES,
        target_returns=targets,
        return_scale=return_scale,
        frame_stack=4,
        clip_rewards=True,
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            name="reacher2d",
            env_id="lamobench/Reacher2d-v0",
            simulator="mujoco",
            horizon=100,
            reference_scores=(0.0, 100.0),
            score_source="LaMo, Table 5: the score is the return",
            target_returns=(76.0, 40.0),  # LaMo, Table 6; the higher one first, as in its code
            return_scale=10.0,
        ),
        # Why v5, when D4RL's data are of Gym's v2: v2 needs mujoco-py, which no longer installs, and v5 is the version
        # that Gymnasium maintains. Observations, actions and reward terms are v2's. What differs: the simulator (MuJoCo
        # 3 for 2.x), the step on which an agent falls no longer pays the survival bonus of 1, and Walker2d's right foot
        # has the friction of the left one. So a score here is not exactly one of mujoco-py's; the row's `env_id` and
        # `simulator` say so.
        Task(
            name="hopper",
            env_id="Hopper-v5",
            simulator="mujoco",
            horizon=1000,
            reference_scores=(-20.272305, 3234.3),
            score_source=D4RL_SCORES,
            target_returns=(3600.0, 1800.0),  # LaMo, Table 6
            return_scale=1000.0,
        ),
        Task(
            name="halfcheetah",
            env_id="HalfCheetah-v5",
            simulator="mujoco",
            horizon=1000,
            reference_scores=(-280.178953, 12135.0),
            score_source=D4RL_SCORES,
            target_returns=(12000.0, 8000.0),  # LaMo, Table 6
            return_scale=1000.0,
        ),
        Task(
            name="walker2d",
            env_id="Walker2d-v5",
            simulator="mujoco",
            horizon=1000,
            reference_scores=(1.629008, 4592.3),
            score_source=D4RL_SCORES,
            target_returns=(5000.0, 2500.0),  # LaMo, Table 6
            return_scale=1000.0,
        ),
        Task(
            name="ant",
            env_id="Ant-v5",
            simulator="mujoco",
            horizon=1000,
            reference_scores=(-325.6, 3879.7),
            score_source=D4RL_SCORES,
            target_returns=(3879.7,),  # none is published (LaMo's Table 11 names no target): the return that scores 100
            return_scale=1000.0,
        ),
        Task(  # of kitchen-complete and kitchen-partial, which differ in their demonstrations only
            name="kitchen",
            env_id="FrankaKitchen-v1",
            simulator="mujoco",
            horizon=280,
            reference_scores=(0.0, 4.0),
            score_source=D4RL_SCORES,
            target_returns=(4.0,),  # LaMo asks for 4 and 5 (Table 6), but a sub-goal pays once: 4 is all there is
            return_scale=1.0,
            sub_goals=("microwave", "kettle", "light switch", "slide cabinet"),
        ),
        Task(
            name="kitchen-mixed",
            env_id="FrankaKitchen-v1",
            simulator="mujoco",
            horizon=280,
            reference_scores=(0.0, 4.0),
            score_source=D4RL_SCORES,
            target_returns=(4.0,),
            return_scale=1.0,
            sub_goals=("microwave", "kettle", "bottom burner", "light switch"),
        ),
        # Target returns are sums of clipped rewards. LaMo's: Breakout 90, 120; Pong 10, 20 (Table 6). Its 14000 for
        # Qbert is a sum of unclipped ones, which no clipped episode comes near, so Qbert's and Seaquest's are the
        # Decision Transformer's (Table 8). None is published for Freeway, where 34 is as many chickens as can cross,
        # and Asterix, where it is the human tester's score in rewards of 50.
        _atari("breakout", "Breakout", (1.7, 31.8), (90.0, 120.0), 10.0),
        _atari("qbert", "Qbert", (163.9, 13455.0), (2500.0,), 100.0),
        _atari("pong", "Pong", (-20.7, 9.3), (20.0, 10.0), 10.0),
        _atari("seaquest", "Seaquest", (68.4, 20182.0), (1450.0,), 100.0),
        _atari("freeway", "Freeway", (0.0, 29.6), (34.0,), 10.0),
        _atari("asterix", "Asterix", (210.0, 8503.0), (170.0,), 10.0),
    )
}
