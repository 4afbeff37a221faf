"""`make bench-baselines`: update steps per second of ours beside d3rlpy's, transformers' and Stable-Baselines3's.

Both sides start from the same weights, have the networks, batch sizes and settings of our defaults, and are given the
same batches, made beforehand: sampling, which has a row of its own, logging and evaluation are no part of it. Each does
what its own training loop does with a batch. Blocks of updates alternate, ours first and theirs first in turn, so that
a busy moment hits both; a ratio is that of two neighbouring blocks.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from d3rlpy.dataset import BasicTrajectorySlicer, Episode, create_infinite_replay_buffer
from d3rlpy.torch_utility import TorchTrajectoryMiniBatch
from torch import nn

from lamobench.baselines.bc import BC, BCConfig
from lamobench.baselines.cql import CQL, CQLConfig
from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.discrete_cql import DiscreteCQL, DiscreteCQLConfig
from lamobench.baselines.iql import IQL, IQLConfig
from lamobench.baselines.policy import Policy
from lamobench.baselines.td3_bc import TD3BC, TD3BCConfig
from lamobench.baselines.trajectory_model import action_error
from lamobench.benchmark.benches.sampling import BATCH, CONTEXT, random_vectors
from lamobench.benchmark.training.memory import keep_freed_memory
from lamobench.datasets.fractions import take_fraction
from lamobench.datasets.storage import write_rows
from lamobench.datasets.windows import ContextSampler
from lamobench.tests.parity import counterparts, online_contests
from lamobench.tests.parity.comparison import (
    frames,
    make_frames_spec,
    make_spec,
    their_frames,
    their_transitions,
    their_windows,
    transitions,
    windows,
)

Update = Callable[[], Any]
BATCHES = 8  # taken in turn: learning one batch by heart would let gradients vanish, and denormal numbers are slow
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SPEC = make_spec(observation_dim=11, action_dim=3)  # hopper's


@dataclass(frozen=True)
class Row:
    """One line of bench_baselines.csv: medians over blocks, and the quartiles of the ratio."""

    method: str
    other_name: str
    threads: int
    clock: str  # "wall", or "cpu": seconds of this process alone, for a machine that others use too
    ours: float  # updates per second, or batches
    other: float
    ratio: float  # ours / other
    ratio_low: float
    ratio_high: float
    wanted: float  # of the ratio, at least
    met: bool


@dataclass(frozen=True)
class Contest:
    """Two ways of doing the same update, and how much faster ours is to be."""

    method: str
    other_name: str
    build: Callable[[], tuple[Update, Update]]
    wanted: float = 1.0


def bc() -> tuple[Update, Update]:
    """Batch 256, two hidden layers of 256."""
    policy = BC(BCConfig(), SPEC)
    return on_transitions(policy, counterparts.bc(policy, SPEC)[0])


def td3_bc() -> tuple[Update, Update]:
    """Batch 256, two hidden layers of 256, the actor in every second update."""
    policy = TD3BC(TD3BCConfig(), SPEC)
    return on_transitions(policy, counterparts.td3_bc(policy, SPEC)[0])


def iql() -> tuple[Update, Update]:
    """Batch 256, two hidden layers of 256."""
    policy = IQL(IQLConfig(), SPEC)
    return on_transitions(policy, counterparts.iql(policy, SPEC)[0])


def cql() -> tuple[Update, Update]:
    """Batch 256, three hidden layers of 256, ten actions from each of three proposals, entropy in the target."""
    policy = CQL(CQLConfig(backup_entropy=True), SPEC)
    return on_transitions(policy, counterparts.cql(policy, SPEC)[0])


def discrete_cql() -> tuple[Update, Update]:
    """Batch 32, the Nature network with 200 quantiles for each of four actions."""
    spec = make_frames_spec()
    policy = DiscreteCQL(DiscreteCQLConfig(hidden=(512,)), spec)
    theirs, _ = counterparts.discrete_cql(policy, spec)
    batches = [frames(spec, 32, seed) for seed in range(BATCHES)]
    return our_update(policy, batches), d3rlpy_update(theirs, [their_frames(batch) for batch in batches])


def decision_transformer() -> tuple[Update, Update]:
    """Batch 64, 20 steps, three layers of width 128, one head, dropout 0.1."""
    policy = DecisionTransformer(DecisionTransformerConfig(), SPEC)
    theirs, _ = counterparts.decision_transformer(policy, SPEC)
    batches = [windows(SPEC, 64, policy.context, seed) for seed in range(BATCHES)]
    their_batches = [their_windows(batch, policy.model.normalize, SPEC.return_scale) for batch in batches]
    return our_update(policy, batches), d3rlpy_update(theirs, their_batches)


def transformers_model() -> tuple[Update, Update]:
    """The same with the model of transformers, in a loop of the same kind as ours, with the same optimiser."""
    policy = DecisionTransformer(DecisionTransformerConfig(), SPEC)
    model, _ = counterparts.transformers_model(policy, SPEC)
    model.train()
    batches = [windows(SPEC, 64, policy.context, seed) for seed in range(BATCHES)]
    c = policy.config
    queue = itertools.cycle(batches)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=c.learning_rate, weight_decay=c.weight_decay, fused=True)

    def update() -> None:
        batch = next(queue)
        optimizer.zero_grad(set_to_none=True)
        action_error(counterparts.predict(model, policy, batch), batch).backward()
        nn.utils.clip_grad_norm_(parameters, c.gradient_clip)
        optimizer.step()

    return our_update(policy, batches), update


def sampled_windows() -> tuple[Update, Update]:
    """64 windows of 20 steps from 400 episodes of 500, as tensors; both sides make the same of the same steps."""
    data = random_vectors("hopper-medium", "Hopper-v5", (11, 3), episodes=400)
    ours = ContextSampler(take_fraction(data, 1.0, 0), CONTEXT)
    pieces = [slice(first, last) for first, last in itertools.pairwise(data.offsets)]
    arrays = [(data.observations[p], data.actions[p], data.rewards[p, None]) for p in pieces]
    theirs = create_infinite_replay_buffer([Episode(*each, terminated=False) for each in arrays])
    start = 123
    number = 7
    one = ours.windows(data.offsets[[number]] + start, data.offsets[[number]], data.offsets[[number + 1]])
    other = BasicTrajectorySlicer()(theirs.episodes[number], start + CONTEXT - 1, CONTEXT)
    for name in ("observations", "actions"):
        np.testing.assert_array_equal(getattr(one, name)[0], getattr(other, name))
    np.testing.assert_allclose(one.returns_to_go[0], other.returns_to_go[:, 0], rtol=1e-3, atol=1e-3)

    def sample() -> TorchTrajectoryMiniBatch:
        return TorchTrajectoryMiniBatch.from_batch(theirs.sample_trajectory_batch(BATCH, CONTEXT), device="cpu")

    return partial(ours.sample, BATCH, np.random.default_rng(0)), sample


CONTESTS = (
    Contest("BC", "d3rlpy", bc),
    Contest("TD3+BC", "d3rlpy", td3_bc),
    Contest("IQL", "d3rlpy", iql),
    Contest("CQL", "d3rlpy", cql, wanted=1.5),
    Contest("CQL (Atari)", "d3rlpy", discrete_cql),
    Contest("DT", "d3rlpy", decision_transformer),
    Contest("DT", "transformers", transformers_model, wanted=1.3),
    Contest("windows", "d3rlpy", sampled_windows),
    Contest("SAC", "stable-baselines3", online_contests.sac, wanted=1.5),
    Contest("SAC (paper)", "stable-baselines3", online_contests.paper_sac, wanted=1.5),
    Contest("SAC (wide)", "stable-baselines3", online_contests.wide_sac, wanted=1.5),
    Contest("PPO", "stable-baselines3", online_contests.ppo, wanted=1.5),
    Contest("SAC: rounds", "stable-baselines3", online_contests.sac_run),
    Contest("grid-relay: rounds", "stable-baselines3", online_contests.relay_run),
    Contest("apple-retrieval: steps", "gymnasium", online_contests.apple_steps),
    Contest("grid-relay: steps", "gymnasium", online_contests.relay_steps),
)


def on_transitions(policy: Any, theirs: Any) -> tuple[Update, Update]:
    """Both sides of an algorithm of continuous control, in batches of 256."""
    batches = [transitions(SPEC, 256, seed) for seed in range(BATCHES)]
    their_batches = [their_transitions(batch, policy.normalize, policy.bounds) for batch in batches]
    return our_update(policy, batches), d3rlpy_update(theirs, their_batches)


def our_update(policy: Policy, batches: list[Any]) -> Update:
    """The work of `benchmark/offline/loop.py` on a batch."""
    settings = policy.optimizer_settings()
    queue = itertools.cycle(batches)
    optimizer = torch.optim.AdamW(settings.groups, eps=settings.epsilon, fused=True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    policy.train()

    def update() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss, _ = policy.loss(next(queue))
        loss.backward()
        if settings.gradient_clip > 0:
            nn.utils.clip_grad_norm_(parameters, settings.gradient_clip)
        optimizer.step()
        policy.after_update()

    return update


def d3rlpy_update(implementation: Any, batches: list[Any]) -> Update:
    """The work of d3rlpy's `fit` on a batch."""
    steps = itertools.count()
    queue = itertools.cycle(batches)
    return lambda: implementation.update(next(queue), next(steps))


def measure(contest: Contest, threads: int, clock: str, rounds: int, seconds: float) -> Row:
    """Alternate blocks of about `seconds` each, `rounds` of each side."""
    torch.set_num_threads(threads)
    rate = partial(updates_per_second, CLOCKS[clock])
    torch.manual_seed(0)
    ours, theirs = contest.build()
    counts = [max(3, int(seconds * rate(update, 5))) for update in (ours, theirs)]  # after 5 updates of warm-up
    ours_first = [number % 2 == 0 for number in range(rounds)]
    pairs = [in_order(partial(rate, ours, counts[0]), partial(rate, theirs, counts[1]), first) for first in ours_first]
    ratios = [mine / other for mine, other in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Row(
        contest.method,
        contest.other_name,
        threads,
        clock,
        mine,
        other,
        middle,
        low,
        high,
        contest.wanted,
        met=middle >= contest.wanted,
    )


def in_order(ours: Callable[[], float], theirs: Callable[[], float], ours_first: bool) -> tuple[float, float]:
    """Measure (ours, theirs), one after the other."""
    if ours_first:
        return ours(), theirs()
    other = theirs()
    return ours(), other


def updates_per_second(clock: Callable[[], float], update: Update, count: int) -> float:
    """The updates a second over `count` updates, by the clock."""
    started = clock()
    for _ in range(count):
        update()
    return count / (clock() - started)


def main() -> None:
    """Measure, show and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("results/bench_baselines.csv"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: of this process, where others run too")
    parser.add_argument("--methods", nargs="+", default=[contest.method for contest in CONTESTS])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each block")
    options = parser.parse_args()
    rows = []
    keep_freed_memory()  # as a run does; it helps both sides
    chosen = [contest for contest in CONTESTS if contest.method in options.methods]
    for contest, threads in itertools.product(chosen, options.threads):
        row = measure(contest, threads, options.clock, options.rounds, options.seconds)
        print(
            f"{row.method:<18} {row.threads} threads: {row.ours:8.1f} a second, {row.other_name} {row.other:8.1f}, "
            f"ratio {row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}], wanted {row.wanted:g}",
            flush=True,
        )
        rows.append(asdict(row))
    write_rows(options.output, rows)


if __name__ == "__main__":
    main()
