from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.catalog import find_task
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.errors import UserError
from lamobench.datasets.recording import search
from lamobench.datasets.recording.actors import Actor, Players, load_players, play, save_players, shipped
from lamobench.datasets.recording.sac import Settings
from lamobench.datasets.recording.search import Snapshot

SHORT = Settings(random_steps=300, critic_units=16, actor_units=8, batch_size=32)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search of a second, with a few snapshots and episodes."""
    monkeypatch.setattr(search, "Settings", lambda: SHORT)
    monkeypatch.setattr(search, "SPACING", 50)
    monkeypatch.setattr(search, "EVALUATION_SEEDS", search.EVALUATION_SEEDS[:2])
    monkeypatch.setattr(search, "FRESH_SEEDS", search.FRESH_SEEDS[:2])


def snapshot(step: int, score: float) -> Snapshot:
    return Snapshot(step, Actor(np.zeros(0), np.ones(0), ()), score, score)


@pytest.mark.usefixtures("short")
def test_a_search_leaves_a_file_that_plays_and_the_same_seed_the_same_file(tmp_path: Path) -> None:
    seen: list[Snapshot] = []
    players = search.search_players("hopper", tmp_path / "a", seed=5, steps=800, report=seen.append)
    assert [one.step for one in seen] == [350, 500, 750]
    search.search_players("hopper", tmp_path / "b", seed=5, steps=800)
    search.search_players("hopper", tmp_path / "c", seed=6, steps=800)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()
    loaded = load_players(tmp_path / "a")
    env = make_environment(find_task("hopper"))
    for ours, theirs in zip((*players.replay, players.expert), (*loaded.replay, loaded.expert), strict=True):
        assert play(env, ours, 3) == play(env, theirs, 3), "what was evaluated is what ships"
    assert loaded.facts["curve"] == [[one.step, round(one.mean_return, 1)] for one in seen]
    assert loaded.facts["seed"] == 5


@pytest.mark.usefixtures("short")
def test_a_longer_search_begins_with_the_shorter_one() -> None:
    task = find_task("hopper")
    short, long = (list(search.search(task, SHORT, 5, steps)) for steps in (500, 800))
    assert [one.mean_return for one in short] == [one.mean_return for one in long][: len(short)]


def test_constants_at_the_end_of_an_observation_are_not_seen() -> None:
    env = make_environment(find_task("ant"))
    observation, _ = env.reset(seed=0)
    walk = search.random_walk(env, observation, 50, np.random.default_rng(0))
    centre, scale = search.normalisation(np.stack([step[0] for step in walk]))
    assert len(centre) == len(scale) == 27


def test_normalisation_divides_by_no_less_than_the_least_spread() -> None:
    observations = np.column_stack((np.linspace(-3, 5, 101), np.linspace(0, 1e-3, 101), np.full(101, 7.0)))
    centre, scale = search.normalisation(observations)
    np.testing.assert_allclose(centre, [1.0, 5e-4], rtol=1e-5)
    np.testing.assert_allclose(scale, [np.linspace(-3, 5, 101).std(), search.LEAST_SPREAD], rtol=1e-5)
    actor = Actor(centre, scale, ())
    np.testing.assert_allclose(actor.observe(np.array([1.0, 0.2, 7.0])), [0.0, 0.9975], rtol=1e-5)


def test_a_time_limit_is_no_terminal() -> None:
    env = make_environment(find_task("halfcheetah"))
    observation, _ = env.reset(seed=0)
    walk = search.random_walk(env, observation, 1001, np.random.default_rng(0))
    assert not any(step[-1] for step in walk)
    assert not np.array_equal(walk[999][3], walk[1000][0]), "the next episode begins anew"


def test_medium_is_nearest_a_third_on_the_way_up() -> None:
    rising = [snapshot(n, score) for n, score in enumerate([2.0, 20.0, 30.0, 41.0, 55.0, 90.0, 33.0, 95.0])]
    assert search.choose_medium(rising) == 2
    assert search.choose_medium(rising[:2]) == 1
    assert search.choose_medium([snapshot(0, 99.0)]) == 0


def test_replay_actors_are_spread_from_the_first_to_the_medium_one() -> None:
    assert search.choose_replay(0) == [0]
    assert search.choose_replay(4) == [0, 1, 2, 3, 4]
    assert search.choose_replay(18) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]


def test_recordings_and_both_evaluations_share_no_seed() -> None:
    assert not set(search.EVALUATION_SEEDS) & set(search.FRESH_SEEDS)


def test_shipped_weights_survive_the_file_unchanged(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = [(8, 11), (8, 8), (6, 8)]
    layers = tuple((rng.standard_normal(s, np.float32), rng.standard_normal(s[0], np.float32)) for s in sizes)
    actor = Actor(np.zeros(11, np.float32), np.ones(11, np.float32), layers)
    rounded = shipped(actor)
    save_players(tmp_path / "file", Players((rounded,), rounded, {}))
    for (weight, bias), (kept, kept_bias) in zip(
        rounded.layers, load_players(tmp_path / "file").medium.layers, strict=True
    ):
        np.testing.assert_array_equal(weight, kept)
        np.testing.assert_array_equal(bias, kept_bias)


@pytest.mark.parametrize(
    ("task", "seed", "steps", "message"),
    [
        ("hoper", 0, 0, "unknown task .* 'hoper'; did you mean 'hopper'"),
        ("reacher2d", 0, 0, "unknown task .* 'reacher2d'"),
        ("hopper", -1, 0, "seed -1: expected 0 or more"),
        ("hopper", 0, 10_000, "10,000 steps: expected at least 10250"),
        ("hopper", 0, -5, "-5 steps: expected at least"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_done(
    tmp_path: Path, task: str, seed: int, steps: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        search.search_players(task, tmp_path / "file", seed, steps)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is there already; delete it, or name another file: --output"):
        search.search_players("hopper", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"no safetensors", b"\x02\x00\x00\x00\x00\x00\x00\x00{}"])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match="is not a file of `lamobench data search`"):
        load_players(tmp_path / "file")
