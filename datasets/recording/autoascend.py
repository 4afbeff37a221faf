"""The bot AutoAscend (Sypetkowski and Sypetkowski 2021), which won the NetHack challenge, and by which NLD-AA was made.

It is a folder of the package `nethackers`, under a licence of its own (MIT). That folder alone is loaded, after its
hash was compared; nothing else of the package is imported, nor are the packages that it would need.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..environments.nethack_game import Game
from ..errors import UserError

PLAYER = "AutoAscend, of nethackers 0.37.3"
INSTALL = (
    'recording games needs packages that are not here; type: pip install "lamobench[nethack-recording]", '
    "and: pip install --no-deps nethackers==0.37.3"
)
NEEDS = ("numba", "nltk", "toolz", "cv2")
INNER = Path("roots") / "autoascend" / "autoascend"
SHA256 = "bbbc4a28907d584dd27c853fff2d056cae301023245b5d9dea7560b02b19f29b"  # of the paths and contents of its files
OBSERVED = (
    *("glyphs", "chars", "colors", "specials", "blstats", "message", "misc"),
    *("inv_glyphs", "inv_strs", "inv_letters", "inv_oclasses"),
    *("tty_chars", "tty_colors", "tty_cursor"),
)
IDLE = 10_000  # keys without a turn, after which a game is given up


class Seat:
    """The bot's view of the environment that it plays in."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.idle = 0
        self.gave_up = False

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """Press a key."""
        turns = self.game.facts.turns
        reward = self.game.press(int(action))
        self.idle = self.idle + 1 if self.game.facts.turns == turns else 0
        self.gave_up = self.idle >= IDLE
        seen = {name: values.copy() for name, values in self.game.seen.items()}
        seen["tty_cursor"] = seen["tty_cursor"].astype(np.int64)  # the bot subtracts 1, which 0 of a byte does not bear
        return seen, reward, self.game.ended or self.gave_up, {}

    def debug_log(self, *_: Any, **__: Any) -> contextlib.nullcontext[None]:
        """Show nothing."""
        return contextlib.nullcontext()

    debug_tiles = debug_log


class Panics(list[Exception]):
    """The bot's list of its own errors, which would keep every frame of every stack alive."""

    def append(self, error: Exception) -> None:
        """Keep an error without what led to it."""
        super().append(type(error)(*[str(argument)[:200] for argument in error.args[:1]]))


def play(game: Game) -> str:
    """Play a game that has begun to its end: "over", or why it was quit, for the bot has errors of its own."""
    agent = importlib.import_module(f"{load()}.agent")
    seat = Seat(game)
    bot = agent.Agent(seat, panic_on_errors=True)
    bot.all_panics = Panics()
    try:
        bot.main()
    except Exception as error:  # whatever it is, the game is kept: without these the data would be of luckier games
        reason = f"{type(error).__name__}: {error}"[:80]
    else:
        reason = "no turn passed" if seat.gave_up else "stopped"
    if game.ended:
        return "over"
    game.quit()
    return reason


def load() -> str:
    """Make the bot's folder a package that can be imported; returns its name.

    A `UserError` where it, or what it needs, isn't installed, or where it is not the one that is known.
    """
    if "autoascend" in sys.modules:
        return "autoascend"
    if any(importlib.util.find_spec(name) is None for name in NEEDS):
        raise UserError(INSTALL)
    folder = find()
    if (found := folder_hash(folder)) != SHA256:
        raise UserError(f"{folder} is not the AutoAscend that is known here: its hash is {found[:12]}...; {INSTALL}")
    spec = importlib.util.spec_from_file_location(
        "autoascend", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["autoascend"] = module
    spec.loader.exec_module(module)
    return "autoascend"


def find() -> Path:
    """The bot's folder; a `UserError` if the package that has it isn't installed."""
    package = importlib.util.find_spec("nethackers")  # finds it, and imports nothing
    for place in package.submodule_search_locations or () if package else ():
        if (Path(place) / INNER / "agent.py").is_file():
            return Path(place) / INNER
    raise UserError(INSTALL)


def folder_hash(folder: Path) -> str:
    """SHA-256 of the paths and contents of the files in a folder, but for what Python compiles of them."""
    digest = hashlib.sha256()
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    for path in sorted(files):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
