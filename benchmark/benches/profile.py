"""Show where the time of a training step goes: shares by kind of work, from PyTorch's profiler."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from ..lm.lamo import LaMoBatch
from ..training.memory import keep_freed_memory
from . import policies
from .harness import CLOCKS, Settings, quartiles
from .seeds import STEP
from .steps import CONTEXT, SIZES, our_step
from .suite import empty_home
from .trainings import configurations, stock, training

# The first pattern that an operation's name matches is its kind; an operation's time is its own, not its callees'.
KINDS = {
    "products": r"addmm|::mm$|linear|convolution",
    "attention": r"scaled_dot_product|bmm|_softmax",  # and half of the products of LaMo's updates
    "dropout": r"bernoulli|dropout|random_",
    "activations": r"gelu|relu|tanh|threshold|softplus|sigmoid",
    "norms": r"layer_norm|softmax|logsumexp",
    "optimiser": r"adam|foreach|linalg_vector_norm|lerp",
    "copies": r"copy|cat|stack|clone|embedding|index|gather|fill|zero|empty|to_dense|to_mkldnn|select|slice|resize",
    "elementwise": r"^(aten|mkldnn)::",
}
REST = "Python, autograd"  # time outside of operations: the interpreter, autograd's graph, the drawing of the batch

Step = Callable[[], Any]


def _of_run(dataset: str, method: str) -> Callable[[Settings, Path], Step]:
    """A step of a run in the `cpu` profile."""

    def build(settings: Settings, scratch: Path) -> Step:
        stock()
        made = training(configurations(dataset, method)[0], scratch)
        return lambda: made.update(STEP)

    return build


def _lamo_small(settings: Settings, scratch: Path) -> Step:
    policy = policies.lamo("gpt2")
    return our_step(policy, [LaMoBatch(policies.windows(SIZES[settings.full][0], CONTEXT), None)])


def _dt(settings: Settings, scratch: Path) -> Step:
    return our_step(policies.decision_transformer(), [policies.windows(64, CONTEXT)])


PROFILES: dict[str, Callable[[Settings, Path], Step]] = {
    "lamo-mini": _of_run("reacher2d-medium-large", "lamo"),
    "lamo-small": _lamo_small,
    "dt": _dt,
    "td3-bc": _of_run("hopper-medium", "td3-bc"),
    "cql": _of_run("hopper-medium", "cql"),
}


def profile_steps(settings: Settings, names: Sequence[str], report: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """A row for each of `PROFILES`: milliseconds of a step, and percentages of it by kind."""
    keep_freed_memory()
    torch.set_num_threads(settings.threads)
    for name in names:
        report(name)
        with empty_home() as scratch:
            step = PROFILES[name](settings, scratch)
            yield {"step": name, **_shares(step, settings)}


def _shares(step: Step, settings: Settings) -> dict[str, float]:
    """Medians over rounds of one step; the first two warm up, and the milliseconds are those without the profiler."""
    step()
    step()
    alone = []
    parts = list[dict[str, float]]()
    for _ in range(max(2, settings.rounds)):
        alone.append(_milliseconds(step, CLOCKS[settings.clock]))
        with profile(activities=[ProfilerActivity.CPU]) as found:
            whole = _milliseconds(step, time.perf_counter)  # the clock that the profiler has
        parts.append(by_kind([(e.key, e.self_cpu_time_total / 1000) for e in found.key_averages()], whole))
    shares = {kind: quartiles([part[kind] for part in parts])[1] for kind in parts[0]}
    return {"ms": round(quartiles(alone)[1], 2), **{kind: round(share, 1) for kind, share in shares.items()}}


def _milliseconds(step: Step, clock: Callable[[], float]) -> float:
    started = clock()
    step()
    return 1000 * (clock() - started)


def by_kind(operations: Sequence[tuple[str, float]], whole: float) -> dict[str, float]:
    """Percentages of `whole` milliseconds from (name, its own milliseconds) of each operation."""
    sums = dict.fromkeys(KINDS, 0.0)
    for name, milliseconds in operations:
        kind = kind_of(name)
        if kind != REST:
            sums[kind] += milliseconds
    shares = {kind: 100 * total / whole for kind, total in sums.items()}
    return shares | {REST: max(0.0, 100 - sum(shares.values()))}


def kind_of(name: str) -> str:
    """The kind of an operation."""
    if not name.startswith(("aten::", "mkldnn::", "OneDNN")):
        return REST
    return next((kind for kind, pattern in KINDS.items() if re.search(pattern, name)), "elementwise")


def shares_as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table for a page."""
    heads = [key for key in rows[0] if key != "step"]
    lines = [f"| step | {' | '.join(f'{head}, %' if head != 'ms' else head for head in heads)} |"]
    lines.append("|---" * (len(heads) + 1) + "|")
    return "\n".join([*lines, *(f"| {row['step']} | {' | '.join(f'{row[h]:g}' for h in heads)} |" for row in rows)])
