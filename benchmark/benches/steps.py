"""Training steps of LaMo and Decision Transformer beside the published loop: time, memory, share of the peak.

Both sides start from the same weights and have the same sizes, dropout, optimiser and batches, made beforehand; their
losses are equal before anything is measured. The published loop is re-created from its description: the model of
`published.py`, PyTorch's plain AdamW, and, as published, the language model run forward on English at every step even
where nothing is learned from it.
"""

import itertools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ...baselines.decision_transformer import DecisionTransformer
from ...baselines.policy import Policy
from ...datasets.windows import ContextBatch
from ..lm.lamo import LaMoBatch
from ..training.memory import keep_freed_memory
from . import peaks, policies
from .harness import Measure, Row, Settings, above, faster, in_turn, memory_of
from .published import PublishedModel, as_published, published_loss

BATCHES = 2  # taken in turn
CONTEXT = 20
# Windows in a batch, and tokens of English in two sequences: published, and an eighth of both for laptops.
SIZES = {True: (64, (2, 1024)), False: (8, (2, 128))}
MEMORY = """
import sys, torch
from lamobench.benchmark.benches.steps import one_step
torch.set_num_threads(int(sys.argv[2]))
one_step(sys.argv[1])
"""


def lamo_step(settings: Settings, scratch: Path, shape: str = "gpt2") -> list[Row]:
    """LaMo on GPT-2 small: float32 beside the published loop, with and without its idle forward pass; bfloat16."""
    keep_freed_memory()
    size, english = SIZES[settings.full]
    batches = _batches(size)
    policy = policies.lamo(shape)
    model = PublishedModel(policy)
    _check_equal(policy, model, windows=policies.windows(2, CONTEXT, shortest=3))
    ours = our_step(policy, [LaMoBatch(batch, None) for batch in batches])
    theirs = published_step(model, [as_published(batch, model) for batch in batches])
    idle = _english(shape, english)
    rounds = in_turn(settings, ours, theirs, partial(theirs, idle))
    what = f"LaMo step, {shape}, LoRA, {size} x {CONTEXT} steps, float32"
    alone = [(r[0], r[1]) for r in rounds]
    as_it_is = [(r[0], r[2]) for r in rounds]
    rows = [
        faster(what, "the published loop without its idle forward pass", alone, target=1.5),
        faster(what, f"the published loop, {english[0]} x {english[1]} tokens forward too", as_it_is, target=3.0),
    ]
    work = flops(policy, LaMoBatch(batches[0], None)) / 1e9
    best = peaks.best_float32(settings)
    shares = [100 * work / seconds / best for seconds, *_ in rounds]
    rows.append(above(f"share of the best float32 product ({best:.0f} GFLOP/s) in that step", "%", shares, 60.0))
    del model, theirs
    return [*rows, _bfloat16_row(settings, shape, batches, ours)]


def _bfloat16_row(settings: Settings, shape: str, batches: Sequence[ContextBatch], ours: Callable[..., None]) -> Row:
    """The same step in bfloat16 beside float32."""
    same = [LaMoBatch(batch, None) for batch in batches]
    halves = our_step(policies.lamo(shape), same, lambda: torch.autocast("cpu", torch.bfloat16))
    rounds = in_turn(settings, halves, ours)
    what = f"LaMo step, {shape}, LoRA, {len(batches[0].mask)} x {CONTEXT} steps, bfloat16"
    return faster(what, "ours in float32", rounds, target=2.5)


def dt_step(settings: Settings, scratch: Path) -> list[Row]:
    """Decision Transformer at its original size and batch, beside the published loop."""
    keep_freed_memory()
    batches = _batches(64)
    policy = policies.decision_transformer()
    model = PublishedModel(policy)
    _check_equal(policy, model, windows=policies.windows(8, CONTEXT, shortest=3))
    ours = our_step(policy, batches)
    theirs = published_step(model, [as_published(b, model) for b in batches])
    what = f"DT step, original size, 64 x {CONTEXT} steps, float32"
    return [faster(what, "the published loop", in_turn(settings, ours, theirs), target=1.3)]


def lamo_memory(settings: Settings, scratch: Path) -> list[Row]:
    """Peak memory (GB) of a process that takes one step of LaMo on GPT-2 small, at the published sizes."""
    ours, theirs = (_peak(side, settings, scratch) for side in ("ours", "published"))
    ratio = theirs / ours
    what = f"peak memory of a LaMo step, gpt2, 64 x {CONTEXT} steps"
    name = "the published loop"
    return [Row(what, "GB", ours, theirs, name, ratio, None, None, "2 times less", ratio >= 2)]


def _peak(side: str, settings: Settings, scratch: Path) -> float:
    return memory_of([side, str(settings.threads)], scratch, script=MEMORY)


def one_step(side: str, shape: str = "gpt2") -> None:
    """One step of ours or of the published loop at the published sizes, in a process that does nothing else."""
    size, english = SIZES[True]
    policy = policies.lamo(shape)
    batch = policies.windows(size, CONTEXT)
    if side == "ours":
        our_step(policy, [LaMoBatch(batch, None)])()
        return
    model = PublishedModel(policy)
    windows = as_published(batch, model)
    del policy
    published_step(model, [windows])(_english(shape, english))


def our_step(policy: Policy, batches: Sequence[Any], precision: Callable[[], Any] = nullcontext) -> Callable[[], None]:
    """The work of a step in `training/learner.py`, but for the schedule."""
    settings = policy.optimizer_settings()
    queue = itertools.cycle(batches)
    optimizer = torch.optim.AdamW(settings.groups, eps=settings.epsilon, fused=True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    policy.train()

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision():
            loss, _ = policy.loss(next(queue))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
        optimizer.step()
        policy.after_update()

    return step


def published_step(model: PublishedModel, batches: Sequence[tuple[Tensor, ...]]) -> Callable[..., None]:
    """The published loop's step; given token ids, the language model's forward pass on them is part of it."""
    queue = itertools.cycle(batches)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=1e-5, eps=1e-6)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 2500, 1.0))
    model.train()

    def step(ids: Tensor | None = None) -> None:
        """Update once on the next batch; `ids` (B, L) are token ids for the idle forward pass, if any."""
        loss = published_loss(model, next(queue))
        language = None if ids is None else model.language_loss(ids)  # kept, as published, until the step is over
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        schedule.step()
        del language

    return step


def flops(policy: Policy, batch: Any) -> int:
    """Floating-point operations of the matrix products in a step, forwards and backwards."""
    policy.train()
    with FlopCounterMode(display=False, custom_mapping={torch.ops.mkldnn._linear_pointwise: _linear_flops}) as counter:
        loss, _ = policy.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
    policy.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def _linear_flops(inputs: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    """Count the operations of oneDNN's linear layer, from the shapes (..., in) and (out, in)."""
    return 2 * inputs.numel() * weight[0]


def _batches(size: int) -> list[ContextBatch]:
    return [policies.windows(size, CONTEXT, seed=seed) for seed in range(BATCHES)]


def _english(shape: str, size: tuple[int, int]) -> Tensor:
    vocabulary = policies.SHAPES[shape]["vocab_size"]
    return torch.randint(vocabulary, size, generator=torch.Generator().manual_seed(0))


def _check_equal(policy: Any, model: PublishedModel, windows: ContextBatch) -> None:
    """Check that both have the same loss without dropout; an `AssertionError` otherwise."""
    policy.eval()
    model.eval()
    batch = windows if isinstance(policy, DecisionTransformer) else LaMoBatch(windows, None)
    with torch.no_grad():
        ours = policy.loss(batch)[0]
        theirs = published_loss(model, as_published(windows, model))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


MEASUREMENTS: dict[str, Measure] = {"lamo-step": lamo_step, "dt-step": dt_step, "memory-lamo": lamo_memory}
