import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.lm.lamo import LaMoConfig
from lamobench.benchmark.offline import language
from lamobench.benchmark.offline.build import training_subset
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.changes import changed
from lamobench.benchmark.runs.records import read_config
from lamobench.datasets.errors import UserError
from lamobench.datasets.storage import write_json
from lamobench.datasets.trajectories import Trajectories

Requests = Callable[..., RunRequest]


def test_a_request_resolves_to_every_number(tiny_request: Requests, reacher_data: Trajectories) -> None:
    config = resolve(tiny_request("dt", fraction=0.5, seed=3))
    assert config.dataset_hash == reacher_data.content_hash
    assert (config.task, config.env_id, config.source) == ("reacher2d", "lamobench/Reacher2d-v0", "recorded")
    assert (config.seed, config.data_seed, config.episodes_in_subset) == (3, 3, 4)
    assert (config.steps, config.evaluate_every, config.batch_size) == (20, 10, 8)
    assert config.target_returns == [76.0]
    assert (config.lm, config.lm_hash, config.corpus_hash) == ("", "", "")
    assert config.policy["width"] == 16
    assert config.policy["gradient_clip"] == 0.25  # the method's own default


def test_a_config_survives_its_file(tiny_request: Requests, tmp_path: Path) -> None:
    for method in ("bc", "lamo"):
        config = resolve(tiny_request(method))
        write_json(tmp_path / "config.json", asdict(config))
        again = read_config(tmp_path)
        assert again == config
        assert again.id == config.id


def test_the_profile_decides_what_is_not_asked_for(home: Path) -> None:
    cpu = resolve(RunRequest("reacher2d-medium", "bc"))
    paper = resolve(RunRequest("reacher2d-medium", "bc", profile="paper"))
    assert paper.steps == 37_500
    assert cpu.steps < paper.steps
    assert resolve(RunRequest("reacher2d-medium", "lamo")).lm == "gpt2-mini"


def test_english_too_short_for_a_block_is_found_before_training(
    tiny_request: Requests, english: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.txt"
    short.write_text("\n\n".join(english.read_text().split("\n\n")[:30]))
    line = (
        r"the held-out part of corpus '.*short\.txt' has \d+ tokens, fewer than one block of 64; .*language_length=\d+$"
    )
    with pytest.raises(UserError, match=line):  # blocks are cut to the 64 positions of the model
        resolve(tiny_request("lamo", settings={"corpus": str(short), "language_length": 1024}))
    resolve(tiny_request("lamo", settings={"corpus": str(short), "language_length": 8}))


@pytest.mark.parametrize("english_read", [{"language_weight": 0.1}, {"output_anchor": 0.1}, {"measure_language": True}])
def test_the_paper_s_profile_reads_the_paper_s_english(
    tiny_request: Requests, monkeypatch: pytest.MonkeyPatch, english: Path, english_read: dict[str, Any]
) -> None:
    asked = replace(tiny_request("lamo", profile="paper"), settings={"language_length": 16, **english_read})
    with pytest.raises(UserError, match=r"corpus 'wikitext-103' is not on this machine; type: lamobench lm fetch"):
        resolve(asked)
    genuine = language.load_corpus
    monkeypatch.setattr(language, "load_corpus", lambda name, tokenizer: genuine(str(english), tokenizer))
    corpora = {profile: resolve(replace(asked, profile=profile)).policy["corpus"] for profile in ("paper", "cpu")}
    assert corpora == {"paper": "wikitext-103", "cpu": "docs"}
    named = resolve(replace(asked, settings=asked.settings | {"corpus": "docs"}))
    assert named.policy["corpus"] == "docs"


def test_where_no_english_is_read_none_is_named_anew(tiny_request: Requests) -> None:
    asked = replace(tiny_request("lamo", profile="paper"), settings={})
    assert resolve(asked).policy["corpus"] == "docs"  # as in runs of old, whose ids have it


def test_a_control_has_weights_of_its_own_for_each_seed(tiny_request: Requests) -> None:
    hashes = [
        resolve(tiny_request(m, seed=s)).lm_hash for m in ("lamo", "lamo-random", "lamo-permuted") for s in (0, 1)
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 5


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"method": "dtt"}, r"unknown method 'dtt'; did you mean 'dt'\? \(valid: lamo, .*cql, .*bc\b.*\)"),
        (
            {"method": "td3-bc", "compiled": True},
            r"steps of 'td3-bc' differ .* can't be compiled; drop --compiled",
        ),
        ({"profile": "gpu"}, r"unknown profile 'gpu'.*valid: paper, cpu|unknown profile 'gpu'.*valid: cpu, paper"),
        ({"source": "d4rl"}, r"unknown source of data set 'reacher2d-medium' 'd4rl' \(valid: auto, recorded\)"),
        (
            {"precision": "float16"},
            r"unknown precision 'float16'; did you mean '\w+'\? \(valid: float32, bfloat16\)",
        ),
        ({"method": "lamo", "lm": "gpt3"}, r"unknown language model 'gpt3'; did you mean 'gpt2'\?"),
        ({"fraction": 0.0}, r"fraction 0 is outside \(0, 1\]; give the share of episodes to keep, e.g. 0.1"),
        ({"fraction": 2.0}, r"fraction 2 is outside \(0, 1\]"),
        ({"fraction": math.nan}, r"fraction nan is outside \(0, 1\]"),
        ({"seed": -1}, r"seed -1 is out of range; give 0 to 4294967295"),
        ({"seed": 2**32}, r"seed 4294967296 is out of range"),
        ({"budget": {"step": 5}}, r"unknown budget 'step'; did you mean 'steps'\?"),
        ({"budget": {"steps": 0}}, r"steps is 0; give 1 to 1000000000000000"),
        ({"budget": {"steps": "many"}}, r"'many' is no value for steps; give one like \d+"),
        ({"budget": {"steps": 1.5}}, r"1.5 is no value for steps"),
        ({"budget": {"steps": 25}}, r"steps 25 must be a multiple of evaluate_every 10"),
        ({"budget": {"headline_evaluations": 3}}, r"with at least headline_evaluations 3 of them"),
        ({"settings": {"hiden": "[3]"}}, r"unknown setting of bc 'hiden'; did you mean 'hidden'\?"),
        ({"settings": {"context": 5}}, r"unknown setting of bc 'context'.*valid: hidden, learning_rate"),
        ({"settings": {"learning_rate": "fast"}}, r"'fast' is no value for learning_rate; give one like [\de.-]+$"),
        ({"settings": {"learning_rate": "-1"}}, r"learning_rate is -1.0; give 0 or more"),
        ({"settings": {"learning_rate": "NaN"}}, r"'NaN' is no value for learning_rate"),
        ({"settings": {"hidden": '[8, "x"]'}}, r"is no value for hidden; give one like \[\d+, \d+\]"),
        ({"method": "cql", "settings": {"target_entropy": "-Infinity"}}, r"is no value for target_entropy"),
        ({"settings": {"hidden": "[0]"}}, r"hidden is 0; give 1 or more"),
        ({"settings": {"decay": "linear"}}, r"unknown decay 'linear'.* \(valid: constant, cosine\)"),
        ({"method": "dt", "settings": {"dropout": 1.5}}, r"dropout is 1.5; give 0 to 1"),
        ({"method": "dt", "settings": {"embedding": "conv"}}, r"unknown embedding 'conv' \(valid: linear, mlp\)"),
        ({"method": "dt", "settings": {"activation": "tanh"}}, r"unknown activation 'tanh'"),
        ({"method": "cql", "settings": {"clip_gap": "[1]"}}, r"'\[1\]' is no value for clip_gap"),
        (
            {"method": "cql", "settings": {"backup_entropy": "1"}},
            r"'1' is no value for backup_entropy; .* false",
        ),
        (
            {"method": "lamo", "settings": {"corpus": "dcos"}},
            r"no corpus 'dcos': give 'docs', 'wikitext-2', 'wikitext-103' or the path",
        ),
        (
            {"method": "lamo", "settings": {"corpus": "wikitext-2"}},
            r"corpus 'wikitext-2' is not on this machine; type: lamobench lm fetch wikitext-2 ",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_mistake_gets_one_line(tiny_request: Requests, change: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as mistake:
        resolve(tiny_request(**{"method": "bc"} | change))
    assert "\n" not in str(mistake.value)


def test_missing_data_say_what_to_type(tiny_request: Requests) -> None:
    request = replace(tiny_request("bc"), dataset="reacher2d-medium-large")
    with pytest.raises(UserError, match=r"not in .*; to get it, type: lamobench data record reacher2d-medium-large"):
        resolve(request)
    with pytest.raises(UserError, match=r"unknown data set 'reacher'"):
        resolve(replace(request, dataset="reacher"))


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("context", "7", 7),
        ("learning_rate", "1e-3", 1e-3),
        ("learning_rate", "1", 1.0),
        ("language_weight", 1, 1.0),
        ("corpus", "123", "123"),  # a path may look like a number
        ("head", "linear", "linear"),
    ],
)
def test_text_becomes_the_type_of_its_field(name: str, given: Any, expected: Any) -> None:
    value = getattr(changed(LaMoConfig(), {name: given}, "setting"), name)
    assert value == expected
    assert type(value) is type(expected)


def test_an_optional_number_can_be_given_and_taken_back() -> None:
    from lamobench.baselines.cql import CQLConfig

    config = changed(CQLConfig(), {"clip_gap": "3", "target_entropy": "-1.5"}, "setting")
    assert (config.clip_gap, config.target_entropy) == (3.0, -1.5)
    assert changed(config, {"clip_gap": "null"}, "setting").clip_gap is None


def test_what_differs_from_the_profile_shows_in_its_name(tiny_request: Callable[..., RunRequest]) -> None:
    plain = replace(tiny_request("bc"), budget={}, settings={})
    assert resolve(plain).profile == "cpu"
    assert resolve(replace(plain, settings={"learning_rate": 0.1})).profile == "cpu (changed)"
    assert resolve(replace(plain, budget={"batch_size": 3})).profile == "cpu (changed)"
    assert resolve(replace(plain, precision="bfloat16", budget={"batch_size": 3})).profile == "cpu (bfloat16, changed)"
    assert resolve(replace(plain, compiled=True)).profile == "cpu (compiled)"


def test_a_fraction_can_be_drawn_by_length(tiny_request: Requests) -> None:
    uniform, length = (resolve(tiny_request("bc", fraction=0.4, seed=1, selection=s)) for s in ("uniform", "length"))
    assert (length.selection, length.episodes_in_subset) == ("length", 4)  # 64 of 160 steps, in episodes of 20
    assert uniform.id != length.id
    weighted = resolve(tiny_request("bc", fraction=0.45, seed=1, selection="weighted"))
    assert (weighted.selection, weighted.episodes_in_subset) == ("weighted", 3)  # of 8, rounded down
    assert len(training_subset(length).episodes) == 4
    with pytest.raises(UserError, match=r"unknown selection 'lenght'; did you mean 'length'\?"):
        resolve(tiny_request("bc", selection="lenght"))


def test_dt_matched_has_the_shape_of_the_language_model(tiny_request: Requests) -> None:
    config = resolve(tiny_request("dt-matched"))
    shape = {name: config.policy[name] for name in ("layers", "heads", "width", "activation")}
    assert shape == {"layers": 2, "heads": 2, "width": 16, "activation": "gelu_new"}
    assert (config.lm, config.lm_hash) == ("", "")  # its weights have no part in it
    mini = resolve(tiny_request("dt-matched", lm="gpt2-mini"))
    assert (mini.policy["layers"], mini.policy["heads"], mini.policy["width"]) == (4, 4, 128)
    assert mini.id != config.id
    assert resolve(tiny_request("dt-matched", settings={"layers": 1})).policy["layers"] == 1
