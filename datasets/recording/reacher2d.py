"""The player of Reacher2d: inverse kinematics and a PD controller; each episode has its own gain and white noise.

LaMo recorded a half-trained PPO agent of mean return 36 (App. C); neither its data nor its weights are at hand. This
player was tuned to the same mean on the seeds 1000 to 1019, 50 episodes each, which no recording uses. The ranges of
gain and noise were left as a pilot had them; of the dampings 0.1, 0.2, 0.3 and 0.4, whose mean returns are 31.4, 34.2,
36.8 and 39.0 (standard error 0.7), the nearest was taken. Fifty episodes still differ from draw to draw by a standard
error of 3, so the seed of the small data set was chosen as the catalog says; that of the large one was not.

A data set is a mixture of slow, hasty, steady and shaky players, so its returns spread widely (standard deviation about
21): a return tells how well its player played, which return conditioning needs. The noise is white: a pilot found that
noise which lasts over steps teaches a sequence model to copy its last action.
"""

import math

import gymnasium
import numpy as np

from ..trajectories import Array
from .part import Part

ALGORITHM = "inverse kinematics and PD, with a random gain and white noise per episode"

GAIN = (0.3, 2.5)  # newton metres per radian: uniform over episodes
NOISE = (0.0, 0.65)  # newton metres: standard deviation, uniform over episodes
DAMPING = 0.3  # newton metres per radian a second

# The arm, as in assets/reacher2d.xml: metres and radians.
UPPER = 0.6
LOWER = 0.45
ROTATION = 0.785
ELBOW_RANGE = (-2.0, 3.5)
STEP_SECONDS = 0.15


def play_episode(env: gymnasium.Env, grade: str, part: Part) -> None:
    """Play one episode; its start, the player's gain and its noise follow from the part's seed. One grade: "medium"."""
    env_seed, player_seed = (int(s) for s in np.random.SeedSequence(part.seed).generate_state(2))
    rng = np.random.default_rng(player_seed)
    gain = rng.uniform(*GAIN)
    noise = rng.uniform(*NOISE)
    observation, _ = env.reset(seed=env_seed)
    over = False
    while not over:
        torques = control(observation, gain) + noise * rng.standard_normal(2)
        action = np.clip(torques, -1.0, 1.0).astype(np.float32)
        observation, _, terminated, truncated, _ = env.step(action)
        over = terminated or truncated


def control(observation: Array, gain: float) -> Array:
    """The torques (2,) float64 of the noiseless PD controller, not clipped."""
    velocity = observation[4:6].astype(np.float64) / STEP_SECONDS
    return gain * np.array(joint_errors(observation)) - DAMPING * velocity


def joint_errors(observation: Array) -> tuple[float, float]:
    """The angles that shoulder and elbow have to turn, in radians, for the tip to reach the target.

    The elbow can bend either way, and both ways lie inside its range for every target of the ring; the one whose larger
    turn is smaller is taken. The shoulder takes the shorter way round; the elbow can't, as its limits are in between.
    """
    sin_shoulder, sin_elbow, cos_shoulder, cos_elbow, *_, target_x, target_y, _, _ = observation.tolist()
    shoulder = math.atan2(sin_shoulder, cos_shoulder)
    elbow = _elbow_angle(sin_elbow, cos_elbow)
    cosine = (target_x**2 + target_y**2 - UPPER**2 - LOWER**2) / (2 * UPPER * LOWER)
    bend = math.acos(min(1.0, max(-1.0, cosine)))
    candidates = []
    for relative in (bend, -bend):  # the lower link's direction, seen from the upper one
        inner = math.atan2(LOWER * math.sin(relative), UPPER + LOWER * math.cos(relative))
        upper_direction = math.atan2(target_y, target_x) - inner
        turn = math.remainder(upper_direction - ROTATION - shoulder, 2 * math.pi)
        candidates.append((turn, relative + ROTATION - elbow))
    return min(candidates, key=lambda errors: max(abs(errors[0]), abs(errors[1])))


def _elbow_angle(sine: float, cosine: float) -> float:
    """The elbow's angle within its range, which is less than a full turn, so that sine and cosine decide it."""
    angle = math.atan2(sine, cosine)
    forbidden = (ELBOW_RANGE[0] + ELBOW_RANGE[1] - 2 * math.pi) / 2  # the middle of the angles that the limits exclude
    return angle if angle > forbidden else angle + 2 * math.pi
