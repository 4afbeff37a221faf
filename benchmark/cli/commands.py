"""The work behind the commands that train and rank; `main.py` only declares them."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets.catalog import find_dataset, find_task, load
from ...datasets.environments import make_environment
from ...datasets.errors import UserError, choose
from ...datasets.storage import check_folder
from ..offline.config import OfflineConfig, offline_config
from ..offline.hyperparameters import DEFAULT_CORPUS, DEFAULT_LANGUAGE_MODEL, budget_for
from ..offline.resolve import RunRequest, check_cached_context, resolve
from ..runs.config import RunConfig
from ..runs.damage import damage
from ..runs.methods import methods_for
from ..runs.store import is_done, run_folder
from ..sweep.engine import check_engine, device_of_plan, expected_slots
from ..sweep.options import EngineOptions
from ..terminal import duration, print_rows
from .display import SweepBar, print_plan, run_bar

if TYPE_CHECKING:
    from .main import Ablation, Evaluate, RunOptions, Sweep, Train
    from .models import LanguageModelFetch


PRINTED_OF_ABLATION = ("dataset", "title", "score", "minus_lamo", "minus_lamo_low", "minus_lamo_high")


def train_one(command: "Train") -> None:
    """`lamobench train`."""
    import torch

    from ..offline.loop import train
    from ..scores.collect import read_finished

    _check_threads(command.threads)
    torch.set_num_threads(command.threads)
    config = _one_run(command)
    root = command.options.runs
    bar, report = run_bar(f"{config.method} on {config.dataset}", config.steps)
    already = is_done(root, config) and not damage(run_folder(root, config))
    with bar:
        folder = train(config, root, command.options.device, report)
    run = read_finished(folder)
    row = {"run": config.id, "score": run.result.score, "best_score": run.result.best_score}
    if command.json:
        print(json.dumps(row | {"folder": str(folder)}, indent=2))
        return
    target = run.result.target_return
    print(f"{'already done: ' if already else ''}{folder}")
    print(f"score {row['score']:.1f} at target return {target:g} (best evaluation {row['best_score']:.1f})")
    trained, total = run.done["params_trainable"], run.done["params_total"]
    print(f"trained {trained:,} of {total:,} parameters ({trained / total:.1%})")


def describe_run(command: "Train") -> None:
    """`lamobench train --describe`."""
    import torch

    from ..offline.build import build_policy, training_subset
    from ..offline.describe import describe_policy

    config = _one_run(command)
    rows = describe_policy(build_policy(config, training_subset(config), torch.device("cpu")))
    print_rows(rows if command.json else [_grouped(row) for row in rows], command.json)


def _one_run(command: "Train") -> OfflineConfig:
    request = run_request(command.data, command.method, command.options)
    return resolve(replace(request, fraction=command.fraction, seed=command.seed, data_seed=command.data_seed))


def _grouped(row: dict[str, Any]) -> dict[str, Any]:
    """Large whole numbers as people read them."""
    return {key: f"{value:>13,}" if isinstance(value, int) else value for key, value in row.items()}


def evaluate_run(command: "Evaluate") -> None:
    """`lamobench evaluate`."""
    import torch

    from ..offline.faulty_data import evaluation_view
    from ..offline.players import load_player
    from ..offline.rollout import evaluation_seeds, rollout
    from ..training.devices import choose_device
    from ..training.learner import autocast

    _check_threads(command.threads)
    torch.set_num_threads(command.threads)
    config = offline_config(command.run_folder)
    if not (command.run_folder / "done.json").exists():
        raise UserError(f"run {config.id} is not finished; start the command that made it again")
    if command.episodes < 1 or command.seed < 0:
        raise UserError(
            f"episodes {command.episodes} and seed {command.seed}: give 1 episode or more, and a seed from 0"
        )
    task, device = find_task(config.task), choose_device(command.device)
    targets = tuple(dict.fromkeys(command.targets or task.target_returns))
    if not all(math.isfinite(target) for target in targets):
        raise UserError(f"targets {', '.join(map(str, targets))}: give finite numbers, e.g. {task.target_returns[0]:g}")
    check_cached_context(config.method, command.cached_context)
    policy = load_player(command.run_folder, config, device, command.lm)
    seeds = evaluation_seeds(command.seed, 0, command.episodes)
    with autocast(config, device):
        view = evaluation_view(policy.view, config.legacy)
        episodes = rollout(
            policy,
            lambda: make_environment(task),
            seeds,
            targets,
            step=config.steps,
            view=view,
            cached_context=command.cached_context or config.cached_context,
        )
    rows = []
    for target in targets:
        returns = [e.episode_return for e in episodes if e.target_return == target]
        mean = sum(returns) / len(returns)
        rows.append(
            {
                "target_return": target,
                "ranked": target in config.target_returns,
                "episodes": len(returns),
                "return_mean": mean,
                "return_min": min(returns),
                "return_max": max(returns),
                "score": task.normalise(mean),
            }
        )
    print_rows(rows, command.json)
    if command.render:
        from ..report.strips import picture_run

        print(f"frames of an episode: {picture_run(command.run_folder, command.device, command.lm)}", file=sys.stderr)


def fetch_english(command: "LanguageModelFetch") -> None:
    """`lamobench lm fetch`."""
    from ...datasets import wikitext
    from ..lm.checkpoints import PUBLISHED
    from ..lm.fetched import fetch_language_model
    from ..lm.packaged import PACKAGED, packaged_folder

    if command.name in PACKAGED:  # pip's to fetch: says so where it is not here
        row = {"model": command.name, "folder": str(packaged_folder(command.name)), "use": f"--lm {command.name}"}
        print_rows([row], command.json)
        return
    name = choose("model or corpus to fetch", command.name, [*PUBLISHED, *wikitext.PUBLISHED_ARTICLES])
    fetch = fetch_language_model if name in PUBLISHED else wikitext.fetch_wikitext
    print_rows([fetch(name, command.from_, command.force)], command.json)


def run_sweep(command: "Sweep") -> None:
    """`lamobench sweep`."""
    from ..offline.resolve import grid

    check_workers(command.jobs, command.threads)
    check_seeds(command.seeds)
    options = command.options
    methods = command.methods or methods_for(discrete=load(command.data, options.source).discrete)
    fractions = command.fractions or find_dataset(command.data).published_fractions or (1.0,)
    requests = [run_request(command.data, method, options) for method in methods]
    every = [run for request in requests for run in grid(request, fractions, command.seeds)]
    pool = (command.jobs, command.threads, options.device, command.seeds_together)
    train_all(every, command.data, options.runs, *pool, command.engine, command.plan)


def check_workers(jobs: int, threads: int) -> None:
    """A `UserError` unless there can be as many runs at a time (0: one a core) with as many threads."""
    _check_threads(threads)
    if jobs < 0:
        raise UserError(f"jobs is {jobs}; give 1 or more, or 0 for one a core")


def check_seeds(seeds: Sequence[int]) -> None:
    """A `UserError` if there is none: `--seeds` with nothing behind it would train nothing, and compare nothing."""
    if not seeds:
        raise UserError("--seeds names none; give one or more, e.g. --seeds 0 1 2, or leave it out")


def train_all(
    every: Sequence[RunConfig],
    subject: str,
    root: Path,
    jobs: int,
    threads: int,
    device: str,
    seeds_together: bool = False,
    engine: EngineOptions | None = None,
    only_plan: bool = False,
) -> None:
    """Say what is to be done, train it and show how far it is; a `UserError` at the end if a run failed.

    With `only_plan` nothing is trained.
    """
    import time

    from ..sweep.grid import carry_out
    from ..sweep.plan import make_plan

    check_folder(root)
    options = engine or EngineOptions()
    check_engine(options, jobs, threads)
    plan = make_plan(every, root, seeds_together, device_of_plan(options, device))
    slots = expected_slots(options, jobs, threads, device)
    print_plan(plan, subject, root, slots)
    if only_plan:
        return
    bar, started = SweepBar(slots or 1), time.monotonic()
    try:
        outcome = carry_out(plan, root, jobs, threads, device, bar, options)
    finally:
        bar.close()
    print(f"{len(outcome.finished)} of {len(plan.runs)} runs done, {duration(time.monotonic() - started)}")
    if outcome.failed:
        raise UserError("; ".join(outcome.failed.values()))


def ablate(command: "Ablation") -> None:
    """`lamobench ablation`."""
    from ...datasets.storage import write_rows
    from ..offline.ablation import Setting, compare, find_variants, plan, table
    from ..offline.ablation_figure import BACKGROUND, ablation_figure
    from ..offline.forgetting import check_english

    check_workers(command.jobs, threads=1)
    check_seeds(command.seeds)
    if len(command.data) != len(command.fractions):
        given = f"{len(command.data)} data sets and {len(command.fractions)} fractions"
        raise UserError(f"{given}; give one fraction for each data set, e.g. --fractions 0.1 0.3")
    settings = [Setting(*pair) for pair in zip(command.data, command.fractions, strict=True)]
    lm = command.options.lm or DEFAULT_LANGUAGE_MODEL[command.options.profile]
    variants, reasons = find_variants(command.variants, lm)
    for reason in reasons:
        print(f"left out: {reason}", file=sys.stderr)
    request = run_request(command.data[0], "lamo", command.options)
    runs = plan(settings, variants, command.seeds, request)
    every, options = [run for group in runs.values() for run in group], command.options
    corpus = request.settings.get("corpus", DEFAULT_CORPUS[request.profile])
    check_english(every, corpus)  # what is measured at the end must not fail then
    pool = (command.jobs, 1, options.device, False, command.engine, command.plan)
    train_all(every, f"{len(variants)} variants", options.runs, *pool)
    if command.plan:
        return
    rows = compare(runs, options.runs, corpus)
    write_rows(command.output / "ablation_lamo.csv", table(rows))
    print_rows([{k: row[k] for k in PRINTED_OF_ABLATION} for row in rows], as_json=False)
    written = ["ablation_lamo.csv"]
    for setting in settings if any(variant.name not in BACKGROUND for variant in variants) else []:
        repeated = command.data.count(setting.dataset) > 1
        written.append(f"ablation_lamo_{setting.dataset}{f'_{setting.fraction:g}' if repeated else ''}.png")
        shown = [row for row in rows if (row["dataset"], row["fraction"]) == (setting.dataset, setting.fraction)]
        ablation_figure(shown, command.output / written[-1])
    print(f"written to {command.output}: {', '.join(written)}")


def run_request(data: str, method: str, options: "RunOptions") -> RunRequest:
    """What the options ask for, with the first seed on all of the data."""
    budget: dict[str, Any] = dict(_named_value("--budget", text) for text in options.budget)
    if options.steps:
        budget = _shorter(options, data, method) | budget
    return RunRequest(
        dataset=data,
        method=method,
        source=options.source,
        profile=options.profile,
        lm=options.lm,
        precision=options.precision,
        compiled=options.compiled,
        cached_context=options.cached_context,
        budget=budget,
        settings=dict(_named_value("--set", text) for text in options.set),
        legacy=options.legacy,
        selection=options.selection,
    )


def _shorter(options: "RunOptions", data: str, method: str) -> dict[str, int]:
    """The profile's evaluations spread over other steps."""
    budget = budget_for(options.profile, find_dataset(data).task, method)
    evaluations = budget.steps // budget.evaluate_every
    if options.steps < 1 or options.steps % evaluations:
        raise UserError(
            f"--steps {options.steps} can't be spread over {method}'s {evaluations} evaluations; give a multiple of "
            f"{evaluations}, or --budget steps=... with --budget evaluate_every=..."
        )
    return {"steps": options.steps, "evaluate_every": options.steps // evaluations}


def _check_threads(threads: int) -> None:
    if threads < 1:
        raise UserError(f"threads is {threads}; give 1 or more")


def _named_value(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UserError(f"{option} {text}: give NAME=VALUE, e.g. {option} learning_rate=1e-4")
    return name.replace("-", "_"), value
