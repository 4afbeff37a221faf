"""Atari 2600 games as the offline data sets have them: frames of 84 x 84 grey levels, one every four of the emulator's.

The environment gives single frames, as DQN replay stores them. Whoever looks at several at once stacks them: the
samplers (`windows.py`) and the evaluation, both with black frames before the first.
"""

from typing import Any

import ale_py
import gymnasium
from gymnasium.wrappers import AtariPreprocessing

from .tasks import Task

FRAME_SKIP = 4  # emulator frames an action lasts; a frame is the maximum of the last two (Mnih et al. 2015)
NOOPS = 30  # an episode begins with 1 to 30 emulator frames of doing nothing, drawn by the seed


def make_atari(task: Task, **options: Any) -> gymnasium.Env:
    """The environment of an Atari task: (84, 84) uint8 frames, unclipped rewards, terminated when the game is over."""
    if task.env_id not in gymnasium.registry:
        gymnasium.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # or every process prints the emulator's banner
    emulator = gymnasium.make(
        task.env_id,
        frameskip=1,
        repeat_action_probability=task.sticky_actions,
        max_episode_steps=-1,  # the emulator's frames are not the agent's steps; the limit is set below
        **options,
    )
    env = AtariPreprocessing(emulator, noop_max=NOOPS, frame_skip=FRAME_SKIP, screen_size=84)
    return gymnasium.wrappers.TimeLimit(env, task.horizon)
