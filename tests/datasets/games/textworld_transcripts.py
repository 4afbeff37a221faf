"""Record games in TextWorld itself: the same houses, played there, for `test_tidy_rules.py` to play here.

    pip install --no-deps textworld==1.7.0 jericho tatsu==5.8.3 more_itertools hashids mementos termcolor
    python -m lamobench.tests.datasets.games.textworld_transcripts

writes `textworld_transcripts.json`: of each game its plan, every command that was ever there, and one row a move: the
command that is given, those that were there before it, all by number, and the score and whether it is won after it.
"""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from lamobench.benchmark.benches.textworld_game import build
from lamobench.datasets.games.tidy import Tidy
from lamobench.datasets.games.tidy_plans import Plan, plan_of, plans

TRANSCRIPTS = Path(__file__).with_name("textworld_transcripts.json")
GAMES = [
    plan_of("easy", "train", 0),
    plans("medium", True)[41],  # of no split
    plan_of("medium", "ood", 2),
    plan_of("hard", "train", 3),
    plan_of("hard", "ood", 4),
]
MOVES = 50
RANDOM_SHARE = 0.7  # of moves; the others are our expert's, so that there are scores to compare


def record() -> None:
    """Play every game in TextWorld, and write what came of it."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        games = [_play(plan, Path(folder) / f"{n}.z8", rng) for n, plan in enumerate(GAMES)]
    TRANSCRIPTS.write_text("[\n" + ",\n".join(json.dumps(game) for game in games) + "\n]\n")


def _play(plan: Plan, story: Path, rng: random.Random) -> dict[str, Any]:
    import textworld

    wanted = textworld.EnvInfos(admissible_commands=True, score=True, won=True)
    build(plan, story)
    theirs = textworld.start(str(story), wanted)
    ours = Tidy("", plan, 50)
    scene = ours.reset()
    state = theirs.reset()
    known: dict[str, int] = {}
    rows = []
    while not scene.over:
        there = sorted(state.admissible_commands)
        numbers = [known.setdefault(command, len(known)) for command in there]
        expert = scene.commands[ours.expert() or 0]
        command = rng.choice(there) if rng.random() < RANDOM_SHARE else expert
        state, _, _ = theirs.step(command)
        scene = ours.step(scene.commands.index(command))
        rows.append([known[command], numbers, state.score, bool(state.won)])
    theirs.close()
    return {"plan": vars(plan), "commands": list(known), "moves": rows}


if __name__ == "__main__":
    record()
