"""Policies for others: into a folder, back, and played where no data are."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.offline.loop import Training, train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.damage import damage
from lamobench.benchmark.runs.layout import CHECKPOINT
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.sharing import hub as policy_hub
from lamobench.benchmark.sharing.archive import MANIFEST, manifest_of
from lamobench.benchmark.sharing.files import file_facts
from lamobench.benchmark.sharing.hub import PUBLISHED, is_repository, pull, push
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import folders, snapshot


@pytest.fixture
def run(shared_runs: Path, home: Path) -> Path:
    """A finished run, its data at hand."""
    return folders(shared_runs, 0)[0]


@pytest.fixture
def published(run: Path, tmp_path: Path) -> Path:
    """The run's policy in a folder."""
    push(run, str(tmp_path / "policy"))
    return tmp_path / "policy"


def evaluate(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> Any:
    capsys.readouterr()
    cli.parse(["evaluate", str(folder), "--episodes", "2", "--device", "cpu", "--json", *options]).run()
    return json.loads(capsys.readouterr().out)


def repack(published: Path, **changed: bytes) -> None:
    """Change files of a published policy, and its manifest with them: every hash is right."""
    for name, content in changed.items():
        (published / name).write_bytes(content)
    ((run, _),) = json.loads((published / MANIFEST).read_text())["runs"].items()
    facts = {name: file_facts(published / name) for name in PUBLISHED}
    (published / MANIFEST).write_bytes(manifest_of({run: facts}))


def test_what_is_published_is_weights_and_text(published: Path, run: Path, tmp_path: Path) -> None:
    assert {path.name for path in published.iterdir()} == {MANIFEST, "README.md", *PUBLISHED}
    assert {path.stat().st_mode & 0o777 for path in published.iterdir()} == {0o644}
    whole = load_file(run / CHECKPOINT)
    slim = load_file(published / CHECKPOINT)
    assert {name for name in whole if name.startswith("policy.")} == set(slim)
    assert all((whole[name] == slim[name]).all() for name in slim)
    assert (published / CHECKPOINT).stat().st_size < (run / CHECKPOINT).stat().st_size
    push(run, str(tmp_path / "again" / "policy"))
    assert snapshot(published) == snapshot(tmp_path / "again" / "policy")
    push(run, str(published))  # takes its own place
    assert snapshot(published) == snapshot(tmp_path / "again" / "policy")


def test_a_pulled_policy_is_whole_and_done(
    published: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(str(published), tmp_path / "q2")
    folder = tmp_path / "q2" / run.name
    assert damage(folder) == ""
    monkeypatch.setattr(Training, "live", lambda training: pytest.fail("it is trained again"))
    notes: list[str] = []
    assert train(read_config(folder), tmp_path / "q2", "cpu", note=notes.append) == folder
    assert notes == []
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:-1])
    assert "checkpoint.safetensors has" in damage(folder)


@pytest.mark.parametrize("method", ["bc", "rvs", "lamo"])
def test_a_policy_plays_the_same_where_neither_data_nor_english_are(
    method: str,
    tiny_request: Callable[..., RunRequest],
    english: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = Path(shutil.copy(english, tmp_path / "english.txt"))
    settings = {"corpus": str(text)} if method == "lamo" else {}
    folder = train(resolve(tiny_request(method, settings=settings)), tmp_path / "runs", "cpu")
    before = evaluate(capsys, folder)
    push(folder, str(tmp_path / "policy"))
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "nothing"))
    text.unlink()
    with pytest.raises(UserError):
        evaluate(capsys, folder)
    pulled = pull(str(tmp_path / "policy"), tmp_path / "elsewhere")
    assert (pulled.run, pulled.commit, pulled.missing) == (folder.name, "", "")
    assert evaluate(capsys, tmp_path / "elsewhere" / pulled.run) == before
    push(tmp_path / "elsewhere" / pulled.run, str(tmp_path / "passed-on" / "policy"))
    assert snapshot(tmp_path / "passed-on" / "policy") == snapshot(tmp_path / "policy")


def test_a_language_model_that_lies_elsewhere(
    tiny_request: Callable[..., RunRequest],
    tiny_gpt2: Path,
    tiny_bert: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = tmp_path / "theirs" / "model"
    ours = tmp_path / "ours"
    shutil.copytree(tiny_gpt2, theirs)
    settings = {"language_weight": 0.0}
    folder = train(resolve(tiny_request("lamo", lm=str(theirs), settings=settings)), tmp_path / "runs", "cpu")
    push(folder, str(tmp_path / "policy"))
    assert str(tmp_path) not in (tmp_path / "policy" / "README.md").read_text()
    before = evaluate(capsys, folder)
    theirs.rename(ours)
    pulled = pull(str(tmp_path / "policy"), tmp_path / "elsewhere")
    assert re.fullmatch(
        r"the run's language model was a folder elsewhere, 'model'; bring it here and type: lamobench evaluate RUN "
        r"--lm FOLDER \(its hash is checked: [0-9a-f]{16}\.\.\.\)",
        pulled.missing,
    )
    there = tmp_path / "elsewhere" / pulled.run
    with pytest.raises(UserError, match="was a folder elsewhere"):
        evaluate(capsys, there)
    with pytest.raises(UserError, match=r"is another one than the run's: its hash is .*; give --lm FOLDER"):
        evaluate(capsys, there, "--lm", str(tiny_bert))
    assert evaluate(capsys, there, "--lm", str(ours)) == before


def test_a_published_language_model_that_is_not_here_says_what_to_type(
    tiny_request: Callable[..., RunRequest],
    tiny_gpt2: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", lambda *_: None)
    shutil.copytree(tiny_gpt2, home / "models" / "gpt2")
    request = tiny_request("lamo", lm="gpt2", settings={"language_weight": 0.0})
    push(train(resolve(request), tmp_path / "runs", "cpu"), str(tmp_path / "policy"))
    shutil.rmtree(home / "models")
    assert "type: lamobench lm fetch gpt2" in pull(str(tmp_path / "policy"), tmp_path / "elsewhere").missing
    card = ModelCard.load(tmp_path / "policy" / "README.md")
    assert card.data.base_model == "openai-community/gpt2"
    assert "needs the language model `gpt2` (`lamobench lm fetch gpt2`)" in card.text.replace("\n", " ")


def test_the_run_that_it_came_from_is_the_same(published: Path, copied_runs: Path) -> None:
    before = snapshot(copied_runs)
    pulled = pull(str(published), copied_runs)
    assert (pulled.placed.added, pulled.placed.there) == ([], [pulled.run])
    assert snapshot(copied_runs) == before
    weights = (published / CHECKPOINT).read_bytes()[:-1] + b"\x01"
    noted = json.loads((published / "data.json").read_text()) | {"sha256": hashlib.sha256(weights).hexdigest()}
    repack(published, **{CHECKPOINT: weights, "data.json": json.dumps(noted).encode()})
    with pytest.raises(UserError, match=r"there already and has other content, or none, in checkpoint\.safetensors"):
        pull(str(published), copied_runs)
    assert snapshot(copied_runs) == before


def test_only_finished_runs_of_which_the_data_are_at_hand(copied_runs: Path, home: Path, tmp_path: Path) -> None:
    half_way, finished = (next(iter(copied_runs.glob(f"*-s{seed}-*"))) for seed in (2, 0))
    with pytest.raises(UserError, match=r"is unfinished; only a finished run's policy can be published"):
        push(half_way, str(tmp_path / "policy"))
    shutil.rmtree(home)
    with pytest.raises(UserError, match=r"reacher2d-medium"):
        push(finished, str(tmp_path / "policy"))
    (finished / CHECKPOINT).unlink()
    with pytest.raises(UserError, match=r"is without its checkpoint; only"):
        push(finished, str(tmp_path / "policy"))
    assert not (tmp_path / "policy").exists()


def test_a_folder_with_something_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"holds something else than a policy; give a new folder"):
        push(run, str(tmp_path / "mine"))
    with pytest.raises(UserError, match=r"is a file; give OWNER/NAME"):
        push(run, str(tmp_path / "mine" / "thesis.tex"))
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"


def spoil(name: str, content: bytes | None) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)

    return change


def link(folder: Path) -> None:
    (folder / "done.json").rename(folder.parent / "done.json")
    (folder / "done.json").symlink_to(folder.parent / "done.json")


def facts(**changes: Any) -> bytes:
    value = {
        "observation_mean": [0.0] * 12,
        "observation_std": [1.0] * 12,
        "horizon": 100,
        "reward_rates": [0.0, 1.0],
        "background": 0.0,
    }
    return json.dumps(value | changes).encode()


def pickled(folder: Path) -> None:
    repack(folder, **{CHECKPOINT: b"\x80\x04\x95cos\nsystem\n"})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (spoil(MANIFEST, None), r"there is no file manifest\.json in it; it is not from `lamobench hub push`"),
        (spoil(MANIFEST, b"{}"), r"is not one of 'lamobench runs'"),
        (spoil("done.json", None), r"there is no file done\.json in it"),
        (link, r"there is no file done\.json in it"),
        (spoil("config.json", b"{}"), r"config\.json has 2 bytes and SHA-256 .*: it is damaged or was changed"),
        (spoil(CHECKPOINT, b"cut"), r"checkpoint\.safetensors has 3 bytes"),
        (spoil("config.json", b" " * (2 << 20)), r"config\.json has 2097152 bytes, more than the 1048576"),
        (pickled, r"checkpoint\.safetensors has 14 bytes"),
        (lambda f: repack(f, **{"config.json": b"{}"}), r"is no run's configuration"),
        (lambda f: repack(f, **{"data.json": facts()}), r"checkpoint\.safetensors was changed after the run finished"),
        (lambda f: repack(f, **{"data.json": b"{}"}), r"data\.json is not what is noted of a run's data"),
        (lambda f: repack(f, **{"data.json": b"NaN"}), r"data\.json can't be read \(NaN is no finite number"),
        (lambda f: repack(f, **{"data.json": facts(horizon=10**9)}), r"can't be of data of task reacher2d"),
        (lambda f: repack(f, **{"data.json": facts(horizon="9")}), r"can't be of data of task reacher2d"),
        (lambda f: repack(f, **{"data.json": facts(observation_std=[-1.0] * 12)}), r"can't be of data of task"),
        (lambda f: repack(f, **{"data.json": facts(reward_rates=["a", "b"])}), r"is not what is noted of a run's data"),
    ],
)
def test_what_is_no_policy_is_refused_and_leaves_nothing(
    published: Path, tmp_path: Path, change: Callable[[Path], object], line: str
) -> None:
    change(published)
    with pytest.raises(UserError, match=line) as mistake:
        pull(str(published), tmp_path / "elsewhere")
    assert not list((tmp_path / "elsewhere").iterdir())
    assert "\n" not in str(mistake.value)
    assert ".arriving." not in str(mistake.value)


def test_facts_of_other_data_do_not_fit_the_weights(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noted = json.loads((published / "data.json").read_text())
    other = facts(observation_mean=[0.0] * 9, observation_std=[1.0] * 9, sha256=noted["sha256"])
    repack(published, **{"data.json": other})
    pulled = pull(str(published), tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"holds other tensors than this policy has"):
        evaluate(capsys, tmp_path / "elsewhere" / pulled.run)


def test_which_names_are_repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_repository("somebody/some.policy-1")
    for name in ("./a/b", "policy", "/a/b", "a/b/c", "../policy", "a/..", "~/policy"):
        assert not is_repository(name), name
    (tmp_path / "somebody" / "policy").mkdir(parents=True)
    assert not is_repository("somebody/policy")
    with pytest.raises(UserError, match=r"nowhere is neither a folder nor a repository's OWNER/NAME"):
        pull("nowhere", tmp_path / "runs")


def test_the_code_reads_nothing_pickled() -> None:
    benchmark = Path(policy_hub.__file__).parents[1]
    for path in (*(benchmark / "sharing").glob("*.py"), benchmark / "offline" / "players.py"):
        source = path.read_text()
        assert not re.search(r"torch\.load|import pickle|weights_only|\.extractall|\beval\(|\bexec\(", source)
