"""Choose the seeds of TextWorld Commonsense's games, so that no two of a level begin alike.

Of many seeds the easy level makes one game, so splits that were runs of seeds would share games: of a hundred for
validation thirty would be games of training. Here each split takes the next seeds whose first scene is new. The choice
is frozen in `tables/twc_seeds.json`, which

    python -m lamobench.datasets.games.twc_seeds

writes.
"""

from collections.abc import Iterator

from ..storage import write_json
from .families import FAMILIES, TUNING_GAMES
from .twc import FOLDS, SEEDS, SIZES, Twc

COMMAND = "python -m lamobench.datasets.games.twc_seeds"
SEEDS_OF_FOLD = {"train": range(1000), "test": range(20_000, 21_000)}
# Where each split begins in its fold; what is chosen first is not taken again. Behind a fold's end comes its beginning.
FIRST = {"train": 0, "tuning": 856, "valid": 500, "ood": 20_000}

Opening = tuple[str, str, tuple[str, ...]]


def opening(level: str, fold: str, seed: int) -> Opening:
    """All that is read of a game before the first move."""
    scene = Twc("", level, fold, seed, 1).reset()
    return scene.observation, scene.inventory, scene.commands


def choose_seeds(level: str) -> dict[str, list[int]]:
    """The seeds of each split, as many as there are games."""
    counts = {**FAMILIES[f"twc-{level}"].games, "tuning": TUNING_GAMES}
    met: set[Opening] = set()
    return {split: _new_ones(level, split, counts[split], met) for split in FIRST}


def _new_ones(level: str, split: str, count: int, met: set[Opening]) -> list[int]:
    """The next seeds of a split whose openings were not `met`, which gets them."""
    found: list[int] = []
    for seed in _in_turn(split):
        begun = opening(level, FOLDS[split], seed)
        if begun not in met:
            met.add(begun)
            found.append(seed)
        if len(found) == count:
            return found
    raise ValueError(f"twc-{level} has {len(found)} different games for {split}, and {count} are wanted")


def _in_turn(split: str) -> Iterator[int]:
    every = SEEDS_OF_FOLD[FOLDS[split]]
    begin = FIRST[split] - every.start
    yield from (*every[begin:], *every[:begin])


def main() -> None:
    """Write the table."""
    write_json(SEEDS, {"command": COMMAND, "seeds": {level: choose_seeds(level) for level in SIZES}})


if __name__ == "__main__":
    main()
