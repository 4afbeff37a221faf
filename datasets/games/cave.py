"""Colossal Cave (Crowther and Woods, 1977), as the package `adventure` 1.7 plays it: a game that people wrote.

The score counts from what the game gives for nothing. Where people type anything, a player here chooses among commands
that name what is there: one word for each way out, and what can be done with each thing.
"""

from . import cave_words
from .families import Family
from .game import NOT_BEGUN, Scene

GIVEN = 36  # points of a game in which nothing was done yet
# The most that can be won: in all, and by the shipped walkthrough in the first 40 of its 266 moves.
MAXIMUM = {"whole": 350 - GIVEN, "start": 29}
# Seeds of chance. The first is the walkthrough's own; with all of them its first 40 moves score the same.
SEEDS = {
    "train": (2, 89, 115, 153, 174),
    "valid": (175, 294, 335, 381, 393),
    "tuning": (395, 399, 404, 405, 406),
}


def make(family: Family, split: str, number: int) -> "Cave":
    """Game `number` of a split, from 0 on: the same cave with other luck."""
    name = f"{family.name}/{split}/{number}"
    return Cave(name, SEEDS[split][number], family.move_limit, MAXIMUM[family.level])


class Cave:
    """One game; it obeys `game.Game`."""

    def __init__(self, name: str, seed: int, move_limit: int, maximum: int) -> None:
        self.name = name
        self.seed = seed
        self.move_limit = move_limit
        self.maximum = maximum
        self.scene = NOT_BEGUN

    def reset(self) -> Scene:
        """Begin anew; returns the first scene."""
        from adventure import load_advent_dat
        from adventure.game import Game

        self.game = Game(self.seed)
        load_advent_dat(self.game)
        self.game.start()
        told = self.game.do_command(["no"])  # to the question whether instructions are wanted
        self.game.do_command(["brief"])  # as in the walkthrough, since every command moves chance on
        self.game.full_description_period = 1  # and yet every place is told in full, every time
        self.ahead = cave_words.walkthrough()
        return self._see(told, 0)

    def step(self, index: int) -> Scene:
        """Give a command; returns the next scene. An `IndexError` for one that there is not."""
        if not 0 <= index < len(self.scene.commands):
            raise IndexError(f"{self.name} has no command {index} now")
        self.ahead = self.ahead[1:] if index == self.expert() else ()
        told = self.game.do_command(self.words[self.scene.commands[index]])
        return self._see(told, self.scene.moves + 1)

    def expert(self) -> int | None:
        """The next command of the walkthrough, as long as nothing else was done."""
        if self.scene.over or not self.ahead:
            return None
        wanted = cave_words.meaning(self.game, self.ahead[0].split())
        meanings = [cave_words.meaning(self.game, self.words[command]) for command in self.scene.commands]
        return meanings.index(wanted)

    def _see(self, text: str, moves: int) -> Scene:
        game = self.game
        score = min(game.compute_score()[0] - GIVEN, self.maximum)
        over = score == self.maximum or game.is_finished or moves >= self.move_limit
        told = cave_words.plain(text)
        around = "" if over or game.yesno_callback else cave_words.plain(cave_words.around(game))
        self.words = cave_words.commands(game)
        self.scene = Scene(
            observation=told if around in told else f"{told} {around}",
            inventory=cave_words.plain(cave_words.inventory(game)),
            commands=() if over else tuple(sorted(self.words)),
            score=score,
            maximum=self.maximum,
            moves=moves,
            over=over,
            won=score == self.maximum,
        )
        return self.scene
