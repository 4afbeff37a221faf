from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.environments import nethack_lite
from lamobench.datasets.environments.nethack_lite import DEEP, NetHackLite
from lamobench.datasets.environments.nethack_screens import NAMES, numbers_in
from lamobench.datasets.environments.staged_tasks import find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.sources.nethack import Prefix
from lamobench.tests.datasets.environments.nethack import DESCENTS, needs_nethack
from lamobench.tests.datasets.sources.test_ttyrec import on_level, write

needs_nethack()
SEEDS = np.array([11, 12, 13])
LEVEL = NAMES.index("Dlvl")


def prefix_of(seed: int, keys: bytes) -> Prefix:
    prefix = Prefix(seed, Path("recorded"), 0, len(keys))
    vars(prefix)["keys"] = keys  # where the property keeps what it has read
    return prefix


def deeper(name: str, depth: int) -> list[Prefix]:
    """Beginnings of two games that lead to dungeon levels 2 and 4."""
    return [prefix_of(seed, keys) for seed, keys in DESCENTS.items()]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> NetHackLite:
    monkeypatch.setattr(nethack_lite, "prefixes", deeper)
    return NetHackLite(horizon=40, far_level=2)


def walked(environment: NetHackLite, steps: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    compass = [environment.keys.index(ord(key)) for key in "hjklyubn"]
    return [environment.step(rng.choice(compass, environment.size)).observations for _ in range(steps)]


def test_a_game_among_others_is_the_game_by_itself(environment: NetHackLite) -> None:
    first = environment.reset(SEEDS)
    together = [first, *walked(environment, 50)]  # over the end of an episode
    rng = np.random.default_rng(0)
    compass = [environment.keys.index(ord(key)) for key in "hjklyubn"]
    actions = [rng.choice(compass, 3) for _ in range(50)]
    alone = NetHackLite(horizon=40)
    seen = [alone.reset(SEEDS[1:2]), *(alone.step(each[1:2]).observations for each in actions)]
    for here, there in zip(together, seen, strict=True):
        np.testing.assert_array_equal(here[1], there[0])


def test_an_episode_ends_with_its_time_or_with_its_game(environment: NetHackLite) -> None:
    environment.reset(SEEDS)
    search = np.full(3, environment.keys.index(ord("s")))
    for number in range(40):
        step = environment.step(search)
        assert step.episode_ended.tolist() == [number == 39] * 3
    assert not step.stage_success.any()
    assert (environment.final_facts[:, 1] > environment.facts()[:, 1]).all()  # turns; the next game has begun
    for key in b"#quit\ry":
        step = environment.step(np.array([environment.keys.index(key), *search[1:]]))
    assert step.episode_ended.tolist() == [True, False, False]
    assert environment.elapsed.tolist() == [0, 7, 7]


def test_far_begins_where_a_prefix_leads(environment: NetHackLite) -> None:
    seen = environment.reset(SEEDS, DEEP, only=True)
    levels = np.array([2, 4])[environment.drawn]
    assert numbers_in(seen)[:, LEVEL].tolist() == environment.facts()[:, 2].tolist() == levels.tolist()
    assert environment.stage.tolist() == [DEEP] * 3
    assert set(environment.drawn) <= {0, 1}
    walked(environment, 40)
    assert environment.stage.tolist() == [DEEP] * 3  # episodes that follow begin there too


def test_a_recording_that_leads_elsewhere_gets_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    keys = DESCENTS[1001]
    short = write(tmp_path / "1.ttyrec3.bz2", on_level(1, b"j"))
    for prefix, line in (
        (
            prefix_of(1001, keys[:-1]),
            r"its keys lead to dungeon level 1, not 2\); to record it again, type: lamobench data",
        ),
        (prefix_of(1002, keys), "its keys lead to dungeon level 1, not 2"),
        (prefix_of(1001, keys + bytes([200])), "NetHack knows no key 200"),
        (prefix_of(1001, b"#quit\ry" + keys), r"the game ends after \d+ keys"),
        (prefix_of(1001, b"#quit\ry"), "the game ends after 7 keys"),
        (Prefix(1001, short, 0, 9), "it has 1 of 9 keys"),
        (Prefix(1001, tmp_path / "none", 0, 9), "none can't be read"),
    ):
        monkeypatch.setattr(nethack_lite, "prefixes", lambda name, depth, prefix=prefix: [prefix])
        with pytest.raises(UserError, match=line):
            NetHackLite(far_level=2).reset(SEEDS[:1], DEEP, only=True)


@pytest.mark.parametrize("stage", [0, DEEP])
def test_games_go_on_where_they_were_left(environment: NetHackLite, stage: int) -> None:
    environment.reset(SEEDS, stage)
    walked(environment, 45, seed=1)
    state = environment.state_dict()
    after = walked(environment, 10, seed=2)
    again = NetHackLite(horizon=40, far_level=2)
    again.load_state_dict(state)
    for here, there in zip(after, walked(again, 10, seed=2), strict=True):
        np.testing.assert_array_equal(here, there)
    state["seen"][0, 100] ^= 1
    with pytest.raises(ValueError, match="its version is another one"):
        again.load_state_dict(state)


def test_room_for_actions_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nethack_lite, "ROOM", 4)
    environment = NetHackLite(horizon=1000)
    environment.reset(SEEDS)
    walked(environment, 9)
    assert environment.taken.shape == (3, 16)
    state = environment.state_dict()
    NetHackLite(horizon=1000).load_state_dict(state)


def test_values_that_make_no_sense_get_a_line() -> None:
    for options, line in (
        ({"horizon": 0}, "horizon is 0"),
        ({"far_level": 1}, "far_level 1; expected"),
        ({"level_seed": -1}, "level_seed is -1"),
    ):
        with pytest.raises(UserError, match=line):
            NetHackLite(**options)  # type: ignore[arg-type]


def test_the_whole_game_has_room_for_the_longest() -> None:
    assert find_staged_task("nethack-score").make().horizon == find_staged_task("nethack-score").horizon == 1_000_000
