"""Llama as LaMo's backbone: our pass gives what transformers' own gives, with peft's own layers."""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from lamobench.baselines.transformer import KeysAndValues
from lamobench.benchmark.lm.adapters import add_lora, use_fast_layers
from lamobench.benchmark.lm.backbones import LlamaBackbone
from lamobench.benchmark.lm.checkpoints import (
    load_language_model,
    model_hash,
    model_shape,
)
from lamobench.benchmark.lm.families import as_backbone
from lamobench.benchmark.lm.lamo import LaMo
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.describe import describe_policy
from lamobench.benchmark.offline.forgetting import language_change
from lamobench.benchmark.offline.loop import train
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.checkpoint import trained_tensors
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.measured_text import measured_text
from lamobench.datasets.trajectories import Trajectories
from lamobench.tests.benchmark.lm.little_lamo import little_lamo

READ = [slice(None), slice(1, None, 3), slice(-1, None)]
Make = Callable[..., Any]
Requests = Callable[..., RunRequest]


@pytest.fixture
def make(tiny_llama: Path) -> Make:
    """A tiny Llama with updates that are not zero, without dropout, and its backbone."""

    def make(adaptation: str, dropout: float = 0.0, targets: str = "qkv", fast: bool = False) -> LlamaBackbone:
        model: Any = load_language_model(str(tiny_llama), attention="sdpa")
        backbone = as_backbone(model)
        model.requires_grad_(adaptation == "full")
        torch.manual_seed(0)
        if adaptation == "lora":
            add_lora(model, "separate", rank=2, alpha=8.0, dropout=dropout, targets=targets)
        for name, parameter in model.named_parameters():
            if ".lora_B." in name:
                parameter.data.normal_(std=0.5)
        if fast:
            use_fast_layers(model)
        assert isinstance(backbone, LlamaBackbone)
        return backbone.eval()

    return make


def tokens(length: int = 11, seed: int = 0) -> Tensor:
    return torch.randn(3, length, 16, generator=torch.Generator().manual_seed(seed))


def by_transformers(backbone: LlamaBackbone, given: Tensor) -> Tensor:
    """The outputs of transformers' own pass."""
    hidden: Tensor = backbone.transformer(inputs_embeds=given, use_cache=False).last_hidden_state
    return hidden


def assert_same(found: Tensor, expected: Tensor, scale: Tensor | None = None) -> None:
    """Equal to 1e-5 of the scale of what is expected."""
    tolerance = 1e-5 * float((expected if scale is None else scale).detach().abs().max())
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("adaptation", ["frozen", "full", "lora"])
@pytest.mark.parametrize("fast", [False, True])
def test_outputs_and_gradients(make: Make, read: slice, adaptation: str, fast: bool) -> None:
    theirs = make(adaptation)
    ours = make(adaptation, fast=fast)
    given = tokens().requires_grad_()
    expected = by_transformers(theirs, given)[:, read]
    outputs = ours(given, read)
    assert_same(outputs, expected)
    directions = torch.randn_like(expected)
    gradients = []
    for backbone, hidden in ((ours, outputs), (theirs, expected)):
        trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
        found = torch.autograd.grad((hidden * directions).sum(), [given, *trained.values()], allow_unused=True)
        gradients.append(dict(zip(["tokens", *trained], found, strict=True)))
    assert gradients[0].keys() == gradients[1].keys()
    assert (len(gradients[0]) > 1) == (adaptation != "frozen")
    for name, gradient in gradients[1].items():
        if gradient is None:  # the embedding of words, which trajectories do not read
            assert gradients[0][name] is None
        else:
            torch.testing.assert_close(gradients[0][name], gradient, rtol=1e-3, atol=1e-4)
    with torch.no_grad():  # where updates are added to the weights first
        assert_same(ours(given, read), expected)


@pytest.mark.parametrize("targets", ["attention", "all"])
@torch.no_grad()
def test_more_layers_can_have_updates(make: Make, targets: str) -> None:
    backbone = make("lora", targets=targets, fast=True)
    updated = sum(isinstance(module, LoraLayer) for module in backbone.modules())
    assert updated == 2 * {"attention": 4, "all": 7}[targets]
    assert_same(backbone(tokens()), by_transformers(make("lora", targets=targets), tokens()))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rotary", [{"rope_type": "linear", "factor": 4.0}, None])
@torch.no_grad()
def test_other_llamas(tmp_path: Path, bias: bool, rotary: dict[str, Any] | None) -> None:
    """Biases, scaled positions, heads of another width, a head of words that is not tied."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = LlamaConfig(
        vocab_size=50,
        head_dim=6,
        num_key_value_heads=1,
        attention_bias=bias,
        mlp_bias=bias,
        rope_scaling=rotary,
        **sizes,
    )
    torch.manual_seed(0)
    theirs = LlamaForCausalLM(config).eval()
    for parameter in theirs.parameters():
        parameter += 0.2 * torch.randn_like(parameter)
    theirs.save_pretrained(tmp_path)
    read: Any = load_language_model(str(tmp_path), attention="sdpa")
    ids = torch.randint(50, (2, 9))
    torch.testing.assert_close(read(ids).logits, theirs(ids).logits)
    backbone = as_backbone(read)
    expected = theirs.model(inputs_embeds=tokens()).last_hidden_state
    assert_same(backbone(tokens()), expected)
    add_lora(read, "separate", rank=2, alpha=8.0, dropout=0.0)
    assert_same(backbone(tokens()), expected)  # updates begin at zero
    assert_same(backbone(tokens(40)), theirs.model(inputs_embeds=tokens(40)).last_hidden_state)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("adaptation", ["frozen", "lora"])
@torch.no_grad()
def test_tokens_join_those_that_were_read(make: Make, read: slice, adaptation: str) -> None:
    """Later tokens stand at the positions that follow: keys were turned by theirs, and stay."""
    backbone = make(adaptation)
    past = KeysAndValues.of(2)
    expected = backbone(tokens())
    assert_same(backbone.extend(tokens()[:, :4], past), expected[:, :4], expected)
    assert_same(backbone.extend(tokens()[:, 4:7], past, read), expected[:, 4:7][:, read], expected)
    past.batch_select_indices(torch.tensor([2, 0]))
    later = backbone.extend(tokens()[[2, 0], 7:], past, read)
    assert_same(later, expected[[2, 0], 7:][:, read], expected)
    assert past.lengths == [11, 11]
    moved = backbone(torch.cat([torch.zeros(3, 1, 16), tokens()], dim=1))[:, 1:]
    assert not torch.allclose(moved, expected, atol=1e-3)  # positions do count


@pytest.mark.parametrize("switch", ["merge", "disable"])
@torch.no_grad()
def test_updates_that_peft_merged_or_disabled_are_not_added(make: Make, switch: str) -> None:
    backbone = make("lora")
    before = backbone(tokens())
    for layer in [module for module in backbone.modules() if isinstance(module, LoraLayer)]:
        if switch == "merge":
            layer.merge()
        else:
            layer.enable_adapters(False)
    expected = before if switch == "merge" else by_transformers(make("frozen"), tokens())
    assert_same(backbone(tokens()), expected)
    assert torch.allclose(expected, before, atol=1e-4) == (switch == "merge")


@pytest.mark.parametrize("changed", [0, 5, 10])
@torch.no_grad()
def test_no_token_sees_a_later_one(make: Make, changed: int) -> None:
    backbone = make("lora")
    after = tokens()
    after[:, changed] = tokens(seed=1)[:, changed]
    difference = (backbone(after) - backbone(tokens())).abs().amax(dim=(0, 2))
    assert difference[:changed].sum() == 0
    assert difference[changed:].min() > 1e-4


def test_the_last_layer_is_computed_where_it_is_read(make: Make) -> None:
    backbone = make("lora")
    rows = list[int]()
    for block in backbone.transformer.layers:
        block.mlp.down_proj.register_forward_hook(lambda module, given, outputs: rows.append(outputs.shape[1]))
    backbone(tokens(), READ[1])
    assert rows == [11, 4]


def test_frozen_weights_are_held_once(make: Make) -> None:
    attention = make("lora").transformer.layers[0].self_attn
    layers = (attention.q_proj, attention.k_proj, attention.v_proj)
    held = {layer.base_layer.weight.untyped_storage().data_ptr() for layer in layers}
    assert held == {attention.joined.untyped_storage().data_ptr()}


def test_one_dropout_is_that_of_queries_keys_and_values(make: Make) -> None:
    """A rate of 1 leaves no updates; half of them go at a half, for all three the same."""
    backbone = make("lora", dropout=1.0).train()
    drawn = list[tuple[int, ...]]()
    for block in backbone.transformer.layers:
        for part in (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj):
            part.lora_dropout["default"].register_forward_hook(lambda module, given, drops: drawn.append(drops.shape))
    outputs = backbone(tokens(), READ[1])
    assert drawn == [(3, 11, 16)] * 2
    assert_same(outputs, make("frozen")(tokens(), READ[1]))


def test_dropout_is_where_gpt2_has_it(make: Make) -> None:
    """A rate of 1 lets nothing enter: Llama itself has none, nor has its reading of English."""
    backbone = make("frozen", fast=True)
    ids = torch.arange(12)[None]
    english = backbone.language_model(ids).logits
    before = backbone(tokens())
    backbone.transformer.drop.p = 1.0
    assert_same(backbone(tokens()), before)
    backbone.train()
    assert not backbone(tokens()).any()
    torch.testing.assert_close(backbone.language_model(ids).logits, english)


@pytest.fixture
def subset(reacher_data: Trajectories) -> Subset:
    return take_fraction(reacher_data, 1.0, 0)


@pytest.fixture
def make_lamo(tiny_llama: Path, subset: Subset) -> Callable[..., LaMo]:
    """A LaMo on the tiny Llama."""
    return partial(little_lamo, tiny_llama, subset)


def test_updates_and_nothing_else_of_the_model_are_trained_and_kept(
    make_lamo: Callable[..., LaMo], subset: Subset
) -> None:
    policy = make_lamo(dropout=0.1, lora_dropout=0.1)
    rng = np.random.default_rng(0)
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    adapted = {name.rpartition("self_attn.")[2] for name in trained if "language_model" in name}
    parts = ("q_proj", "k_proj", "v_proj")
    assert adapted == {f"{part}.lora_{matrix}.default.weight" for part in parts for matrix in "AB"}
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    optimizer = torch.optim.AdamW(policy.optimizer_settings().groups, lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        loss, _ = policy.train().loss(policy.sampler(subset).sample(16, rng))
        loss.backward()
        optimizer.step()
    moved = {name for name, parameter in policy.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == trained
    assert {name for name in trained_tensors(policy) if "language_model" in name} <= trained


def test_a_context_must_fit_the_positions(make_lamo: Callable[..., LaMo]) -> None:
    make_lamo(context=21)
    with pytest.raises(UserError, match="context 22 needs 66 positions, but the language model has 64"):
        make_lamo(context=22)


@pytest.mark.parametrize("weights", ["pretrained", "random", "permuted", "initialised"])
def test_controls_replace_every_tensor(tiny_llama: Path, weights: str) -> None:
    own = dict(load_language_model(str(tiny_llama)).named_parameters())
    control = dict(load_language_model(str(tiny_llama), weights, seed=3).named_parameters())
    again = dict(load_language_model(str(tiny_llama), weights, seed=3).named_parameters())
    assert own.keys() == control.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in control.items())
    assert all(torch.equal(tensor, own[name]) == (weights == "pretrained") for name, tensor in control.items())
    for name, tensor in control.items():
        if weights == "permuted":
            assert torch.equal(tensor.flatten().sort()[0], own[name].flatten().sort()[0])
        if weights == "random":
            assert float(tensor.detach().std()) == pytest.approx(float(own[name].detach().std()), rel=0.5)
    assert model_hash(str(tiny_llama), "random", 3) != model_hash(str(tiny_llama), "random", 4)


def test_english_is_measured_and_learned_from(tiny_request: Requests, tiny_llama: Path, tmp_path: Path) -> None:
    """A language loss leaves English better known than none does; the checkpoint holds no frozen weight."""
    changes = {}
    for weight in (0.0, 5.0):
        settings = {"language_weight": weight, "measure_language": True, "learning_rate": 1e-2, "warmup_steps": 0}
        request = tiny_request("lamo", lm=str(tiny_llama), settings=settings, budget={"steps": 40})
        config = resolve(request)
        folder = train(config, tmp_path, "cpu")
        changes[weight] = language_change(folder, config, measured_text(config.policy["corpus"], 3000))
        assert (folder / "checkpoint.safetensors").stat().st_size < 400_000
    learned = changes[5.0]
    forgot = changes[0.0]
    assert learned is not None
    assert forgot is not None
    assert learned.nats_per_token < min(0.0, forgot.nats_per_token)


def test_it_is_described_to_the_last_parameter(tiny_request: Requests, tiny_llama: Path) -> None:
    config = resolve(tiny_request("lamo", lm=str(tiny_llama)))
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    rows = {row["part"].removeprefix("language model: "): row for row in describe_policy(policy)}
    found = {part: (row["trained"], row["frozen"]) for part, row in rows.items()}
    assert found["low-rank updates"] == (2 * 2 * (3 * 16 + 16 + 8 + 8), 0)
    assert found["queries, keys, values"] == (0, 2 * 16 * (16 + 8 + 8))
    assert found["rest of attention"] == (0, 2 * 16 * 16)
    assert found["feed-forward layers"] == (0, 2 * 3 * 16 * 32)
    assert found["layer norms"] == (0, (2 * 2 + 1) * 16)
    assert found["token embeddings (tied to the output)"] == (0, 280 * 16)
    assert rows["all"]["frozen"] == sum(p.numel() for p in load_language_model(str(tiny_llama)).parameters())


def test_what_only_gpt2_has_is_refused_in_one_line(tiny_request: Requests, tiny_llama: Path) -> None:
    with pytest.raises(UserError, match=r"lora_pairs 'joint'.*'llama'.*add --set lora_pairs=separate"):
        resolve(tiny_request("lamo", lm=str(tiny_llama), settings={"lora_pairs": "joint"}))
    with pytest.raises(UserError, match=r"legacy 'no-positions'.*'llama' has no position embeddings"):
        resolve(tiny_request("lamo", lm=str(tiny_llama), legacy=("no-positions",)))


def test_a_decision_transformer_of_its_shape(tiny_request: Requests, tiny_llama: Path, tmp_path: Path) -> None:
    assert model_shape(str(tiny_llama)) == {"layers": 2, "heads": 4, "width": 16, "activation": "silu"}
    config = resolve(tiny_request("dt-matched", lm=str(tiny_llama)))
    assert (config.policy["layers"], config.policy["width"], config.policy["activation"]) == (2, 16, "silu")
    train(config, tmp_path, "cpu")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"num_key_value_heads": 3}, "4 heads of 4 numbers for 3 of keys and values, which do not go together"),
        ({"head_dim": 3}, "heads of 3 numbers"),
        (
            {"num_attention_heads": 5},
            r"makes no model \(The hidden size \(16\) is not a multiple of the number of attention heads \(5\)\)",
        ),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "has rope_scaling .* expected rotary positions as"),
        ({"rope_parameters": {"rope_type": "linear", "rope_theta": 1.0}}, "has rope_parameters .*expected rotary"),
        ({"rope_parameters": {"rope_theta": "x"}}, "has rope_parameters .*expected rotary"),
        ({"rope_theta": 0, "rope_parameters": None}, "has rope_theta 0, expected a number from 1"),
        ({"max_position_embeddings": 1 << 40}, "max_position_embeddings 1099511627776, too much for"),
        ({"hidden_act": "os.system"}, "has hidden_act 'os.system', expected a name"),
        ({"intermediate_size": 31}, "expected shape"),
    ],
)
def test_configurations_that_make_no_sense(tiny_llama: Path, tmp_path: Path, changes: Any, line: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_llama, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(UserError, match=line) as error:
        load_language_model(str(folder))
    assert "\n" not in str(error.value)
