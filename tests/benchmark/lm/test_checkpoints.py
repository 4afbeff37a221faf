import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from lamobench.benchmark.lm.adapters import add_lora
from lamobench.benchmark.lm.checkpoints import (
    EMBEDDED,
    PUBLISHED,
    generate,
    held_out_loss,
    language_loss,
    load_language_model,
    load_tokenizer,
    model_hash,
    model_positions,
)
from lamobench.benchmark.lm.families import as_backbone
from lamobench.benchmark.lm.ngrams import unigram_loss
from lamobench.datasets.corpora import encode
from lamobench.datasets.errors import UserError

ENGLISH = """\
Return a new array with the same shape and type as the given array. If the axis is not given, the mean is computed.
The function raises an error if the file does not exist. This method should not be called directly by the user.
By default, the result is a list of the names of all the files in the directory, in the order they were found in.
A model is first trained on a large set of data, and the weights are then used to initialize the other one.
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny GPT-2 whose tensors all have structure: unlike a fresh one, no bias is 0 and no gain 1."""
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", lambda *_: None)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=16, n_embd=16, n_layer=2, n_head=2))
        for parameter in model.parameters():
            parameter.data += torch.rand_like(parameter).sort().values
        model.save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


def tensors(model: GPT2LMHeadModel) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def stored_tensors(checkpoint: Path) -> dict[str, torch.Tensor]:
    mapped = load_file(checkpoint / "model.safetensors")  # from the file, which some tests write to
    return {name: tensor.clone() for name, tensor in mapped.items()}


def test_pretrained_equals_the_file(checkpoint: Path) -> None:
    model = load_language_model(str(checkpoint))
    stored = stored_tensors(checkpoint)
    assert not model.training
    assert model.lm_head.weight is model.transformer.wte.weight
    for name, tensor in tensors(model).items():
        torch.testing.assert_close(tensor, stored[name], rtol=0, atol=0)


def test_permuted_keeps_the_values_of_each_tensor(checkpoint: Path) -> None:
    pretrained = tensors(load_language_model(str(checkpoint)))
    permuted = load_language_model(str(checkpoint), "permuted", seed=3)
    for name, tensor in tensors(permuted).items():
        assert not torch.equal(tensor, pretrained[name]), name
        assert torch.equal(tensor.flatten().sort().values, pretrained[name].flatten().sort().values), name
    assert permuted.lm_head.weight is permuted.transformer.wte.weight


def test_random_keeps_mean_and_std_of_each_tensor(checkpoint: Path) -> None:
    pretrained = tensors(load_language_model(str(checkpoint)))
    control = tensors(load_language_model(str(checkpoint), "random"))
    assert control.keys() == pretrained.keys() != set()
    for name, tensor in control.items():
        std, mean = torch.std_mean(pretrained[name], correction=0)
        error = 5 * std / math.sqrt(tensor.numel())
        assert abs(tensor.mean() - mean) < error, name
        assert abs(tensor.std() - std) < error, name
        assert abs(np.corrcoef(tensor.flatten(), pretrained[name].flatten())[0, 1]) < 5 / math.sqrt(tensor.numel()), (
            name
        )


def test_initialised_is_transformers_own(checkpoint: Path) -> None:
    model = load_language_model(str(checkpoint), "initialised")
    assert model.transformer.h[0].attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.transformer.h[1].attn.c_attn.bias.abs().max() == 0
    assert torch.equal(model.transformer.ln_f.weight, torch.ones(16))


@pytest.mark.parametrize("weights", ["random", "permuted", "initialised"])
def test_controls_depend_on_the_seed_alone(checkpoint: Path, weights: str) -> None:
    torch.manual_seed(1)
    first = tensors(load_language_model(str(checkpoint), weights, seed=5))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = tensors(load_language_model(str(checkpoint), weights, seed=5))
    assert torch.equal(torch.get_rng_state(), before)
    other = tensors(load_language_model(str(checkpoint), weights, seed=6))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["transformer.wte.weight"], other["transformer.wte.weight"])


def test_equal_tensors_get_different_draws(checkpoint: Path) -> None:
    drawn = tensors(load_language_model(str(checkpoint), "random"))
    first, second = (drawn[f"transformer.h.{layer}.mlp.c_fc.weight"].flatten() for layer in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.2


def test_language_loss_equals_transformers_own(checkpoint: Path) -> None:
    model = load_language_model(str(checkpoint))
    ids = torch.randint(300, (3, 11), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(language_loss(model, ids), model(input_ids=ids, labels=ids).loss)


@pytest.mark.parametrize("length", [2, 16, 17, 100])
def test_held_out_loss_predicts_every_token_once(checkpoint: Path, length: int) -> None:
    model = load_language_model(str(checkpoint))
    ids = np.random.default_rng(0).integers(300, size=length).astype(np.uint16)
    losses = []
    with torch.no_grad():
        for target in range(1, length):
            start = (target - 1) // 15 * 15  # windows of 16 that overlap by one
            logits = model(torch.from_numpy(ids[start:target].astype(np.int64))[None]).logits[0, -1]
            losses.append(-logits.log_softmax(0)[int(ids[target])].item())
    assert held_out_loss(model, ids, batch_size=2) == pytest.approx(np.mean(losses), rel=1e-5)


def test_hash_follows_content_weights_and_seed(checkpoint: Path) -> None:
    name = str(checkpoint)
    hashes = {model_hash(name), model_hash(name, "random"), model_hash(name, "permuted"), model_hash(name, "random", 1)}
    assert len(hashes) == 4
    assert model_hash(name, "pretrained", 0) == model_hash(name, "pretrained", 1)  # the seed changes nothing
    before = model_hash(name)
    weights = stored_tensors(checkpoint)
    weights["transformer.ln_f.bias"] += 1
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    assert model_hash(name) != before


def test_a_published_model_is_found_under_home(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'gpt2' is not on this machine; type: lamobench lm fetch gpt2 "):
        load_language_model("gpt2")
    (tmp_path / "home" / "models").mkdir(parents=True)
    checkpoint.rename(tmp_path / "home" / "models" / "gpt2")
    assert load_language_model("gpt2").config.n_embd == 16


def test_a_published_model_is_found_in_the_hugging_face_cache(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cached(repository: str, file: str) -> str | None:
        return str(checkpoint / file) if repository == PUBLISHED["gpt2-medium"].name else None

    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", cached)
    assert load_language_model("gpt2-medium").config.n_embd == 16


def test_unknown_names_and_weights(checkpoint: Path) -> None:
    with pytest.raises(UserError, match="unknown language model 'gpt2-mnii'; did you mean 'gpt2-mini'"):
        load_language_model("gpt2-mnii")
    with pytest.raises(UserError, match="unknown weights 'frozen'"):
        load_language_model(str(checkpoint), "frozen")
    with pytest.raises(UserError, match="unknown attention 'flash'"):
        load_language_model(str(checkpoint), attention="flash")


def test_folders_that_hold_no_gpt2(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"no tokenizer\.json"):
        load_tokenizer(str(checkpoint))
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"model_type": "mamba"}))
    with pytest.raises(UserError, match="is of type 'mamba'"):
        load_language_model(str(checkpoint))
    (checkpoint / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json can.t be read"):
        load_language_model(str(checkpoint))
    (checkpoint / "model.safetensors").rename(checkpoint / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"holds no checkpoint: expected config\.json and model.safetensors"):
        load_language_model(str(checkpoint))


def test_damaged_and_incomplete_weights(checkpoint: Path) -> None:
    file = checkpoint / "model.safetensors"
    weights = stored_tensors(checkpoint)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="can't be read"):
        load_language_model(str(checkpoint))
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks tensors, among them transformer\.h\.1\.mlp\.c_fc\.weight"):
        load_language_model(str(checkpoint))


def test_the_embedded_model_is_small_and_loads_the_ordinary_way() -> None:
    folder = EMBEDDED / "gpt2-mini"
    assert sum(file.stat().st_size for file in folder.iterdir() if file.suffix == ".safetensors") <= 6e6
    ordinary = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert type(ordinary) is GPT2LMHeadModel
    ours = tensors(load_language_model("gpt2-mini"))
    assert all(torch.equal(tensor, ours[name]) for name, tensor in ordinary.named_parameters())
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer(ENGLISH)["input_ids"] == load_tokenizer("gpt2-mini")(ENGLISH)["input_ids"]
    assert len(tokenizer) == ordinary.config.vocab_size == 4096


def test_the_embedded_model_knows_some_english() -> None:
    """The model is below the unigram of this very text, as none without context can be; the controls are above."""
    ids = encode(ENGLISH.splitlines(), load_tokenizer("gpt2-mini"))
    own_unigram = unigram_loss(ids, ids, 4096)
    loss = held_out_loss(load_language_model("gpt2-mini"), ids)
    assert loss < 4.0 < own_unigram
    for weights in ("random", "permuted", "initialised"):
        assert held_out_loss(load_language_model("gpt2-mini", weights), ids) > own_unigram, weights


def test_the_embedded_controls_are_small_and_know_less_english() -> None:
    folders = [folder for folder in EMBEDDED.iterdir() if folder.name != "gpt2-mini"]
    assert sum(file.stat().st_size for folder in folders for file in folder.iterdir()) <= 9e6
    ids = encode(ENGLISH.splitlines(), load_tokenizer("gpt2-mini"))
    names = ["gpt2-mini", "gpt2-mini-early", "gpt2-mini-shuffled", "gpt2-mini-markov"]
    losses = [held_out_loss(load_language_model(name), ids) for name in names]
    assert losses == sorted(losses)
    assert losses[3] > math.log(4096)  # most of the tokens were never seen


def test_generate_is_seeded_and_leaves_torch_alone() -> None:
    model = load_language_model("gpt2-mini")
    tokenizer = load_tokenizer("gpt2-mini")
    before = torch.get_rng_state()
    texts = [generate(model, tokenizer, "The", tokens=8, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("The")


@pytest.mark.parametrize("tied", [True, False])
def test_a_gpt2_of_odd_sizes_loads(tmp_path: Path, tied: bool) -> None:
    sizes = {"vocab_size": 37, "n_positions": 11, "n_embd": 15, "n_layer": 3, "n_head": 5, "n_inner": 23}
    config = GPT2Config(**sizes, activation_function="relu", tie_word_embeddings=tied, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(tmp_path)
    model = load_language_model(str(tmp_path), "permuted")
    assert (model.lm_head.weight is model.transformer.wte.weight) == tied
    assert model_positions(str(tmp_path)) == 11
    add_lora(model, "separate", rank=2, alpha=4.0, dropout=0.0)
    ids = torch.arange(11)[None]
    assert torch.isfinite(language_loss(as_backbone(model).language_model, ids))


def test_a_config_that_makes_no_sense_is_one_line(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | {"n_head": 3}))
    with pytest.raises(UserError, match="n_embd 16, which is no multiple of n_head 3"):
        load_language_model(str(checkpoint))
