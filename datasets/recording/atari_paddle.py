"""Breakout and Pong: the paddle follows the ball, one step at a time.

These players react: the places and motions of ball and paddle decide what they do. A stack of four frames shows these,
so a policy that sees frames alone can learn to do the same. They plan only until the push of one step shows its effect:
such a push moves the paddle by 23 or 24 positions in the end, late, as it glides, and the paddle is 16 wide. So
trying a push out says better than counting where it leads. Among equally good actions the choice is always the
same one.

The addresses in RAM are AtariARI's (Anand et al. 2019, ram_annotations.py), checked by looking.
"""

from .emulator import Emulator, Plan

NOOP = 0  # every game's first action
GLIDE = 1  # agent steps without a push after which a trial looks where the paddle is; with more it lags behind the ball
CLOSE = 4  # positions: nearer than this to the ball is not better
PUSHING = 0.5  # positions that a push has to gain; less than distances differ by
MIDDLE = 8  # positions from the paddle's edge, which is what RAM holds, to its middle

BREAKOUT_X = 99
BREAKOUT_Y = 101
BREAKOUT_PADDLE = 72
BREAKOUT_CENTRE = 127  # of the field, which is from 55 to 199

PONG_Y = 54
PONG_PADDLE = 51
PONG_AIM = 7  # positions above the paddle's middle; met near its edge, a ball leaves so steeply that it may score


def propose_breakout(game: Emulator) -> list[Plan]:
    """Stay, or push to either side. Staying is holding the button, which does nothing but serve if no ball is in play.

    So nobody who imitates the player stands still before a ball that is not served: serving is what it does most.
    """
    return _ways(game, game.actions["FIRE"])


def judge_breakout(game: Emulator, plan: Plan) -> float:
    """The nearer the paddle's middle comes to the ball, or with no ball in play to the middle of the field, the better.

    Which of the two is settled before the plan is played: a ball that is lost on the way must not look like one caught.
    """
    in_play = bool(game.ram()[BREAKOUT_Y])
    ram = _after(game, plan)
    distance = ram[BREAKOUT_PADDLE] + MIDDLE - (ram[BREAKOUT_X] if in_play else BREAKOUT_CENTRE)
    return _closeness(distance, stays=plan[0] == game.actions["FIRE"])


def propose_pong(game: Emulator) -> list[Plan]:
    """Stay, or push up or down; with no ball in play, wait, as the game serves unasked."""
    return _ways(game, NOOP) if game.ram()[PONG_Y] else [[NOOP]]


def judge_pong(game: Emulator, plan: Plan) -> float:
    """The nearer the ball is to where the paddle is to meet it, the better."""
    ram = _after(game, plan)
    return _closeness(ram[PONG_PADDLE] + MIDDLE - PONG_AIM - ram[PONG_Y], stays=plan[0] == NOOP)


def _ways(game: Emulator, stay: int) -> list[Plan]:
    return [[stay], [game.actions["RIGHT"]], [game.actions["LEFT"]]]


def _after(game: Emulator, plan: Plan) -> list[int]:
    """RAM after the plan and a short glide."""
    for action in [*plan, *[NOOP] * GLIDE]:
        game.play(action)
    return game.ram()


def _closeness(distance: int, stays: bool) -> float:
    """Minus the distance. Staying wins ties; and of two pushes that lead to different places, one leads nearer."""
    return -max(abs(distance), CLOSE) - (0.0 if stays else PUSHING)
