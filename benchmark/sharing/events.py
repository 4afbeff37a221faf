"""Runs for TensorBoard: event files made from `metrics.jsonl` and `episodes.csv`, whenever they are asked for.

Training knows nothing of them, so they can be made of any run, an imported one too, and a run that was killed and went
on has no point twice. What a run's logs give is the same each time but for its end: of a run in progress the new events
are added to the file, which TensorBoard then shows without being started again.
"""

import io
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.disk_errors import errors_about
from ...datasets.errors import UserError
from ...datasets.storage import whole_file
from ..runs.config import RunConfig
from ..runs.episodes import Episode, parse_episodes
from ..runs.kinds import Fields
from ..runs.records import content_of, read_config, read_metrics
from ..runs.tracks import find_track

NOT_MEASURED = ("step", "seconds")  # of a row of metrics.jsonl


def write_events(run: Path, output: Path) -> int:
    """Bring the event file of a run, in a folder of its name below `output`, to where its logs stand; points added.

    A `UserError` if TensorBoard is not installed, or the run's logs can't be read.
    """
    check_tensorboard()
    config = read_config(run)
    started = int((run / "config.json").stat().st_mtime)
    content, points = _content(run, config, started)
    file = output / run.name / f"events.out.tfevents.{started}.lamobench"
    before = file.read_bytes() if file.is_file() else b""
    if before and content.startswith(before):
        with errors_about(file, file.name), file.open("ab") as events:
            events.write(content[len(before) :])
        return points - _points_in(before)
    with whole_file(file) as temporary:  # the first time, or the run was started anew
        temporary.write_bytes(content)
    for other in file.parent.glob("events.out.tfevents.*.lamobench"):
        if other != file:
            other.unlink()
    return points


def check_tensorboard() -> None:
    """Raise a `UserError` that says what to install where TensorBoard is not."""
    if find_spec("tensorboard") is None:
        raise UserError("TensorBoard is not installed; type: pip install tensorboard")


def points_of(run: Path, config: RunConfig) -> Iterator[tuple[int, float, dict[str, float]]]:
    """The step, the seconds of training and the values by tag of every whole step of a run's logs, in order.

    An evaluation's values stand beside the metrics of its step: returns and scores at each target, at a target's own
    tag where there are several.
    """
    evaluations = _evaluations(run, config)
    for row in _rows(run, config):
        step = row["step"]
        due = step % config.evaluate_every == 0
        if due and step not in evaluations:
            return  # it is being written
        values = {f"training/{name}": float(value) for name, value in row.items() if name not in NOT_MEASURED}
        yield step, float(row.get("seconds", 0.0)), values | (evaluations[step] if due else {})


def _rows(run: Path, config: RunConfig) -> list[Fields]:
    try:
        return read_metrics(run, config.steps)
    except UserError as error:
        raise UserError(f"{run}: {error}; look at `lamobench runs list`") from None


def _evaluations(run: Path, config: RunConfig) -> dict[int, dict[str, float]]:
    """The mean return, score and length of the episodes of each step."""
    try:
        episodes = parse_episodes(content_of(run, "episodes.csv"))
    except FileNotFoundError:
        episodes = []  # a run that has only begun
    except ValueError as error:
        raise UserError(f"{run}: {error}; look at `lamobench runs list`") from None
    grouped: dict[tuple[int, float], list[Episode]] = {}
    for episode in episodes:
        grouped.setdefault((episode.step, episode.target_return), []).append(episode)
    normalise = find_track(config.track).find_task(config.task).normalise
    found = dict[int, dict[str, float]]()
    for (step, target), group in grouped.items():
        at = f"_at_{target:g}" if len(config.target_returns) > 1 else ""
        mean = float(np.mean([episode.episode_return for episode in group]))
        found.setdefault(step, {}).update(
            {
                f"evaluation/return{at}": mean,
                f"evaluation/score{at}": normalise(mean),
                f"evaluation/length{at}": float(np.mean([episode.length for episode in group])),
            }
        )
    return found


def _content(run: Path, config: RunConfig, started: int) -> tuple[bytes, int]:
    """An event file's bytes, and how many points it has."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb
    from tensorboard.summary.writer.record_writer import RecordWriter

    file = io.BytesIO()
    writer = RecordWriter(file)
    count = 0
    writer.write(Event(wall_time=started, file_version="brain.Event:2").SerializeToString())
    about = hparams_pb(_settings(config), trial_id=run.name, start_time_secs=started)
    held = about.value[0].metadata.plugin_data  # without this the entries of a map come in any order
    held.content = HParamsPluginData.FromString(held.content).SerializeToString(deterministic=True)
    writer.write(Event(wall_time=started, summary=about).SerializeToString())
    for step, seconds, values in points_of(run, config):
        shown = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        event = Event(wall_time=started + seconds, step=step, summary=Summary(value=shown))
        writer.write(event.SerializeToString(deterministic=True))
        count += 1
    return file.getvalue(), count


def _points_in(content: bytes) -> int:
    """The number of points in an event file: its records but for the first two."""
    count = 0
    place = 0
    while place + 12 <= len(content):
        place += 16 + int.from_bytes(content[place : place + 8], "little")  # length, its sum, the record, its sum
        count += 1
    return count - 2


def _settings(config: RunConfig) -> Mapping[str, Any]:
    """The settings of a run that TensorBoard's table of hyper-parameters shows."""
    names = ("dataset", "source", "fraction", "method", "lm", "profile", "seed", "batch_size", "steps")
    settings = {name: getattr(config, name) for name in names}
    return settings | {k: v for k, v in sorted(config.policy.items()) if isinstance(v, str | int | float | bool)}
