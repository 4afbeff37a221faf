"""Tokenizers as somebody who means harm, or has bad luck, would hand them over."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from lamobench.benchmark.lm.checkpoints import EMBEDDED, load_tokenizer
from lamobench.benchmark.lm.families import FAMILIES
from lamobench.datasets.corpora import tokenizer_sha256
from lamobench.datasets.errors import UserError

Spoil = Callable[[Path], Any]


@pytest.fixture
def folder(tiny_gpt2: Path, tmp_path: Path) -> Path:
    """A copy of the tiny GPT-2, whose tokenizer has 280 tokens."""
    return Path(shutil.copytree(tiny_gpt2, tmp_path / "lm"))


def write(content: str, file: str = "tokenizer.json") -> Spoil:
    return lambda folder: (folder / file).write_text(content)


def model(**changes: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        about = json.loads((folder / "tokenizer.json").read_text())
        about["model"] |= changes
        (folder / "tokenizer.json").write_text(json.dumps(about))

    return spoil


def token(name: str, number: Any) -> Spoil:
    def spoil(folder: Path) -> None:
        vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
        model(vocab=vocabulary | {name: number})(folder)

    return spoil


def pipe(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    os.mkfifo(folder / "tokenizer.json")


def linked_out(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder.parent / "tokenizer.json")
    (folder / "tokenizer.json").symlink_to(folder.parent / "tokenizer.json")


HOSTILE: dict[str, tuple[Spoil, str]] = {
    "deep": (write("[" * 100_000), r"can't be read \(it is nested too deeply\)"),
    "cut": (write('{"model": {'), r"tokenizer\.json can't be read \(Expecting"),
    "a list": (write("[]"), r"tokenizer\.json holds no JSON object"),
    "a pipe": (pipe, r"tokenizer\.json is a named pipe"),
    "linked out": (linked_out, r"tokenizer\.json is a link that leads out of"),
    "huge": (write(" " * 17_000_000 + "{}"), r"has 17\.0 MB, more than the 16 MB"),
    "no model": (write("{}"), r"holds no byte-level BPE"),
    "no added tokens": (write('{"model": {"vocab": {"a": 0}, "merges": []}}'), r"can't be read \('added_tokens'\)"),
    "another kind": (model(type="WordPiece"), r"holds no byte-level BPE"),
    "vocabulary is a list": (model(vocab=["a"]), r"holds no vocabulary"),
    "vocabulary is empty": (model(vocab={}), r"holds no vocabulary"),
    "merges are a number": (model(merges=3), r"can't be read \("),
    "merges of nothing known": (model(merges=["zz yy"]), r"can't be read \("),
    "number is a text": (token("zzz", "280"), r"numbers are not whole numbers from 0"),
    "number is null": (token("zzz", None), r"numbers are not whole numbers from 0"),
    "negative number": (token("zzz", -1), r"numbers are not whole numbers from 0"),
    "endless number": (token("zzz", 10**12), r"can't be read \("),
    "one number twice": (token("zzz", 5), r"gives one number to two tokens"),
    "a token more than the weights know": (token("zzz", 280), r"a token 280, and its weights know those below 280"),
    "a number far above": (token("zzz", 4_000_000_000), r"a token 4000000000, and its weights know those below 280"),
    "configuration is a list": (write("[]", "tokenizer_config.json"), r"tokenizer_config\.json holds no JSON object"),
    "deep configuration": (write('{"a":' * 100_000, "tokenizer_config.json"), r"it is nested too deeply"),
    "token is a number": (write('{"bos_token": 3}', "tokenizer_config.json"), r"can't be read \("),
    "added token is null": (write('{"added_tokens_decoder": {"a": null}}', "tokenizer_config.json"), r"can't be read"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_tokenizer_is_one_line(folder: Path, case: str) -> None:
    spoil, message = HOSTILE[case]
    spoil(folder)
    with pytest.raises(UserError, match=message) as mistake:
        load_tokenizer(str(folder))
    assert "\n" not in str(mistake.value)


def test_files_that_a_configuration_names_are_not_read(folder: Path, tmp_path: Path) -> None:
    before = tokenizer_sha256(load_tokenizer(str(folder)))
    other = EMBEDDED / "gpt2-mini" / "tokenizer.json"
    vocabulary = json.loads(other.read_text())["model"]["vocab"]
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    named = {"tokenizer_file": str(other), "vocab_file": str(tmp_path / "vocab.json"), "fast_tokenizer_files": ["../x"]}
    named |= {"init_inputs": [str(tmp_path / "vocab.json")], "auto_map": {"AutoTokenizer": ["code.T", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    assert tokenizer_sha256(load_tokenizer(str(folder))) == before


def test_a_text_is_neither_cut_nor_padded(folder: Path) -> None:
    about = json.loads((folder / "tokenizer.json").read_text())
    about["truncation"] = {"max_length": 3, "stride": 0, "strategy": "LongestFirst", "direction": "Right"}
    (folder / "tokenizer.json").write_text(json.dumps(about))
    assert len(load_tokenizer(str(folder)).backend_tokenizer.encode("one two three four five").ids) > 3


def test_an_older_tokenizer_in_two_files_gives_the_same_tokens(folder: Path) -> None:
    whole = load_tokenizer(str(folder))
    about = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(about["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in about["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    text = "the mean of the array"
    assert load_tokenizer(str(folder))(text)["input_ids"] == whole(text)["input_ids"]
    (folder / "vocab.json").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer\.json; copy it"):
        load_tokenizer(str(folder))


def test_a_wordpiece_is_read_for_a_bert_and_no_other_kind(tiny_bert: Path, tiny_gpt2: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_bert, tmp_path / "lm"))
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "take": 3, "milk": 4, "##s": 5}
    pieces = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = BertPreTokenizer()
    pieces.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    pieces.save(str(folder / "tokenizer.json"))
    assert load_tokenizer(str(folder))("take milks now")["input_ids"] == [1, 3, 4, 5, 0, 2]
    shutil.copy(tiny_gpt2 / "tokenizer.json", folder)
    with pytest.raises(UserError, match=r"tokenizer\.json holds no WordPiece, as BERT has it; give another"):
        load_tokenizer(str(folder))


def test_of_a_family_whose_tokenizer_is_not_read_one_line_says_so(
    tiny_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAMILIES, "bert", replace(FAMILIES["bert"], tokenizer=None))
    with pytest.raises(UserError, match=r"the tokenizer of '.*', a BERT, is not read here; give another"):
        load_tokenizer(str(tiny_bert))
