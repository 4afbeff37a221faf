"""What the arm can do in FrankaKitchen: one script for each sub-task.

A script is a motion made for the kitchen as it is found: the hand goes to a posture before the object, touches it, moves
it until it is where the environment wants it, and withdraws. Scripts read where the object is at every step, but nothing
of what came before, so they can follow each other in any order. `shift` (3,) metres moves the places that the hand
passes, which is what makes two demonstrations differ besides the noise of their actions.
"""

import functools
from collections.abc import Callable

import mujoco
import numpy as np

from ..kitchen import ELEMENTS, JOINTS
from ..trajectories import Array
from .kitchen_arm import CLOSED, OPEN, Arm, Kinematics, Motion, facing

# Metres in the world, and radians.
DOOR_HINGE, DOOR_BAR = np.array([-1.128, 0.455]), np.array([-0.642, 0.493, 1.792])  # of the microwave
KNOBS = {  # the axis, at the depth at which the fingertips meet the bar but not the disc behind it
    "bottom burner": np.array([-0.256, 0.602, 2.226]),
    "top burner": np.array([-0.256, 0.596, 2.340]),
}
KNOB_LEVER = 0.046  # above the axis: near the end of the bar, which the disc leaves free there
WELL_DONE = 0.24  # how near the microwave's door comes to where it is wanted; 0.3 is near enough

# Where the hand is before it touches anything, and its yaw.
ENTRIES: dict[str, tuple[tuple[float, float, float], float]] = {
    "microwave": ((-0.585, 0.34, 1.83), 0.2),
    "kettle": ((-0.269, 0.12, 1.72), 0.0),
    "bottom burner": ((-0.31, 0.47, 2.276), 0.0),
    "top burner": ((-0.33, 0.46, 2.39), 0.0),
    "light switch": ((-0.27, 0.44, 2.28), 0.0),
    "slide cabinet": ((-0.22, 0.44, 2.56), 0.0),
}
START = np.array([0.148, -1.74, 1.844, -2.477, 0.260, 0.713, 1.595])  # radians: the joints an episode begins with


@functools.lru_cache(maxsize=1)
def entry_postures(model: mujoco.MjModel) -> dict[str, Array]:
    """(7,) joints for each of the `ENTRIES`, near the start and clear of the kitchen; they depend on no episode."""
    kinematics, objects = Kinematics(model), np.array(model.qpos0[JOINTS:])
    return {
        name: kinematics.find_posture(np.array(point), facing(yaw), START, objects)
        for name, (point, yaw) in ENTRIES.items()
    }


def distance(arm: Arm, name: str) -> float:
    """How far the sub-task's object is from where it is wanted, as the environment measures it."""
    entries, wanted = ELEMENTS[name]
    return float(np.linalg.norm(arm.data.qpos[entries] - np.asarray(wanted)))


def open_microwave(arm: Arm, shift: Array) -> Motion:
    """Grasp the bar and pull it along the door's arc; the hand turns with the door, but by less."""

    def grasp(angle: float) -> tuple[Array, Array]:  # the hand's place and orientation when the door stands at `angle`
        hand = facing(0.3 + 0.3 * angle)
        return _door_bar(angle) + 0.005 * hand[:, 2], hand

    place, hand = grasp(_position(arm, "microwave"))
    if _position(arm, "microwave") > -0.1:
        yield from _enter(arm, "microwave", shift, OPEN)
    else:  # the door hides the way that the posture was made for
        yield from arm.reach(place - 0.13 * hand[:, 2], hand, OPEN, tolerance=0.02, steps=15)
    yield from arm.reach(place + 0.2 * shift, hand, OPEN, tolerance=0.02, steps=15)
    for _ in range(4):
        yield arm.towards(grasp(_position(arm, "microwave"))[0], hand, CLOSED)
    for _ in range(50):
        yield arm.towards(*grasp(max(_position(arm, "microwave") - 0.12, -0.9)), CLOSED, stride=0.1)
        if arm.opening < 0.012 or distance(arm, "microwave") < WELL_DONE:  # the fingers slipped off, or it is done
            break
    yield from arm.hold(OPEN, steps=3)
    yield from arm.back_off(0.10, np.zeros(3), OPEN)


def push_kettle(arm: Arm, shift: Array) -> Motion:
    """Push the kettle's body away, onto the back burner, with both fingers, and against its turning."""
    hand = facing()
    _, y, z = ENTRIES["kettle"][0]
    before = np.array([_position(arm, "kettle"), y, z]) + shift
    yield from arm.take_posture(entry_postures(arm.model)["kettle"], before, hand, OPEN)
    for _ in range(60):
        x, y, _, _, _, _, turned = arm.data.qpos[ELEMENTS["kettle"][0]]
        if y > 0.70:
            break
        aside = np.clip(1.4 * turned, -0.06, 0.06)  # a push beside the middle turns the kettle back
        yield arm.towards(np.array([x - aside, arm.position[1] + 0.06, 1.70]), hand, OPEN)
    yield from arm.back_off(0.12, np.array([0.0, 0.0, 0.02]), OPEN)


def turn_knob(arm: Arm, shift: Array, name: str) -> Motion:
    """Push the upper end of a burner's knob aside, towards +x, along its arc."""
    hand, axis = facing(), KNOBS[name]
    yield from _enter(arm, name, shift, CLOSED)
    yield from arm.reach(axis + [-0.05, 0.0, KNOB_LEVER] + 0.3 * shift, hand, CLOSED, tolerance=0.015, steps=25)
    for _ in range(40):
        if _position(arm, name) < -0.8:
            break
        angle = 0.2 - _position(arm, name)
        cos, sin = np.cos(angle), np.sin(angle)
        along, outwards = np.array([cos, 0.0, -sin]), np.array([sin, 0.0, cos])
        yield arm.towards(axis + KNOB_LEVER * outwards + 0.02 * along, hand, CLOSED, stride=0.06)
    yield from arm.back_off(0.12, np.array([-0.05, 0.0, 0.0]), CLOSED)


def switch_light(arm: Arm, shift: Array) -> Motion:
    """Push the lever aside, towards -x."""
    hand = facing()
    yield from _enter(arm, "light switch", shift, CLOSED)
    yield from arm.reach(np.array([-0.29, 0.575, 2.28]) + 0.5 * shift, hand, CLOSED, tolerance=0.02, steps=25)
    for _ in range(30):
        if _position(arm, "light switch") < -0.66:
            break
        yield arm.towards(np.array([arm.position[0] - 0.05, 0.575, 2.28]), hand, CLOSED, stride=0.06)
    yield from arm.back_off(0.12, np.array([0.05, 0.0, 0.0]), CLOSED)


def slide_cabinet(arm: Arm, shift: Array) -> Motion:
    """Push the handle aside, towards +x."""
    hand = facing()
    yield from _enter(arm, "slide cabinet", shift, CLOSED)
    yield from arm.reach(np.array([-0.19, 0.55, 2.58]) + 0.5 * shift, hand, CLOSED, tolerance=0.02, steps=25)
    for _ in range(50):
        if _position(arm, "slide cabinet") > 0.30:
            break
        yield arm.towards(np.array([arm.position[0] + 0.06, 0.55, 2.58]), hand, CLOSED)
    yield from arm.back_off(0.12, np.array([-0.05, 0.0, 0.0]), CLOSED)


SCRIPTS: dict[str, Callable[[Arm, Array], Motion]] = {
    "microwave": open_microwave,
    "kettle": push_kettle,
    "bottom burner": functools.partial(turn_knob, name="bottom burner"),
    "top burner": functools.partial(turn_knob, name="top burner"),
    "light switch": switch_light,
    "slide cabinet": slide_cabinet,
}


def _enter(arm: Arm, name: str, shift: Array, grip: float) -> Motion:
    point, yaw = ENTRIES[name]
    return arm.take_posture(entry_postures(arm.model)[name], np.array(point) + shift, facing(yaw), grip)


def _position(arm: Arm, name: str) -> float:
    """The first of the sub-task's positions: an angle in radians, or metres for the kettle (x) and the cabinet."""
    return float(arm.data.qpos[ELEMENTS[name][0].start])


def _door_bar(angle: float) -> Array:
    """(3,) where the bar of the microwave's door is when the door stands at `angle` radians, 0 being shut."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = DOOR_BAR[:2] - DOOR_HINGE
    return np.array([DOOR_HINGE[0] + cos * x - sin * y, DOOR_HINGE[1] + sin * x + cos * y, DOOR_BAR[2]])
