"""`make setup` on machines that lack something: one line that says what to do. The interpreters are stand-ins."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

OLD = '#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n'  # fails the check of its version
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n'
# Makes a "virtual environment" whose pip can't find any package.
NO_INDEX = """#!/bin/sh
if [ "$2" = venv ]; then
  mkdir -p "$4/bin"
  printf '#!/bin/sh\\necho "ERROR: No matching distribution found for torch==2.13.0"\\nexit 1\\n' > "$4/bin/pip"
  chmod +x "$4/bin/pip"
fi
exit 0
"""


def make_setup(folder: Path, python: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    command = ["make", "setup", f"PYTHON={python}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def stand_in(folder: Path, script: str) -> str:
    (folder / "python").write_text(script)
    (folder / "python").chmod(0o755)
    return str(folder / "python")


@pytest.mark.parametrize(
    ("interpreter", "line"),
    [
        (OLD, "lamobench needs Python 3.11 or newer, but '{python}' is Python 3.9.2; install one, then: make setup"),
        (NO_VENV, "'{python}' comes without its venv module; install it (Debian, Ubuntu: python3-venv), then: make"),
        (NO_INDEX, "packages could not be installed (ERROR: No matching distribution found for torch==2.13.0); check"),
    ],
)
def test_what_is_missing_gets_one_line(tmp_path: Path, interpreter: str, line: str) -> None:
    python = stand_in(tmp_path, interpreter)
    result = make_setup(tmp_path, python)
    assert result.returncode != 0
    first, *rest = result.stderr.strip().splitlines()
    assert first.startswith("make: " + line.format(python=python))
    assert all(re.match(r"make(\[\d+\])?: \*\*\*", other) for other in rest)  # make's own
    assert not (tmp_path / ".venv" / "ready").exists()


def test_a_missing_interpreter_is_named(tmp_path: Path) -> None:
    result = make_setup(tmp_path, "no-such-python")
    assert "make: lamobench needs Python 3.11 or newer, but 'no-such-python' is" in result.stderr


def test_what_is_set_up_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "ready").touch()
    result = subprocess.run(["make", "setup"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0
    assert result.stderr == ""


def test_what_is_compared_with_runs_on_the_same_versions_but_for_gymnasium() -> None:
    files = [(ROOT / name).read_text() for name in ("constraints.txt", "constraints-parity.txt")]
    ours, parity = ({name.lower() for name in re.findall(r"^([\w.-]+)==", text, re.M)} for text in files)
    assert "d3rlpy" in parity
    assert ours & parity == {"gymnasium"}  # make leaves ours out
    assert "grep -v '^gymnasium==' constraints.txt" in (ROOT / "Makefile").read_text()


def would_run(target: str, *variables: str) -> list[list[str]]:
    """The lamobench commands of a make target, word by word."""
    command = ["make", "--dry-run", target, *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    lines = re.findall(r"^\S*bin/lamobench (.*)$", done.stdout.replace("\\\n", ""), re.M)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize(
    ("data", "record"),
    [("auto", "data record --if-absent {}"), ("recorded", "data record {}"), ("d4rl", ""), ("minari", "")],
)
def test_data_says_where_a_target_s_data_comes_from(data: str, record: str) -> None:
    for target, dataset in (("hopper", "hopper-medium"), ("kitchen-complete", "kitchen-complete")):
        *before, sweep, _ = would_run(target, f"DATA={data}")
        assert [" ".join(words) for words in before] == ([record.format(dataset)] if record else [])
        assert sweep[sweep.index("--source") + 1] == data
        assert dataset in sweep


def test_engine_and_address_reach_every_target_that_trains() -> None:
    for target in ("demo", "pong", "ablation-lamo", "faults"):
        commands = would_run(target, "ENGINE=ray", "ADDRESS=host:6379", "JOBS=5")
        (trains,) = (words for words in commands if "--engine" in words)
        assert trains[trains.index("--engine") + 1] == "ray"
        assert trains[trains.index("--address") + 1] == "host:6379"
        assert trains[trains.index("--jobs") + 1] == "5"
        assert all("--address" not in words for words in would_run(target))


@pytest.mark.parametrize("target", ["demo", "pong", "ablation", "ablation-lamo", "faults", "cpu-results"])
def test_data_steps_and_model_reach_every_target_that_trains(target: str) -> None:
    variables = ("DATA=minari", "STEPS=400", "LM=gpt2", "TASKS=pong")
    commands = would_run(target, *variables)
    assert all(words[0] != "data" for words in commands)  # nothing is recorded
    (trains,) = (words for words in commands if "--jobs" in words)
    for option, value in (("--source", "minari"), ("--steps", "400"), ("--lm", "gpt2")):
        assert trains[trains.index(option) + 1] == value
    (trains,) = (words for words in would_run(target, "TASKS=pong") if "--jobs" in words)
    assert trains[trains.index("--source") + 1] == "auto"
    assert not {"--steps", "--lm"} & set(trains)


def test_the_ablation_s_table_is_of_the_runs_that_it_trained() -> None:
    for variables, profile in (((), "cpu"), (("STEPS=400", "PROFILE=paper"), "paper (changed)")):
        table = would_run("ablation", "TASKS=pong", "DATA=dqn_replay", *variables)[-1]
        assert table[table.index("--profile") + 1] == profile
        assert table[table.index("--source") + 1] == "dqn_replay"
    assert "--source" not in would_run("ablation")[-1]  # each that was found


def test_tasks_in_stages_have_five_seeds_unless_others_are_named() -> None:
    for target in ("apple-retrieval", "grid-relay", "robotic-sequence-2", "robotic-sequence"):
        sweep, board = would_run(target)
        assert sweep[sweep.index("--profile") + 1] == ("paper" if target == "robotic-sequence" else "cpu")
        assert sweep[sweep.index("--seeds") + 1 : sweep.index("--jobs")] == ["0", "1", "2", "3", "4"]
        assert sweep[sweep.index("--runs") + 1] == board[board.index("--runs") + 1] == f"runs/{target}"
        assert board[board.index("--output") + 1] == f"results/finetune/{target}"
        sweep, _ = would_run(target, "SEEDS=7", "METHODS=frozen")
        assert sweep[sweep.index("--seeds") + 1 : sweep.index("--jobs")] == ["7"]
        assert sweep[sweep.index("--methods") + 1 : sweep.index("--runs")] == ["frozen"]
    severity, board = would_run("forgetting")
    assert severity[severity.index("--seeds") + 1 : severity.index("--jobs")] == ["0", "1", "2", "3", "4"]
    assert board[board.index("--output") + 1] == "results/finetune/severity"
    demo, _ = would_run("finetune-demo")
    assert demo[demo.index("--methods") + 1 : demo.index("--runs")] == ["finetune", "finetune-bc", "frozen"]


def test_nethack_is_recorded_before_it_is_learned() -> None:
    for target, games, seeds in (
        ("nethack-lite", "nethack-autoascend", ["0", "1", "2", "3", "4"]),
        ("nethack-probe", "nethack-autoascend-pilot", ["0"]),
    ):
        record, sweep, board = would_run(target)
        assert record == ["data", "record", games]
        assert "nethack-lite" in sweep
        assert sweep[sweep.index("--seeds") + 1 : sweep.index("--jobs")] == seeds
        assert (f"environment.recording={games}" in sweep) == (target == "nethack-probe")
        assert board[board.index("--output") + 1] == f"results/finetune/{target}"


def test_long_targets_say_first_what_they_take() -> None:
    for target, price in (
        ("robotic-sequence", "five hours"),
        ("robotic-sequence-2", "three minutes"),
        ("nethack-lite", "an hour"),
    ):
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
        )
        before, _, _ = done.stdout.partition("lamobench sweep")
        assert price in before
        assert "seeds 0 1 2 3 4, methods: all" in before


def test_the_cpu_results_are_of_little_and_of_all_data() -> None:
    commands = would_run("cpu-results", "TASKS=kitchen-complete pong")
    sweeps = [" ".join(words) for words in commands if words[0] == "sweep"]
    assert [sweep.split(" --methods ")[1] for sweep in sweeps] == [
        "lamo lamo-random dt bc cql iql --fractions 0.3 1 --runs runs/cpu",
        "lamo lamo-random dt bc discrete-cql --fractions 0.1 1 --runs runs/cpu",
    ]
    tables = [words for words in commands if words[0] in ("leaderboard", "fractions", "report")]
    assert [words[words.index("--runs") + 1] for words in tables] == ["runs/cpu"] * 3
    assert all("results/cpu" in words[words.index("--output") + 1] for words in tables)


def test_optimisation_has_budgets_of_its_own_unless_steps_are_named() -> None:
    def steps(*variables: str) -> list[str]:
        sweeps = [words for words in would_run("optimisation", *variables) if words[0] == "sweep"]
        return [words[words.index("--steps") + 1] if "--steps" in words else "" for words in sweeps]

    assert steps() == ["2000", "2000", "", "1500", "1500"]
    assert steps("STEPS=20") == ["20"] * 5


def test_optimisation_trains_the_methods_and_fractions_that_are_named() -> None:
    def sweeps(*variables: str) -> list[str]:
        commands = would_run("optimisation", *variables)
        return [" ".join(words[words.index("--fractions") :]) for words in commands if words[0] == "sweep"]

    every = sweeps()
    assert [line.split()[5] for line in every] == ["bc", "dt", "dt", "dt", "lamo"]
    assert sweeps("METHODS=bc lamo cql") == [every[0], every[4]]
    assert all("--fractions 0.1 1 --runs" in line for line in sweeps("METHODS=dt", "FRACTIONS=0.1 1"))


def test_optimisation_says_which_methods_it_has() -> None:
    command = ["make", "--dry-run", "optimisation", "METHODS=cql iql"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "optimisation trains bc, dt and lamo, and METHODS names none of them: cql iql" in done.stderr


def test_frames_are_drawn_where_they_are_asked_for() -> None:
    for variables, options in (((), []), (("RENDER=0",), []), (("RENDER=1",), ["--render"])):
        assert would_run("report", *variables) == [["report", *options]]


def test_help_says_which_targets_take_what() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "METHODS is for every target that trains several; FRACTIONS for demo, a data set" in done.stdout


def test_make_set_up_brings_ray_which_is_pinned() -> None:
    assert "--editable '.[dev,ray,smollm2,finetune,textworld]'" in (ROOT / "Makefile").read_text()
    assert re.search(r"^ray==\d", (ROOT / "constraints.txt").read_text(), re.M)
    assert re.search(r'^ray = \["ray>=', (ROOT / "pyproject.toml").read_text(), re.M)
