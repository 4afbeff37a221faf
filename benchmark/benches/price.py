"""Price a full table of a profile: every method on every task, from one measured training step of each kind.

Runs are set up as they always are, but in an empty home with random data of each task's sizes, and a language model of
the right shape with random weights: neither data nor checkpoints are needed, and a step costs the same. Each kind of
run is measured in a process of its own. An evaluation is priced as so many forward passes as an episode can have
steps, and as many steps of the simulator in each of its episodes: episodes that end sooner cost less.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from ...baselines.policy import History, Policy
from ...datasets import cache
from ...datasets.catalog import find_task
from ...datasets.entries import DATASETS, TABLE
from ...datasets.environments.simulators import make_environment
from ...datasets.errors import UserError, choose
from ...datasets.processes import processor
from ...datasets.storage import home, write_json
from ..offline.build import training_subset
from ..offline.config import OfflineConfig
from ..offline.hyperparameters import DEFAULT_LANGUAGE_MODEL, PROFILES
from ..offline.resolve import RunRequest, resolve
from ..offline.settings import SEQUENCE_METHODS
from ..runs.methods import METHODS, methods_for, methods_of
from ..training.devices import choose_device
from ..training.learner import autocast
from ..training.memory import keep_freed_memory, memory_line
from . import policies
from .harness import KilledError, Settings, in_turn, memory_of
from .sampling import random_frames, random_vectors
from .suite import conditions, empty_home
from .trainings import training

SEEDS = 5
EPISODES = 20  # of the random data
STEPS = 100
# What changes no arithmetic; Atari games differ in these alone, but for the number of actions, which hardly counts.
FREE = ("learning_rate", "weight_decay")
CALLS = {"cpu": 1, "cuda": 10}  # of a step between two looks at the clock: a GPU is given the next one meanwhile
SCRIPT = """
import sys
from lamobench.benchmark.benches.price import measure
measure(sys.argv[1])
"""

Cell = tuple[str, str]  # data set, method


def cells_of(names: Sequence[str]) -> list[Cell]:
    """A full table's data sets with their methods; with `names`, those of these data sets and these methods.

    A `UserError` for a name that is neither.
    """
    datasets = list(TABLE.values())
    methods = [name for name in methods_of("offline") if METHODS[name].listed]
    for name in names:
        choose("method or data set of a full table", name, [*methods, *datasets])
    chosen = [dataset for dataset in datasets if dataset in names] or datasets
    wanted = [method for method in methods if method in names] or methods
    found = [
        (dataset, method)
        for dataset in chosen
        for method in methods_for(discrete=bool(find_task(DATASETS[dataset].task).frame_stack))
        if method in wanted
    ]
    if not found:
        raise UserError(f"none of {', '.join(wanted)} plays {', '.join(chosen)}; leave --only out, or give others")
    return found


def check_price(settings: Settings, profile: str, parts: int) -> None:
    """Raise a `UserError` for what can't be priced."""
    choose("profile", profile, list(PROFILES))
    if parts < 1:
        raise UserError(f"parts is {parts}; give 1 or more")
    if settings.clock == "cpu" and (settings.threads > 1 or choose_device("auto").type == "cuda"):
        raise UserError("--clock cpu adds up the seconds of all threads, and sees none of a GPU's; give --clock wall")


def price_table(
    settings: Settings, profile: str, cells: Sequence[Cell], parts: int, report: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """Rows of those cells that cost alike, one such kind after the other; `report` is told which is being measured."""
    with empty_home() as scratch:
        datasets = list(dict.fromkeys(dataset for dataset, _ in cells))
        simulators = {dataset: stock_random(dataset, settings) for dataset in datasets}
        if any(METHODS[method].weights or METHODS[method].matched for _, method in cells):
            place_random_model(DEFAULT_LANGUAGE_MODEL[profile])
        kinds: dict[str, list[tuple[Cell, OfflineConfig]]] = {}
        for cell in cells:
            config = resolve(_request(cell, profile, parts))
            kinds.setdefault(kind_of(config), []).append((cell, config))
        for alike in kinds.values():
            (dataset, method), _ = alike[0]
            report(f"{method} on {dataset}")
            measured = _measured(settings, (dataset, method), profile, parts, scratch)
            how = conditions(settings)
            yield [_row(cell, config, measured, simulators[cell[0]]) | how for cell, config in alike]


def stock_random(dataset: str, settings: Settings) -> float:
    """Put random data of a data set's sizes into the cache; returns the seconds that its simulator takes for a step."""
    task = find_task(DATASETS[dataset].task)
    environment = make_environment(task)
    space: Any = environment.action_space
    space.seed(0)
    observation, _ = environment.reset(seed=0)

    def step() -> None:
        *_, terminated, truncated, _ = environment.step(space.sample())
        if terminated or truncated:
            environment.reset()

    seconds = median(seconds for (seconds,) in in_turn(settings, step))
    environment.close()
    if task.frame_stack:
        data = random_frames(EPISODES, STEPS, dataset, task.env_id, int(space.n))
    else:
        data = random_vectors(dataset, task.env_id, (len(observation), len(space.low)), EPISODES, STEPS)
    cache.save(data)
    return float(seconds)


def place_random_model(name: str) -> None:
    """A checkpoint of the shape `name` with random weights, where a fetched one would be, unless one ships with us."""
    from ..lm.checkpoints import EMBEDDED, quiet_transformers

    if not (EMBEDDED / name).is_dir():
        with quiet_transformers():
            policies.random_gpt2(name).save_pretrained(home() / "models" / name)


def kind_of(config: OfflineConfig) -> str:
    """The properties, as JSON, that runs of the same cost share."""
    data = training_subset(config).trajectories
    task = find_task(config.task)
    sizes = [data.observations.shape[1:], data.actions.shape[1:], task.frame_stack]
    settings = {name: value for name, value in config.policy.items() if name not in FREE}
    of_method = [config.lm, config.method.removesuffix("-random") if config.lm else config.method, settings]
    budget = [config.batch_size, config.accumulation, config.evaluation_episodes, len(config.target_returns)]
    return json.dumps([sizes, of_method, budget])


def _request(cell: Cell, profile: str, parts: int) -> RunRequest:
    in_parts = {"accumulation": parts} if parts > 1 and cell[1] in SEQUENCE_METHODS else {}
    return RunRequest(*cell, profile=profile, budget=in_parts)


def _measured(settings: Settings, cell: Cell, profile: str, parts: int, scratch: Path) -> dict[str, Any]:
    """Call `measure` in a process that does nothing else, and return what it writes."""
    given = {"settings": asdict(settings), "cell": cell, "profile": profile, "parts": parts, "folder": str(scratch)}
    try:
        gigabytes = memory_of([json.dumps(given)], scratch, script=SCRIPT)
    except RuntimeError as error:
        if not isinstance(error, KilledError) and not memory_line(error):
            raise
        killed = f"{error}: " if isinstance(error, KilledError) else ""
        in_parts = f"compute its batches in parts, e.g. --parts {2 * parts}, or " if cell[1] in SEQUENCE_METHODS else ""
        raise UserError(
            f"{killed}{cell[1]} on {cell[0]} needs more memory than there is; {in_parts}leave it out by naming others "
            "with --only"
        ) from None
    found: dict[str, Any] = {"gb": gigabytes} | json.loads((scratch / "measured.json").read_text(encoding="utf-8"))
    return found


def measure(given: str) -> None:
    """Write milliseconds of a training step and of a forward pass, and the device, to `measured.json`."""
    values = json.loads(given)
    settings = Settings(**values["settings"])
    folder = Path(values["folder"])
    torch.set_num_threads(settings.threads)
    keep_freed_memory()
    device = choose_device("auto")
    made = training(resolve(_request(values["cell"], values["profile"], values["parts"])), folder, device.type)
    step = _milliseconds(settings, device, lambda: made.update(1))
    act = _milliseconds(settings, device, acting(made.policy, made.config, history_of(made.config, device)))
    found = {"step_ms": step, "act_ms": act, "device": processor(), "on": device.type}
    if device.type == "cuda":
        found |= {"device": torch.cuda.get_device_name(), "gb": torch.cuda.max_memory_allocated() / 1e9}
    write_json(folder / "measured.json", found)


def _milliseconds(settings: Settings, device: torch.device, work: Callable[[], Any]) -> float:
    """The milliseconds of one call; on a GPU until it is done with all that it was given."""
    calls = CALLS[device.type]

    def way() -> None:
        for _ in range(calls):
            work()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return 1000 * median(seconds for (seconds,) in in_turn(settings, way)) / calls


def acting(policy: Policy, config: OfflineConfig, history: History) -> Callable[[], None]:
    """A call is the policy's part of one step of an evaluation whose episodes have been going on for a while."""
    policy.eval()
    act = policy.begin_episodes()
    kept = torch.arange(len(history.timesteps), device=history.timesteps.device)

    @torch.no_grad()
    def step() -> None:
        with autocast(config, history.timesteps.device):
            act(history, kept).cpu()

    step()  # reads the whole context, which later steps need not embed again
    return step


def history_of(config: OfflineConfig, device: torch.device) -> History:
    """A history of all of an evaluation's episodes side by side, the whole context; all zeros."""
    context = int(config.policy.get("context", 1))
    data = training_subset(config).trajectories
    task = find_task(config.task)
    episodes = config.evaluation_episodes * len(config.target_returns)
    seen = context + max(0, task.frame_stack - 1)
    arrays = (
        np.zeros((episodes, seen, *data.observations.shape[1:]), data.observations.dtype),
        np.zeros((episodes, context, *data.actions.shape[1:]), data.actions.dtype),
        np.zeros((episodes, context), np.float32),
        np.tile(np.arange(context), (episodes, 1)),
    )
    return History(*(torch.from_numpy(array).to(device) for array in arrays))


def _row(cell: Cell, config: OfflineConfig, measured: dict[str, Any], simulator: float) -> dict[str, Any]:
    """One line of `price.csv`: hours of one run, and of all runs of the method on the data set."""
    task = find_task(config.task)
    evaluations = config.steps // config.evaluate_every
    episodes = config.evaluation_episodes * len(config.target_returns)
    train = config.steps * measured["step_ms"] / 3.6e6
    a_step = measured["act_ms"] + episodes * 1000 * simulator
    evaluate = evaluations * task.horizon * a_step / 3.6e6
    runs = SEEDS * len(DATASETS[cell[0]].published_fractions)
    return {
        "profile": config.profile.partition(" ")[0],
        "device": measured["device"],
        "on": measured["on"],
        "dataset": cell[0],
        "method": cell[1],
        "lm": config.lm,
        "step_ms": measured["step_ms"],
        "gb": measured["gb"],
        "batch": config.batch_size,
        "parts": config.accumulation,
        "steps": config.steps,
        "act_ms": measured["act_ms"],
        "simulator_ms": 1000 * simulator,
        "episodes": evaluations * episodes,
        "horizon": task.horizon,
        "runs": runs,
        "train_hours": train,
        "evaluation_hours": evaluate,
        "hours": runs * (train + evaluate),
    }
