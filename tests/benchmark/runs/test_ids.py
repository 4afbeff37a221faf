"""A run's id: what changes it, and what of former runs keeps it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.offline.build import policy_config
from lamobench.benchmark.offline.config import LATER_SETTINGS, OfflineConfig
from lamobench.benchmark.offline.hyperparameters import budget_for, overrides_for
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.datasets import cache
from lamobench.datasets.catalog import find_task
from lamobench.datasets.trajectories import Trajectories

Requests = Callable[..., RunRequest]


def test_every_field_changes_the_id(tiny_request: Requests) -> None:
    config = resolve(tiny_request("lamo"))
    other: dict[type, Callable[[Any], Any]] = {
        str: lambda value: value + "x",
        int: lambda value: value + 1,
        bool: lambda value: not value,
        float: lambda value: value / 2,
        list: lambda value: [*value, 1.0],
        dict: lambda value: value | {"context": 99},
    }
    ids = [config.id]
    for field in fields(OfflineConfig):
        value = getattr(config, field.name)
        ids.append(replace(config, **{field.name: other[type(value)](value)}).id)
    assert len(set(ids)) == len(fields(OfflineConfig)) + 1


@pytest.mark.parametrize(
    "change",
    [
        {"method": "lamo-random"},
        {"fraction": 0.5},
        {"seed": 1},
        {"data_seed": 1, "fraction": 0.5},
        {"precision": "bfloat16"},
        {"compiled": True},
        {"profile": "paper"},
        {"budget": {"steps": 40}},
        {"budget": {"batch_size": 9}},
        {"settings": {"learning_rate": 0.2}},
        {"settings": {"language_weight": 0.2}},
    ],
    ids=str,
)
def test_everything_that_changes_results_changes_the_id(tiny_request: Requests, change: dict[str, Any]) -> None:
    base = {"method": "lamo"}
    assert resolve(tiny_request(**base)).id == resolve(tiny_request(**base)).id
    assert resolve(tiny_request(**base | change)).id != resolve(tiny_request(**base)).id


def test_the_data_decide_the_id(tiny_request: Requests, reacher_data: Trajectories) -> None:
    before = resolve(tiny_request("bc")).id
    rewards = reacher_data.rewards.copy()
    rewards[5] += 1.0
    cache.replace(replace(reacher_data, rewards=rewards))
    assert resolve(tiny_request("bc")).id != before


def test_the_language_model_decides_the_id(tiny_request: Requests, tiny_gpt2: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_gpt2, copy)
    before = resolve(tiny_request("lamo", lm=str(copy))).id
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"layer_norm_epsilon": 1e-3}))
    assert resolve(tiny_request("lamo", lm=str(copy))).id != before


def test_the_english_of_the_language_loss_decides_the_id(tiny_request: Requests, english: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    copy.write_text(english.read_text())

    def config(**settings: Any) -> OfflineConfig:
        return resolve(tiny_request("lamo", settings={"corpus": str(copy)} | settings))

    before = config()
    without = config(language_weight=0.0)
    assert len(before.corpus_hash) == 64
    assert without.corpus_hash == ""  # nothing is read where the loss is off
    copy.write_text(english.read_text() + "\n\none more paragraph of the mean and the sum of a given array\n")
    assert config().id != before.id
    assert config(language_weight=0.0).id == without.id


@pytest.mark.parametrize("method", ["bc", "cql", "lamo"])
def test_runs_from_before_a_setting_was_there_keep_their_ids(tiny_request: Requests, method: str) -> None:
    as_before = {"input_scale": "published"} if method == "lamo" else {}  # which the profile has otherwise now
    config = resolve(tiny_request(method, settings=as_before))
    later = LATER_SETTINGS.keys() & config.policy.keys()
    expected = {
        "bc": {"best_share"},
        "cql": {"max_backup", "target_gap"},
        "lamo": {"norm_before_time", "return_scale", "input_scale"},
    }
    assert later >= expected[method]
    before = replace(config, policy={k: v for k, v in config.policy.items() if k not in later})
    assert before.id == config.id
    changed_settings: dict[str, list[dict[str, Any]]] = {
        "bc": [{"best_share": 0.5}],
        "cql": [{"max_backup": True}],
        "lamo": [{"norm_before_time": False}, {"return_scale": 1.0}, {"input_scale": "words"}],
    }
    for setting in changed_settings[method]:
        assert replace(config, policy=config.policy | setting).id != config.id


def published_run(task: str, method: str, policy: dict[str, Any]) -> OfflineConfig:
    """A run of the paper's profile as its config.json has it, on a tenth of a data set."""
    lm = "gpt2" if method == "lamo" else ""
    found = find_task(task)
    return OfflineConfig(
        dataset=f"{task}-medium",
        task=task,
        source="recorded",
        dataset_hash="d" * 64,
        fraction=0.1,
        data_seed=0,
        subset_hash="s" * 64,
        episodes_in_subset=4,
        env_id=found.env_id,
        target_returns=[found.target_returns[0]],
        method=method,
        lm=lm,
        lm_hash="l" * 64 if lm else "",
        corpus_hash="",
        profile="paper",
        seed=0,
        precision="float32",
        **asdict(budget_for("paper", task, method)),
        policy=policy,
        version="0.1.0",
    )


# As these configs were when LaMo had no such settings.
FORMER_LAMO: dict[str, Any] = {
    "context": 20,
    "embedding": "linear",
    "head": "linear",
    "dropout": 0.1,
    "adaptation": "lora",
    "lora_pairs": "separate",
    "lora_targets": "qkv",
    "lora_rank": 16,
    "lora_alpha": 32.0,
    "lora_dropout": 0.1,
    "language_weight": 0.0,
    "weight_anchor": 0.0,
    "output_anchor": 0.0,
    "language_batch": 2,
    "language_length": 1024,
    "corpus": "docs",
    "measure_language": False,
    "learning_rate": 1e-4,
    "weight_decay": 1e-5,
    "warmup_steps": 2500,
    "decay": "constant",
    "gradient_clip": 0.25,
    "epsilon": 1e-6,
}
FORMER_ATARI_LAMO = FORMER_LAMO | {
    "context": 30,
    "embedding": "mlp",
    "lora_pairs": "joint",
    "lora_rank": 32,
    "lora_dropout": 0.0,
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "gradient_clip": 1.0,
}


@pytest.mark.parametrize(
    ("task", "policy", "digest"),
    [("hopper", FORMER_LAMO, "a602434b11"), ("breakout", FORMER_ATARI_LAMO, "277ab7e9e1")],
)
def test_ids_of_lamo_s_runs_of_old_are_pinned(task: str, policy: dict[str, Any], digest: str) -> None:
    config = published_run(task, "lamo", policy)
    assert config.id == f"{task}-medium-0.1-lamo-s0-{digest}"
    settings = policy_config("lamo", policy)
    assert (settings.norm_before_time, settings.return_scale) == (True, None)  # it is built as it was trained


@pytest.mark.parametrize(
    ("task", "method", "digest"),
    [("hopper", "lamo", "a602434b11"), ("breakout", "dt", "c7d876ab43"), ("breakout", "lamo", "")],
)
def test_what_is_trained_today_has_its_former_id_unless_it_changed(task: str, method: str, digest: str) -> None:
    settings = policy_config(method, overrides_for("paper", task, method))
    config = published_run(task, method, json.loads(json.dumps(asdict(settings))))
    if digest:
        assert config.id.endswith(digest)
    else:
        assert config.id != published_run(task, method, FORMER_ATARI_LAMO).id
