"""A report of a few made runs, some of them hostile, and a browser to open it in."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lamobench.benchmark.report.contents import Contents, read_contents
from lamobench.benchmark.report.page import write_report
from lamobench.tests.benchmark.conftest import DONE, write_run
from lamobench.tests.benchmark.report.chromium import Chromium, find_chromium
from lamobench.tests.required import lacking

HOSTILE = """<script>document.title="taken"</script><img src=x onerror='document.title="taken"'>"'&{{ 7*7 }}"""
HOSTILE_DATASET = HOSTILE.replace("/", "")  # it begins the name of a folder
METHODS = ("lamo", "lamo-random", "bc")
DATASETS = {"reacher2d-medium-large": "reacher2d", "hopper-medium": "hopper"}
STRENGTH = {"lamo": 40.0, "lamo-random": 20.0, "bc": 60.0}  # mean return at the end


def write_runs(root: Path) -> None:
    """Two data sets, three methods, two shares, two seeds; one unfinished run; a data set with hostile names."""
    rng = np.random.default_rng(0)
    for dataset, task in DATASETS.items():
        for method in METHODS:
            for fraction in (0.1, 1.0):
                for seed in range(2):
                    returns = STRENGTH[method] * np.linspace(0.5, 1.0, 4)[:, None] + rng.normal(0, 4, (4, 5)) + 3 * seed
                    lm = {"lm": "gpt2-mini"} if method != "bc" else {}
                    about = {
                        "dataset": dataset,
                        "task": task,
                        "method": method,
                        "fraction": fraction,
                        "seed": seed,
                        **lm,
                    }
                    write_run(root / dataset, returns, **about)
    unfinished = write_run(root, [[1.0]], method="dt", headline_evaluations=1)
    (unfinished / "done.json").unlink()
    names: dict[str, Any] = {"profile": HOSTILE, "lm": HOSTILE, "policy": {HOSTILE: HOSTILE}}
    folder = write_run(root, [[1.0, 2.0]], dataset=HOSTILE_DATASET, method="evil", **names, headline_evaluations=1)
    (folder / "done.json").write_text(json.dumps(DONE | {"device": HOSTILE, "finished_at": HOSTILE}))


@pytest.fixture(scope="session")
def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    """Contents of a report of `write_runs`."""
    root = tmp_path_factory.mktemp("runs")
    write_runs(root)
    return read_contents(root)


@pytest.fixture(scope="session")
def report(contents: Contents, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert write_report(contents, path) == []
    return path


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless Chromium; tests that ask for it are skipped where there is none, unless it is required."""
    path = find_chromium()
    if path is None:
        lacking("chromium", "there is no Chromium here; Debian, Ubuntu: apt-get install chromium-headless-shell")
    profile = tmp_path_factory.mktemp("profile")
    with Chromium(path, profile) as started:
        yield started
    shutil.rmtree(profile, ignore_errors=True)
