from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from lamobench.baselines.policy import History, Spec
from lamobench.benchmark.lm.adapters import add_lora
from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.lm.gpt2 import SplitProjection
from lamobench.benchmark.lm.lamo import LaMo, LaMoBatch, LaMoConfig, LaMoSampler, words_scale
from lamobench.datasets.corpora import Corpus, load_corpus
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.trajectories import Trajectories

SMALL = LaMoConfig(context=4, lora_rank=2, language_batch=3, language_length=16, learning_rate=1e-2)


@pytest.fixture
def subset(reacher_data: Trajectories) -> Subset:
    return take_fraction(reacher_data, 1.0, 0)


@pytest.fixture
def corpus(home: Path, english: Path, tiny_gpt2: Path) -> Corpus:
    return load_corpus(str(english), load_tokenizer(str(tiny_gpt2)))


@pytest.fixture
def make_lamo(tiny_gpt2: Path, subset: Subset, corpus: Corpus) -> Callable[..., LaMo]:
    """A LaMo on the tiny GPT-2; it has a corpus where its settings ask for English."""
    mean, std = subset.observation_moments()
    low = np.full(2, -1.0, np.float32)
    high = np.full(2, 1.0, np.float32)
    spec = Spec(12, 2, low, high, mean, std, horizon=100, return_scale=10.0)

    def make(**changes: Any) -> LaMo:
        torch.manual_seed(0)
        config = replace(SMALL, **changes)
        return LaMo(config, spec, load_language_model(str(tiny_gpt2)), corpus if config.needs_english else None)

    return make


def train_some(policy: LaMo, subset: Subset, steps: int, batch_size: int = 16) -> list[dict[str, Tensor]]:
    settings = policy.optimizer_settings()
    optimizer = torch.optim.AdamW(settings.groups, eps=settings.epsilon)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, steps)
    sampler = policy.train().sampler(subset)
    rng = np.random.default_rng(0)
    measured = []
    for _ in range(steps):
        loss, metrics = policy.loss(sampler.sample(batch_size, rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        measured.append(metrics)
    return measured


def test_lamo_learns_five_trajectories_by_heart(make_lamo: Callable[..., LaMo], reacher_data: Trajectories) -> None:
    rng = np.random.default_rng(0)
    noise = replace(reacher_data, actions=rng.uniform(-0.9, 0.9, (160, 2)).astype(np.float32))  # nothing to generalise
    five = take_fraction(noise, 5 / 8, 0)
    assert len(five.episodes) == 5
    policy = make_lamo(dropout=0.0, lora_dropout=0.0, context=2)
    measured = train_some(policy, five, 500, batch_size=48)
    assert measured[0]["action_error"] > 0.2
    assert max(metrics["action_error"] for metrics in measured[-20:]) < 5e-3


@pytest.mark.parametrize("language_weight", [0.0, 0.1])
def test_what_is_frozen_stays_and_all_else_moves(
    make_lamo: Callable[..., LaMo], subset: Subset, tiny_gpt2: Path, language_weight: float
) -> None:
    policy = make_lamo(language_weight=language_weight)
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    train_some(policy, subset, 5)
    for name, parameter in policy.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name
        assert (parameter.grad is not None) == parameter.requires_grad, name  # what is frozen costs no gradient
    loaded = load_language_model(str(tiny_gpt2))
    for ours, theirs in zip(policy.language_model.transformer.h, loaded.transformer.h, strict=True):
        parts = [layer.base_layer.weight.T for layer in (ours.attn.c_attn.q, ours.attn.c_attn.k, ours.attn.c_attn.v)]
        assert torch.equal(torch.cat(parts, dim=1), theirs.attn.c_attn.weight)
    frozen = {name for name, p in policy.named_parameters() if not p.requires_grad and "c_attn" not in name}
    tensors = dict(loaded.named_parameters())
    prefix = "model.backbone.language_model."
    assert {name.removeprefix(prefix) for name in frozen} == {name for name in tensors if "c_attn" not in name}
    for name in frozen:
        assert torch.equal(dict(policy.named_parameters())[name], tensors[name.removeprefix(prefix)]), name


def test_what_is_trained_is_what_the_paper_trains(make_lamo: Callable[..., LaMo]) -> None:
    policy = make_lamo()
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    adapted = {name for name in trained if "language_model" in name}
    assert {name.rpartition("c_attn.")[2] for name in adapted} == {
        f"{part}.{tensor}"
        for part in "qkv"
        for tensor in ("lora_A.default.weight", "lora_B.default.weight", "base_layer.bias")
    }
    assert {name.split(".")[1] for name in trained - adapted} == {
        *("embed_return", "embed_state", "embed_action", "embed_time", "embed_norm", "head")
    }
    assert {id(p) for group in policy.optimizer_settings().groups for p in group["params"]} == {
        id(parameter) for parameter in policy.parameters() if parameter.requires_grad
    }


@pytest.mark.parametrize(("adaptation", "trained"), [("frozen", 0.0), ("full", 1.0)])
def test_all_or_nothing_of_the_language_model_can_be_trained(
    make_lamo: Callable[..., LaMo], subset: Subset, adaptation: str, trained: float
) -> None:
    policy = make_lamo(adaptation=adaptation)
    parameters = list(policy.language_model.parameters())
    assert sum(p.numel() for p in parameters if p.requires_grad) == trained * sum(p.numel() for p in parameters)
    before = policy.language_model.transformer.h[1].mlp.c_fc.weight.detach().clone()
    train_some(policy, subset, 2)
    assert torch.equal(policy.language_model.transformer.h[1].mlp.c_fc.weight, before) != bool(trained)
    assert not any(isinstance(module, LoraLayer) for module in policy.modules())


@pytest.mark.parametrize(("pairs", "rank", "expected"), [("separate", 16, 912_384), ("joint", 32, 1_179_648)])
def test_as_many_parameters_of_gpt2_small_are_trained_as_published(pairs: str, rank: int, expected: int) -> None:
    """0.7 % of the transformer for D4RL (884,736 of the updates, 27,648 biases), as the paper says; and Atari's."""
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
        total = sum(parameter.numel() for parameter in model.parameters())
        add_lora(model, pairs, rank, 32.0, 0.1)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert (total, trained) == (124_439_808, expected)


@pytest.mark.parametrize("pairs", ["separate", "joint"])
@pytest.mark.parametrize(("targets", "layers"), [("qkv", 0), ("attention", 1), ("all", 3)])
def test_more_layers_can_have_updates(
    make_lamo: Callable[..., LaMo], subset: Subset, tiny_gpt2: Path, pairs: str, targets: str, layers: int
) -> None:
    """Updates are in each of the 2 blocks; before training the network is the same, and what was frozen stays so."""
    policy = make_lamo(lora_pairs=pairs, lora_targets=targets)
    ids = torch.randint(0, 280, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        untouched = load_language_model(str(tiny_gpt2))(ids).logits
        torch.testing.assert_close(policy.eval().language_model(ids).logits, untouched, rtol=1e-5, atol=1e-5)
    updated = [name for name, module in policy.named_modules() if isinstance(module, LoraLayer)]
    assert len(updated) == 2 * (layers + (3 if pairs == "separate" else 1))
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    train_some(policy, subset, 3)
    moved = {name for name, p in policy.named_parameters() if not torch.equal(p, before[name])}
    assert {name.rpartition(".lora_B")[0] for name in moved if "lora_B" in name} == set(updated)


def test_low_rank_updates_begin_at_zero_and_merge_into_the_weights(
    make_lamo: Callable[..., LaMo], subset: Subset, tiny_gpt2: Path
) -> None:
    policy = make_lamo(lora_alpha=8.0)
    ids = torch.randint(0, 280, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        untouched = load_language_model(str(tiny_gpt2))(ids).logits
        torch.testing.assert_close(policy.eval().language_model(ids).logits, untouched, rtol=1e-5, atol=1e-5)
    train_some(policy, subset, 20)
    policy.eval()
    batch = policy.sampler(subset).sample(8, np.random.default_rng(1))
    with torch.no_grad():
        apart = policy.model.predict(batch.contexts)
        layers = [module for module in policy.modules() if isinstance(module, LoraLayer)]
        expected = [
            layer.base_layer.weight + 8.0 / 2 * (layer.lora_B["default"].weight @ layer.lora_A["default"].weight)
            for layer in layers
        ]
        for layer in layers:
            layer.merge()
        merged = policy.model.predict(batch.contexts)
    assert len(layers) == 2 * 3
    torch.testing.assert_close(merged, apart, rtol=1e-5, atol=1e-5)
    for layer, weight in zip(layers, expected, strict=True):
        torch.testing.assert_close(layer.base_layer.weight, weight)
    fused = load_language_model(str(tiny_gpt2)).transformer.h[0].attn.c_attn.weight
    assert not torch.equal(expected[0], fused[:, :16].T)


def test_without_language_loss_there_is_no_language_forward(
    make_lamo: Callable[..., LaMo], subset: Subset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: Any) -> Tensor:
        raise AssertionError("the language head ran")

    policy = make_lamo(language_weight=0.0)
    monkeypatch.setattr(policy.language_model.lm_head, "forward", forbidden)
    measured = train_some(policy, subset, 2)
    assert "language_loss" not in measured[0]
    assert policy.diagnostics() == {}
    assert policy.sampler(subset).sample(4, np.random.default_rng(0)).language is None
    with_language = make_lamo(language_weight=0.1)
    monkeypatch.setattr(with_language.language_model.lm_head, "forward", forbidden)
    with pytest.raises(AssertionError, match="the language head ran"):
        train_some(with_language, subset, 1)


def test_the_loss_adds_the_weighted_language_loss(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    policy = make_lamo(language_weight=0.3, dropout=0.0, lora_dropout=0.0)
    batch = policy.sampler(subset).sample(8, np.random.default_rng(0))
    assert batch.language is not None
    assert batch.language.shape == (3, 16)
    loss, metrics = policy.loss(batch)
    logits = policy.language_model(batch.language).logits
    expected = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch.language[:, 1:].flatten())
    torch.testing.assert_close(metrics["language_loss"], expected.detach())
    alone, _ = policy.loss(LaMoBatch(batch.contexts, None))
    torch.testing.assert_close(metrics["action_error"], alone.detach())
    torch.testing.assert_close(loss, alone + 0.3 * expected)


@pytest.mark.parametrize("adaptation", ["lora", "full"])
def test_the_weight_anchor_measures_and_shortens_the_way_from_the_start(
    make_lamo: Callable[..., LaMo], subset: Subset, tiny_gpt2: Path, adaptation: str
) -> None:
    def way(anchor: float) -> float:
        policy = make_lamo(adaptation=adaptation, weight_anchor=anchor)
        assert float(policy.loss(policy.sampler(subset).sample(4, np.random.default_rng(0)))[1]["weight_distance"]) == 0
        measured = train_some(policy, subset, 20)
        for layer in [module for module in policy.modules() if isinstance(module, LoraLayer)]:
            layer.merge()
        before = load_language_model(str(tiny_gpt2))
        if adaptation == "lora":
            for block in before.transformer.h:
                block.attn.c_attn = SplitProjection(block.attn.c_attn)
        start = dict(before.named_parameters())
        moved = {name.replace(".base_layer", ""): p for name, p in policy.language_model.named_parameters()}
        distance = sum(float((moved[name] - tensor).detach().square().sum()) for name, tensor in start.items())
        assert policy.weight_distance is not None
        if adaptation == "full":
            assert float(policy.weight_distance(policy.language_model).detach()) == pytest.approx(distance, rel=1e-3)
        assert distance == pytest.approx(float(measured[-1]["weight_distance"]), rel=0.2)
        return distance

    assert way(10.0) < 0.5 * way(1e-6)


def test_the_output_anchor_holds_the_predictions_where_they_were(
    make_lamo: Callable[..., LaMo], subset: Subset, corpus: Corpus
) -> None:
    def divergence(anchor: float) -> float:
        policy = make_lamo(output_anchor=anchor, language_weight=1e-9, dropout=0.0, lora_dropout=0.0)
        measured = train_some(policy, subset, 40)
        assert float(measured[0]["output_divergence"]) == pytest.approx(0, abs=1e-5)
        assert policy.initial_model is not None
        assert not any(p.requires_grad for p in policy.initial_model.parameters())
        assert {name for name, _ in policy.named_parameters() if "initial_model" in name} <= policy.rebuilt()
        return float(measured[-1]["output_divergence"])

    assert divergence(10.0) < 0.3 * divergence(1e-9)


def test_the_language_loss_keeps_language(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    """A model trained on English beside the actions gets better at it, as the diagnostics say."""
    policy = make_lamo(language_weight=1.0, dropout=0.0, lora_dropout=0.0)
    policy.eval()
    before = policy.diagnostics()["held_out_language_loss"]
    assert policy.diagnostics()["held_out_language_loss"] == before
    train_some(policy, subset, 60)
    policy.eval()
    assert policy.diagnostics()["held_out_language_loss"] < before - 0.05


def test_forgetting_is_measured_without_a_language_loss_too(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    """LaMo's Figure 6 compares perplexity with the language loss and without."""
    without = make_lamo(measure_language=True)
    with_loss = make_lamo(language_weight=0.1)
    assert without.eval().diagnostics() == with_loss.eval().diagnostics()
    assert without.sampler(subset).sample(4, np.random.default_rng(0)).language is None


def test_english_does_not_change_which_windows_are_drawn(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    first = [
        make_lamo(language_weight=weight).sampler(subset).sample(8, np.random.default_rng(3)).contexts.observations
        for weight in (0.0, 0.1)
    ]
    assert torch.equal(first[0], first[1])


def test_english_is_cut_to_the_positions_of_the_model(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    sampler = make_lamo(language_weight=0.1, language_length=1024).sampler(subset)
    assert isinstance(sampler, LaMoSampler)
    assert sampler.length == 64


def test_dropout_is_the_configured_one(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    policy = make_lamo(dropout=0.35, lora_dropout=0.15)
    rates = {module.p for module in policy.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.35, 0.15}
    batch = policy.sampler(subset).sample(8, np.random.default_rng(0))
    assert policy.train().loss(batch)[0] != policy.loss(batch)[0]
    assert policy.eval().loss(batch)[0] == policy.loss(batch)[0]


def test_tokens_take_the_positions_they_had_in_pre_training(
    make_lamo: Callable[..., LaMo], subset: Subset, tiny_gpt2: Path
) -> None:
    policy = make_lamo().eval()
    theirs = load_language_model(str(tiny_gpt2))
    batch = policy.sampler(subset).sample(4, np.random.default_rng(0)).contexts
    with torch.no_grad():
        tokens = policy.model.embed(batch)
        assert tokens.shape == (4, 12, 16)
        hidden = tokens + theirs.transformer.wpe.weight[:12]
        for block in theirs.transformer.h:
            hidden = block(hidden, attention_mask=causal_mask(12))
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        torch.testing.assert_close(policy.model.backbone(tokens), theirs.transformer.ln_f(hidden), rtol=1e-4, atol=1e-5)


def causal_mask(length: int) -> Tensor:
    """The mask that transformers adds to attention scores: 0 up to the diagonal, a huge negative number above it."""
    return torch.full((length, length), torch.finfo(torch.float32).min).triu(1)[None, None]


def test_acting_on_a_prefix_equals_predicting_its_last_step(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    policy = make_lamo().eval()
    batch = policy.sampler(subset).sample(8, np.random.default_rng(0)).contexts
    with torch.no_grad():
        predicted = policy.model.predict(batch).clamp(-1.0, 1.0)
        for k in (1, 2, 4):
            actions = batch.actions[:, :k].clone()
            actions[:, -1] = 0.0
            history = History(batch.observations[:, :k], actions, batch.returns_to_go[:, :k], batch.timesteps[:, :k])
            torch.testing.assert_close(policy.act(history), predicted[:, k - 1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm_before_time", [True, False])
def test_words_let_what_enters_be_as_large_as_the_model_s_words(
    make_lamo: Callable[..., LaMo], subset: Subset, norm_before_time: bool
) -> None:
    """The published scale is that of a LayerNorm whose gains are 1; all else that is drawn is the same."""
    published = make_lamo(norm_before_time=norm_before_time)
    policy = make_lamo(norm_before_time=norm_before_time, input_scale="words")
    words = float(policy.language_model.get_input_embeddings().weight.square().mean().sqrt())
    windows = policy.sampler(subset).sample(32, np.random.default_rng(0)).contexts
    with torch.no_grad():
        small = policy.model.embed(windows)
        large = published.model.embed(windows)
    torch.testing.assert_close(small, words * large)
    assert torch.equal(published.model.embed_norm.weight, torch.ones(16))
    expected = dict(published.named_parameters())
    changed = {name for name, p in policy.named_parameters() if not torch.equal(p, expected[name])}
    assert changed == {"model.embed_norm.weight"} | ({"model.embed_time.weight"} if norm_before_time else set())


def test_the_scale_is_that_of_the_model_at_hand(tiny_bert: Path, tiny_gpt2: Path) -> None:
    """Controls have embeddings of their own; an encoder's are measured before they are dropped."""
    for lm in (tiny_bert, tiny_gpt2):
        scales = [words_scale(load_language_model(str(lm), kind, 0)) for kind in ("pretrained", "random", "permuted")]
        model = load_language_model(str(lm))
        rms = model.get_input_embeddings().weight.detach().numpy().astype(np.float64)
        assert scales[0] == pytest.approx(np.sqrt(np.mean(rms**2)))
        assert scales[1] == pytest.approx(scales[0], rel=0.1)  # scale-matched
        assert scales[2] == pytest.approx(scales[0])
