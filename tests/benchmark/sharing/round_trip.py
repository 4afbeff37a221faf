"""A finished run, published to a folder and brought back."""

from pathlib import Path

from lamobench.benchmark.runs.damage import damage
from lamobench.benchmark.runs.records import read_config
from lamobench.benchmark.runs.tracks import work_of
from lamobench.benchmark.sharing.hub import PUBLISHED, pull, push


def check_round_trip(run: Path, folder: Path, logs: set[str]) -> Path:
    """Check that a run comes back whole with its `logs`, plays the same and can be published again; its new folder."""
    push(run, str(folder / "policy"))
    assert {path.name for path in (folder / "policy").iterdir()} == {"README.md", "manifest.json", *PUBLISHED, *logs}
    pull(str(folder / "policy"), folder / "runs")
    pulled = folder / "runs" / run.name
    assert damage(pulled) == ""
    for name in logs:
        assert (pulled / name).read_bytes() == (run / name).read_bytes()
    config = read_config(run)
    both = [work_of(config).play(place, config, "cpu", "", 7, 3) for place in (run, pulled)]
    mine, theirs = ([(one.seed, one.episode_return, one.length) for one in played] for played in both)
    assert mine == theirs
    push(pulled, str(folder / "again" / "policy"))
    for path in (folder / "policy").iterdir():
        assert (folder / "again" / "policy" / path.name).read_bytes() == path.read_bytes()
    return pulled
