"""Actions in the form that learning needs: one rule for data sets and for the environments that made them.

Continuous actions are vectors (A,) in the action space's units: arrays of any shape are flattened. Discrete actions are
numbered from 0, wherever their space starts. A box is finite on every side: where a space leaves a side open, the
range of the data stands in for it (`ActionForm`).
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from .errors import UserError
from .trajectories import Array, Trajectories

FAR = 1e30  # a bound beyond it counts as none: float32 has no scale for such a box


@dataclass(frozen=True)
class ActionForm:
    """Facts that learning needs and an action space does not tell; stored with an imported data set's task."""

    start: int = 0  # what the space calls the first of its discrete actions
    low: tuple[float, ...] = ()  # (A,) the box that stands in for one that is open somewhere; () for all others
    high: tuple[float, ...] = ()


def check_actions(space: gymnasium.Space) -> None:
    """Refuse an action space that no method here has: one that is neither a box of real numbers nor discrete."""
    if isinstance(space, spaces.Discrete) or (isinstance(space, spaces.Box) and space.dtype.kind == "f"):
        return
    raise UserError(f"actions in {space}; expected a Box of real numbers or a Discrete space")


def plain_actions(space: gymnasium.Space, values: Any) -> Array:
    """Actions (T, A) float32 in a box, or (T,) int64 from 0 on where they are discrete; a `UserError` if unfit."""
    actions = np.asarray(values)
    if actions.shape[1:] != space.shape:
        raise UserError(f"actions have the shape {actions.shape[1:]}, but their space has {space.shape}")
    if isinstance(space, spaces.Discrete):
        numbers = actions - space.start
        wrong = np.flatnonzero((numbers < 0) | (numbers >= space.n) | (numbers != np.floor(numbers)))
        if len(wrong):
            last = space.start + space.n - 1
            raise UserError(f"action {actions[wrong[0]]} is none of {space}, which has {space.start} to {last}")
        labels: Array = numbers.astype(np.int64)
        return labels
    return actions.reshape(len(actions), -1).astype(np.float32)


def notes_on(space: gymnasium.Space) -> tuple[str, ...]:
    """Notes on how `plain_actions` changes what is stored, for a data set's `origin`; none where it does not."""
    if isinstance(space, spaces.Discrete):
        return (f"actions, stored from {space.start} on, numbered from 0",) if space.start else ()
    return (f"actions of shape {space.shape} as vectors",) if len(space.shape) != 1 else ()


def action_form(space: gymnasium.Space, trajectories: Trajectories) -> ActionForm:
    """The form to store of the action space that data will be evaluated in.

    Open sides of a box become the least or greatest of the data's actions. Raises a `UserError` if that leaves a
    dimension without width, for which there is no scale.
    """
    if isinstance(space, spaces.Discrete):
        return ActionForm(start=int(space.start))
    actions = np.asarray(trajectories.actions)
    open_low, open_high = (abs(bound).reshape(-1) > FAR for bound in (space.low, space.high))
    low = np.where(open_low, actions.min(0), space.low.reshape(-1)).astype(np.float32)
    high = np.where(open_high, actions.max(0), space.high.reshape(-1)).astype(np.float32)
    narrow = np.flatnonzero(~(low < high))
    if len(narrow):
        n = narrow[0]
        raise UserError(
            f"data set '{trajectories.provenance.dataset}': dimension {n} of its actions goes from {low[n]:g} to "
            f"{high[n]:g}, which is no range; where the environment's {space} is open, that is of the data"
        )
    is_open = bool((open_low | open_high).any())
    return ActionForm(low=tuple(low.tolist()), high=tuple(high.tolist())) if is_open else ActionForm()


def same_actions(first: gymnasium.Space, second: gymnasium.Space) -> bool:
    """Check whether actions of one space are also of the other: boxes of one shape, or the same discrete numbers."""
    if isinstance(first, spaces.Box) and isinstance(second, spaces.Box):
        return bool(first.shape == second.shape)
    if isinstance(first, spaces.Discrete) and isinstance(second, spaces.Discrete):
        return (int(first.n), int(first.start)) == (int(second.n), int(second.start))
    return False


def is_bounded(space: gymnasium.Space) -> bool:
    """Check whether a space can be mapped to [-1, 1] and back, or is discrete."""
    return not isinstance(space, spaces.Box) or bool((abs(space.low) < FAR).all() and (abs(space.high) < FAR).all())


def with_plain_actions(env: gymnasium.Env, form: ActionForm) -> gymnasium.Env:
    """An environment that takes actions in the form that learning needs; `env` itself if it does so already."""
    space = env.action_space
    check_actions(space)
    if isinstance(space, spaces.Discrete):
        return PlainActions(env, form) if space.start else env
    exact = all(np.array_equal(bound, np.asarray(bound, np.float32)) for bound in (space.low, space.high))
    return env if len(space.shape) == 1 and exact and not form.low else PlainActions(env, form)


class PlainActions(gymnasium.ActionWrapper):  # type: ignore[misc]
    """An environment whose actions are vectors in a finite box, or numbers from 0 on."""

    def __init__(self, env: gymnasium.Env, form: ActionForm) -> None:
        super().__init__(env)
        space = env.action_space
        if isinstance(space, spaces.Discrete):
            self.action_space = spaces.Discrete(int(space.n))
            return
        low, high = (form.low, form.high) if form.low else (space.low.reshape(-1), space.high.reshape(-1))
        self.action_space = spaces.Box(np.asarray(low, np.float32), np.asarray(high, np.float32), dtype=np.float32)

    def action(self, action: Array) -> Array:
        """The environment's own action from a plain one, moved into its box where rounding has left it."""
        space = self.env.action_space
        native: Array = native_actions(self, np.asarray(action)[None])[0]
        if isinstance(space, spaces.Discrete):
            return native
        native = np.asarray(native)  # of shape () NumPy makes a number
        inside = ((native >= space.low) & (native <= space.high)).all()
        nearest: Array = np.clip(native.astype(space.dtype), space.low, space.high)
        return native if inside else nearest


def native_space(env: gymnasium.Env) -> gymnasium.Space:
    """The action space without the wrapper of this file."""
    return env.env.action_space if isinstance(env, PlainActions) else env.action_space


def native_actions(env: gymnasium.Env, actions: Array) -> Array:
    """T actions of the environment's own from plain ones, (T, A) or (T,): the inverse of `plain_actions`."""
    space = native_space(env)
    if not isinstance(env, PlainActions):
        return actions
    if isinstance(space, spaces.Discrete):
        return actions + int(space.start)
    return actions.reshape(len(actions), *space.shape)
