"""The published model gives what ours does: losses, gradients, words, actions."""

from pathlib import Path

import pytest
import torch

from lamobench.baselines import onednn
from lamobench.benchmark.benches import evaluation, policies, steps
from lamobench.benchmark.benches.harness import Settings
from lamobench.benchmark.benches.published import PublishedModel, as_published, published_loss
from lamobench.benchmark.lm.checkpoints import language_loss
from lamobench.benchmark.lm.lamo import LaMoBatch

TINY = {"n_layer": 2, "n_head": 2, "n_embd": 16, "vocab_size": 64, "n_positions": 64}
QUICK = Settings(clock="cpu", rounds=1, seconds=1e-6)  # processor seconds: other tests run beside it


@pytest.fixture(autouse=True)
def tiny_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(policies.SHAPES, "tiny", TINY)
    monkeypatch.setitem(policies.SHAPES, "gpt2", TINY)
    monkeypatch.setitem(policies.SHAPES, "gpt2-mini", TINY)


def test_lamo_has_the_losses_and_gradients_of_the_published_model() -> None:
    policy = policies.lamo("tiny")
    model = PublishedModel(policy).eval()
    policy.eval()
    windows = policies.windows(6, 20, shortest=3)
    loss = policy.loss(LaMoBatch(windows, None))[0]
    theirs = published_loss(model, as_published(windows, model))
    torch.testing.assert_close(loss, theirs, rtol=1e-5, atol=1e-6)
    loss.backward()
    theirs.backward()
    split = policy.language_model.transformer.h[0].attn.c_attn
    update = model.blocks[0].project_in
    for name, theirs_at in (("lora_A", update.down.grad), ("lora_B", update.up.grad)):  # type: ignore[union-attr]
        ours_at = torch.cat([getattr(getattr(split, part), name)["default"].weight.grad for part in "qkv"])
        torch.testing.assert_close(ours_at, theirs_at, rtol=1e-4, atol=1e-6)
    for name in ("embed_state", "embed_time", "head"):
        for ours_at, theirs_at in zip(
            getattr(policy.model, name).parameters(), getattr(model, name).parameters(), strict=True
        ):
            torch.testing.assert_close(ours_at.grad, theirs_at.grad, rtol=1e-4, atol=1e-6)
    trained = [sum(p.numel() for p in m.parameters() if p.requires_grad) for m in (policy, model)]
    assert trained[0] == trained[1]


def test_it_predicts_the_same_words() -> None:
    policy = policies.lamo("tiny").eval()
    ids = torch.randint(64, (2, 32), generator=torch.Generator().manual_seed(0))
    model = PublishedModel(policy).eval()
    torch.testing.assert_close(model.language_loss(ids), language_loss(policy.language_model, ids))


def test_decision_transformer_has_the_loss_of_the_published_model() -> None:
    policy = policies.decision_transformer(width=16)
    steps._check_equal(policy, PublishedModel(policy), policies.windows(6, 20, shortest=3))


def test_another_weight_is_noticed() -> None:
    policy = policies.decision_transformer(width=16, layers=1)
    model = PublishedModel(policy)
    policy.model.backbone.blocks[0].expand.weight.data[:, 0] += 0.5
    with pytest.raises(AssertionError, match="not close"):
        steps._check_equal(policy, model, policies.windows(6, 20))


def test_position_embeddings_are_no_part_of_it() -> None:
    policy = policies.lamo("tiny")
    policy.language_model.transformer.wpe.weight.data += 1
    with pytest.raises(AssertionError, match="position embeddings"):
        PublishedModel(policy)


@pytest.mark.parametrize("name", ["dt", "lamo"])
def test_evaluation_is_measured_after_actions_were_found_equal(name: str) -> None:
    row, cached = evaluation.MEASUREMENTS[f"evaluate-{name}"](QUICK, Path(), 3)  # type: ignore[call-arg]
    assert (row.unit, row.wanted, cached.wanted) == ("s", "5 times faster", "10 times faster")
    assert row.ratio is not None
    assert row.ratio > 1


def test_other_actions_are_noticed() -> None:
    policy = policies.decision_transformer(width=16, layers=1)
    model = PublishedModel(policy).eval()
    policy.model.head[0].bias.data += 0.01
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        evaluation.check_actions(policy, model, [0], steps=2)


def test_steps_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SIZES", {False: (2, (1, 8)), True: (2, (1, 8))})
    monkeypatch.setattr(steps.peaks, "SIZE", 64)
    monkeypatch.setattr(steps.peaks, "best_float32", lambda settings: 100.0)
    rows = steps.lamo_step(QUICK, Path(), "tiny")
    assert [row.wanted for row in rows] == ["1.5 times faster", "3 times faster", "60 % or more", "2.5 times faster"]
    assert all(row.ours > 0 for row in rows)
    for side in ("ours", "published"):
        steps.one_step(side, "tiny")


def test_operations_are_counted_forwards_and_backwards() -> None:
    policy = policies.decision_transformer(width=16, layers=1, dropout=0.0)
    # Products with weights, of 2 windows of 59 tokens: 2 width^2 a token, and 10 of the 20 that are read
    forward = 2 * 2 * (59 * 2 + 20 * 10) * 16 * 16
    counted = steps.flops(policy, policies.windows(2, 20))
    assert 2.5 * forward < counted < 5 * forward
    assert all(p.grad is None for p in policy.parameters())


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch comes without oneDNN")
def test_products_by_onednn_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onednn, "faster_here", lambda: True)
    batch = LaMoBatch(policies.windows(4, 20), None)
    counted = []
    for least in (0, 1 << 60):
        monkeypatch.setattr(onednn, "MULTIPLICATIONS", least)
        counted.append(steps.flops(policies.lamo("tiny"), batch))
    assert counted[0] == counted[1]


def test_the_published_model_has_layers_of_pytorchs_own() -> None:
    for policy in (policies.lamo("tiny"), policies.decision_transformer(width=16, layers=1)):
        kinds = {type(module).__module__ for module in PublishedModel(policy).modules()}
        assert not {kind for kind in kinds if kind.endswith(("onednn", "baselines.dropout", "adapters"))}
