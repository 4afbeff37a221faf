"""Full disks, and files that may not grow: every command ends in one line about a place that its user knows."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lamobench.tests.benchmark.little_runs import folders
from lamobench.tests.small_disks import needs_mounts, on_small_disk

MAIN = """
import contextlib, io, json, os, resource, sys
from pathlib import Path
limit, place, commands = int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
else:
    (place / "ballast").write_bytes(bytes(os.statvfs(place).f_bavail * 4096 - 8192))
from lamobench.benchmark.cli import main as cli
from lamobench.benchmark.sweep import local as local_engine
local_engine.START_METHOD = "fork"
for command in commands:
    sys.argv, said, status = ["lamobench", *command], io.StringIO(), 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            cli.main()
        except SystemExit as stop:
            status = stop.code
    print(json.dumps([status, said.getvalue()]), flush=True)
"""
BUDGET = "--set hidden=[16] --budget steps=20 --budget evaluate_every=10 --budget evaluation_episodes=2"
TRAINED = f"reacher2d-medium {BUDGET} --budget headline_evaluations=1 --budget batch_size=8 --device cpu"


def commands(runs: Path, place: Path) -> dict[str, list[str]]:
    """The command that writes to `place`, by the path that its line must name."""
    run = folders(runs, 0)[0]
    texts = {
        "trained": f"train {TRAINED} --method bc --runs {place}/trained",
        "swept": f"sweep {TRAINED} --methods bc --fractions 1 --seeds 0 --jobs 1 --runs {place}/swept",
        "runs.tar": f"runs export {place}/runs.tar {run.name} --runs {runs}",
        "board": f"leaderboard --runs {runs} --output {place}/board",
        "report.html": f"report --runs {runs} --output {place}/report.html",
        "compared.csv": f"compare --runs {runs} --all --output {place}/compared.csv",
        "events": f"runs tensorboard {run} --output {place}/events",
        "policy": f"hub push {run} {place}/policy",
        "figures": f"data show reacher2d-medium --figures --output {place}/figures",
    }
    return {f"{place}/{name}": text.split() for name, text in texts.items()}


def check(done: subprocess.CompletedProcess[str], expected: list[str], words: str) -> None:
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(expected)
    for path, (status, said) in zip(expected, answers, strict=True):
        assert "Traceback" not in said
        assert "OSError" not in said
        assert (status, said.count("\n")) == (2, 1), said
        line = said
        assert line.startswith("lamobench: ")
        assert path in line, line
        assert words in line, line
        assert ".tmp" not in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", [50, 4000], ids=["texts", "checkpoints"])
def test_past_a_limit_of_file_sizes(shared_runs: Path, home: Path, tmp_path: Path, limit: int) -> None:
    place = tmp_path / "place"
    every = commands(shared_runs, place)
    if limit > 50:  # small texts are written, weights are not
        every = {path: words for path, words in every.items() if words[0] in ("train", "sweep", "hub", "report")}
    program = [sys.executable, "-c", MAIN, str(limit), str(place), json.dumps(list(every.values()))]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300)
    check(done, list(every), "is larger than a file may be here; raise the limit (ulimit -f), or choose another place")
    assert [path for path in place.rglob("*") if path.name.endswith(".tmp")] == []


@needs_mounts
def test_on_a_full_disk(shared_runs: Path, home: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    every = commands(shared_runs, place)
    program = [sys.executable, "-c", MAIN, "0", str(place), json.dumps(list(every.values()))]
    done = subprocess.run(
        on_small_disk(place, "400k", program), capture_output=True, text=True, check=False, timeout=300
    )
    check(done, list(every), "no space left for ")


def test_where_nothing_may_be_written_any_more(shared_runs: Path) -> None:
    """Output that goes to a full disk: one line, and no word of the interpreter's on its way out."""
    command = [sys.executable, "-c", "from lamobench.benchmark.cli.main import main; main()", "runs", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*command, "--runs", str(shared_runs)], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    line = "lamobench: no space left for standard output; free some, or choose another place for it, and type it again"
    assert (done.returncode, done.stderr.splitlines()) == (2, [line])
