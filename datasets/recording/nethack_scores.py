"""Score recorded games of NetHack after so many keys, by playing them again: where a task's reference score is from.

    .venv/bin/python -m lamobench.datasets.recording.nethack_scores nethack-autoascend-pilot 5000 10000 20000

prints the mean over the recording's games. A game that is over by then counts with what it came to.
"""

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..environments.nethack_game import Game
from ..errors import UserError
from ..sources.nethack import NetHackGames, verify_games
from ..sources.ttyrec import keys_of


def scores_after(recording: NetHackGames, counts: Sequence[int]) -> NDArray[np.int64]:
    """Scores (games, counts), each after so many of the player's keys; `counts` are above 0 and grow.

    A `UserError` for a game whose keys are not all there, or that ends before they do.
    """
    game = Game()
    scores = np.zeros((len(recording.games), len(counts)), np.int64)
    for row, recorded in enumerate(recording.games):
        keys = keys_of(recording.path(recorded), recorded.opening + counts[-1])[recorded.opening :].tobytes()
        game.begin(recorded.seed)
        try:
            for column, count in enumerate(counts):
                if count >= recorded.steps:
                    scores[row, column] = recorded.score
                    continue
                if len(keys) < count:
                    raise ValueError(f"it has {len(keys)} of {recorded.steps} keys")
                game.replay(keys[len(game.pressed) : count])
                scores[row, column] = game.facts.score
        except ValueError as error:
            raise UserError(f"{recording.path(recorded)} is not the game that was recorded ({error})") from None
    game.close()
    return scores


def main(arguments: Sequence[str]) -> None:
    """Print a line for each count of keys; for what can't be counted, or is no recording, one that says so."""
    name, *numbers = arguments or [""]
    if not numbers or not all(number.isdecimal() and int(number) for number in numbers):
        raise SystemExit(f"{numbers or 'nothing'} is no count of keys; type e.g.: nethack-autoascend-pilot 5000 10000")
    counts = sorted(map(int, numbers))
    try:
        scores = scores_after(verify_games(name), counts)
    except UserError as error:
        raise SystemExit(str(error)) from None
    for count, mean in zip(counts, scores.mean(0), strict=True):
        print(f"{count} keys: {mean:.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
