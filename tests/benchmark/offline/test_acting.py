"""Actions by what is kept from step to step are those of the same window read anew."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from lamobench.baselines.acting import SlidingWindow
from lamobench.baselines.bc import BC, BCConfig
from lamobench.baselines.decision_transformer import DecisionTransformer, DecisionTransformerConfig
from lamobench.baselines.policy import History, Policy, Spec
from lamobench.baselines.trajectory_model import TrajectoryModel
from lamobench.baselines.transformer import Block
from lamobench.benchmark.lm.checkpoints import load_language_model
from lamobench.benchmark.lm.lamo import LaMo, LaMoConfig
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, check_cached_context, resolve
from lamobench.benchmark.offline.rollout import rollout
from lamobench.datasets.errors import UserError
from lamobench.datasets.windows import View

CONTEXT = 5
HORIZON = 17
ENDS = (17, 3, 17, 9, 6)  # each episode's length
DRAWN = {"context": CONTEXT, "dropout": 0.0}


def spec(frames: bool) -> Spec:
    none = np.zeros(0, np.float32)
    if frames:
        return Spec(0, 3, none, none, none, none, HORIZON, 10.0, discrete=True, view=View(frames=4))
    low = np.full(2, -1.0, np.float32)
    ones = np.ones(3, np.float32)
    return Spec(3, 2, low, -low, 0.1 * ones, ones, HORIZON, 10.0)


def decision_transformer(frames: bool) -> Policy:
    config = DecisionTransformerConfig(**DRAWN, width=16, heads=2, layers=2)
    return DecisionTransformer(config, spec(frames))


def lamo(frames: bool, language_model: Any) -> Policy:
    return LaMo(LaMoConfig(**DRAWN, lora_rank=2, lora_dropout=0.0), spec(frames), language_model, None)


def gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=30, n_positions=3 * CONTEXT))


@pytest.fixture(params=["dt", "dt-frames", "gpt2", "gpt2-frames", "bert"])
def policy(request: pytest.FixtureRequest, tiny_bert: Path) -> Policy:
    torch.manual_seed(0)
    name, _, frames = request.param.partition("-")
    if name == "dt":
        made = decision_transformer(bool(frames))
    else:
        made = lamo(bool(frames), gpt2() if name == "gpt2" else load_language_model(str(tiny_bert), attention="sdpa"))
    for parameter in made.parameters():  # positions and times count, and low-rank updates are not zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made.eval()


def histories(policy: Policy) -> list[tuple[History, Tensor]]:
    """The history that an evaluation shows at each step, and which episodes of the step before are left."""
    rng = np.random.default_rng(0)
    episodes = len(ENDS)
    frames = policy.view.earlier_frames
    seen: Any = rng.normal(size=(episodes, HORIZON, 3)).astype(np.float32)
    actions: Any = rng.uniform(-1, 1, (episodes, HORIZON, 2)).astype(np.float32)
    if frames:
        seen = rng.integers(0, 256, (episodes, frames + HORIZON, 84, 84), np.uint8)
        actions = rng.integers(0, 3, (episodes, HORIZON))
    returns = rng.normal(size=(episodes, HORIZON)).astype(np.float32)
    steps = []
    before = np.arange(episodes)
    for time in range(HORIZON):
        live = np.flatnonzero(np.array(ENDS) > time)
        first = max(0, time + 1 - CONTEXT)
        last = time + 1
        known = actions[live, first:last].copy()
        known[:, -1] = 0
        arrays = (
            seen[live, first : frames + last],
            known,
            returns[live, first:last],
            np.tile(np.arange(first, last), (len(live), 1)),
        )
        kept = torch.from_numpy(np.flatnonzero(np.isin(before, live)))
        steps.append((History(*map(torch.from_numpy, arrays)), kept))
        before = live
    return steps


@torch.no_grad()
def test_it_acts_as_from_the_whole_window(policy: Policy) -> None:
    act = policy.begin_episodes()
    for history, kept in histories(policy):
        torch.testing.assert_close(act(history, kept), policy.act(history), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("cached", [False, True])
def test_each_step_embeds_what_is_new(policy: Policy, monkeypatch: pytest.MonkeyPatch, cached: bool) -> None:
    model = policy.model
    embedded = list[int]()
    assert isinstance(model, TrajectoryModel)

    def spy(module: Any, given: Any, states: Tensor) -> None:
        embedded.append(states.shape[1])

    model.embed_state.register_forward_hook(spy)
    act = policy.begin_episodes(cached)
    for history, kept in histories(policy):
        act(history, kept)
    begun_anew = [time for time in range(HORIZON) if cached and time >= CONTEXT and (time - CONTEXT) % 4 == 0]
    assert embedded == [CONTEXT // 2 if time in begun_anew else 1 for time in range(HORIZON)]


@torch.no_grad()
@pytest.mark.parametrize("cached", [False, True])
def test_it_acts_under_bfloat16(policy: Policy, cached: bool) -> None:
    act = policy.begin_episodes(cached)
    with torch.autocast("cpu", torch.bfloat16):
        for history, kept in histories(policy)[:CONTEXT]:  # so far cached and not are the same
            torch.testing.assert_close(act(history, kept), policy.act(history), rtol=0.1, atol=0.05)


@torch.no_grad()
def test_a_window_slides_and_rows_leave_it() -> None:
    tokens = torch.randn(3, 40, 2)
    rows = torch.tensor([0, 2])
    window = SlidingWindow(tokens[:, :2])
    for start in range(2, 40, 2):
        if start == 20:
            window.keep(rows)
        live = rows if start >= 20 else torch.arange(3)
        window.join(tokens[live, start : start + 2], limit=5)
        assert torch.equal(window.tokens, tokens[live, max(0, start - 3) : start + 2])
        assert window.buffer.shape[1] <= 4 * 5


@torch.no_grad()
def test_each_step_s_first_projections_are_of_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = decision_transformer(frames=False).eval()
    tokens = list[int]()
    own = Block.project_alone
    monkeypatch.setattr(Block, "project_alone", lambda self, x: tokens.append(x.shape[1]) or own(self, x))
    act = policy.begin_episodes()
    for history, kept in histories(policy):
        act(history, kept)
    assert tokens == [2, *[3] * (HORIZON - 1)]  # the second and last layer projects queries apart


@torch.no_grad()
def test_it_acts_as_from_a_window_that_grows_and_is_halved(policy: Policy) -> None:
    act = policy.begin_episodes(cached_context=True)
    seen = 0
    for history, kept in histories(policy):
        at_hand = history.returns_to_go.shape[1]
        seen = min(at_hand, CONTEXT // 2) if seen in (0, CONTEXT) else seen + 1
        torch.testing.assert_close(act(history, kept), policy.act(history.newest(seen)), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_until_the_context_is_full_it_acts_as_without(policy: Policy) -> None:
    plain = policy.begin_episodes()
    cached = policy.begin_episodes(cached_context=True)
    for history, kept in histories(policy)[:CONTEXT]:
        torch.testing.assert_close(cached(history, kept), plain(history, kept), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("cached", [False, True])
def test_a_context_of_one_step_has_nothing_to_keep(cached: bool) -> None:
    policy = DecisionTransformer(DecisionTransformerConfig(context=1, width=16, heads=2), spec(False)).eval()
    act = policy.begin_episodes(cached_context=cached)
    for history, kept in histories(policy)[:3]:
        last = history.newest(1)
        torch.testing.assert_close(act(last, kept), policy.act(last))


def test_methods_without_a_context_refuse() -> None:
    with pytest.raises(AssertionError, match="BC has no context to keep"):
        BC(BCConfig(), spec(False)).begin_episodes(cached_context=True)
    with pytest.raises(UserError, match=r"method 'bc' chooses from the newest step alone.*drop --cached-context"):
        check_cached_context("bc", True)


def test_rows_say_so_and_ids_differ(tiny_request: Callable[..., RunRequest]) -> None:
    plain, cached = (resolve(tiny_request("dt", cached_context=on)) for on in (False, True))
    assert "cached context" in cached.profile
    assert plain.id != cached.id


def test_a_run_is_evaluated_with_it(
    tiny_request: Callable[..., RunRequest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[bool]()

    def remember(*arguments: Any, cached_context: bool, **options: Any) -> Any:
        asked.append(cached_context)
        return rollout(*arguments, cached_context=cached_context, **options)

    monkeypatch.setattr("lamobench.benchmark.offline.evaluation.rollout", remember)
    train(resolve(tiny_request("dt", cached_context=True)), tmp_path)
    assert asked
    assert all(asked)
