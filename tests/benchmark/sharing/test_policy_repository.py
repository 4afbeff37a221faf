"""Policies for others: to a stand-in for the Hub, and back."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.runs.layout import CHECKPOINT
from lamobench.benchmark.sharing.archive import MANIFEST
from lamobench.benchmark.sharing.hub import PUBLISHED, pull, push
from lamobench.datasets.errors import UserError
from lamobench.tests.benchmark.little_runs import folders
from lamobench.tests.benchmark.sharing.fake_hub import FakeHub

FILES = {MANIFEST, "README.md", *PUBLISHED}
REPOSITORY = "somebody/lamo-reacher2d"


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
    return folders(shared_runs, 0)[0]


def test_there_and_back_over_the_hub(
    hub: type[FakeHub], run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = push(run, REPOSITORY)
    first = hub.head[REPOSITORY]
    assert where == f"{REPOSITORY} at commit {first}"
    held = hub.commits[f"{REPOSITORY}@{first}"]
    assert set(held) == FILES
    push(run, str(tmp_path / "policy"))
    assert {name: held[name] for name in PUBLISHED} == {
        name: (tmp_path / "policy" / name).read_bytes() for name in PUBLISHED
    }
    assert f"lamobench hub pull {REPOSITORY}\n".encode() in held["README.md"]
    hub.commits[f"{REPOSITORY}@{first}"] |= {"evil.py": b"x", "weights.pt": b"x"}
    pulled = pull(REPOSITORY, tmp_path / "elsewhere")
    assert (pulled.run, pulled.commit, pulled.missing) == (run.name, first, "")
    assert set(hub.asked) == FILES - {"README.md"}, "nothing else is fetched"
    assert {path.name for path in (tmp_path / "elsewhere" / run.name).iterdir()} == set(PUBLISHED)
    cli.parse(["evaluate", str(tmp_path / "elsewhere" / run.name), "--episodes", "2", "--device", "cpu"]).run()
    assert capsys.readouterr().out


def test_a_revision_is_the_same_for_ever(hub: type[FakeHub], shared_runs: Path, home: Path, tmp_path: Path) -> None:
    first, second = folders(shared_runs, 0, 1)
    push(first, REPOSITORY)
    commit = hub.head[REPOSITORY]
    push(second, REPOSITORY)
    assert hub.head[REPOSITORY] != commit
    assert pull(REPOSITORY, tmp_path / "a").run == second.name
    assert pull(REPOSITORY, tmp_path / "b", commit).run == first.name
    with pytest.raises(UserError, match=rf"repository {REPOSITORY} has no revision 'v9'; leave --revision out"):
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
    with pytest.raises(UserError, match=r"no repository some/where, or it is private; correct the name, or log"):
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
