"""Breakout and Pong: where the ball will come is read off a trial in which nobody moves; then the paddle is moved.

A push of one step moves the paddle by 23 or 24 positions, and late, as it glides; the paddle is 16 wide. A script that
steers for the ball therefore misses often. So the few plans that bring the paddle near the ball are all tried until
something is scored. The addresses in RAM are AtariARI's (Anand et al. 2019, ram_annotations.py), checked by looking.
"""

from .emulator import Emulator, Plan

NOOP = 0  # every game's first action
PUSH = 23.5  # positions that the paddle moves, in the end, for one step of pushing
MIDDLE = 8  # positions from the paddle's edge, which is what RAM holds, to its middle
LONGEST_FLIGHT = 40  # agent steps: the slowest ball takes less from the middle of the field to the paddle
AFTERWARDS = {"breakout": 25, "pong": 45}  # agent steps in which a returned ball reaches the bricks, or scores

BREAKOUT_X, BREAKOUT_Y, BREAKOUT_PADDLE = 99, 101, 72
BREAKOUT_NEAR, BREAKOUT_LINE = 100, 178  # heights: below most bricks; where the ball meets the paddle
PONG_X, PONG_Y, PONG_PADDLE = 49, 54, 51
PONG_NEAR, PONG_LINE = 110, 188  # just left of the middle of the field; where the ball meets the paddle


def propose_breakout(game: Emulator) -> list[Plan]:
    """Serve, wait while the ball rises, else ways to meet it."""
    if game.ram()[BREAKOUT_Y] == 0:
        return [[game.actions["FIRE"]]]
    if wait := _wait(game, BREAKOUT_Y, BREAKOUT_NEAR):
        return [wait]
    steps, ram = _flight(game, BREAKOUT_Y, BREAKOUT_LINE)
    return _ways(game, ram[BREAKOUT_X] - ram[BREAKOUT_PADDLE] - MIDDLE, steps)


def propose_pong(game: Emulator) -> list[Plan]:
    """Wait while the ball is the opponent's, else ways to meet it."""
    if game.ram()[PONG_Y] == 0:  # the game serves unasked
        return [[NOOP]]
    if wait := _wait(game, PONG_X, PONG_NEAR):
        return [wait]
    steps, ram = _flight(game, PONG_X, PONG_LINE)
    return _ways(game, ram[PONG_PADDLE] + MIDDLE - ram[PONG_Y], steps)  # heights grow downwards, RIGHT moves up


def judge_breakout(game: Emulator, plan: Plan) -> float:
    """The sooner the ball hits a brick the better; a missed ball is worst."""
    lives = game.lives
    for step, action in enumerate([*plan, *[NOOP] * AFTERWARDS["breakout"]]):
        reward = game.play(action)
        if game.lives < lives:
            return -1.0
        if reward:
            return reward * 0.97**step
    return 0.0


def judge_pong(game: Emulator, plan: Plan) -> float:
    """The sooner the opponent misses the better, the sooner the player does the worse."""
    for step, action in enumerate([*plan, *[NOOP] * AFTERWARDS["pong"]]):
        reward = game.play(action)
        if reward:
            return reward * 0.97**step
    return 0.0


def _wait(game: Emulator, axis: int, near: int) -> Plan:
    """What to do while the ball goes away (three steps of nothing) or is not `near` yet (one); empty when it is."""
    before = game.ram()[axis]
    with game.trial():
        game.play(NOOP)
        after = game.ram()[axis]
    if after <= before:
        return [NOOP] * 3
    return [NOOP] if after < near else []


def _flight(game: Emulator, axis: int, line: int) -> tuple[int, list[int]]:
    """In how many steps the ball will reach the line, or turn before it, and the RAM then; the paddle is let glide."""
    with game.trial():
        ram = game.ram()
        for step in range(1, LONGEST_FLIGHT):
            before = ram[axis]
            game.play(NOOP)
            ram = game.ram()
            if not before <= ram[axis] < line:
                return step, ram
    return LONGEST_FLIGHT, ram


def _ways(game: Emulator, distance: float, steps: int) -> list[Plan]:
    """Plans of that many steps which move the paddle about that far (to the right if positive): at once, or late."""
    there, back = (game.actions[name] for name in (("RIGHT", "LEFT") if distance > 0 else ("LEFT", "RIGHT")))
    plans: list[Plan] = [[NOOP] * (steps - 1) + [back]]
    for pushes in (int(abs(distance) / PUSH), int(abs(distance) / PUSH) + 1):
        latest = max(steps - pushes, 0)
        for wait in sorted({0, max(latest - 2, 0), max(latest - 1, 0), latest}) if pushes else (0,):
            plans.append(([NOOP] * wait + [there] * pushes + [NOOP] * steps)[:steps])
    return plans
