"""Scripts of what the arm can do in FrankaKitchen: one for each of D4RL's seven sub-tasks.

A script works from any state of the kitchen: the hand goes to a posture before the object, touches it, moves it until
it is where the environment wants it, and withdraws. It reads where the object is at every step and remembers nothing of
the scripts before, so they can follow each other in almost any order. `shift` (3,) metres moves the places that the
hand passes: without it, two demonstrations would differ by noise alone.

The distances, leads and yaws were found by trying them in the simulator: with these, each script did its sub-task alone
in all of 24 episodes, with noises up to 0.11 and shifts of 1.2 cm.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import mujoco
import numpy as np

from ..kitchen import ELEMENTS, JOINTS
from ..trajectories import Array
from .kitchen_arm import CLOSED, OPEN, Arm, Kinematics, Motion, facing

# Metres in the world, and radians.
KNOBS = {  # the axis, at the depth at which the fingertips meet the bar but not the disc behind it
    "bottom burner": np.array([-0.256, 0.602, 2.226]),
    "top burner": np.array([-0.256, 0.596, 2.340]),
}
KNOB_LEVER = 0.046  # above the axis: near the end of the bar, which the disc leaves free there
WELL_DONE = 0.24  # how near a door is brought to where it is wanted; 0.3 is near enough

# Where the hand is before it touches anything, and its yaw.
ENTRIES: dict[str, tuple[tuple[float, float, float], float]] = {
    "microwave": ((-0.585, 0.34, 1.83), 0.2),
    "kettle": ((-0.269, 0.12, 1.72), 0.0),
    "bottom burner": ((-0.31, 0.47, 2.276), 0.0),
    "top burner": ((-0.33, 0.46, 2.39), 0.0),
    "light switch": ((-0.27, 0.44, 2.28), 0.0),
    "slide cabinet": ((-0.22, 0.44, 2.56), 0.0),
    "hinge cabinet": ((-0.48, 0.45, 2.60), 0.0),
}
COUNTER = 2.05  # a height: on its way past it the hand draws back first, or it shuts the microwave and tips the kettle
START = np.array([0.148, -1.74, 1.844, -2.477, 0.260, 0.713, 1.595])  # radians: the joints an episode begins with


@lru_cache(maxsize=1)
def entry_postures(model: mujoco.MjModel) -> dict[str, Array]:
    """Joints (7,) for each of the `ENTRIES`, near the start and clear of the kitchen; they depend on no episode."""
    kinematics = Kinematics(model)
    objects = np.array(model.qpos0[JOINTS:])
    return {
        name: kinematics.find_posture(np.array(point), facing(yaw), START, objects)
        for name, (point, yaw) in ENTRIES.items()
    }


@dataclass(frozen=True)
class Door:
    """A door with a bar to pull. Metres, and radians from shut, positive as it opens."""

    name: str
    entry: int  # of its angle in the state's positions
    direction: float  # the sign of that angle when it is open
    hinge: tuple[float, float]
    bar: tuple[float, float, float]  # when it is shut
    yaw: float  # of the hand when it is shut
    turning: float  # of the hand towards +x, per radian of the door
    depth: float  # how far the point between the fingers is beyond the bar
    lead: float  # how far ahead of the door the hand is sent
    steps: int  # at most, to pull

    def bar_at(self, opened: float) -> Array:
        """The place (3,) of the bar when the door stands open by an angle."""
        cos = np.cos(opened)
        sin = self.direction * np.sin(opened)
        x = self.bar[0] - self.hinge[0]
        y = self.bar[1] - self.hinge[1]
        return np.array([self.hinge[0] + cos * x - sin * y, self.hinge[1] + sin * x + cos * y, self.bar[2]])


MICROWAVE = Door(
    name="microwave",
    entry=22,
    direction=-1.0,
    hinge=(-1.128, 0.455),
    bar=(-0.642, 0.493, 1.792),
    yaw=0.3,
    turning=0.3,
    depth=0.005,
    lead=0.12,
    steps=50,
)
CABINET = Door(
    name="hinge cabinet",
    entry=21,
    direction=1.0,
    hinge=(-0.224, 0.71),
    bar=(-0.526, 0.583, 2.6),
    yaw=-0.15,
    turning=0.0,
    depth=-0.005,
    lead=0.15,
    steps=70,
)


def distance(arm: Arm, name: str) -> float:
    """The distance of the sub-task's object from where it is wanted, as the environment measures it."""
    entries, wanted = ELEMENTS[name]
    return float(np.linalg.norm(arm.data.qpos[entries] - np.asarray(wanted)))


def open_door(arm: Arm, shift: Array, door: Door) -> Motion:
    """Grasp a door's bar and pull it along its arc; the hand turns with the door, but by less."""

    def grasp(opened: float) -> tuple[Array, Array]:  # the hand's place and orientation when the door stands there
        hand = facing(door.yaw - door.turning * opened)
        return door.bar_at(opened) + door.depth * hand[:, 2], hand

    def opened() -> float:
        return door.direction * float(arm.data.qpos[door.entry])

    place, hand = grasp(opened())
    if opened() < 0.1:
        yield from _enter(arm, door.name, shift, OPEN)
    else:  # it stands where the posture was not made for
        yield from arm.reach(place - 0.13 * hand[:, 2], hand, OPEN, tolerance=0.02, steps=15)
    yield from arm.reach(place + 0.2 * shift, hand, OPEN, tolerance=0.02, steps=15)
    for _ in range(4):
        yield arm.towards(grasp(opened())[0], hand, CLOSED)
    for _ in range(door.steps):
        yield arm.towards(*grasp(opened() + door.lead), CLOSED, stride=0.1)
        if arm.opening < 0.012 or distance(arm, door.name) < WELL_DONE:  # the fingers slipped off, or it is done
            break
    yield from arm.hold(OPEN, steps=3)
    yield from arm.back_off(0.10, np.zeros(3), OPEN)


def push_kettle(arm: Arm, shift: Array) -> Motion:
    """Push the kettle's body away, onto the back burner, with both fingers, and against its turning."""
    hand = facing()
    moved = np.array([_position(arm, "kettle") - ENTRIES["kettle"][0][0], 0.0, 0.0])
    yield from _enter(arm, "kettle", shift + moved, OPEN)
    for _ in range(60):
        x, y, _, _, _, _, turned = arm.data.qpos[ELEMENTS["kettle"][0]]
        if y > 0.70:
            break
        aside = np.clip(1.4 * turned, -0.06, 0.06)  # a push beside the middle turns the kettle back
        yield arm.towards(np.array([x - aside, arm.position[1] + 0.06, 1.70]), hand, OPEN)
    yield from arm.back_off(0.12, np.array([0.0, 0.0, 0.02]), OPEN)


def turn_knob(arm: Arm, shift: Array, name: str) -> Motion:
    """Push the upper end of a burner's knob aside, towards +x, along its arc."""
    hand = facing()
    axis = KNOBS[name]
    yield from _enter(arm, name, shift, CLOSED)
    yield from arm.reach(
        axis + np.array([-0.05, 0.0, KNOB_LEVER]) + 0.3 * shift, hand, CLOSED, tolerance=0.015, steps=25
    )
    for _ in range(40):
        if _position(arm, name) < -0.8:
            break
        angle = 0.2 - _position(arm, name)
        cos = np.cos(angle)
        sin = np.sin(angle)
        along = np.array([cos, 0.0, -sin])
        outwards = np.array([sin, 0.0, cos])
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
    "microwave": partial(open_door, door=MICROWAVE),
    "kettle": push_kettle,
    "bottom burner": partial(turn_knob, name="bottom burner"),
    "top burner": partial(turn_knob, name="top burner"),
    "light switch": switch_light,
    "slide cabinet": slide_cabinet,
    "hinge cabinet": partial(open_door, door=CABINET),
}


def _enter(arm: Arm, name: str, shift: Array, grip: float) -> Motion:
    point, yaw = ENTRIES[name]
    if (arm.position[2] > COUNTER) != (point[2] > COUNTER):
        yield from arm.pass_by(START, grip)
    yield from arm.take_posture(entry_postures(arm.model)[name], np.array(point) + shift, facing(yaw), grip)


def _position(arm: Arm, name: str) -> float:
    """The first of the sub-task's positions: an angle in radians, or metres for the kettle (x) and the cabinet."""
    return float(arm.data.qpos[ELEMENTS[name][0].start])
