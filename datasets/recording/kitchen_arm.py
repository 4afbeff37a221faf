"""FrankaKitchen's arm, moved by its joint velocities alone: inverse kinematics, and motions made of actions.

A motion is a generator: it yields one action a step and reads the simulator's state again after each, so whoever plays
it decides what is added to an action, and when the episode is over.
"""

from collections.abc import Iterator

import gymnasium
import mujoco
import numpy as np

from ..trajectories import Array

Motion = Iterator[Array]  # of (9,) actions: seven joints, two fingers

ARM = 7
# Radians: the range of the joints, but for a margin that keeps the damped solution off the stops.
LOWER = np.array([-2.85, -1.74, -2.85, -3.02, -2.85, 0.02, -2.85])
UPPER = np.array([2.85, 1.74, 2.85, -0.42, 2.85, 2.09, 2.85])
RADIANS_PER_STEP = 0.16  # an action of 1 asks for 2 rad/s, and a step lasts 0.08 s
SERVO_GAIN = 2.0  # the position servo covers about half of the way it is asked for within a step
DAMPING = 1e-3  # of the least squares: added to the eigenvalues of J J^T
TURNING = 0.35  # how many metres an error of one radian weighs as much as
OPEN = 1.0
CLOSED = -1.0


def facing(yaw: float = 0.0) -> Array:
    """The rotation (3, 3) of a hand that is upright, approaches along +y and is turned by `yaw` radians towards -x.

    The columns are the axes of the site `end_effector` in the world: up, the way the fingers open, the way it points.
    """
    cos = np.cos(yaw)
    sin = np.sin(yaw)
    return np.array([[0.0, cos, -sin], [0.0, sin, cos], [1.0, 0.0, 0.0]])


class Arm:
    """The arm of one environment; all that is random in its motions is added by whoever plays them."""

    def __init__(self, env: gymnasium.Env, speed: float = 1.0) -> None:
        self.model = env.unwrapped.model
        self.data = env.unwrapped.data  # type: ignore[attr-defined]
        self.speed = speed  # multiplies every joint's turn in a step
        self._kinematics = Kinematics(self.model)
        self._site = self._kinematics.site
        self._stiffness = self.model.actuator_gainprm[:ARM, 0].copy()
        self._posture = self.joints  # where the joints are drawn to as far as the hand's motion leaves them free

    @property
    def joints(self) -> Array:
        """The joints' angles (7,) in radians."""
        return np.array(self.data.qpos[:ARM])

    @property
    def position(self) -> Array:
        """The point (3,) between the fingers in metres, 4 cm behind their tips."""
        return np.array(self.data.site_xpos[self._site])

    @property
    def orientation(self) -> Array:
        """The hand's rotation (3, 3), as `facing` gives it."""
        return np.array(self.data.site_xmat[self._site]).reshape(3, 3)

    @property
    def opening(self) -> float:
        """Metres between the fingers' insides."""
        return float(self.data.qpos[ARM] + self.data.qpos[ARM + 1])

    def take_posture(self, posture: Array, point: Array, facing: Array, grip: float, steps: int = 40) -> Motion:
        """Turn all joints until the hand is at the point; `posture` (7,) is a solution near by, from `find_posture`."""
        posture, _ = self._kinematics.solve(posture, point, facing, iterations=40)
        self._posture = posture
        for _ in range(steps):
            turn = posture - self.joints
            yield self._action(turn, grip)
            if np.abs(posture - self.joints).max() < 0.07:
                return

    def pass_by(self, posture: Array, grip: float, tolerance: float = 0.5, steps: int = 25) -> Motion:
        """Turn all joints until each is `tolerance` radians of the posture (7,), without a stop there."""
        for _ in range(steps):
            turn = posture - self.joints
            if np.abs(turn).max() < tolerance:
                return
            yield self._action(turn, grip)

    def reach(self, point: Array, facing: Array, grip: float, tolerance: float, steps: int) -> Motion:
        """Move the hand in a straight line until it is within `tolerance` metres of the point, for `steps` at most."""
        for _ in range(steps):
            yield self.towards(point, facing, grip)
            if np.linalg.norm(point - self.position) < tolerance:
                return

    def hold(self, grip: float, steps: int) -> Motion:
        """Stay, and open or close the fingers."""
        point = self.position
        facing = self.orientation
        for _ in range(steps):
            yield self.towards(point, facing, grip)

    def back_off(self, distance: float, shift: Array, grip: float, steps: int = 14) -> Motion:
        """Withdraw the hand by `distance` metres against the way it points, and by `shift` (3,) in the world."""
        facing = self.orientation
        point = self.position - distance * facing[:, 2] + shift
        yield from self.reach(point, facing, grip, tolerance=0.035, steps=steps)

    def towards(self, point: Array, facing: Array, grip: float, stride: float = 0.08) -> Array:
        """The action (9,) that brings the hand nearer to the point, by `stride` metres at most."""
        way = point - self.position
        way *= min(1.0, stride / (float(np.linalg.norm(way)) + 1e-9))
        turn = np.clip(rotation_between(self.orientation, facing), -0.3, 0.3)
        return self._action(self._joint_turns(np.concatenate([way, TURNING * turn])), grip)

    def _joint_turns(self, error: Array) -> Array:
        """Radians (7,) for a motion (6,) of the hand; joints that would leave their range are left out."""
        jacobian = self._kinematics.jacobian(self.data)
        joints = self.joints
        free = np.ones(ARM)
        turns = np.zeros(ARM)
        for _ in range(3):
            used = jacobian * free
            inverse = used.T @ np.linalg.inv(used @ used.T + DAMPING * np.eye(6))
            drawn = 0.05 * (self._posture - joints)
            turns = inverse @ error + free * (drawn - inverse @ (used @ drawn))
            leaving = ((joints + turns < LOWER + 0.01) & (turns < 0)) | ((joints + turns > UPPER - 0.01) & (turns > 0))
            if not (leaving & (free > 0)).any():
                break
            free[leaving] = 0.0
        return np.clip(turns, LOWER + 0.005 - joints, UPPER - 0.005 - joints)

    def _action(self, turns: Array, grip: float) -> Array:
        """The action (9,) for joint turns (7,); one that is out of reach is shortened, and keeps its direction."""
        sag = self.data.qfrc_bias[:ARM] / self._stiffness  # radians by which gravity pulls the servo off its target
        action = np.full(ARM + 2, grip)
        action[:ARM] = (self.speed * SERVO_GAIN * turns + sag) / RADIANS_PER_STEP
        action[:ARM] /= max(1.0, float(np.abs(action[:ARM]).max()))
        return action


class Kinematics:
    """The place of the hand for given joints, and joints for a place of the hand; a state of its own to try them in."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.data = mujoco.MjData(model)
        self.site = model.site("end_effector").id
        self._position = np.zeros((3, model.nv))
        self._rotation = np.zeros((3, model.nv))

    def jacobian(self, data: mujoco.MjData) -> Array:
        """The Jacobian (6, 7): metres, and radians times `TURNING`, of the hand per radian of a joint."""
        mujoco.mj_jacSite(self.model, data, self._position, self._rotation, self.site)
        return np.concatenate([self._position[:, :ARM], TURNING * self._rotation[:, :ARM]])

    def solve(self, joints: Array, point: Array, facing: Array, iterations: int) -> tuple[Array, bool]:
        """Joints (7,) that bring the hand there, by damped least squares from `joints`; whether they do, to 5 mm."""
        joints = np.array(joints)
        for _ in range(iterations):
            error = self._error(joints, point, facing)
            if np.linalg.norm(error[:3]) < 2e-3 and np.linalg.norm(error[3:]) < 0.02 * TURNING:
                break
            jacobian = self.jacobian(self.data)
            turns = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + DAMPING * np.eye(6), error)
            joints = np.clip(joints + np.clip(turns, -0.2, 0.2), LOWER, UPPER)
        error = self._error(joints, point, facing)
        return joints, bool(np.linalg.norm(error[:3]) < 5e-3 and np.linalg.norm(error[3:]) < 0.05 * TURNING)

    def _error(self, joints: Array, point: Array, facing: Array) -> Array:
        self.data.qpos[:ARM] = joints
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        turn = rotation_between(self.data.site_xmat[self.site].reshape(3, 3), facing)
        return np.concatenate([point - self.data.site_xpos[self.site], TURNING * turn])

    def find_posture(self, point: Array, facing: Array, reference: Array, objects: Array, tries: int = 60) -> Array:
        """The best joints (7,) for a place of the hand: away from stops, near `reference`, touching no object.

        `objects` (21,) are the positions of what stands in the kitchen. The starts are drawn from a fixed seed, so the
        same question has the same answer. Raises a `ValueError` if nothing brings the hand there.
        """
        rng = np.random.default_rng(0)
        found = []
        for number in range(tries):
            start = reference if number == 0 else rng.uniform(LOWER, UPPER)
            if 0 < number < tries // 2:
                start = np.clip(reference + rng.normal(0.0, 0.7, ARM), LOWER, UPPER)
            self.data.qpos[ARM + 2 :] = objects
            joints, reached = self.solve(start, point, facing, iterations=80)
            if reached:
                found.append((self._cost(joints, reference), joints.tolist()))
        if not found:
            raise ValueError(f"the hand can't be brought to {point}")
        return np.array(min(found)[1])

    def _cost(self, joints: Array, reference: Array) -> float:
        self.data.qpos[:ARM] = joints
        mujoco.mj_forward(self.model, self.data)
        margin = float(np.minimum(joints - LOWER, UPPER - joints).min())
        return float(np.abs(joints - reference).max()) + 5.0 * self._touches() + 3.0 * max(0.0, 0.15 - margin)

    def _touches(self) -> bool:
        contacts = [self.data.contact[number] for number in range(self.data.ncon)]
        bodies = [self.model.geom_bodyid[geom] for c in contacts if c.dist < -1e-3 for geom in (c.geom1, c.geom2)]
        return any("panda" in self.model.body(body).name for body in bodies)


def rotation_between(current: Array, target: Array) -> Array:
    """The axis (3,) of the turn from `current` (3, 3) to `target`; if the angle is small, as long as it in radians."""
    product = target @ current.T
    upper = np.array([product[2, 1], product[0, 2], product[1, 0]])
    lower = np.array([product[1, 2], product[2, 0], product[0, 1]])
    return np.asarray(0.5 * (upper - lower))
