"""Render what a simulator's camera sees in the states that a data set's observations describe.

Nothing is simulated: joint positions are read off each observation, and the scene is drawn with them. The distance that
a locomotion robot has come is not in its observations, and is taken as 0.
"""

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import numpy as np

from .errors import UserError
from .processes import START_METHOD, follow_parent
from .tasks import TASKS, Task
from .trajectories import Array

BACKENDS = ("egl", "osmesa")  # values of MUJOCO_GL that need no display
KITCHEN_CAMERA = {
    "distance": 2.2,
    "azimuth": 70.0,
    "elevation": -35.0,
    "lookat": (-0.2, 0.5, 2.0),
}  # FrankaKitchen-v1's
KITCHEN_LIGHT = 0.65  # of the model's: without shadows all of it would bleach the worktop


def renderable(task: Task) -> bool:
    """Check whether `render` knows the task's scene."""
    return task.simulator == "mujoco" and task.name in TASKS


def render(task: Task, observations: Array, height: int, width: int) -> Array:
    """Pictures (N, height, width, 3) uint8 of the states that `observations` (N, S) describe.

    Drawn without shadows, which takes a tenth of the time in software, by a process of its own: the variable MUJOCO_GL
    has to be set before MuJoCo is imported, and a graphics driver that crashes takes its process along. It is left as
    it is if the user has set it. Raises a `UserError` if nothing on this machine can draw.
    """
    given = os.environ.get("MUJOCO_GL")
    problems = []
    for backend in (given,) if given else BACKENDS:
        with ProcessPoolExecutor(1, get_context(START_METHOD), _start_worker, (backend,)) as pool:
            try:
                problem = pool.submit(_problem).result()
                if not problem:
                    frames: Array = pool.submit(_render, task, np.asarray(observations), height, width).result()
                    return frames
            except BrokenProcessPool:
                problem = "its process died"
        problems.append(f"{backend}: {problem}")
    raise UserError(
        f"nothing here can draw a MuJoCo scene ({'; '.join(problems)}); install EGL or OSMesa (Debian, Ubuntu: libegl1 "
        "or libosmesa6), or set MUJOCO_GL to what the machine has"
    )


def joint_positions(task: Task, observations: Array) -> Array:
    """The simulator's joint positions (N, Q) float64 in the states that `observations` (N, S) describe."""
    if task.name == "reacher2d":
        return np.arctan2(observations[:, 0:2], observations[:, 2:4]).astype(np.float64)
    if task.sub_goals:
        return observations[:, :30].astype(np.float64)  # the robot's 9 and the objects' 21, see `kitchen.py`
    unseen, seen = {"hopper": (1, 5), "halfcheetah": (1, 8), "walker2d": (1, 8), "ant": (2, 13)}[task.name]
    return np.pad(observations[:, :seen].astype(np.float64), ((0, 0), (unseen, 0)))


def _start_worker(backend: str) -> None:
    os.environ["MUJOCO_GL"] = backend
    threading.Thread(target=follow_parent, daemon=True).start()


def _problem() -> str:
    """The reason why nothing can be drawn here; empty if it can be."""
    try:
        import mujoco

        mujoco.GLContext(8, 8).free()
    except Exception as error:  # each backend, and each way of lacking it, fails with an error of its own
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def _render(task: Task, observations: Array, height: int, width: int) -> Array:
    import mujoco

    model = _model(task)
    data = mujoco.MjData(model)
    renderer = mujoco.Renderer(model, height, width)
    for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
        renderer.scene.flags[flag] = False
    frames = []
    for positions, observation in zip(joint_positions(task, observations), observations, strict=True):
        data.qpos[:] = positions
        if task.name == "reacher2d":
            data.mocap_pos[0, :2] = observation[8:10]  # the target
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, camera=_camera(task))
        frames.append(renderer.render())
    renderer.close()
    return np.stack(frames)


def _model(task: Task) -> Any:
    if task.name == "reacher2d":
        from .reacher2d import shared_model

        return shared_model()
    from .environments.simulators import make_environment

    env: Any = make_environment(task).unwrapped
    model = env.model
    if task.sub_goals:
        model.light_diffuse *= KITCHEN_LIGHT
        model.vis.headlight.diffuse *= KITCHEN_LIGHT
    return model


def _camera(task: Task) -> Any:
    """The name of the model's camera, or one that stands where the environment's does."""
    if not task.sub_goals:
        return "above" if task.name == "reacher2d" else "track"
    import mujoco

    camera = mujoco.MjvCamera()
    for name, value in KITCHEN_CAMERA.items():
        setattr(camera, name, value)
    return camera
