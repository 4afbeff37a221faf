from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lamobench.baselines.online.retention import RETENTIONS
from lamobench.benchmark.finetune import track
from lamobench.benchmark.finetune.build import build_environment, pretraining_of, retention_name
from lamobench.benchmark.finetune.config import FinetuneConfig
from lamobench.benchmark.finetune.pretrained import experts, make, path_of, pretrained
from lamobench.benchmark.finetune.resolve import methods_for, resolve
from lamobench.benchmark.finetune.settings import SETTINGS
from lamobench.benchmark.finetune.tuning import trials
from lamobench.benchmark.runs.methods import methods_of
from lamobench.benchmark.runs.tracks import Wanted, find_track, track_of
from lamobench.datasets.environments.staged_tasks import STAGED_TASKS, find_staged_task
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.finetune.conftest import Tiny


def test_the_track_is_known_by_its_tasks() -> None:
    assert {*find_track("finetune").subjects, "reach"} == set(STAGED_TASKS) == set(SETTINGS)  # reach is the tests' own
    assert track_of("grid-relay").name == "finetune"
    assert track_of("reacher2d-medium").name == "offline"
    assert track_of("no such name").name == "offline"  # which names the data sets that there are
    with pytest.raises(UserError, match=r"unknown task 'grid-rely'; did you mean 'grid-relay'\?"):
        track_of("grid-rely")


@pytest.mark.parametrize("task", STAGED_TASKS.values(), ids=list(STAGED_TASKS))
def test_tasks_are_what_their_environments_are(task: "object") -> None:
    known = find_staged_task(task.name)  # type: ignore[attr-defined]
    environment = known.make()
    assert environment.stages == known.stages
    assert environment.longest == known.horizon
    assert set(known.far) <= set(known.trained) < {*range(len(known.stages)), -1}
    budget = SETTINGS[known.name].budget
    assert budget.steps % budget.evaluate_every == 0


def test_only_agents_with_a_critic_warm_one_up() -> None:
    every = set(methods_of("finetune"))
    assert every - set(methods_for("robotic-sequence-2")) == set()
    assert every - set(methods_for("grid-relay")) == {"finetune-em"}  # only SAC has a buffer
    assert every - set(methods_for("apple-retrieval")) == {"finetune-em", "warm-up"}


def test_an_imperfect_clone_was_shown_every_stage_to_its_end() -> None:
    (config,) = resolve(Wanted("grid-relay-cloned", ("frozen",), (0,), plan=True))
    shown = experts(build_environment(config), config.staged_task, pretraining_of(config), 0)
    assert len(shown.stages) == 2000
    for stage in (0, 1):
        assert (shown.stages == stage).sum() > 600
        assert ((shown.stages == stage) & (shown.rewards > 1 - 1e-6)).sum() > 15  # goals that were reached
    assert len(set(shown.stages[:40])) == 2  # in no order


def test_the_critic_of_pi_star_can_be_warmed_up(tiny: Tiny) -> None:
    drawn, warm = (pretrained(tiny(pretraining__critic_warm_up=rounds)).weights for rounds in (0, 2))
    changed = {name.partition(".")[0] for name, tensor in drawn.items() if not torch.equal(tensor, warm[name])}
    assert changed == {"critic"}


def test_a_warm_up_of_no_rounds_is_none(tiny: Tiny) -> None:
    config = tiny()
    assert config.policy["pretraining.critic_warm_up"] == 0
    former = replace(config, policy={k: v for k, v in config.policy.items() if k != "pretraining.critic_warm_up"})
    assert (former.id, path_of(former)) == (config.id, path_of(config))


@pytest.mark.parametrize("task", ["grid-relay", "robotic-sequence-2", "nethack-lite"])
def test_all_methods_of_a_task_begin_with_one_pi_star(task: str) -> None:
    """A file for warm-up alone would be made for minutes, and hold the same."""
    assert len({path_of(config) for config in resolve(Wanted(task, (), (0,), plan=True))}) == 1


def test_pi_star_is_made_on_one_thread(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tiny()
    seen = []
    made = "lamobench.benchmark.finetune.pretrained._make"
    monkeypatch.setattr(made, lambda *_: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    make(config, tmp_path / "made")
    seen.append(torch.get_num_threads())
    torch.set_num_threads(1)
    assert seen == [1, 2]


def test_settings_say_what_they_are_of(tiny: Tiny) -> None:
    config = tiny(method="finetune-bc", retention__coefficient=0.25, environment__goals=2, learning_rate=0.5)
    assert config.settings_of("retention") == {"coefficient": 0.25, "batch_size": 512}
    assert config.settings_of("environment")["goals"] == 2
    assert config.settings_of("")["learning_rate"] == 0.5
    assert not any("." in name for name in config.settings_of(""))
    assert config.profile == "cpu (changed)"


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (Wanted("grid-rely"), r"unknown task in stages 'grid-rely'; did you mean 'grid-relay'\?"),
        (Wanted("grid-relay", ("bc",)), "unknown method of grid-relay 'bc'"),
        (Wanted("apple-retrieval", ("warm-up",)), "unknown method of apple-retrieval 'warm-up'"),
        (Wanted("grid-relay", profile="paper"), "unknown profile 'paper'"),
        (Wanted("grid-relay", seeds=(-1,)), "seed -1 is out of range"),
        (
            Wanted("grid-relay", choices={"fractions": (0.1,)}),
            "'grid-relay' is no data set: it has no choice of fractions",
        ),
        (Wanted("grid-relay", steps=7), "--steps 7 can't be spread over 20 evaluations"),
        (Wanted("grid-relay", budget={"evaluate_every": 7}), "steps 120 must be a multiple of evaluate_every 7"),
        (Wanted("grid-relay", settings={"enviroment.goals": 1}), "did you mean 'environment'"),
        (Wanted("grid-relay", settings={"environment.goal": 1}), "did you mean 'goals'"),
        (Wanted("grid-relay", settings={"environment.goals": 0}), "goals is 0"),
        (Wanted("grid-relay", settings={"learning_rate": -1}), "learning_rate is -1"),
        (Wanted("apple-retrieval", settings={"environment.distance": 80}), "can't be fetched in 100 steps"),
        (Wanted("apple-retrieval", settings={"environment.signal": 1e39}), "signal is 1e.39; expected a positive num"),
        (Wanted("apple-retrieval", settings={"environment.horizon": 10**12}), "an episode may have 1000000000000 st"),
        (Wanted("grid-relay", budget={"environments": 10**9}), "environments is 1000000000; give 1 to 1000"),
        (Wanted("grid-relay", budget={"evaluation_episodes": 10**9}), "evaluation_episodes is 1000000000; give 1 to"),
        (Wanted("grid-relay", budget={"rollout_steps": 10**9}), "make rounds of 64000000000 steps; give at most"),
        (
            Wanted("apple-retrieval", settings={"pretraining.critic_warm_up": 1}, plan=True),
            "critic_warm_up is 1, and reinforce has no critic; leave it out",
        ),
        (Wanted("grid-relay", settings={"pretraining.transitions": 10**12}), "transitions is 1000000000000; give at m"),
        (Wanted("grid-relay", settings={"pretraining.kind": "learning"}), "ppo has only been cloned; give cloning"),
        (Wanted("grid-relay", settings={"log_std_range": [2, -5]}), r"log_std_range is \[2, -5\]; give two numbers"),
        (Wanted("grid-relay", settings={"log_std_range": [1]}), r"\[1\] is no value for log_std_range; give one like"),
        (
            Wanted("grid-relay", ("finetune",), settings={"retention.coefficient": 1}),
            "unknown setting of finetune 'coefficient': there are none",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(wanted: Wanted, line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        resolve(wanted)
    assert "\n" not in str(caught.value)


def test_pi_star_and_what_it_was_cloned_from_are_part_of_the_id(tiny: Tiny) -> None:
    first = tiny()
    second = tiny(seed=1)
    assert first.pretrained_hash != second.pretrained_hash
    assert first.data_hash != second.data_hash
    assert tiny("apple-retrieval").data_hash == ""
    others = [
        replace(first, pretrained_hash="0" * 64),
        replace(first, data_hash="0" * 64),
        tiny(pretraining__updates=21),
    ]
    assert len({first.id, second.id, *(config.id for config in others)}) == 5
    assert tiny(method="finetune-bc").pretrained_hash == first.pretrained_hash


def test_pi_star_is_the_same_again(tiny: Tiny, change_home: Callable[[], Path]) -> None:
    for task in ("grid-relay", "apple-retrieval"):
        first = tiny(task)
        change_home()
        assert tiny(task) == first


@pytest.fixture
def change_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    def change() -> Path:
        folder = tmp_path / f"home-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        monkeypatch.setenv("LAMOBENCH_HOME", str(folder))
        return folder

    return change


def test_another_pi_star_than_was_planned_with_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    config = replace(tiny(), pretrained_hash="f" * 64)
    (line,) = track.train((config,), tmp_path, "cpu", lambda *_: None, print).values()
    assert "begins with the policy ffffffffffff..., but" in line
    assert not (tmp_path / config.id).exists()


def test_a_pi_star_that_can_t_be_read_is_told(tiny: Tiny, change_home: Callable[[], Path]) -> None:
    change_home()
    config: FinetuneConfig = tiny()
    path_of(config).write_bytes(b"no tensors")
    with pytest.raises(UserError, match=r"can't be read .* delete it, and it is made anew"):
        pretrained(config)
    path_of(config).unlink()
    pretrained(config)
    tensors = load_file(path_of(config))
    save_file({name: tensor for name, tensor in tensors.items() if name != "data_hash"}, path_of(config))
    with pytest.raises(UserError, match=r"can't be read \('data_hash'\)"):
        pretrained(config)


def test_a_clone_does_what_it_was_shown(tiny: Tiny) -> None:
    found = pretrained(tiny(pretraining__updates=400, pretraining__transitions=2000, pretraining__memory=500))
    from lamobench.benchmark.finetune.build import build_agent, build_environment, spec_of

    config = tiny()
    agent = build_agent(config, spec_of(build_environment(config)), 5)
    found.load_into(agent)
    with torch.no_grad():
        chosen = agent.actor.distribution(found.memory.observations, found.memory.stages).mode()
    assert (chosen == found.memory.actions).float().mean() > 0.9
    assert (found.memory.stages == 1).all()


def test_what_was_chosen_is_among_what_is_tried() -> None:
    for settings in SETTINGS.values():
        for method, values in settings.tried.items():
            assert settings.retention[method][RETENTIONS[retention_name(method)].strength] in values
    tried = [trial.value for trial in trials(Wanted("apple-retrieval", ("finetune-ewc",), (1000,)), "", ())]
    assert tried == [1.0, 3.0, 10.0, 100.0, 1000.0]
    assert [trial.value for trial in trials(Wanted("grid-relay", ("finetune-bc",), (1000,)), "", ())] == [0.01, 0.1, 1]


@pytest.mark.parametrize("task", SETTINGS)
def test_every_way_to_retain_has_a_strength_to_begin_the_search_with(task: str) -> None:
    for method in methods_for(task):
        if (name := retention_name(method)) != "none":
            assert SETTINGS[task].retention[method][RETENTIONS[name].strength] > 0


def test_of_episodic_memory_its_share_is_chosen() -> None:
    every = trials(Wanted("reach", seeds=(1000,), plan=True), "", ())
    assert [(trial.setting, trial.value) for trial in every if trial.method == "finetune-em"] == [
        ("retention.share", 0.1),
        ("retention.share", 0.2),
    ]
    assert {trial.setting for trial in every if trial.method != "finetune-em"} == {"retention.coefficient"}
    assert {trial.method for trial in trials(Wanted("reach", seeds=(1000,), plan=True), "retention.share", (0.2,))} == {
        "finetune-em"
    }


def test_tuning_has_seeds_of_its_own() -> None:
    with pytest.raises(UserError, match="seed 3 is for reported runs; seeds for tuning are 1000 and above"):
        trials(Wanted("grid-relay", seeds=(1000, 3)), "", ())
    with pytest.raises(UserError, match="unknown method that retains 'scratch'"):
        trials(Wanted("grid-relay", ("scratch",), (1000,)), "", ())
    with pytest.raises(UserError, match="unknown task to tune"):
        trials(Wanted("hopper", seeds=(1000,)), "", ())
    with pytest.raises(
        UserError, match=r"unknown setting to choose 'coefficient'; did you mean 'retention\.coefficient'"
    ):
        trials(Wanted("grid-relay", seeds=(1000,)), "coefficient", ())
