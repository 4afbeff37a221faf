"""Encoders of the BERT family as LaMo's backbone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from transformers import BertConfig, BertForMaskedLM, BertModel, RobertaConfig, RobertaModel

from lamobench.benchmark.lm.backbones import EncoderBackbone
from lamobench.benchmark.lm.checkpoints import load_language_model, model_hash, model_positions, model_type
from lamobench.benchmark.lm.families import as_backbone
from lamobench.benchmark.lm.lamo import LaMo
from lamobench.benchmark.offline.build import build_policy, training_subset
from lamobench.benchmark.offline.describe import describe_policy
from lamobench.benchmark.offline.forgetting import language_change
from lamobench.benchmark.offline.resolve import RunRequest, resolve
from lamobench.benchmark.runs.checkpoint import trained_tensors
from lamobench.datasets.errors import UserError
from lamobench.datasets.fractions import Subset, take_fraction
from lamobench.datasets.measured_text import MeasuredText
from lamobench.datasets.trajectories import Trajectories
from lamobench.tests.benchmark.lm.little_lamo import little_lamo

Requests = Callable[..., RunRequest]
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
QUIET = {"language_weight": 0.0}  # the tiny settings have a language loss, which encoders have not


@pytest.fixture(scope="session")
def tiny_roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa of 2 layers of width 16 that sees 24 tokens: two of its 26 positions are never used."""
    folder = tmp_path_factory.mktemp("roberta") / "tiny"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = RobertaModel(RobertaConfig(vocab_size=60, max_position_embeddings=26, pad_token_id=1, **SIZES))
        for parameter in model.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(params=["bert", "roberta"])
def encoder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(f"tiny_{request.param}")
    return folder


@pytest.fixture
def subset(reacher_data: Trajectories) -> Subset:
    return take_fraction(reacher_data, 1.0, 0)


@pytest.fixture
def make_lamo(tiny_bert: Path, subset: Subset) -> Callable[..., LaMo]:
    """A LaMo on the tiny BERT."""
    return partial(little_lamo, tiny_bert, subset)


def train_some(policy: LaMo, subset: Subset, steps: int) -> None:
    optimizer = torch.optim.AdamW(policy.optimizer_settings().groups, lr=1e-2)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        optimizer.zero_grad()
        policy.train().loss(policy.sampler(subset).sample(8, rng))[0].backward()
        optimizer.step()


def tokens(length: int = 12, seed: int = 0) -> Tensor:
    return torch.randn(3, length, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_outputs_are_those_of_transformers_own_encoder_under_a_causal_mask(encoder: Path, attention: str) -> None:
    """The reference looks both ways, as it was pre-trained, and is given the mask as an input."""
    ours = as_backbone(load_language_model(str(encoder), attention=attention))
    kind = BertModel if model_type(str(encoder)) == "bert" else RobertaModel
    theirs = kind.from_pretrained(encoder, attn_implementation="eager").eval()
    assert not theirs.config.is_decoder
    mask = torch.full((12, 12), torch.finfo(torch.float32).min).triu(1)[None, None].expand(3, 1, -1, -1)
    with torch.no_grad():
        expected = theirs(inputs_embeds=tokens(), attention_mask=mask).last_hidden_state
        assert (expected - theirs(inputs_embeds=tokens()).last_hidden_state).abs().max() > 0.01
        torch.testing.assert_close(ours(tokens()), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("changed", [0, 5, 11])
def test_no_token_sees_a_later_one(encoder: Path, attention: str, changed: int) -> None:
    backbone = as_backbone(load_language_model(str(encoder), attention=attention))
    before = tokens()
    after = before.clone()
    after[:, changed] = tokens(seed=1)[:, changed]
    with torch.no_grad():
        difference = (backbone(after) - backbone(before)).abs().amax(dim=(0, 2))
    assert difference[:changed].sum() == 0
    assert difference[changed:].min() > 1e-4


def test_a_causal_mask_is_never_made(
    make_lamo: Callable[..., LaMo], subset: Subset, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, bool]] = []
    attend = nn.functional.scaled_dot_product_attention

    def spy(*given: Any, attn_mask: Any = None, is_causal: bool = False, **options: Any) -> Tensor:
        seen.append((attn_mask, is_causal))
        return attend(*given, attn_mask=attn_mask, is_causal=is_causal, **options)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", spy)
    train_some(make_lamo(), subset, 1)
    assert seen == [(None, True)] * 2


def test_updates_go_to_queries_keys_and_values(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    policy = make_lamo()
    assert isinstance(policy.model.backbone, EncoderBackbone)
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    adapted = {name.rpartition("attention.self.")[2] for name in trained if "language_model" in name}
    assert adapted == {
        f"{part}.{tensor}"
        for part in ("query", "key", "value")
        for tensor in ("lora_A.default.weight", "lora_B.default.weight", "base_layer.bias")
    }
    assert sum(isinstance(module, LoraLayer) for module in policy.modules()) == 2 * 3
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    train_some(policy, subset, 3)
    moved = {name for name, parameter in policy.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == trained
    kept = {name for name in trained_tensors(policy) if "language_model" in name}
    assert kept == {name for name in trained if "language_model" in name}


@pytest.mark.parametrize(("adaptation", "trained"), [("frozen", 0.0), ("full", 1.0)])
def test_all_or_nothing_of_an_encoder_can_be_trained(
    make_lamo: Callable[..., LaMo], subset: Subset, adaptation: str, trained: float
) -> None:
    """All that is said to be trained is: there is no embedding of words, which never get a gradient."""
    policy = make_lamo(adaptation=adaptation, weight_decay=0.0)
    parameters = dict(policy.language_model.named_parameters())
    assert sum(p.requires_grad for p in parameters.values()) == trained * len(parameters)
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    train_some(policy, subset, 2)
    moved = {name for name, parameter in parameters.items() if not torch.equal(parameter, before[name])}
    assert moved == (parameters.keys() if trained else set())


def test_an_encoder_s_weights_can_be_anchored(make_lamo: Callable[..., LaMo], subset: Subset) -> None:
    policy = make_lamo(weight_anchor=1.0)
    train_some(policy, subset, 3)
    _, metrics = policy.loss(policy.sampler(subset).sample(4, np.random.default_rng(0)))
    assert metrics["weight_distance"] > 0


def test_a_context_must_fit_the_positions(make_lamo: Callable[..., LaMo], tiny_bert: Path, tiny_roberta: Path) -> None:
    assert model_positions(str(tiny_bert)) == model_positions(str(tiny_roberta)) == 24
    make_lamo(context=8)
    with pytest.raises(UserError, match="context 9 needs 27 positions, but the language model has 24"):
        make_lamo(context=9)
    with torch.no_grad():
        as_backbone(load_language_model(str(tiny_roberta)))(tokens(24))


@pytest.mark.parametrize("weights", ["pretrained", "random", "permuted", "initialised"])
def test_controls_of_an_encoder_replace_every_tensor(encoder: Path, weights: str) -> None:
    own = dict(load_language_model(str(encoder)).named_parameters())
    control = dict(load_language_model(str(encoder), weights, seed=3).named_parameters())
    again = dict(load_language_model(str(encoder), weights, seed=3).named_parameters())
    other = dict(load_language_model(str(encoder), weights, seed=4).named_parameters())
    assert all(torch.equal(tensor, again[name]) for name, tensor in control.items())
    if weights == "pretrained":
        assert all(torch.equal(tensor, own[name]) for name, tensor in control.items())
        return
    assert not any(torch.equal(tensor, own[name]) for name, tensor in control.items())
    assert not torch.equal(control["encoder.layer.1.output.dense.weight"], other["encoder.layer.1.output.dense.weight"])
    if weights == "permuted":
        assert all(torch.equal(t.flatten().sort()[0], own[n].flatten().sort()[0]) for n, t in control.items())
    assert model_hash(str(encoder), weights, 3) != model_hash(str(encoder), weights, 4)


def test_a_masked_language_model_s_checkpoint_is_read_without_its_head(tmp_path: Path) -> None:
    """The names that LayerNorm's tensors had when BERT was published are read too."""
    from safetensors.torch import load_file, save_file

    model = BertForMaskedLM(BertConfig(vocab_size=60, max_position_embeddings=24, **SIZES))
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.clone()
        for name, tensor in stored.items()
    }
    assert renamed.keys() != stored.keys()
    save_file(renamed, tmp_path / "model.safetensors", metadata={"format": "pt"})
    read = dict(load_language_model(str(tmp_path)).named_parameters())
    for name, tensor in read.items():
        assert torch.equal(tensor, stored[f"bert.{name}"]), name


def test_encoders_have_no_loss_on_english(tiny_request: Requests, tiny_bert: Path, home: Path) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "language_weight 0.1": {},
        "output_anchor 0.5": {**QUIET, "output_anchor": 0.5},
        "measure_language True": {**QUIET, "measure_language": True},
    }
    for given, settings in wrong.items():
        field = given.split()[0]
        with pytest.raises(UserError, match=rf"^{given}: .*'bert' is an encoder.*give --set {field}=(0|false)"):
            resolve(tiny_request("lamo", lm=str(tiny_bert), settings=settings))
    config = resolve(tiny_request("lamo", lm=str(tiny_bert), settings=QUIET))
    assert language_change(home / config.id, config, MeasuredText("a text", "one two\n")) is None


def test_encoders_have_no_fused_layer_to_update(tiny_request: Requests, tiny_bert: Path) -> None:
    joint = QUIET | {"lora_pairs": "joint"}
    with pytest.raises(UserError, match=r"lora_pairs 'joint'.*add --set lora_pairs=separate"):
        resolve(tiny_request("lamo", lm=str(tiny_bert), settings=joint))
    resolve(tiny_request("lamo", lm=str(tiny_bert), settings=joint | {"adaptation": "frozen"}))


@pytest.mark.parametrize("legacy", [(), ("no-positions",)])
def test_an_encoder_is_described_to_the_last_parameter(
    tiny_request: Requests, tiny_bert: Path, legacy: tuple[str, ...]
) -> None:
    config = resolve(tiny_request("lamo", lm=str(tiny_bert), settings=QUIET, legacy=legacy))
    policy = build_policy(config, training_subset(config), torch.device("cpu"))
    rows = {row["part"].removeprefix("language model: "): row for row in describe_policy(policy)}
    found = {part: (row["trained"], row["frozen"]) for part, row in rows.items()}
    norm = 2 * 16
    layer = 16 * 16 + 16
    assert found["low-rank updates"] == (2 * 3 * 2 * 16 * 2, 0)
    assert found["biases of queries, keys, values"] == (2 * 3 * 16, 0)
    assert found["queries, keys, values"] == (0, 2 * 3 * 16 * 16)
    assert found["rest of attention"] == (0, 2 * layer)
    assert found["feed-forward layers"] == (0, 2 * (2 * 16 * 32 + 32 + 16))
    assert found["layer norms"] == (0, norm + 2 * 2 * norm)
    assert found["token type embeddings"] == (0, 2 * 16)
    assert found.get("position embeddings") == (None if legacy else (0, 24 * 16))
    backbone = sum(row["frozen"] for part, row in rows.items() if part != "all")
    assert backbone == rows["all"]["frozen"]
