"""Freeway, Asterix, Seaquest and Q*bert: a handful of simple plans is tried out in the emulator, the best is begun.

The horizons are as short as play stays good: the trials are most of the time that a recording takes. The addresses in
RAM are those of AtariARI (Anand et al. 2019) and OCAtari (Delfosse et al. 2023), checked by looking.
"""

from .emulator import Emulator, Plan, play_out

NOOP = 0  # every game's first action
DIRECTIONS = ("UP", "RIGHT", "LEFT", "DOWN", "UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT")

FREEWAY_HEIGHT = 14
FREEWAY_STEPS = 10  # agent steps that a plan lasts; two and a half lanes

ASTERIX_STEPS = 12
ASTERIX_DYING = 69

SEAQUEST_STEPS = 12
SEAQUEST_DYING = 105
SEAQUEST_DEPTH = 97
SEAQUEST_OXYGEN = 102
SEAQUEST_DIVERS = 62
SEAQUEST_LOW = 24  # of 64 units of oxygen; the way up from the bottom takes fewer than these

QBERT_X = 43
QBERT_Y = 67
QBERT_TOP = (77, 25)  # the top cube's position
QBERT_ROW = 28  # how far cubes are apart, down and across
QBERT_COLUMN = 26
QBERT_HOP = 8  # agent steps from one cube to the next
QBERT_HOPS = {"UP": (-1, 0), "RIGHT": (1, 1), "DOWN": (1, 0), "LEFT": (-1, -1)}  # rows down and columns to the right
QBERT_DYING = 32  # agent steps after which a life that is lost has been taken
# Where RAM holds the colours of the cubes, row by row.
QBERT_CUBES = ((21,), (52, 54), (83, 85, 87), (98, 100, 102, 104), (1, 3, 5, 7, 9), (32, 34, 36, 38, 40, 42))


def propose_freeway(game: Emulator) -> list[Plan]:
    """Propose up if no car is in the way, else also up after a pause or after a retreat."""
    up = game.actions["UP"]
    down = game.actions["DOWN"]
    straight = [up] * FREEWAY_STEPS
    with game.trial():
        if _is_free(game, straight):
            return [straight]
    pauses = [[NOOP] * wait + straight for wait in (1, 2, 3, 5, 8)]
    retreats = [[down] * back + straight for back in (1, 2, 4)]
    return [plan[:FREEWAY_STEPS] for plan in (straight, *pauses, *retreats)]


def judge_freeway(game: Emulator, plan: Plan) -> float:
    """The height to which the chicken has come; a crossing counts more than any height."""
    return 200.0 * sum(game.play(action) for action in plan) + game.ram()[FREEWAY_HEIGHT]


def _is_free(game: Emulator, plan: Plan) -> bool:
    """Check whether the chicken crosses, or rises without being thrown back."""
    height = game.ram()[FREEWAY_HEIGHT]
    for action in plan:
        if game.play(action):
            return True
        before = height
        height = game.ram()[FREEWAY_HEIGHT]
        if height < before:
            return False
    return True


def propose_asterix(game: Emulator) -> list[Plan]:
    """Stay, or go in one direction all the time."""
    return [[game.actions[name]] * ASTERIX_STEPS for name in ("NOOP", *DIRECTIONS)]


def judge_asterix(game: Emulator, plan: Plan) -> float:
    """The discounted rewards, and death."""
    return play_out(game, plan, 0.95, ASTERIX_DYING)[0]


def propose_seaquest(game: Emulator) -> list[Plan]:
    """Stay, or go in one direction all the time, and shoot."""
    return [[game.actions[f"{name}FIRE"]] * SEAQUEST_STEPS for name in ("", *DIRECTIONS)]


def judge_seaquest(game: Emulator, plan: Plan) -> float:
    """The discounted rewards, and death; divers and oxygen; and depth, when it is time to surface.

    Surfacing without a diver costs a life, so there has to be one.
    """
    before = game.ram()
    value, died = play_out(game, plan, 0.97, SEAQUEST_DYING)
    if died:
        return value
    after = game.ram()
    value += 20.0 * (after[SEAQUEST_DIVERS] - before[SEAQUEST_DIVERS])
    value += 0.5 * (after[SEAQUEST_OXYGEN] - before[SEAQUEST_OXYGEN])
    divers = before[SEAQUEST_DIVERS]
    if divers == 6 or (divers and before[SEAQUEST_OXYGEN] < SEAQUEST_LOW):
        value -= 3.0 * after[SEAQUEST_DEPTH]
    return value


def propose_qbert(game: Emulator) -> list[Plan]:
    """Propose nothing in the air; on a cube, every two hops, or a pause and a hop, the first of which is not deadly."""
    if (game.ram()[QBERT_Y] - QBERT_TOP[1]) % QBERT_ROW:
        return [[NOOP]]
    pause = [NOOP] * QBERT_HOP
    hops = [[game.actions[name], *pause[1:]] for name in QBERT_HOPS]
    first = [plan for plan in (pause, *hops) if not _is_deadly(game, plan)] or [pause]
    return [one + other for one in first for other in hops]


def judge_qbert(game: Emulator, plan: Plan) -> float:
    """The discounted rewards, and death; then the nearer the next cube of another colour the better."""
    value, died = _hop(game, plan)
    return value if died else value - 2.0 * _hops_to_go(game.ram())


def _is_deadly(game: Emulator, plan: Plan) -> bool:
    with game.trial():
        return _hop(game, plan)[1]


def _hop(game: Emulator, plan: Plan) -> tuple[float, bool]:
    """The discounted rewards of hops, and whether they cost a life."""
    moves = [QBERT_HOPS[name] for action in plan for name in QBERT_HOPS if game.actions[name] == action]
    row, column = _cube(game.ram())
    value, died = play_out(game, plan, 0.99)
    if died or _cube(game.ram()) == (row + sum(down for down, _ in moves), column + sum(right for _, right in moves)):
        return value, died
    after, died = play_out(
        game, [NOOP] * QBERT_DYING, 0.99
    )  # it left the pyramid, was caught, or took a disc to the top
    return value + after, died


def _cube(ram: list[int]) -> tuple[int, int]:
    """Row and column of the cube that Q*bert is on or nearest to."""
    row = min(max(round((ram[QBERT_Y] - QBERT_TOP[1]) / QBERT_ROW), 0), 5)
    return row, min(max(round((ram[QBERT_X] - QBERT_TOP[0] + 12 * row) / QBERT_COLUMN), 0), row)


def _hops_to_go(ram: list[int]) -> int:
    """The number of hops to the nearest cube that has not the colour of the one Q*bert is on; 0 if there is none."""
    row, column = _cube(ram)
    own = ram[QBERT_CUBES[row][column]]
    return min(
        (
            abs(column - c) + abs((row - column) - (r - c))  # a hop changes one of the two by 1
            for r, addresses in enumerate(QBERT_CUBES)
            for c, address in enumerate(addresses)
            if ram[address] != own
        ),
        default=0,
    )
