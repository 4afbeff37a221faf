"""Reacher2d: a planar two-link arm whose tip has to reach a target and stay there (LaMo, App. C).

The dynamics are those of the MuJoCo model that LaMo and the Decision Transformer published, rebuilt for today's MuJoCo:
`assets/reacher2d.xml`. Contacts are off: the published model's only one presses on the shoulder's axis and moves
nothing. The published observation shows the tip as the integrator last saw it, up to 0.3 mm off; here it is where the
joint angles put it. Rewards are sparse: a step pays 1 when the tip is at the target and 0 otherwise.
"""

import math
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import mujoco
import numpy as np

from .trajectories import Array

ENV_ID = "lamobench/Reacher2d-v0"
HORIZON = 100  # environment steps in an episode
FRAME_SKIP = 15  # simulator steps of 0.01 s in an environment step
REACH = 0.1  # metres: the step is rewarded when |dx| + |dy| is below
START_ANGLE = 2.0  # radians: both joints start uniformly in (-2, 2)
RING = (0.5, 1.0)  # metres: the target lies uniformly in the ring between these radii


class Reacher2d(gymnasium.Env):  # type: ignore[misc]
    """Two torques move a two-link arm; the episode never terminates and is cut after 100 steps of 0.15 s.

    Action (2,) float32: torques at shoulder and elbow in newton metres, clipped to [-1, 1].
    Observation (12,) float32: sin q (2), cos q (2), 0.15 s * joint velocity (2), tip xy, target xy, tip minus target xy
    (metres), where q are the joint angles in radians (shoulder, elbow).

    All instances share one MuJoCo model; each holds its own simulation state, so many of them are cheap.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 7}  # one frame is 0.15 s

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 480) -> None:
        self.render_mode = render_mode
        self.width = width
        self.height = height
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (12,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._model = shared_model()
        self._data = mujoco.MjData(self._model)
        self._dt = FRAME_SKIP * self._model.opt.timestep
        self._tip = self._data.site("tip").xpos  # a view: it follows the simulation
        self._target = (0.0, 0.0)
        self._renderer: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Draw joint angles and a target, both from the environment's own generator; velocities are 0."""
        super().reset(seed=seed)
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = self.np_random.uniform(-START_ANGLE, START_ANGLE, 2)
        radius = math.sqrt(self.np_random.uniform(RING[0] ** 2, RING[1] ** 2))  # the root makes it uniform by area
        angle = self.np_random.uniform(-math.pi, math.pi)
        self._target = (radius * math.cos(angle), radius * math.sin(angle))
        self._data.mocap_pos[0, :2] = self._target  # seen in renderings only
        mujoco.mj_kinematics(self._model, self._data)
        return self._observe(), {}

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Apply two torques for 0.15 s; raises `ValueError` for torques that are not finite."""
        shoulder = float(action[0])
        elbow = float(action[1])
        if not (math.isfinite(shoulder) and math.isfinite(elbow)):
            raise ValueError(f"action {action} is not finite")  # MuJoCo would reset the simulation without a word
        self._data.ctrl[:] = shoulder, elbow  # the model clips them to [-1, 1]
        mujoco.mj_step(self._model, self._data, FRAME_SKIP)
        mujoco.mj_kinematics(self._model, self._data)  # mj_step leaves the tip where it was before its last addition
        observation = self._observe()
        distance = abs(self._tip[0] - self._target[0]) + abs(self._tip[1] - self._target[1])
        return observation, float(distance < REACH), False, False, {}

    def render(self) -> Array | None:
        """A picture (height, width, 3) uint8, from above; None unless `render_mode` is "rgb_array". Needs OpenGL."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self._model, self.height, self.width)
        mujoco.mj_camlight(self._model, self._data)  # after a reset, camera and light have no place yet
        self._renderer.update_scene(self._data, camera="above")
        image: Array = self._renderer.render()
        return image

    def close(self) -> None:
        """Free the renderer, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _observe(self) -> Array:
        (q0, q1) = self._data.qpos.tolist()
        (v0, v1) = self._data.qvel.tolist()
        x, y, _ = self._tip.tolist()
        target_x, target_y = self._target
        return np.array(
            (
                *(math.sin(q0), math.sin(q1), math.cos(q0), math.cos(q1)),
                *(self._dt * v0, self._dt * v1),
                *(x, y, target_x, target_y, x - target_x, y - target_y),
            ),
            np.float32,
        )


@lru_cache(maxsize=1)
def shared_model() -> mujoco.MjModel:
    """The compiled model; read-only by agreement, since every environment of the process uses it."""
    return mujoco.MjModel.from_xml_path(str(Path(__file__).parent / "assets" / "reacher2d.xml"))


gymnasium.register(ENV_ID, entry_point=f"{__name__}:Reacher2d", max_episode_steps=HORIZON)
