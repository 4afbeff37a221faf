import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lamobench.benchmark.lm.checkpoints import load_language_model, load_tokenizer
from lamobench.benchmark.lm.fetched import FILES, fetch_language_model
from lamobench.benchmark.lm.published import PUBLISHED
from lamobench.datasets.errors import UserError


@pytest.fixture
def lamobench_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAMOBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("lamobench.benchmark.lm.checkpoints.try_to_load_from_cache", lambda *_: None)
    return tmp_path / "home"


@pytest.fixture
def published(tiny_gpt2: Path, served_hub: Path) -> Path:
    """A tiny model on the server, its tensors named as GPT-2's published ones: no prefix, masks among them."""
    folder = served_hub / PUBLISHED["gpt2"].name
    folder.mkdir(parents=True)
    for file in FILES:
        shutil.copy(tiny_gpt2 / file, folder)
    original = load_file(folder / "model.safetensors")
    weights = {key.removeprefix("transformer."): value.clone() for key, value in original.items()}
    weights["h.0.attn.bias"] = torch.ones(1, 1, 64, 64)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def change_weights(folder: Path, **changes: torch.Tensor | None) -> None:
    weights = {key: value.clone() for key, value in load_file(folder / "model.safetensors").items()} | changes
    kept = {key: value for key, value in weights.items() if value is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_model_is_downloaded_and_loads(published: Path, tiny_gpt2: Path, lamobench_home: Path) -> None:
    found = fetch_language_model("gpt2")
    folder = lamobench_home / "models" / "gpt2"
    assert found == {"model": "gpt2", "folder": str(folder), "use": "--lm gpt2"}
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    ours = load_language_model("gpt2").state_dict()
    original = load_language_model(str(tiny_gpt2)).state_dict()
    assert all(torch.equal(ours[key], original[key]) for key in original)
    assert load_tokenizer("gpt2")("the mean")["input_ids"] == load_tokenizer(str(tiny_gpt2))("the mean")["input_ids"]
    assert not list((lamobench_home / "downloads").rglob("*"))
    shutil.rmtree(published)
    assert fetch_language_model("gpt2") == found, "it is there already, and not asked for again"


def test_a_model_brought_by_hand_stays_where_it_is(published: Path, tmp_path: Path, lamobench_home: Path) -> None:
    brought = tmp_path / "gpt2"
    published.rename(brought)
    fetch_language_model("gpt2", [brought])
    assert sorted(path.name for path in brought.iterdir()) == sorted(FILES)
    before = load_language_model("gpt2").transformer.ln_f.bias.clone()
    change_weights(brought, **{"ln_f.bias": torch.full((16,), 5.0)})
    fetch_language_model("gpt2", [brought])
    assert not torch.equal(load_language_model("gpt2").transformer.ln_f.bias, before)


def test_an_interrupted_download_goes_on_and_leaves_no_model(published: Path, lamobench_home: Path) -> None:
    weights = (published / "model.safetensors").read_bytes()
    (published / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"model\.safetensors can't be downloaded: the server says 404") as mistake:
        fetch_language_model("gpt2")
    line = str(mistake.value)
    assert f"hf download {PUBLISHED['gpt2'].name} config.json tokenizer.json model.safetensors --revision" in line
    assert line.endswith("and type: lamobench lm fetch gpt2 --from gpt2")
    assert "\n" not in line
    assert not (lamobench_home / "models").exists()
    (published / "config.json").unlink()  # what has arrived is not asked for again
    (published / "model.safetensors").write_bytes(weights)
    fetch_language_model("gpt2")
    assert load_language_model("gpt2").config.n_embd == 16


def drop(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def write(file: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_text(text) and None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (write("config.json", "{"), r"config\.json .*no good: it is not JSON"),
        (write("config.json", '{"model_type": "bert"}'), r"config\.json .*no good: it is not a GPT-2's configuration"),
        (write("tokenizer.json", "{}"), r"tokenizer\.json .*no good: it holds no tokenizer's vocabulary"),
        (write("model.safetensors", "<html>"), r"model\.safetensors .*no good: it can't be read as safetensors"),
        (drop("tokenizer.json"), r"no tokenizer\.json in .*; a model's folder has config\.json, |server says 404"),
        (
            lambda f: change_weights(f, **{"h.1.mlp.c_fc.weight": None}),
            r"'gpt2' lacks tensors, among them transformer\.h\.1\.mlp\.c_fc\.weight",
        ),
        (lambda f: change_weights(f, **{"wte.weight": torch.zeros(9, 16)}), r"has wte\.weight of shape \(9, 16\)"),
    ],
)
@pytest.mark.parametrize("by_hand", [True, False])
def test_what_is_no_good_is_refused_and_leaves_nothing(
    published: Path, lamobench_home: Path, spoil: Callable[[Path], None], message: str, by_hand: bool
) -> None:
    spoil(published)
    with pytest.raises(UserError, match=message) as mistake:
        fetch_language_model("gpt2", [published] if by_hand else [])
    assert "\n" not in str(mistake.value)
    assert not (lamobench_home / "models" / "gpt2").exists()


def test_weights_with_another_models_tokenizer(published: Path, lamobench_home: Path) -> None:
    about = json.loads((published / "tokenizer.json").read_text())
    about["model"]["vocab"]["zzz"] = 280
    (published / "tokenizer.json").write_text(json.dumps(about))
    with pytest.raises(
        UserError, match=r"the tokenizer of 'gpt2' has a token 280, and its weights know those below 280"
    ):
        fetch_language_model("gpt2", [published])


def test_a_file_is_no_folder(published: Path, lamobench_home: Path) -> None:
    for given in ([published / "model.safetensors"], [published, published]):
        with pytest.raises(UserError, match=r"gpt2 comes from one folder with config\.json, .*; give --from that"):
            fetch_language_model("gpt2", given)
