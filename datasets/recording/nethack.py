"""Record games of NetHack, one for each seed, in as many processes as there are cores.

Every game that is over is kept at once, so a recording that was stopped goes on with the next one.
"""

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from .. import storage
from ..environments.nethack_game import SPACES, Game, nethack_version, player_arguments
from ..errors import UserError
from ..file_checks import MB
from ..json_files import from_fields, read_json
from ..nethack_recordings import NETHACK_RECORDINGS, path_of
from ..processes import START_METHOD, cores, follow_parent
from ..sources.nethack import INDEX, NetHackGames, RecordedGame, file_hash, index_of, load_games
from ..sources.ttyrec import ENDING, keys_of
from . import autoascend

A_GAME = 2 * MB  # of a recording, about

Play = Callable[[Game], str]  # plays a game that has begun; says how it ended


def record_games(name: str, force: bool = False) -> NetHackGames:
    """The recording of that name, played now if it is not there, or by `force`.

    A `UserError` for a name that there is not, and for a package that is missing.
    """
    target = path_of(name)
    if target.is_dir() and not force:
        return load_games(name)
    nethack_version()
    autoascend.load()
    with storage.plain_disk_errors():
        target.parent.mkdir(parents=True, exist_ok=True)
        with storage.alone(target, "records"):
            if target.is_dir() and not force:
                return load_games(name)
            _record(name, target)
    return load_games(name)


def _record(name: str, target: Path) -> None:
    """Play what is left to play, beside `target`, and put it there when all of it is done."""
    recording = NETHACK_RECORDINGS[name]
    part = target.with_name(f"{name}.part")
    part.mkdir(exist_ok=True)
    left = [seed for seed in recording.seeds if not _facts_file(part, seed).exists()]
    storage.check_room(part, name, len(left) * A_GAME)
    workers = min(cores(), len(left))
    bar = tqdm(total=recording.games, initial=recording.games - len(left), desc=f"recording {name}", unit=" games")
    with bar:
        if workers <= 1:
            for seed in left:
                record_game(part, autoascend.play, autoascend.OBSERVED, seed)
                bar.update()
        else:
            play = partial(record_game, part, autoascend.play, autoascend.OBSERVED)
            with ProcessPoolExecutor(workers, get_context(START_METHOD), _start_worker) as pool:
                for _ in pool.map(play, left):
                    bar.update()
    finish(name, autoascend.PLAYER, list(recording.seeds), part, target)


def _start_worker() -> None:
    threading.Thread(target=follow_parent, daemon=True).start()


def record_game(part: Path, play: Play, observed: tuple[str, ...], seed: int) -> None:
    """Play the game of a seed and write two files to `part`: its ttyrec, and then the facts of it."""
    with storage.scratch_folder(part.parent, ".game.") as scratch:
        folder = scratch / "nle"
        game = Game(folder, observed=tuple(dict.fromkeys((*observed, *SPACES))))
        game.begin(seed)
        end = play(game)
        facts = game.facts
        pressed = bytes(game.pressed)
        game.close()
        (written,) = folder.glob(f"*{ENDING}")
        file = f"{seed}{ENDING}"
        row = RecordedGame(
            file=file,
            sha256=file_hash(written),
            keys=hashlib.sha256(pressed).hexdigest(),
            seed=seed,
            opening=opening_of(written, pressed),
            steps=len(pressed),
            score=facts.score,
            turns=facts.turns,
            depth=facts.depth,
            experience=facts.experience,
            arrivals=tuple(game.arrivals),
            end=end,
        )
        written.rename(part / file)
    storage.write_json(_facts_file(part, seed), vars(row))


def opening_of(path: Path, pressed: bytes) -> int:
    """The number of keys in a recording before those that the player pressed: NLE clicks the first lines away."""
    keys = keys_of(path).tobytes()
    found = keys.find(pressed)
    if found < 0:
        raise UserError(f"{path} has other keys than those that were pressed; record it again")
    return found


def finish(name: str, player: str, seeds: list[int], part: Path, target: Path) -> None:
    """Put the games of `part` in the place of `target`, with what they are."""
    games = [from_fields(RecordedGame, read_json(_facts_file(part, seed))) for seed in seeds]
    storage.write_json(part / INDEX, index_of(name, player, player_arguments(), games))
    if target.is_dir():
        storage.remove_folder(target)
    part.rename(target)
    for seed in seeds:
        _facts_file(target, seed).unlink()


def _facts_file(part: Path, seed: int) -> Path:
    return part / f"{seed}.json"
