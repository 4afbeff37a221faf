"""Policies for others: into a folder, to a stand-in for the Hub, back, and played where no data are."""

import base64
import hashlib
import http.server
import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import ModelCard, constants
from safetensors.numpy import load_file

from lamobench.benchmark import cli, policy_hub
from lamobench.benchmark.config import RunRequest, resolve
from lamobench.benchmark.damage import damage
from lamobench.benchmark.policy_hub import PUBLISHED, is_repository, pull, push
from lamobench.benchmark.run_archive import MANIFEST, manifest_of
from lamobench.benchmark.run_files import file_facts
from lamobench.benchmark.run_layout import CHECKPOINT
from lamobench.benchmark.runs import read_config
from lamobench.benchmark.train import Training, train
from lamobench.datasets.errors import UserError

FILES = {MANIFEST, "README.md", *PUBLISHED}
REPOSITORY = "somebody/lamo-reacher2d"


class FakeHub(http.server.BaseHTTPRequestHandler):
    """As much of the Hub as models need. The class holds what it stores, so each test makes one of its own."""

    protocol_version = "HTTP/1.1"
    commits: ClassVar[dict[str, dict[str, bytes]]]  # repository@commit -> files
    head: ClassVar[dict[str, str]]  # repository -> its newest commit
    asked: ClassVar[list[str]]  # files that were downloaded
    sizes: ClassVar[dict[str, int]]  # what it says of a file's size, if not the truth

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: Any = b"", **headers: str) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def allowed(self) -> bool:
        """Writing needs the token; what else comes is sent away as the Hub does."""
        token = self.headers.get("Authorization", "")
        if token == "Bearer writes":
            return True
        self.answer(403 if token else 401, {"error": "no"}, X_Error_Message="no")
        return False

    def do_POST(self) -> None:
        body, path = self.rfile.read(int(self.headers["Content-Length"])), unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif not self.allowed():
            return
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            address = f"http://{self.headers['Host']}/{name}"
            self.answer(409 if name in self.head else 200, {"url": address})
            self.head.setdefault(name, self.commit(name, {}))
        elif "/preupload/" in path:
            files = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                     for file in json.loads(body)["files"]]  # fmt: skip
            self.answer(200, {"files": files})
        elif "/commit/" in path:
            name = "/".join(path.split("/")[3:5])
            lines = [json.loads(line) for line in body.splitlines()]
            new = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines
                   if line["key"] == "file"}  # fmt: skip
            self.head[name] = self.commit(name, self.commits[f"{name}@{self.head[name]}"] | new)
            where = f"http://{self.headers['Host']}/{name}/commit/{self.head[name]}"
            self.answer(200, {"success": True, "commitOid": self.head[name], "commitUrl": where})

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[f"{name}@{commit}"] = files
        return commit

    def do_GET(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        model = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if model else parts[:2])
        if name not in self.head:
            self.answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return
        revision = (parts[5] if len(parts) > 5 else "main") if model else parts[3]
        commit = self.head[name] if revision == "main" else revision
        if f"{name}@{commit}" not in self.commits:
            self.answer(404, {"error": "Invalid rev id"}, X_Error_Code="RevisionNotFound")
            return
        files = self.commits[f"{name}@{commit}"]
        if model:
            held = [{"rfilename": file, "size": self.sizes.get(file, len(content))} for file, content in files.items()]
            self.answer(200, {"id": name, "sha": commit, "siblings": held, "private": False, "tags": []})
            return
        file = "/".join(parts[4:])
        self.asked.append(file)
        mark = hashlib.sha1(files[file]).hexdigest()
        self.answer(200, files[file], ETag=f'"{mark}"', X_Repo_Commit=commit)

    do_HEAD = do_GET


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[FakeHub]]:
    """A stand-in for the Hub, and a token that may write to it."""
    handler = type("Hub", (FakeHub,), {"commits": {}, "head": {}, "asked": [], "sizes": {}})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "writes")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


@pytest.fixture
def run(shared_runs: Path, home: Path) -> Path:
    """A finished run, its data at hand."""
    return next(iter(shared_runs.glob("*-s0-*")))


@pytest.fixture
def published(run: Path, tmp_path: Path) -> Path:
    """The run's policy in a folder."""
    push(run, str(tmp_path / "policy"))
    return tmp_path / "policy"


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


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
    assert {path.name for path in published.iterdir()} == FILES
    assert {path.stat().st_mode & 0o777 for path in published.iterdir()} == {0o644}
    whole, slim = load_file(run / CHECKPOINT), load_file(published / CHECKPOINT)
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
    monkeypatch.setattr(Training, "run", lambda training: pytest.fail("it is trained again"))
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
    theirs, ours = tmp_path / "theirs" / "model", tmp_path / "ours"
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
    monkeypatch.setattr("lamobench.benchmark.language_models.try_to_load_from_cache", lambda *_: None)
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
    repack(published, **{CHECKPOINT: (published / CHECKPOINT).read_bytes()[:-1] + b"\x01"})
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
    value = {"observation_mean": [0.0] * 12, "observation_std": [1.0] * 12, "horizon": 100, "reward_rates": [0.0, 1.0]}
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
        (lambda f: repack(f, **{"data.json": b"{}"}), r"data\.json is not what is noted of a run's data"),
        (lambda f: repack(f, **{"data.json": b"NaN"}), r"data\.json can't be read \(NaN is no number"),
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
    repack(published, **{"data.json": facts(observation_mean=[0.0] * 9, observation_std=[1.0] * 9)})
    pulled = pull(str(published), tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"holds other tensors than this policy has"):
        evaluate(capsys, tmp_path / "elsewhere" / pulled.run)


def test_there_and_back_over_the_hub(
    hub: type[FakeHub], run: Path, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = push(run, REPOSITORY)
    first = hub.head[REPOSITORY]
    assert where == f"{REPOSITORY} at commit {first}"
    held = hub.commits[f"{REPOSITORY}@{first}"]
    assert set(held) == FILES
    assert {name: held[name] for name in PUBLISHED} == {name: (published / name).read_bytes() for name in PUBLISHED}
    assert f"lamobench hub pull {REPOSITORY}\n".encode() in held["README.md"]
    hub.commits[f"{REPOSITORY}@{first}"] |= {"evil.py": b"x", "weights.pt": b"x"}
    pulled = pull(REPOSITORY, tmp_path / "elsewhere")
    assert (pulled.run, pulled.commit, pulled.missing) == (run.name, first, "")
    assert set(hub.asked) == FILES - {"README.md"}, "nothing else is fetched"
    assert {path.name for path in (tmp_path / "elsewhere" / run.name).iterdir()} == set(PUBLISHED)
    evaluate(capsys, tmp_path / "elsewhere" / run.name)


def test_a_revision_is_the_same_for_ever(hub: type[FakeHub], shared_runs: Path, home: Path, tmp_path: Path) -> None:
    first, second = (next(iter(shared_runs.glob(f"*-s{seed}-*"))) for seed in (0, 1))
    push(first, REPOSITORY)
    commit = hub.head[REPOSITORY]
    push(second, REPOSITORY)
    assert hub.head[REPOSITORY] != commit
    assert pull(REPOSITORY, tmp_path / "a").run == second.name
    assert pull(REPOSITORY, tmp_path / "b", commit).run == first.name
    with pytest.raises(UserError, match=rf"repository {REPOSITORY} has no revision 'v9'; leave --revision away"):
        pull(REPOSITORY, tmp_path / "c", "v9")
    with pytest.raises(UserError, match=r"--revision v9 is of a repository, but .* is a folder"):
        pull(str(tmp_path), tmp_path / "c", "v9")


def test_a_repository_of_something_else_is_left_alone(hub: type[FakeHub], run: Path) -> None:
    hub.head[REPOSITORY] = "0" * 40
    hub.commits[f"{REPOSITORY}@{'0' * 40}"] = {".gitattributes": b"", "README.md": b"", "model.safetensors": b"x"}
    with pytest.raises(UserError, match=r"holds something else than a policy \(model\.safetensors\); give a new repos"):
        push(run, REPOSITORY)
    assert hub.head[REPOSITORY] == "0" * 40
    with pytest.raises(UserError, match=r"can't be pulled: there is no file manifest\.json in it"):
        pull(REPOSITORY, run.parent)


@pytest.mark.parametrize(("token", "status"), [("", 401), ("reads", 403)])
def test_a_token_that_may_not_write(
    hub: type[FakeHub], run: Path, monkeypatch: pytest.MonkeyPatch, token: str, status: int
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(run / "no-token"))
    with pytest.raises(
        UserError, match=rf"refuses {REPOSITORY} \({status}\).*`hf auth login`, or set HF_TOK"
    ) as mistake:
        push(run, REPOSITORY)
    assert "\n" not in str(mistake.value)
    assert "reads" not in str(mistake.value)


def test_what_the_hub_does_not_have(hub: type[FakeHub], run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no repository some/where, or it is private; mend the name, or log"):
        pull("some/where", tmp_path / "elsewhere")
    push(run, REPOSITORY)
    hub.sizes[CHECKPOINT] = 1 << 40
    with pytest.raises(UserError, match=r"checkpoint\.safetensors has 1099511627776 bytes, more than the"):
        pull(REPOSITORY, tmp_path / "elsewhere")
    assert not hub.asked
    hub.sizes.clear()
    hub.commits[f"{REPOSITORY}@{hub.head[REPOSITORY]}"][CHECKPOINT] += b"x"
    with pytest.raises(UserError, match=r"checkpoint\.safetensors has \d+ bytes and SHA-256 .*: it is damaged"):
        pull(REPOSITORY, tmp_path / "elsewhere")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_no_network(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for act in (lambda: push(run, REPOSITORY), lambda: pull(REPOSITORY, tmp_path / "elsewhere")):
        with pytest.raises(
            UserError, match=r"http://127\.0\.0\.1:9 can't be reached \(.*\); check the netw"
        ) as mistake:
            act()
        assert "\n" not in str(mistake.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        pull(REPOSITORY, tmp_path / "elsewhere")


def test_a_server_that_stumbles(run: Path, tmp_path: Path, hub: type[FakeHub], monkeypatch: pytest.MonkeyPatch) -> None:
    push(run, REPOSITORY)
    monkeypatch.setattr(hub, "do_GET", lambda self: self.answer(500, {"error": "oh"}))
    with pytest.raises(UserError, match=rf"answers 500 for {REPOSITORY}: .*; try again later"):
        pull(REPOSITORY, tmp_path / "elsewhere")


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
    for name in ("policy_hub", "run_archive", "run_files", "players", "event_files"):
        source = (Path(policy_hub.__file__).parent / f"{name}.py").read_text()
        assert not re.search(r"torch\.load|import pickle|weights_only|\.extractall|\beval\(|\bexec\(", source)
