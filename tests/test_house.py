"""Tests of the repository as a whole: how it is packaged, who imports whom, what its documents promise."""

import ast
import graphlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from lamobench.benchmark.cli.main import parse

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ["benchmark", "baselines", "datasets"]  # from the top: each may import those below it, none above
# The rooms of `benchmark/`, likewise; tracks stand above the harness.
ROOMS = [
    "cli",
    "benches",
    "finetune",
    "offline",
    "text",
    "report",
    "sharing",
    "sweep",
    "figures",
    "scores",
    "recompute",
    "lm",
    "training",
    "runs",
]
LOOSE = ["terminal", "streams"]  # modules beside them, below all
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md"))]
IGNORED = {".git", ".venv", ".venv-parity", "__pycache__", "build", "dist", "home"}


def project_files() -> Iterator[Path]:
    """Every file of the project, whether or not git is at hand to list them."""
    for folder, folders, files in os.walk(ROOT):
        made = {*IGNORED, "runs"} if Path(folder) == ROOT else IGNORED  # `benchmark/runs` is ours
        folders[:] = [f for f in folders if f not in made and not f.endswith((".egg-info", "_cache"))]
        yield from (Path(folder) / name for name in files if name not in IGNORED)  # .git is a file in a worktree


def modules(floor: str) -> list[Path]:
    return sorted(path for path in project_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] == floor)


def packages() -> set[str]:
    folders = {path.parent.relative_to(ROOT) for floor in FLOORS for path in modules(floor)}
    return {"lamobench", *(".".join(("lamobench", *folder.parts)) for folder in folders)}


def make_targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    return set(phony.split())


def test_pyproject_lists_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages())
    assert {"lamobench.datasets.sources", "lamobench.benchmark.runs"} < packages()


def test_datasets_and_its_folders_have_no_init() -> None:
    """A regular package here would hide Hugging Face's `datasets` from whoever stands in the repository root."""
    assert not list((ROOT / "datasets").rglob("__init__.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in project_files():
        copy = folder / "source" / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, folder / "source"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_a_wheel_carries_every_module_and_data_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = {name.removeprefix("lamobench/") for name in archive.namelist() if name.startswith("lamobench/")}
    code = {str(path.relative_to(ROOT)) for floor in FLOORS for path in modules(floor)} | {"__init__.py"}
    folders = (
        "datasets/assets",
        "datasets/games/tables",
        "benchmark/lm/models",
        "benchmark/report/templates",
        "results/reported",
    )
    data = {name for path in project_files() if (name := str(path.relative_to(ROOT))).startswith(folders)}
    assert {"datasets/assets/reacher2d.xml", "benchmark/lm/models/gpt2-mini/model.safetensors"} <= data
    assert carried == code | data


def test_an_unpacked_wheel_works_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import lamobench.benchmark.cli.main, lamobench.baselines.fields\n"
        "from lamobench.datasets import reacher2d\n"
        "assert reacher2d.shared_model().nq == 2\n"
        "from lamobench.benchmark.scores.reported import papers, read_reported\n"
        "assert {row['paper'] for row in read_reported()} == set(papers()) >= {'lamo', 'corl'}\n"
        "print(reacher2d.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == str(tmp_path / "lamobench" / "datasets" / "reacher2d.py"), done.stderr


def imports_of(path: Path, root: Path) -> set[str]:
    """The modules of the tree in `root` that one of them imports, wherever in it the import stands, as "a.b.c"."""
    package = path.relative_to(root).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            named = node.module.split(".") if node.module else []
            base = (*package[: len(package) - node.level + 1], *named)
            for alias in node.names:
                for target in ((*base, alias.name), base):
                    if (root / Path(*target)).with_suffix(".py").is_file():
                        found.add(".".join(target))
                        break
    return found


def import_graph(root: Path, folder: str) -> dict[str, set[str]]:
    """The modules of the tree that each module below a folder imports."""
    paths = sorted((root / folder).rglob("*.py"))
    return {".".join(path.relative_to(root).with_suffix("").parts): imports_of(path, root) for path in paths}


def against_the_order(graph: dict[str, set[str]], names: Sequence[str], depth: int) -> list[str]:
    """The imports from a room to one above it, or to one that the order of `names` does not have."""
    places = {name: place for place, name in enumerate(names)}
    wrong = []
    for module, imported in graph.items():
        for other in imported:
            here = module.split(".")[depth]
            there = other.split(".")[depth]
            if places.get(there, -1) < places.get(here, -1) and other.split(".")[:depth] == module.split(".")[:depth]:
                wrong.append(f"{module} imports {other}")
    return sorted(wrong)


def test_imports_go_down_the_floors() -> None:
    graph = {module: names for floor in FLOORS for module, names in import_graph(ROOT, floor).items()}
    assert not against_the_order(graph, FLOORS, depth=0)


def test_imports_go_down_the_rooms_of_the_harness() -> None:
    """Type-only and lazy ones count: a track is a folder that could be deleted."""
    assert {path.name for path in (ROOT / "benchmark").iterdir() if (path / "__init__.py").is_file()} == set(ROOMS)
    assert not against_the_order(import_graph(ROOT, "benchmark"), [*ROOMS, *LOOSE], depth=1)
    assert {path.stem for path in (ROOT / "benchmark").glob("*.py")} == {"__init__", *LOOSE}


@pytest.mark.parametrize("floor", FLOORS)
def test_no_imports_go_round(floor: str) -> None:
    try:
        graphlib.TopologicalSorter(import_graph(ROOT, floor)).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    "planted",
    [
        "from ..offline.loop import train\n",
        "def late():\n    from ..offline import loop\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..cli.main import main\n",
        "from ...benchmark.report import page\n",
    ],
)
def test_an_upward_import_is_seen(tmp_path: Path, planted: str) -> None:
    for name in ("offline/loop", "cli/main", "report/page", "sweep/plan"):
        path = tmp_path / "benchmark" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "benchmark" / "sweep" / "plan.py").write_text(planted)
    (wrong,) = against_the_order(import_graph(tmp_path, "benchmark"), ROOMS, depth=1)
    assert wrong.startswith("benchmark.sweep.plan imports benchmark.")


@pytest.mark.parametrize("floor", FLOORS)
def test_inside_the_package_imports_are_relative(floor: str) -> None:
    for path in modules(floor):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong = [name for name in names if name.split(".")[0] in ("lamobench", *FLOORS)]
            assert not wrong, f"{path.relative_to(ROOT)}: {wrong}"


def test_no_file_names_a_path_of_somebody_s_machine() -> None:
    roots = "|".join(("work", "root", "tmp", "home", "Users"))  # put together here: this file is searched too
    pattern = re.compile(rf"(?<![\w.*~/$}}])/(?:{roots})/\w".encode())
    found = []
    for path in project_files():
        content = path.read_bytes()
        if b"\0" not in content[:8192] and (match := pattern.search(content)):
            line = content.count(b"\n", 0, match.start()) + 1
            found.append(f"{path.relative_to(ROOT)}:{line}")
    assert not found


def test_make_help_lists_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(re.findall(r"^  make ([a-z0-9-]+)", done.stdout, re.M)) == make_targets()


@pytest.mark.parametrize("page", DOCUMENTS)
def test_make_targets_that_the_documents_name_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?:`|^ *|&& )make ([a-z][a-z0-9-]*)", text, re.M))
    assert named <= make_targets()
    if page == "README.md":
        assert {"demo", "test"} <= named
    if page == "docs/commands.md":
        assert named == make_targets()


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md"])
def test_commands_that_the_documents_show_are_ones_that_the_program_has(page: str) -> None:
    from lamobench.benchmark.cli import main as cli

    shown = re.findall(r"^\.venv/bin/lamobench (.*)$", (ROOT / page).read_text(), re.M)
    assert shown
    for command in shown:
        assert cli.parse(command.split()) is not None


def test_continuous_integration_runs_what_contributors_are_told_to_run() -> None:
    assert re.findall(r"^make (\w+)$", (ROOT / ".ci" / "run").read_text(), re.M) == ["test", "lint"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_make_ablation_shares_runs_with_the_targets_of_the_tasks() -> None:
    variables = ["TASKS=hopper kitchen-complete pong", "METHODS=", "FRACTIONS="]
    command = ["make", "--no-print-directory", "--dry-run", "ablation", *variables]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    methods = "lamo lamo-random lamo-permuted lamo-initialised dt"
    for data, runs, last in (
        ("hopper-medium", "runs/hopper", "cql"),
        ("kitchen-complete", "runs/kitchen-complete", "cql"),
        ("pong-medium", "runs/pong", "discrete-cql"),
    ):
        assert re.search(rf"lamobench data record --if-absent {data}$", done.stdout, re.M)
        assert re.search(rf"lamobench sweep .* {data} --methods {methods} {last} +--runs {runs}$", done.stdout, re.M)
    shown = re.sub(r"\\\n *", "", done.stdout[done.stdout.index("lamobench fractions") :]).split()
    chosen = parse(shown[1:])
    assert [str(folder) for folder in chosen.runs] == ["runs/hopper", "runs/kitchen-complete", "runs/pong"]
    assert chosen.data == ("hopper-medium", "kitchen-complete", "pong-medium")
    assert set(chosen.methods) == {*methods.split(), "cql", "discrete-cql"}
    assert (chosen.profile, str(chosen.output)) == ("cpu", "results/ablation.csv")
