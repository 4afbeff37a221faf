"""`lamobench play`: a text game for a person, as an agent meets it, or a run's policy at play, move by move."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from ...datasets.counts import count
from ...datasets.errors import UserError, choose
from ..terminal import Right, aligned, progress_bar, wrapped

if TYPE_CHECKING:
    from ...datasets.games.game import Game, Scene
    from ..text.watched import Move

LEAVE = ("quit", "exit", "q")
MOST_SHOWN = 6  # of a policy's commands, the likeliest first
BAR = 20  # columns of certainty


@dataclass(frozen=True)
class Play:
    """Play a text game as an agent does: read what is around, and choose a command by its number or its words. `quit`
    ends it. With --run, watch a finished run's policy play."""

    game: Positional[str] = ""
    """Family of games, such as tidy-medium, twc-easy or cave-start; with --run, the run's own."""
    run_folder: Annotated[
        Path | None,
        arg(name="run", metavar="RUN", help="Folder of a finished run on text games, whose policy plays."),
    ] = None
    split: str = "train"
    """Games to learn from (train), new games of the same things (valid), or of unseen things (ood)."""
    number: int = 0
    """Game of the split."""
    view: str = "orig"
    """Words in which it is told: orig, paraphrase, synonyms, cohyponyms, pseudowords, paraphrase+synonyms, shuffle."""
    moves: int = 0
    """Moves of a run that are shown without waiting for Enter; 0: all, on a terminal one at a time."""
    seed: int = 0
    """Seed of what is drawn from a run's policy."""

    def run(self) -> None:
        """Play until the game is over, or the person leaves."""
        if self.run_folder is not None:
            _watch(self, self.run_folder)
            return
        if not self.game:
            raise UserError("name a game to play, e.g. lamobench play tidy-easy, or a run to watch: --run RUN")
        game = _game(self, self.game)
        scene = game.reset()
        print("\n".join(_told(scene)), flush=True)
        for line in map(str.strip, sys.stdin):
            if line.lower() in LEAVE:
                break
            index = _index(line, scene.commands)
            if index is None:
                print(f"'{line[:80]}' is no command here; give a number from 0 to {len(scene.commands) - 1}, or quit")
                continue
            scene = game.step(index)
            print("\n".join(_told(scene)), flush=True)
            if scene.over:
                break
        print(_outcome(scene))


def _game(command: Play, family: str, learned: int = 0) -> "Game":
    """The game that is asked for, of so many to learn from, as the view shows it; a `UserError` if there is none."""
    from ...datasets.games.families import find_family, make_games
    from ...datasets.games.views import ViewedGame

    games = find_family(family).games
    most = games[choose(f"split of {family}", command.split, list(games))]
    if not 0 <= command.number < most:
        raise UserError(f"{family} has no game {command.number} in {command.split}; give 0 to {most - 1}")
    return ViewedGame(make_games(family, command.split, command.number + 1, learned)[-1], command.view)


def _watch(command: Play, folder: Path) -> None:
    """Show a run's policy at play; a `UserError` if there is none in the folder."""
    import torch

    from ..runs.records import read_config
    from ..text.config import text_config
    from ..text.watched import moves

    if command.game or command.moves < 0 or command.seed < 0:
        raise UserError("with --run, leave out the game, which is the run's own; give --moves and --seed from 0")
    config = text_config(read_config(folder))
    if not (folder / "done.json").exists():
        raise UserError(f"run {config.id} is not finished; start the command that made it again")
    torch.set_num_threads(1)
    task = config.game_task
    game = _game(command, task.family.name, task.games)
    waits = sys.stdin.isatty() and not command.moves
    print(f"{config.id} plays {game.name}, view {command.view}")
    scene = game.reset()
    for shown, move in enumerate(moves(folder, config, game, command.seed), 1):
        print("\n".join(_considered(move)), flush=True)
        scene = move.following
        if shown == command.moves or (waits and not _goes_on()):
            break
    print()
    if scene.over:
        print("\n".join(wrapped(scene.observation)))
    print(_outcome(scene))


def _goes_on() -> bool:
    """Wait for a line; whether it does not say to leave."""
    print("Enter: the next move; quit: leave", flush=True)
    line = sys.stdin.readline()
    return bool(line) and line.strip().lower() not in LEAVE


def _considered(move: "Move") -> Iterator[str]:
    """The lines of a move: what was read, the likeliest commands and the chosen one, marked."""
    yield ""
    yield "\n".join(wrapped(move.scene.observation))
    yield "\n".join(wrapped(move.scene.inventory))
    likeliest = sorted(range(len(move.probabilities)), key=lambda index: -move.probabilities[index])
    shown = likeliest[:MOST_SHOWN]
    if move.chosen not in shown:
        shown = [*shown[:-1], move.chosen]
    rows = []
    for index in shown:
        share = move.probabilities[index]
        mark = ">" if index == move.chosen else " "
        rows.append([mark, Right(f"{100 * share:.1f} %"), progress_bar(share, BAR), move.scene.commands[index]])
    yield from aligned(rows)
    if rest := likeliest[len(shown) :]:
        share = 1.0 - sum(move.probabilities[index] for index in shown)
        yield f"  {count(len(rest), 'other command')}, {100 * max(share, 0.0):.1f} % together"


def _told(scene: "Scene") -> Iterator[str]:
    """The lines that tell a scene."""
    yield ""
    yield "\n".join(wrapped(scene.observation))
    yield "\n".join(wrapped(scene.inventory))
    for number, command in enumerate(scene.commands):
        yield f"{number:>4}  {command}"


def _outcome(scene: "Scene") -> str:
    return f"{scene.score:g} of {scene.maximum:g} points in {count(scene.moves, 'move')}"


def _index(line: str, commands: Sequence[str]) -> int | None:
    """The command that a line names, by its number or its words; None if it names none."""
    if line.isascii() and line.isdigit() and int(line[:9]) < len(commands):
        return int(line[:9])
    return commands.index(line) if line in commands else None
