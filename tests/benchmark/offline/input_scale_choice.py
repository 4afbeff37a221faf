"""Choose the scale at which embedded trajectories enter the language model in the `cpu` profile: `make input-scale`.

On other recordings than results are reported of (`-tuning`, `datasets/entries.py`), with other seeds, by the held-out
error of LaMo. The other settings are the profile's but for the steps, which are fewer; nothing is played. One line a
run is written to the file that is given, which goes on from where it was left.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from lamobench.benchmark.offline.loop import Training
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.datasets.csv_text import csv_text, read_csv
from lamobench.datasets.sources.recorded import record_dataset
from lamobench.datasets.storage import write_text

DATA = {"kitchen-complete-tuning": 0.3, "hopper-medium-tuning": 0.1, "reacher2d-medium-large-tuning": 0.1}
SEEDS = (100, 101, 102)
SCALES = ("published", "words")
STEPS = 300
MEASURED = (100, 200, 300)
COLUMNS = ("dataset", "fraction", "seed", "input_scale", *(f"held_out_error_{step}" for step in MEASURED))


def wanted() -> Iterator[tuple[str, ...]]:
    """Every run by the first columns, both scales of a seed side by side."""
    for seed in SEEDS:
        for dataset, fraction in DATA.items():
            for scale in SCALES:
                yield dataset, f"{fraction:g}", str(seed), scale


def errors(dataset: str, fraction: str, seed: str, scale: str) -> list[str]:
    """The held-out error of a run at the steps of `MEASURED`."""
    budget = {"steps": STEPS, "evaluate_every": STEPS, "headline_evaluations": 1}
    request = RunRequest(
        dataset, fraction=float(fraction), seed=int(seed), budget=budget, settings={"input_scale": scale}
    )
    training = Training(resolve(request), Path(), torch.device("cpu"), lambda done, total: None)
    assert training.held_out is not None
    training.start()
    found = []
    for step in MEASURED:
        training.advance(step - training.progress.step)
        found.append(f"{training.held_out.measure(training.policy.eval())['held_out_error']:.5f}")
        training.policy.train()
    return found


def main(path: Path) -> None:
    """Write the rows that are missing, each as soon as it is known."""
    torch.set_num_threads(1)
    rows = (
        {tuple(row[name] for name in COLUMNS[:4]): list(row.values()) for row in read_csv(path)}
        if path.exists()
        else {}
    )
    for run in wanted():
        if run not in rows:
            record_dataset(run[0])
            rows[run] = [*run, *errors(*run)]
            write_text(path, csv_text(COLUMNS, rows.values()))
            print(*rows[run], flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
