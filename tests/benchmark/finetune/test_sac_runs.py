"""SAC on the track: rounds, memory, pi* from a recording; on a made-up task, and a little of Meta-World where it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import minari
import numpy as np
import pytest
import torch

from lamobench.baselines.online.sac import SAC
from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.build import build_agent, build_environment, spec_of
from lamobench.benchmark.finetune.evaluation import play
from lamobench.benchmark.finetune.loop import Finetuning
from lamobench.benchmark.finetune.measures import measure
from lamobench.benchmark.finetune.pretrained import path_of, pretrained
from lamobench.benchmark.finetune.replay_rounds import SACRounds
from lamobench.benchmark.finetune.resolve import methods_for, resolve
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import read_finished
from lamobench.datasets.environments.staged_tasks import RoboticSequenceOptions, find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.datasets.recording.experts import Expert, recorded, recording_of
from lamobench.datasets.sources.recorded import minari_root
from lamobench.tests.benchmark.cut_short import assert_same_run
from lamobench.tests.benchmark.finetune.conftest import Tiny, train
from lamobench.tests.benchmark.finetune.reach import Reach
from lamobench.tests.datasets.environments.meta_world import needs_meta_world


def begun(config: Any, folder: Path) -> tuple[Finetuning, SACRounds]:
    training = Finetuning(config, folder, lambda *_: None)
    rounds = training.rounds
    assert isinstance(rounds, SACRounds)
    return training, rounds


def test_episodic_memory_is_for_agents_with_a_buffer() -> None:
    assert "finetune-em" in methods_for("reach")
    assert "warm-up" in methods_for("reach")
    assert "finetune-em" not in methods_for("grid-relay")


def test_the_memory_of_pi_star_outlives_the_buffer(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny("reach", "finetune-em", capacity=60, retention__share=0.5)
    memory = pretrained(config).memory
    training, rounds = begun(config, tmp_path)
    for number in range(6):  # 120 steps: four times around what is left
        training._round(number)
    assert rounds.buffer.protected == 30
    for name, column in vars(memory.rows(slice(0, 30))).items():
        np.testing.assert_array_equal(rounds.buffer.columns[name][:30], column.numpy())
    assert (memory.stages == 1).all()


def test_episodic_memory_keeps_what_plain_fine_tuning_forgets(tiny: Tiny, tmp_path: Path) -> None:
    """One head for both stages, which look nearly alike: learning to go right is forgetting to go left."""
    stages = {"environment__horizon": 24, "environment__pace": 0.07, "environment__signal": 0.2, "head_a_stage": False}
    known = {f"pretraining__{name}": n for name, n in {"updates": 600, "episodes": 30, "memory": 400}.items()}
    learning = {"start_steps": 0, "capacity": 2000, "batch_size": 64, "initial_temperature": 0.02}
    seeds = np.arange(20)
    for method, kept in (("finetune", False), ("finetune-em", True)):
        config = tiny("reach", method, pretraining__critic_updates=400, **stages, **known, **learning)
        training, _ = begun(config, tmp_path / method)
        for number in range(40):
            training._round(number)
        environment = build_environment(config)
        close, far = (play(training.agent.actor, environment, seeds, stage, only=True) for stage in (0, 1))
        assert close.success.mean() > 0.9, method
        assert (far.success.mean() > 0.9) == kept, method


def test_a_buffer_that_is_all_memory_is_refused(tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"a replay buffer of 150 steps, 1 of it memory, has no room .* smaller retent"):
        tiny("reach", "finetune-em", retention__share=1.0)


def test_a_stage_is_done_with_success_and_with_its_time_and_leads_to_its_own_last_state(
    tiny: Tiny, tmp_path: Path
) -> None:
    training, rounds = begun(tiny("reach", environment__horizon=4), tmp_path)
    for number in range(6):
        training._round(number)
    rows = {name: column[: rounds.buffer.size] for name, column in rounds.buffer.columns.items()}
    goals = np.where(rows["stages"] == 0, 0.5, -0.5)
    near = np.abs(rows["next_observations"][:, 0] - goals) < 0.1
    late = rows["next_observations"][:, 1] == 1.0
    np.testing.assert_array_equal(rows["dones"] == 1, near | late)
    assert late.any()
    moved = rows["next_observations"][:, 0] - rows["observations"][:, 0]
    np.testing.assert_allclose(moved, 0.2 * rows["actions"][:, 0], atol=1e-6)  # never the start of what came next


@pytest.mark.parametrize(("method", "everywhere"), [("finetune", False), ("scratch", True)])
def test_first_actions_are_random_where_nothing_is_known(
    method: str, everywhere: bool, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rounds = begun(tiny("reach", method), tmp_path)
    monkeypatch.setattr(SAC, "act", lambda self, o, s, g=None: torch.full((len(o), 1), 9.0))
    stages = torch.tensor([0, 1, 0, 1])
    observations = torch.zeros(4, 2)
    known = (rounds._act(observations, stages, at_random=True) == 9.0)[:, 0]
    assert known.tolist() == [False, not everywhere] * 2
    assert (rounds._act(observations, stages, at_random=False) == 9.0).all()


def test_in_a_warm_up_the_critics_learn_at_once_and_nothing_is_done_at_random(tiny: Tiny, tmp_path: Path) -> None:
    """Others wait for more steps than the arm's warm-up has, and play them at random."""
    training, rounds = begun(tiny("reach", "warm-up", update_after=1000, start_steps=1000, batch_size=8), tmp_path)
    assert not rounds.explored.any()
    training.warm_up = 2
    actor = {name: tensor.clone() for name, tensor in training.agent.actor.state_dict().items()}
    critic = {name: tensor.clone() for name, tensor in training.agent.critic.state_dict().items()}
    examples = [training._round(number).gradient_examples for number in range(2)]
    assert min(examples) > 0
    assert all(torch.equal(tensor, actor[name]) for name, tensor in training.agent.actor.state_dict().items())
    assert any(not torch.equal(tensor, critic[name]) for name, tensor in training.agent.critic.state_dict().items())
    training._round(2)
    assert any(not torch.equal(tensor, actor[name]) for name, tensor in training.agent.actor.state_dict().items())


def test_updates_begin_when_there_is_enough_to_learn_from(tiny: Tiny, tmp_path: Path) -> None:
    training, rounds = begun(tiny("reach", update_after=40, updates_per_step=0.5), tmp_path)
    before = rounds.agent.critic.state_dict()["weights.0"].clone()
    first = training._round(0)
    assert first.gradient_examples == 0
    assert torch.equal(rounds.agent.critic.state_dict()["weights.0"], before)
    second = training._round(1)
    assert second.environment_steps == 20
    assert second.gradient_examples == 10 * 16
    assert int(rounds.agent.updates.done) == 10


def test_pi_star_does_far_and_nothing_of_close(tiny: Tiny) -> None:
    config = tiny("reach", pretraining__updates=600, pretraining__episodes=30)
    environment = build_environment(config)
    agent = build_agent(config, spec_of(environment), 5)
    pretrained(config).load_into(agent)
    seeds = np.arange(10)
    assert play(agent.actor, environment, seeds, 1, only=True).success.mean() == 1.0
    assert play(agent.actor, environment, seeds, 0, only=True).success.mean() == 0.0


def test_the_critic_is_warmed_up_or_left_as_it_was_drawn(tiny: Tiny) -> None:
    config = tiny("reach", pretraining__critic_updates=0)
    drawn = build_agent(config, spec_of(build_environment(config)), config.pretraining_seed).state_dict()
    for updates, moved in ((0, False), (5, True)):
        weights = pretrained(tiny("reach", pretraining__critic_updates=updates)).weights
        assert torch.equal(weights["critic.weights.0"], drawn["critic.weights.0"]) != moved
    assert {name.split(".")[0] for name in weights} == {"actor", "critic", "target_critic"}


def test_methods_begin_with_the_critics_of_pi_star_and_their_targets(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny("reach")
    found = pretrained(config)
    training, _ = begun(config, tmp_path)
    for name, tensor in training.agent.state_dict().items():
        if name in found.weights:
            assert torch.equal(tensor, found.weights[name]), name


def test_an_expert_is_recorded_once_as_minari_keeps_data(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path))
    config = tiny("reach", pretraining__episodes=7)
    task = config.staged_task
    minari_id = recording_of(task, Expert(7, (0.0, 0.1, 0.2), 0), stage=1).minari_id
    assert minari_id.startswith("lamobench/reach/left-s0-")
    data = minari.MinariDataset(minari_root() / minari_id / "data")
    assert data.total_episodes == 7
    episodes = list(data.iterate_episodes())
    assert all(episode.terminations[-1] != episode.truncations[-1] for episode in episodes)
    assert [np.abs(e.actions).max() <= 1 for e in episodes] == [True] * 7
    straight, crooked = (np.abs(np.diff(episodes[n].actions[:2, 0])).max() for n in (0, 2))
    assert straight == 0 < crooked  # the first is without noise
    monkeypatch.setattr(Reach, "step", None)  # whoever would record anew, fails
    shown = recorded(build_environment(config), task, Expert(7, (0.0, 0.1, 0.2), 0))
    assert shown.hash == config.data_hash
    assert shown.dones.sum() == 7
    assert len(shown.actions) == data.total_steps


def test_recordings_of_other_plans_have_other_names() -> None:
    task = find_staged_task("robotic-sequence")
    plans = [(task, Expert(5, (0.0,), 0)), (task, Expert(6, (0.0,), 0)), (task, Expert(5, (0.1,), 0))]
    plans.append((task.with_options(RoboticSequenceOptions(shift=0.1)), Expert(5, (0.0,), 0)))
    plans.append((task, Expert(5, (0.0,), 1)))
    assert len({recording_of(*plan, stage=2).minari_id for plan in plans}) == 5


def test_several_seeds_begin_with_one_pi_star(tiny: Tiny) -> None:
    own = [tiny("reach", seed=seed) for seed in (0, 1)]
    shared = [tiny("reach", seed=seed, pretraining__seed=1) for seed in (0, 1)]
    assert [config.pretraining_seed for config in (*own, *shared)] == [0, 1, 1, 1]
    assert shared[0].pretrained_hash == shared[1].pretrained_hash == own[1].pretrained_hash
    assert path_of(shared[0]) == path_of(own[1])
    assert len({config.id for config in (*own, *shared)}) == 4


def test_evaluations_take_the_mean_action_and_one_episode_after_the_other(tiny: Tiny) -> None:
    config = tiny("reach")
    environment = build_environment(config)
    actor = build_agent(config, spec_of(environment), 3).actor
    together = play(actor, environment, np.array([4, 5, 6]))
    alone = [play(actor, environment, np.array([seed])) for seed in (4, 5, 6)]
    for name, values in vars(together).items():
        np.testing.assert_array_equal(values, np.concatenate([getattr(one, name) for one in alone]))
    first = environment.reset(np.array([4]))
    policy = actor.distribution(torch.from_numpy(first), torch.zeros(1, dtype=torch.long))
    following = environment.step(policy.mode().detach().numpy()).rewards
    short = build_environment(tiny("reach", environment__horizon=1))
    assert play(actor, short, np.array([4]), only=True).returns == pytest.approx(following)


PROGRAM = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from lamobench.benchmark.finetune import settings, track
from lamobench.benchmark.finetune.resolve import resolve
from lamobench.benchmark.runs.tracks import Wanted
from lamobench.benchmark.scores.collect import read_finished
from lamobench.benchmark.training.life import Life
from lamobench.datasets.environments import staged_tasks
from lamobench.tests.benchmark.finetune import reach
sys.modules["lamobench.datasets.environments.reach"] = reach
staged_tasks.STAGED_TASKS["reach"] = reach.TASK
settings.SETTINGS["reach"] = reach.SETTINGS
settle = Life.settle
def settled(life):
    settle(life)
    if sys.argv[2] == "kill" and life.progress.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
Life.settle = settled
runs = tuple(resolve(Wanted("reach", ("finetune-em",), (0,))))
assert track.train(runs, Path(sys.argv[1]), "cpu", lambda *_: None, print) == {}
"""


def test_a_run_that_was_killed_goes_on_bitwise(tiny: Tiny, tmp_path: Path) -> None:
    config = tiny("reach", "finetune-em")

    def run(folder: str, end: str) -> int:
        command = [sys.executable, "-c", PROGRAM, str(tmp_path / folder), end]
        return subprocess.run(command, capture_output=True, timeout=240, check=False, env=os.environ).returncode

    assert run("killed", "kill") == -signal.SIGKILL
    assert not (tmp_path / "killed" / config.id / "done.json").exists()
    assert run("killed", "go on") == 0
    assert_same_run(tmp_path / "killed" / config.id, train(config, tmp_path / "whole"))


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (Wanted("robotic-sequence"), "unknown profile 'cpu' .valid: paper.; tasks in stages have one"),
        (
            Wanted("robotic-sequence-2", settings={"environment.stages": '["handle-press","pushwall"]'}),
            "unknown task of Meta-World 'pushwall'; did you mean 'push-wall'",
        ),
        (Wanted("robotic-sequence-2", settings={"environment.known": "[2]"}), r"known stages are \[2\] of 2 stages"),
        (
            Wanted("robotic-sequence-2", settings={"environment.stages": "[]"}),
            r"stages are \[\]; give two tasks or more",
        ),
        (Wanted("robotic-sequence-2", settings={"pretraining.noise": "[-1]"}), "noise is -1.0; give 0 or more"),
        (Wanted("robotic-sequence-2", settings={"pretraining.noise": "[]"}), "noise is empty; give a strength or more"),
        (Wanted("robotic-sequence-2", settings={"updates_per_step": 1e308}), "give 1e-12 to 1000"),
        (Wanted("robotic-sequence-2", settings={"capacity": 10**12}), "give 1 to 1e"),
        (
            Wanted("robotic-sequence-2", ("finetune-ewc",), settings={"retention.estimate": "batch"}),
            "retention.estimate is 'batch', which sac does not have; give exact",
        ),
    ],
)
def test_sequences_that_make_no_sense_are_one_line(wanted: Wanted, line: str) -> None:
    needs_meta_world()
    with pytest.raises(UserError, match=line) as caught:
        resolve(wanted)
    assert "\n" not in str(caught.value)


def test_the_four_stages_of_the_paper_are_trained_in(tmp_path: Path) -> None:
    needs_meta_world()
    settings = {
        **{"environment.horizon": 5, "environment.known": "[2, 3]", "hidden": "[8, 8]", "batch_size": 8},
        **{"pretraining.episodes": 2, "pretraining.updates": 5, "pretraining.memory": 10, "start_steps": 4},
        **{"pretraining.critic_updates": 2, "update_after": 4, "capacity": 200},
    }
    budget = {"steps": 2, "evaluate_every": 1, "evaluation_episodes": 1, "rollout_steps": 8}
    asked = Wanted("robotic-sequence", ("finetune-bc",), (0,), "paper", settings=settings, budget=budget)
    (config,) = resolve(asked)
    assert config.staged_task.stages == ("hammer", "push", "peg-unplug-side", "push-wall")
    assert track.train((config,), tmp_path, "cpu", lambda *_: None, print) == {}
    found = measure(read_finished(tmp_path / config.id))
    assert (found.environment_steps, found.far_before) == (16, 0.0)  # nobody plugs out a peg in five steps


def test_meta_world_is_trained_in_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_meta_world()
    settings = {
        **{"environment.horizon": 6, "environment.stages": '["handle-press", "reach"]', "batch_size": 8},
        **{
            "pretraining.episodes": 3,
            "pretraining.updates": 5,
            "pretraining.memory": 12,
            "pretraining.critic_updates": 2,
        },
        **{"hidden": "[8, 8]", "start_steps": 4, "update_after": 4, "capacity": 200},
    }
    budget = {"steps": 2, "evaluate_every": 1, "evaluation_episodes": 2, "rollout_steps": 7}
    (config,) = resolve(Wanted("robotic-sequence-2", ("finetune-em",), (0,), settings=settings, budget=budget))
    assert config.staged_task.stages == ("handle-press", "reach")
    assert track.train((config,), tmp_path / "whole", "cpu", lambda *_: None, print) == {}
    whole, rounds = begun(config, tmp_path / "fresh")
    whole._round(0)
    cut, other = begun(config, tmp_path / "cut")
    cut.agent.load(whole.agent.tensors())
    cut.rng.bit_generator.state = whole.rng.bit_generator.state
    other.load(rounds.tensors())  # in the middle of a stage
    assert rounds.environment.elapsed[0] > 0
    whole._round(1)
    cut._round(1)
    assert all(torch.equal(tensor, other.tensors()[name]) for name, tensor in rounds.tensors().items())
