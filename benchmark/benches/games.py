"""Text games: our own beside TextWorldExpress and TextWorld, where they are installed.

TextWorld plays the same house, and tells the commands that it takes at every move; TextWorldExpress plays a game of the
same kind, of three things in a room, in a process of its own, whose seconds count too.
"""

import importlib.util
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...datasets.games.families import find_family, make_games, missing
from ...datasets.games.game import Game
from ...datasets.games.tidy import make
from ...datasets.games.tidy_plans import plan_of
from .harness import Measure, Row, Settings, above, faster, in_turn

MOVES = 50  # at a time
GAMES = 40
WANTED = 50_000  # steps a second
TIMES = 100  # faster than TextWorld


def game_steps(settings: Settings, scratch: Path) -> list[Row]:
    """Moves chosen at random in games of each kind, texts and commands made at every move."""
    rows = [_own_speed(settings, level) for level in ("medium", "hard")]
    what = f"{MOVES} random moves, tidy-medium"
    ours = random_moves(make_games("tidy-medium", "train", GAMES))
    if not missing("twc-medium"):
        theirs = random_moves(make_games("twc-medium", "train", GAMES))
        rows.append(faster(what, "TextWorldExpress, twc-medium", in_turn(settings, ours, theirs), None))
    if importlib.util.find_spec("textworld"):
        ours = random_moves([make(find_family("tidy-medium"), "train", 0)])
        rows.append(faster(f"{what}, one game", "TextWorld", in_turn(settings, ours, _textworld(scratch)), TIMES))
    return rows


def _own_speed(settings: Settings, level: str) -> Row:
    moves = random_moves(make_games(f"tidy-{level}", "train", GAMES))
    speeds = [MOVES / seconds for (seconds,) in in_turn(settings, moves)]
    return above(f"tidy-{level}: random moves", "steps/s", speeds, WANTED)


def random_moves(games: Sequence[Game]) -> Callable[[], None]:
    """A function that plays on for `MOVES` moves, in one game after the other."""
    rng = random.Random(0)
    game = games[0]
    scene = game.reset()
    number = 0

    def play() -> None:
        nonlocal game, scene, number
        for _ in range(MOVES):
            if scene.over:
                number += 1
                game = games[number % len(games)]
                scene = game.reset()
            scene = game.step(int(rng.random() * len(scene.commands)))

    return play


def _textworld(scratch: Path) -> Callable[[], None]:
    """The same in TextWorld's engine, once its commands are found to be ours."""
    import textworld

    from .textworld_game import build

    story = scratch / "game.z8"
    build(plan_of("medium", "train", 0), story)
    wanted = textworld.EnvInfos(admissible_commands=True, description=True, inventory=True, score=True, won=True)
    environment = textworld.start(str(story), wanted)
    state: Any = environment.reset()
    assert tuple(sorted(state.admissible_commands)) == make_games("tidy-medium", "train", 1)[0].reset().commands
    rng = random.Random(0)
    done = False
    taken = 0

    def play() -> None:
        nonlocal state, done, taken
        for _ in range(MOVES):
            if done or taken == MOVES:
                state = environment.reset()
                taken = 0
            state, _, done = environment.step(rng.choice(state.admissible_commands))
            taken += 1

    return play


MEASUREMENTS: dict[str, Measure] = {"game-steps": game_steps}
