"""Whole runs of a policy that remembers, on a few games that were recorded here by a player that knows nothing."""

import bz2
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lamobench.baselines.online.nethack_networks import RecurrentActor
from lamobench.baselines.online.recurrent_ppo import RecurrentPPO, RecurrentRollout
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.build import build_agent, build_environment, pretraining_of, spec_of
from lamobench.benchmark.finetune.cloning import IGNORED, GameStreams, actions_of, imitate
from lamobench.benchmark.finetune.config import FinetuneConfig
from lamobench.benchmark.finetune.loop import Finetuning
from lamobench.benchmark.finetune.measures import measure
from lamobench.benchmark.finetune.recurrent_rounds import RecurrentRounds
from lamobench.benchmark.finetune.remembered_games import remembered_games
from lamobench.benchmark.finetune.resolve import methods_for, resolve
from lamobench.benchmark.recompute.check import check_folder
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import read_finished
from lamobench.datasets import nethack_recordings
from lamobench.datasets.csv_text import read_csv
from lamobench.datasets.environments.nethack_game import SPACES, Game
from lamobench.datasets.environments.nethack_lite import DEEP, START
from lamobench.datasets.errors import UserError
from lamobench.datasets.nethack_recordings import NetHackRecording
from lamobench.datasets.recording import autoascend, nethack
from lamobench.datasets.recording.nethack import record_games
from lamobench.datasets.sources.nethack import game_files
from lamobench.datasets.sources.ttyrec import ENDING, screens_of
from lamobench.tests.benchmark.cut_short import StoppedError, assert_goes_on, rows_of
from lamobench.tests.benchmark.finetune.conftest import train
from lamobench.tests.datasets.environments.nethack import DESCENTS, needs_nethack

needs_nethack()
NAME = "nethack-wandering"
BUDGET = {"steps": 4, "evaluate_every": 2, "evaluation_episodes": 2, "environments": 2, "rollout_steps": 8}
SETTINGS = {
    "environment.recording": NAME,
    "environment.far_level": 2,
    "environment.horizon": 20,
    "pretraining.updates": 3,
    "pretraining.streams": 2,
    "pretraining.sequence": 8,
    "pretraining.memory": 64,
    "pretraining.stretches": 2,
    "pretraining.held_out": 0,
    "pretraining.critic_rounds": 1,
    "hidden": 16,
    "width": 16,
    "batch_size": 8,
    "reward_scale": 1.0,
    "learning_rate": 1e-3,
}


def wander(game: Game) -> str:
    """Go down as the bot did, where it is known how, then walk at random."""
    for key in DESCENTS.get(game._environment.get_seeds()[0], b""):
        game.press(key)
    rng = np.random.default_rng(len(game.keys))
    for _ in range(100):
        game.press(int(rng.choice(np.frombuffer(b"hjklyubns", np.uint8))))
    game.quit()
    return "stopped"


@pytest.fixture(scope="module", autouse=True)
def _recording(home: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(nethack_recordings.NETHACK_RECORDINGS, NAME, NetHackRecording(NAME, 2, 1001, ""))
        patch.setattr(nethack, "cores", lambda: 1)
        patch.setattr(autoascend, "load", lambda: "")
        patch.setattr(autoascend, "play", wander)
        patch.setattr(autoascend, "OBSERVED", SPACES)
        record_games(NAME)
        yield


def tiny(method: str = "finetune", seed: int = 0, **changes: Any) -> FinetuneConfig:
    given = SETTINGS | {name.replace("__", "."): value for name, value in changes.items()}
    (config,) = resolve(Wanted("nethack-lite", (method,), (seed,), budget=BUDGET, settings=given))
    return config


def test_the_methods_are_those_that_apply() -> None:
    assert methods_for("nethack-lite") == [
        *("finetune", "finetune-bc", "finetune-ks", "finetune-ewc", "finetune-l2-init", "scratch", "frozen", "warm-up"),
    ]


@pytest.mark.parametrize("method", methods_for("nethack-lite"))
def test_every_method_is_trained_and_measured(method: str, tmp_path: Path) -> None:
    run = read_finished(train(tiny(method), tmp_path))
    found = measure(run)
    assert found.area == pytest.approx(run.result.score / 100)
    assert (found.environment_steps == 0) == (method == "frozen")
    last = rows_of(run.folder)[-1]
    assert {f"{place}_{fact}" for place in ("start", "deep") for fact in ("score", "turns", "depth", "experience")} <= {
        *last
    }
    assert last["start_depth"] >= 1
    assert last["deep_depth"] > 1  # it began where the bot had gone down
    assert run.config.later_fields is not None
    assert run.config.policy["environment.fixed_moon_phase"] is True
    assert run.config.policy["environment.level_seed"] is None


def test_a_row_tells_what_was_played_and_what_games_came_to(home: Path, tmp_path: Path) -> None:
    run = read_finished(train(tiny(), tmp_path / "runs"))
    grid = {"steps": 2, "evaluate_every": 1, "evaluation_episodes": 2}
    (other,) = resolve(Wanted("grid-relay", ("scratch",), (0,), budget=grid))
    train(other, tmp_path / "runs")  # has points of no kind
    output = tmp_path / "out"
    parse(["leaderboard", "--runs", str(tmp_path / "runs"), "--output", str(output), "--archive", "--no-figures"]).run()
    relay, row = read_csv(output / "finetune.csv")
    wanted = "far_level=2 fixed_moon_phase=true horizon=20 level_seed=null recording=nethack-wandering"
    assert row["environment"] == wanted
    logged = rows_of(run.folder)[-3:]  # two evaluations after the one before training
    for name in ("start_score", "start_turns", "deep_depth", "deep_experience"):
        assert float(row[name]) == pytest.approx(np.mean([each[name] for each in logged]), rel=1e-3)
        assert relay[name] == ""
    assert not [fault for checked in check_folder(output) for fault in checked.faults]


def test_a_finished_policy_plays_games_that_it_was_not_evaluated_on(tmp_path: Path) -> None:
    config = tiny()
    episodes = track.play(train(config, tmp_path), config, "cpu", "", 1000, 3)
    assert len({episode.seed for episode in episodes}) == 3
    assert all(0 < episode.length <= 20 and episode.episode_return >= 0 for episode in episodes)


def test_what_was_cloned_so_far_is_read_only_if_it_is_whole(tmp_path: Path) -> None:
    from lamobench.benchmark.finetune import cloning

    config = tiny()
    agent = build_agent(config, spec_of(build_environment(config)), 0)
    assert isinstance(agent, RecurrentPPO)
    (tmp_path / "part").write_bytes(b"damaged")
    with pytest.raises(UserError, match="delete it, and the games are cloned from the start"):
        cloning.clone_games(agent, game_files(NAME), pretraining_of(config), 0, tmp_path / "part")


def test_without_a_way_to_far_nothing_is_cloned(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamobench.benchmark.finetune import cloning

    monkeypatch.setattr(cloning, "clone_games", lambda *_: pytest.fail("it was cloned"))
    with pytest.raises(UserError, match=r"no game of 'nethack-wandering' comes to dungeon level 9"):
        tiny(environment__far_level=9)


def test_a_clone_serves_every_pi_star_that_is_made_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamobench.benchmark.finetune import cloning

    own = tiny()
    monkeypatch.setattr(cloning, "imitate", lambda *_: pytest.fail("it was cloned again"))
    others = [tiny(pretraining__critic_rounds=2), tiny(pretraining__memory=32)]
    assert len({own.pretrained_hash, *(other.pretrained_hash for other in others)}) == 3
    assert tiny(learning_rate=1e-4).pretrained_hash == own.pretrained_hash  # the critic learns at the clone's
    with pytest.raises(pytest.fail.Exception, match="cloned again"):
        tiny(hidden=8)


def test_a_clone_is_examined_on_games_that_it_was_not_shown(tmp_path: Path) -> None:
    config = tiny("frozen", pretraining__held_out=1)
    training = Finetuning(config, tmp_path, lambda *_: None)
    training.start()
    (first, *_) = training.progress.metrics
    actor = training.agent.actor
    assert isinstance(actor, RecurrentActor)
    screens, pressed = zip(*screens_of(game_files(NAME)[-1]), strict=True)
    observations = torch.from_numpy(np.concatenate([part.observations() for part in screens]))
    actions = torch.from_numpy(actions_of(np.concatenate(pressed)))
    begins = torch.zeros(1, len(actions), dtype=torch.bool)
    with torch.no_grad():
        outputs, _ = actor.remember(rollout_sequences(observations[None], begins, actor.first_states(1)))
        log_probabilities = actor.choose(outputs[0]).log_probabilities
    assert first["clone_loss"] == pytest.approx(-log_probabilities.gather(1, actions[:, None]).mean().item(), rel=1e-4)
    assert first["clone_accuracy"] == pytest.approx((log_probabilities.argmax(1) == actions).float().mean().item())
    assert {"warm_up_value", "warm_up_value_loss", "memory_far_share"} <= {*first}
    with pytest.raises(UserError, match=r"has 2 games, of which 2 are not cloned; give fewer"):
        tiny(pretraining__held_out=2)


def test_cloning_comes_to_predict_the_keys() -> None:
    """Random steps among nine keys: after a while these are known, and little else can be."""
    config = tiny()
    agent = build_agent(config, spec_of(build_environment(config)), 0)
    assert isinstance(agent, RecurrentPPO)
    streams = GameStreams(game_files(NAME), streams=4, steps=16, seed=0)
    optimizer = torch.optim.Adam(agent.actor.parameters(), 1e-2)
    states = agent.actor.first_states(4)
    losses: list[torch.Tensor] = []
    for _ in range(60):
        states = imitate(agent, optimizer, streams.batch(), states, losses, gradient_clip=4.0)
    assert torch.stack(losses[:5]).mean() > 3.5  # of 118 keys, by chance: 4.8
    assert torch.stack(losses[-5:]).mean() < 3.0


def test_what_is_kept_of_games_is_from_all_over_them_with_what_pi_star_remembers() -> None:
    training_actor, recipe = cloned_actor()
    memory = remembered_games(training_actor, game_files(NAME), recipe, seed=0, far_level=1)
    assert len(memory) == 8
    assert memory.stages.tolist() == [DEEP] * 8  # all is as deep as the first level
    assert (remembered_games(training_actor, game_files(NAME), recipe, 0, far_level=3).stages == START).all()
    places = []
    for path in game_files(NAME):
        screens, keys = zip(*screens_of(path), strict=True)
        observations = torch.from_numpy(np.concatenate([part.observations() for part in screens]))
        pressed = np.concatenate(keys)
        for row in range(len(memory)):
            for start in range(0, len(pressed) - 8, 8):
                if torch.equal(observations[start : start + 8], memory.screens[row]):
                    places.append(start)
                    assert memory.chosen[row].tolist() == actions_of(pressed[start : start + 8]).tolist()
                    seen = observations[None, :start]
                    begins = torch.zeros(1, start, dtype=torch.bool)
                    states = training_actor.first_states(1)
                    if start:
                        with torch.no_grad():
                            _, states = training_actor.remember(rollout_sequences(seen, begins, states))
                    torch.testing.assert_close(memory.states[row], states[0])
    assert len(places) == 8
    assert max(places) > 50


def cloned_actor() -> tuple[RecurrentActor, Any]:
    config = tiny()
    actor = build_agent(config, spec_of(build_environment(config)), 0).actor
    assert isinstance(actor, RecurrentActor)
    return actor, pretraining_of(config)


def test_games_of_elsewhere_can_be_cloned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = home / "elsewhere" / "one"
    folder.mkdir(parents=True)
    (path, *_) = game_files(NAME)
    shutil.copy(path, folder)
    facts = f"role=Mon\trace=Hum\tgender=Mal\talign=Neu\tttyrecname={path.name}"
    (folder / "nle.1.xlogfile").write_text(facts)
    own = tiny()
    other = tiny(pretraining__recording=str(home / "elsewhere"))
    assert other.data_hash != own.data_hash
    assert other.pretrained_hash != own.pretrained_hash


@pytest.mark.parametrize("method", ["finetune-ks", "scratch"])
def test_a_run_that_is_cut_short_goes_on_to_the_same_numbers(method: str, tmp_path: Path) -> None:
    assert_goes_on(partial(train, tiny(method)), tmp_path, 2)


def test_the_encoder_stays_as_pi_star_has_it_but_from_scratch(tmp_path: Path) -> None:
    for method, stays in (("finetune", True), ("scratch", False)):
        training = Finetuning(tiny(method), tmp_path / method, lambda *_: None)
        before = {name: tensor.clone() for name, tensor in training.agent.actor.encoder.state_dict().items()}
        training._round(0)
        after = training.agent.actor.encoder.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before) == stays
        assert training.memory.screens.is_floating_point() == stays


def test_pi_star_remembers_by_itself_what_the_student_saw(tmp_path: Path) -> None:
    training = Finetuning(tiny("finetune-ks", learning_rate=0.1), tmp_path, lambda *_: None)
    rounds = training.rounds
    assert isinstance(rounds, RecurrentRounds)
    teacher = rounds.retention.teacher
    states = teacher.first_states(2)
    for _ in range(3):
        rollout = rounds.collect()
        assert isinstance(rollout, RecurrentRollout)
        torch.testing.assert_close(rollout.teacher_states, states)
        for step in range(len(rollout.rewards)):  # one by one, as it would play
            seen = rollout.observations[step][:, None]
            sequences = rollout_sequences(seen, rollout.begins[step][:, None], states)
            _, states = teacher.remember(sequences)
        rounds.agent.update(rollout, rounds.retention)
    assert not torch.allclose(rounds.states, states)


def rollout_sequences(seen: torch.Tensor, begins: torch.Tensor, states: torch.Tensor) -> Any:
    from lamobench.baselines.online.sequences import Sequences

    return Sequences(seen, begins, states)


def test_cloning_that_was_stopped_goes_on_to_the_same_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lamobench.benchmark.finetune import cloning

    monkeypatch.setattr(cloning, "SAVE_EVERY", 2)
    config = tiny(pretraining__updates=5)
    recipe = pretraining_of(config)
    spec = spec_of(build_environment(config))
    agents = [build_agent(config, spec, 0) for _ in range(3)]
    whole, cut, again = (agent for agent in agents if isinstance(agent, RecurrentPPO))
    cloning.clone_games(whole, game_files(NAME), recipe, 0, tmp_path / "whole")
    imitate = cloning.imitate
    done = []

    def stop(*given: Any) -> torch.Tensor:
        if len(done) == 3:
            raise StoppedError
        done.append(1)
        return imitate(*given)

    with monkeypatch.context() as patch:
        patch.setattr(cloning, "imitate", stop)
        with pytest.raises(StoppedError):
            cloning.clone_games(cut, game_files(NAME), recipe, 0, tmp_path / "cut")
    cloning.clone_games(again, game_files(NAME), recipe, 0, tmp_path / "cut")
    for name, tensor in whole.actor.state_dict().items():
        assert torch.equal(again.actor.state_dict()[name], tensor), name


def test_a_game_without_keys_gets_a_line(tmp_path: Path) -> None:
    """A reader of nothing but such games would never come to an end."""
    path = tmp_path / f"none{ENDING}"
    path.write_bytes(bz2.compress(b""))
    with pytest.raises(UserError, match="holds no keys"):
        GameStreams([path], 1, 8, seed=0).batch()


def test_streams_go_on_from_batch_to_batch_and_from_game_to_game(monkeypatch: pytest.MonkeyPatch) -> None:
    from lamobench.benchmark.finetune import cloning
    from lamobench.datasets.environments.nethack_screens import KEY

    monkeypatch.setattr(cloning, "MOST_SKIPPED", 1)
    streams = GameStreams(game_files(NAME), 2, 8, seed=0)
    batches = [streams.batch() for _ in range(40)]
    observations = torch.cat([batch.observations for batch in batches], 1)
    begins = torch.cat([batch.begins for batch in batches], 1)
    actions = torch.cat([batch.actions for batch in batches], 1)
    assert begins[:, 0].all()
    assert 2 < begins.sum() < 10
    assert (actions != IGNORED).all()
    keys = torch.tensor(Game().keys)
    before = observations[..., KEY].long()
    goes_on = ~begins[:, 1:]
    assert torch.equal(before[:, 1:][goes_on], keys[actions[:, :-1]][goes_on])
    assert (before[begins] == 0).all()
