"""`lamobench train` and `lamobench evaluate`: one run."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

from ...datasets.errors import UserError
from ..terminal import Right, print_rows
from .options import METHODS_BY_TRACK, STAGED, RunOptions, check_threads, named_values, own_choices, run_request

if TYPE_CHECKING:
    import torch

    from ...datasets.tasks import Task
    from ..offline.config import OfflineConfig
    from ..runs.config import RunConfig
    from ..runs.episodes import Episode
    from ..runs.tracks import Track


@dataclass(frozen=True)
class Train:
    """Train and evaluate one run; goes on where it was if it was killed, does nothing if it is done."""

    data: Annotated[
        Positional[str],
        arg(help=f"Data set to train on, a name of `lamobench data list`, a task in stages or a text game: {STAGED}."),
    ]
    method: Annotated[str, arg(help=f"Method; none given: the first of {METHODS_BY_TRACK}.")] = ""
    fraction: float = 1.0
    """Share of whole episodes to train on, in (0, 1]."""
    seed: int = 0
    """Seed of weights, batches, evaluation starts and, unless --data-seed is given, of the subset."""
    data_seed: int | None = None
    """Seed of the subset alone."""
    threads: int = 1
    """Processor threads."""
    training: RunOptions = field(default_factory=RunOptions)
    describe: bool = False
    """Train nothing; print what the policy is made of, and what of it would be trained."""
    json: bool = False
    """Print the result as JSON."""

    def run(self) -> None:
        """Train with a progress bar, then print the score."""
        from ..runs.tracks import BEFORE_TRACKS, track_of

        track = track_of(self.data)
        if track.name != BEFORE_TRACKS:
            _train_on(self, track)
        elif self.describe:
            _describe(self)
        else:
            _train(self)


@dataclass(frozen=True)
class Evaluate:
    """Play a finished run's policy again, on fresh starts, for any target returns."""

    run_folder: Positional[Path]
    """Folder of the run, e.g. runs/reacher2d-medium-1-bc-s0-0123456789."""
    episodes: int = 100
    """Episodes for each target return."""
    targets: tuple[float, ...] = ()
    """Target returns; none given: all of the task's."""
    seed: int = 1_000_000
    """Seed of the starts; evaluations in training use the run's own seed."""
    lm: str = ""
    """Language model with the run's weights, a name or a folder, if it is not where the run was trained."""
    cached_context: bool = False
    """Let LaMo and Decision Transformers act from half to all of the context; always so if training did."""
    threads: int = 1
    """Processor threads."""
    device: str = "auto"
    """Device: auto, cpu or cuda."""
    render: bool = False
    """Keep frames of an episode beside the run, for `lamobench report`."""
    json: bool = False
    """Print JSON instead of a table."""

    def run(self) -> None:
        """Print one row a target."""
        import torch

        from ...datasets.catalog import find_task
        from ..offline.config import OfflineConfig
        from ..runs.records import read_config
        from ..training.devices import choose_device

        check_threads(self.threads)
        torch.set_num_threads(self.threads)
        config = read_config(self.run_folder)
        _check_evaluation(self, config)
        if not isinstance(config, OfflineConfig):
            print_rows([_played_row(self, config)], self.json)
            return
        task = find_task(config.task)
        device = choose_device(self.device)
        targets = _targets(self, task)
        episodes = _play(self, config, targets, device)
        print_rows([_row(target, episodes, config, task) for target in targets], self.json)
        if self.render:
            from ..report.strips import picture_run

            print(f"frames of an episode: {picture_run(self.run_folder, self.device, self.lm)}", file=sys.stderr)


def _train(command: Train) -> None:
    import torch

    from ..offline.loop import train
    from ..runs.damage import damage
    from ..runs.store import is_done, run_folder
    from ..scores.collect import read_finished
    from .display import run_bar

    check_threads(command.threads)
    torch.set_num_threads(command.threads)
    config = _one_run(command)
    root = command.training.runs
    bar, report = run_bar(f"{config.method} on {config.dataset}", config.steps)
    already = is_done(root, config) and not damage(run_folder(root, config))
    with bar:
        folder = train(config, root, command.training.device, report)
    run = read_finished(folder)
    row = {"run": config.id, "score": run.result.score, "best_score": run.result.best_score}
    if measured := run.held_out:
        row["held_out_error"] = measured.headline(config.headline_evaluations)
    if command.json:
        print(json.dumps(row | {"folder": str(folder)}, indent=2))
        return
    target = run.result.target_return
    print(f"{'already done: ' if already else ''}{folder}")
    print(f"score {row['score']:.1f} at target return {target:g} (best evaluation {row['best_score']:.1f})")
    if measured:
        trivial = f"mean action {measured.mean_action:.4f}, previous action {measured.previous_action:.4f}"
        print(f"held-out action error {row['held_out_error']:.4f} ({trivial})")
    trained = run.done["params_trainable"]
    total = run.done["params_total"]
    print(f"trained {trained:,} of {total:,} parameters ({trained / total:.1%})")


def _train_on(command: Train, track: "Track") -> None:
    """Train a run of another track than that of data sets."""
    import torch

    from ..runs.methods import methods_of
    from ..runs.store import note_on_terminal, run_folder
    from ..runs.tracks import Wanted
    from ..scores.collect import read_finished
    from .display import run_bar

    options = command.training
    check_threads(command.threads)
    torch.set_num_threads(command.threads)
    if command.describe or command.fraction != 1.0 or command.data_seed is not None:
        raise UserError(f"'{command.data}' is no data set; leave out --describe, --fraction and --data-seed")
    (config,) = track.open().resolve(
        Wanted(
            command.data,
            (command.method or methods_of(track.name)[0],),
            (command.seed,),
            options.profile,
            options.steps,
            named_values("--budget", options.budget),
            named_values("--set", options.set),
            own_choices(options),
        )
    )
    bar, report = run_bar(f"{config.method} on {config.subject}", config.steps)
    with bar:
        failed = track.open().train(
            (config,), options.runs, options.device, lambda _, done, total: report(done, total), note_on_terminal
        )
    if failed:
        raise UserError(failed[config.id])
    run = read_finished(run_folder(options.runs, config))
    row = {"run": config.id, "score": run.result.score, "best_score": run.result.best_score}
    if command.json:
        print(json.dumps(row | {"folder": str(run.folder)}, indent=2))
        return
    print(f"{run.folder}\nscore {row['score']:.1f} (best evaluation {row['best_score']:.1f})")


def _describe(command: Train) -> None:
    import torch

    from ..offline.build import build_policy, training_subset
    from ..offline.describe import describe_policy

    config = _one_run(command)
    rows = describe_policy(build_policy(config, training_subset(config), torch.device("cpu")))
    print_rows(rows if command.json else [_grouped(row) for row in rows], command.json)


def _one_run(command: Train) -> "OfflineConfig":
    from ..offline.resolve import resolve

    request = run_request(command.data, command.method or "lamo", command.training)
    return resolve(replace(request, fraction=command.fraction, seed=command.seed, data_seed=command.data_seed))


def _grouped(row: dict[str, Any]) -> dict[str, Any]:
    """Large whole numbers as people read them."""
    return {key: Right(f"{value:,}") if isinstance(value, int) else value for key, value in row.items()}


def _played_row(command: Evaluate, config: "RunConfig") -> dict[str, Any]:
    """The row of a run of another track than that of data sets."""
    from ..runs.tracks import find_track, work_of

    if command.targets or command.lm or command.cached_context or command.render:
        raise UserError(f"'{config.task}' knows no --targets, --lm, --cached-context and --render; leave them out")
    played = work_of(config).play(command.run_folder, config, command.device, "", command.seed, command.episodes)
    returns = [episode.episode_return for episode in played]
    mean = sum(returns) / len(returns)
    score = float(find_track(config.track).find_task(config.task).normalise(mean))
    return {"episodes": len(returns), "return_mean": mean, "score": score}


def _check_evaluation(command: Evaluate, config: "RunConfig") -> None:
    """Raise a `UserError` unless the run is finished, and there is something to play."""
    if not (command.run_folder / "done.json").exists():
        raise UserError(f"run {config.id} is not finished; start the command that made it again")
    if command.episodes < 1 or command.seed < 0:
        raise UserError(
            f"episodes {command.episodes} and seed {command.seed}: give 1 episode or more, and a seed from 0"
        )


def _targets(command: Evaluate, task: "Task") -> tuple[float, ...]:
    """The target returns to play for, each once."""
    targets = tuple(dict.fromkeys(command.targets or task.target_returns))
    if not all(math.isfinite(target) for target in targets):
        raise UserError(f"targets {', '.join(map(str, targets))}: give finite numbers, e.g. {task.target_returns[0]:g}")
    return targets


def _play(
    command: Evaluate, config: "OfflineConfig", targets: Sequence[float], device: "torch.device"
) -> "list[Episode]":
    """Episodes of the run's policy, as many for each target return."""
    from ..offline.evaluation import evaluate
    from ..offline.players import load_player
    from ..offline.resolve import check_cached_context
    from ..offline.rollout import evaluation_seeds

    check_cached_context(config.method, command.cached_context)
    policy = load_player(command.run_folder, config, device, command.lm)
    seeds = evaluation_seeds(command.seed, 0, command.episodes)
    played = replace(config, cached_context=command.cached_context or config.cached_context)
    return evaluate(policy, played, seeds, targets, step=config.steps)


def _row(target: float, episodes: "Sequence[Episode]", config: "OfflineConfig", task: "Task") -> dict[str, Any]:
    """The row of one target return: what its episodes came to."""
    returns = [episode.episode_return for episode in episodes if episode.target_return == target]
    mean = sum(returns) / len(returns)
    return {
        "target_return": target,
        "ranked": target in config.target_returns,
        "episodes": len(returns),
        "return_mean": mean,
        "return_min": min(returns),
        "return_max": max(returns),
        "score": task.normalise(mean),
    }
