"""The command line as a user meets it: help, mistakes, exit codes."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lamobench.benchmark.cli import main as cli
from lamobench.datasets.errors import UserError
from lamobench.datasets.storage import write_text

Run = Callable[..., tuple[int, str, str]]
HEAVY = (
    *("torch", "transformers", "pandas", "matplotlib", "mujoco", "minari", "gymnasium", "scipy", "peft", "numpy"),
    "importlib.metadata",
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process: exit code, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamobench", *map(str, arguments)])
        capsys.readouterr()
        try:
            cli.main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code or 0
        output, errors = capsys.readouterr()
        return code, output, errors

    return run


def test_help_answers_at_once_and_loads_nothing_heavy() -> None:
    program = f"""
import sys, time
sys.argv = ["lamobench", "--help"]
from lamobench.benchmark.cli.program import main
try:
    main()
except SystemExit as stop:
    assert stop.code in (0, None)
print([name for name in {HEAVY!r} if name in sys.modules], time.process_time())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert "Does what a model learned before reinforcement learning help it" in done.stdout
    loaded, seconds = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 1.0  # of processor time, interpreter included


DATA_COMMANDS = ("list", "show", "record", "fetch", "import", "export", "remove", "verify", "survey")
COMMANDS = [
    *("data", *(f"data {name}" for name in DATA_COMMANDS)),
    *(
        "train",
        "evaluate",
        "sweep",
        "leaderboard",
        "compare",
        "report",
        "faults",
        "lm",
        "lm list",
        "lm fetch",
        "lm pretrain",
        "lm score",
        "doctor",
    ),
    *("runs", "runs list", "runs export", "runs import", "runs remove", "runs tensorboard"),
    *("hub", "hub push", "hub pull"),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    code, output, errors = run(*command.split(), "--help")
    assert (code, errors) == (0, "")
    assert f"usage: lamobench {command}" in output
    undescribed = re.findall(r"│ (--\S+ \S+) +\(default", output)
    assert not undescribed, "options without a word on what they do"


def test_no_command_is_a_request_for_help(run: Run) -> None:
    code, output, _ = run()
    assert code == 0
    assert all(command in output for command in COMMANDS if " " not in command)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("trian", r"Unrecognized options: trian .*train"),
        ("data", r"Expected one of \{list, show, record, search, fetch, import, export, remove, verify, survey\}"),
        ("lm", r"Expected one of \{list, fetch, pretrain, score\}"),
        ("train", r"Missing .*Data set to train on"),
        ("train reacher2d-medium --fraction half", r"--fraction: could not convert string to float: 'half'"),
        ("train reacher2d-medium --stepz 5", r"Unrecognized options: --stepz"),
        ("train reacher2d-medium --method bc --fraction 0", r"fraction 0 is outside \(0, 1\]"),
        ("train reacher2d-medium --method bc --fraction 2", r"fraction 2 is outside \(0, 1\]"),
        ("train reacher2d-medium --method bcc", r"unknown method 'bcc'; did you mean 'bc'\?"),
        ("train reacher2d-mediun --method bc", r"unknown data set 'reacher2d-mediun'; did you mean 'reacher2d-medium'"),
        ("train reacher2d-medium-large --method bc", r"to get it, type: lamobench data record reacher2d-medium-large"),
        ("train reacher2d-medium --method bc --seed -1", r"seed -1 is out of range; give 0 to 4294967295"),
        ("train reacher2d-medium --method bc --threads 0", r"threads is 0; give 1 or more"),
        ("train reacher2d-medium --method bc --device tpu", r"unknown device 'tpu'.*valid: auto, cpu, cuda"),
        ("train reacher2d-medium --method bc --steps -5", r"--steps -5 can't be spread over bc's \d+ evaluations"),
        ("train reacher2d-medium --method bc --steps 7", r"--steps 7 can't be spread over .*; give a multiple of \d+"),
        ("train reacher2d-medium --method bc --set learning_rate", r"--set learning_rate: give NAME=VALUE"),
        ("train reacher2d-medium --method bc --set =3", r"--set =3: give NAME=VALUE"),
        ("train reacher2d-medium --method bc --set learning_rate=fast", r"'fast' is no value for learning_rate"),
        ("train reacher2d-medium --method bc --set context=5", r"unknown setting of bc 'context'"),
        ("train reacher2d-medium --method bc --budget steps=x", r"'x' is no value for steps"),
        ("train reacher2d-medium --method bc --budget step=1", r"unknown budget 'step'; did you mean 'steps'\?"),
        ("train reacher2d-medium --method lamo --lm gpt5", r"unknown language model 'gpt5'; did you mean 'gpt2'\?"),
        ("train reacher2d-medium --method bc --profile tpu", r"unknown profile 'tpu'"),
        ("train reacher2d-medium --method bc --source d4rl", r"unknown source of data set 'reacher2d-medium' 'd4rl'"),
        ("train reacher2d-medium --method dt --legacy drop", r"unknown legacy option 'drop'.*'drop-best'"),
        ("train reacher2d-medium --method bc --legacy drop-best", r"legacy 'drop-best' is no fault of method 'bc'"),
        (
            "train reacher2d-medium --method dt --legacy tanh-logits",
            r"'tanh-logits' needs discrete actions, which task",
        ),
        ("faults drop", r"unknown fault 'drop'"),
        ("faults drop-best", r"lamobench data record reacher2d-medium-large"),
        ("faults drop-best --jobs -1", r"jobs is -1; give 1 or more"),
        ("faults drop-best --threads 0", r"threads is 0; give 1 or more"),
        ("faults drop-best --seeds", r"--seeds names none; give one or more"),
        ("ablation reacher2d-medium --fractions 0.1 --seeds", r"--seeds names none; give one or more"),
        ("sweep reacher2d-medium --methods bc --seeds", r"--seeds names none; give one or more"),
        ("sweep reacher2d-medium --methods bc --threads 0", r"threads is 0; give 1 or more"),
        ("sweep reacher2d-medium --methods bc --jobs -1", r"jobs is -1; give 1 or more, or 0 for one a core"),
        ("sweep reacher2d-medium --methods bc dtt", r"unknown method 'dtt'; did you mean 'dt'\?"),
        ("sweep reacher2d-medium --methods bc --fractions 0.5 2", r"fraction 2 is outside \(0, 1\]"),
        ("sweep reacher2d-medium --methods bc dt --set width=16", r"unknown setting of bc 'width'"),
        ("evaluate nowhere", r"nowhere holds no run: there is no config.json in it"),
        ("leaderboard --runs nowhere", r"no runs in 'nowhere'; make some with `lamobench sweep`"),
        ("report --runs nowhere", r"no runs in 'nowhere'; make some with `lamobench sweep`"),
        ("fractions --output x.png", r"'x.png' is for a table; give a name that ends in .csv, e.g. x.csv"),
        ("bench --output x.png", r"'x.png' is for a table; give a name that ends in .csv, e.g. x.csv"),
        ("watch --interval nan", r"interval nan: give seconds above 0"),
        ("data show reacher", r"unknown data set 'reacher'"),
        (
            "data search reacher2d",
            r"unknown task to search players for 'reacher2d'.*valid: hopper, halfcheetah, walker2d",
        ),
        ("data search hopper --steps 5", r"5 steps: expected at least 10250, after which the first actor is kept"),
        ("data record reacher", r"unknown data set 'reacher'"),
        ("data verify reacher2d-medium-large", r"some data sets are damaged or absent, see above"),
    ],
)
def test_a_mistake_is_one_line_and_status_2_and_changes_nothing(
    run: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    code, _, errors = run(*arguments.split())
    assert code == 2
    assert re.search(line, errors), errors
    assert errors.startswith("lamobench: ")
    assert errors.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_mistake_of_the_real_program(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from lamobench.benchmark.cli.main import main; main()", "data", "show", "reacher"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("lamobench: unknown data set 'reacher'")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (UserError("what to mend"), 2, "lamobench: what to mend\n"),
        (KeyboardInterrupt(), 130, "\nstopped; start the same command again to go on\n"),
        (OSError(28, "No space left on device", "runs/x"), 2, "lamobench: no space left for runs/x; free some, or"),
        (OSError(12, "Cannot allocate memory"), 2, "lamobench: no memory left; free some and"),
        (MemoryError(), 2, "lamobench: no memory left; free some and"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB."), 2, "lamobench: no memory left for 2 GiB more;"),
    ],
    ids=["mistake", "interrupt", "disk", "fork", "memory", "gpu"],
)
def test_how_a_command_can_end(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(cli.Doctor, "run", fail)
    status, output, errors = run("doctor")
    assert (status, output) == (code, "")
    assert errors.startswith(message)


@pytest.mark.parametrize("command", ["leaderboard", "fractions", "report"])
def test_a_file_is_no_folder_of_runs(run: Run, command: str, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("text")
    for path in (tmp_path / "page", tmp_path / "page" / "runs"):
        code, _, errors = run(command, "--runs", path)
        assert (code, errors.count("\n")) == (2, 1)
        assert f"'{tmp_path / 'page'}' is a file and no folder; give a folder of runs" in errors


def test_a_place_that_can_t_be_written_is_called_as_it_was_given(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli.Doctor, "run", lambda self: write_text(tmp_path / "folder", "text"))
    (tmp_path / "folder").mkdir()
    code, _, errors = run("doctor")
    assert (code, errors) == (2, f"lamobench: Is a directory: {tmp_path / 'folder'}; choose another place for it\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), RuntimeError("shapes do not fit")])
def test_a_defect_keeps_its_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(self: object) -> None:
        raise error

    monkeypatch.setattr(cli.Doctor, "run", fail)
    with pytest.raises(type(error)):
        run("doctor")


def test_options_reach_their_command() -> None:
    words = (
        "sweep reacher2d-medium --methods bc dt --fractions 0.1 1 --seeds 4 5 --jobs 3 --profile paper "
        "--set learning_rate=1e-3 --set hidden=[8] --budget steps=10 --runs elsewhere"
    )
    command = cli.parse(words.split())
    assert isinstance(command, cli.Sweep)
    assert (command.methods, command.fractions, command.seeds, command.jobs) == (("bc", "dt"), (0.1, 1.0), (4, 5), 3)
    options = command.training
    assert (options.set, options.budget) == (("learning_rate=1e-3", "hidden=[8]"), ("steps=10",))
    assert (options.profile, options.runs, options.device) == ("paper", Path("elsewhere"), "auto")


def test_all_json_parses(run: Run, home: Path) -> None:
    for arguments in ("data list", "data show reacher2d-medium", "data verify", "doctor", "lm list"):
        _, output, _ = run(*arguments.split(), "--json")
        assert json.loads(output)
