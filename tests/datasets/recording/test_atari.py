from dataclasses import replace

import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from lamobench.datasets.catalog import find_task, recording_of
from lamobench.datasets.entries import DATASETS
from lamobench.datasets.environments.simulators import make_environment
from lamobench.datasets.recording import atari, atari_paddle
from lamobench.datasets.recording.collect import PLAYERS, Recorder
from lamobench.datasets.recording.emulator import Emulator, best_plan, play_out
from lamobench.datasets.recording.part import Part

GAMES = list(atari.STYLES)


def environment(game: str, steps: int = 4096) -> Recorder:
    return Recorder(make_environment(replace(find_task(game), horizon=steps)))


def played(env: Recorder, game: str, part: Part) -> EpisodeBuffer:
    PLAYERS[game].play(env, "medium", part)
    return env.episode(part.number)


@pytest.mark.parametrize("game", GAMES)
def test_an_episode_depends_on_its_part_alone(game: str) -> None:
    first = Part(seed=11, number=0, total=2)
    second = Part(seed=12, number=1, total=2)
    env = environment(game, steps=24)
    one = played(env, game, first)
    two = played(env, game, second)
    again = played(env, game, first)
    assert len(one.rewards) == 24
    assert one.actions.tolist() == again.actions.tolist()
    assert one.rewards == again.rewards
    np.testing.assert_array_equal(one.observations, again.observations)
    assert one.actions.tolist() != two.actions.tolist()


@pytest.mark.parametrize("game", GAMES)
def test_trials_leave_no_trace(game: str) -> None:
    """An environment in which plans are tried shows what one shows in which none are."""
    tried = make_environment(find_task(game))
    plain = make_environment(find_task(game))
    tried.reset(seed=5), plain.reset(seed=5)
    rng = np.random.default_rng(5)
    style = atari.STYLES[game]
    emulator = Emulator(tried)
    for step in range(30):
        if step % 6 == 0:
            before = emulator.ram()
            best_plan(emulator, style.propose, style.judge, np.random.default_rng(step))
            assert emulator.ram() == before
        action = int(rng.integers(len(emulator.actions)))
        seen = tried.step(action)
        expected = plain.step(action)
        np.testing.assert_array_equal(seen[0], expected[0])
        assert seen[1:] == expected[1:]


def test_a_trial_foretells_what_the_environment_does() -> None:
    env = make_environment(find_task("asterix"))
    env.reset(seed=2)
    game = Emulator(env)
    plan = [int(a) for a in np.random.default_rng(0).integers(9, size=80)]
    with game.trial():
        rewards = [game.play(action) for action in plan]
        memory = game.ram()
    assert [env.step(action)[1] for action in plan] == rewards
    assert sum(rewards) > 0
    assert game.ram() == memory


def test_a_trial_is_taken_back_when_its_judge_fails() -> None:
    env = make_environment(find_task("pong"))
    env.reset(seed=2)
    game = Emulator(env)
    before = game.ram()

    def fails() -> None:
        with game.trial():
            game.play(2)
            assert game.ram() != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert game.ram() == before


@pytest.mark.parametrize(("game", "dying", "actions"), [("seaquest", 105, ["DOWN"]), ("asterix", 69, ["NOOP"])])
def test_a_death_is_seen_long_before_the_life_is_taken(game: str, dying: int, actions: list[str]) -> None:
    env = make_environment(find_task(game))
    env.reset(seed=0)
    emulator = Emulator(env)
    plan = [emulator.actions[name] for name in actions] * 1000
    lives = emulator.lives
    with emulator.trial():
        steps = next(step for step, action in enumerate(plan) if (emulator.play(action), emulator.lives)[1] < lives)
    early = plan[: steps - 12]
    for wanted, address in ((False, None), (True, dying)):
        with emulator.trial():
            value, died = play_out(emulator, early, discount=1.0, dying=address)
            assert (died, value < 0, emulator.lives) == (wanted, wanted, lives)


def test_the_random_share_is_drawn_anew_for_every_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    style = replace(atari.STYLES["pong"], propose=lambda game: [[1]], most_random=0.6)
    env = environment("pong", steps=100)
    others = []
    for seed in range(12):
        atari.play_episode(style, env, "medium", Part(seed, seed, 12))
        others.append(np.mean(env.episode(seed).actions != 1))
    assert 0 <= min(others) < 0.15 < 0.3 < max(others) < 0.65


@pytest.mark.parametrize(
    ("game", "seed", "steps", "bound"), [("freeway", 301, 60, 1), ("breakout", 301, 300, 10), ("pong", 301, 240, 1)]
)
def test_players_score_where_chance_does_not(game: str, seed: int, steps: int, bound: float) -> None:
    env = environment(game, steps)
    style = atari.STYLES[game]

    def episode_return(random_share: float) -> float:
        atari.play(style, env, seed, np.random.default_rng(seed), random_share)
        return sum(env.episode(0).rewards)

    assert episode_return(random_share=0.0) >= bound
    assert episode_return(random_share=1.0) <= bound / 5


@pytest.mark.parametrize(("game", "stay"), [("breakout", "FIRE"), ("pong", "NOOP")])
def test_a_paddle_s_player_draws_nothing_and_stays_unless_a_push_helps(game: str, stay: str) -> None:
    env = environment(game, steps=100)
    names = list(Emulator(env).actions)
    actions = []
    for seed in (1, 2):
        atari.play(atari.STYLES[game], env, 301, np.random.default_rng(seed), random_share=0.0)
        actions.append(env.episode(0).actions.tolist())
    assert actions[0] == actions[1]
    counts = {name: actions[0].count(action) for action, name in enumerate(names)}
    assert {name for name, count in counts.items() if count} == {stay, "LEFT", "RIGHT"}
    assert counts[stay] > 50


def test_breakout_s_player_goes_to_the_middle_of_the_field_before_it_serves() -> None:
    env = make_environment(find_task("breakout"))
    env.reset(seed=3)
    game = Emulator(env)
    style = atari.STYLES["breakout"]
    edges = []
    ram = game.ram()
    while not ram[atari_paddle.BREAKOUT_Y]:
        edges.append(ram[atari_paddle.BREAKOUT_PADDLE])
        env.step(best_plan(game, style.propose, style.judge, np.random.default_rng(0))[0])
        ram = game.ram()
    away = [abs(edge + atari_paddle.MIDDLE - atari_paddle.BREAKOUT_CENTRE) for edge in edges]
    assert away[0] > 20
    assert away[-1] < 20
    assert 2 <= len(edges) < 10


def test_every_game_is_recorded_in_grade_medium() -> None:
    for game in GAMES:
        recording = recording_of(DATASETS[f"{game}-medium"])
        assert recording.grade == "medium"
        assert recording.minari_id == f"lamobench/{game}/medium-v0"
        assert PLAYERS[game].algorithm == atari.ALGORITHM
