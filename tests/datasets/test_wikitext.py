import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet
from transformers import GPT2TokenizerFast

from lamobench.datasets import hub, wikitext
from lamobench.datasets.corpora import END_OF_TEXT, corpus_parts, encode, load_corpus, train_tokenizer
from lamobench.datasets.errors import UserError
from lamobench.datasets.wikitext import articles, fetch_wikitext, folder_of

LOBSTER = [" = Homarus gammarus = ", " The lobster is blue . ", " = = Description = = ", " It has two claws , a = b . "]
PLAY = [" = A Play = ", " It was written in 1605 . "]
LIGHTHOUSE = [" = Lighthouse = ", " Ships see it at night . "]
TEXTS = {
    "train": [
        "= Homarus gammarus =\nThe lobster is blue .\n= = Description = =\nIt has two claws , a = b .",
        "= A Play =\nIt was written in 1605 .",
    ],
    "valid": ["= Lighthouse =\nShips see it at night ."],
}


def raw_text(*articles: list[str]) -> str:
    """The text of WikiText's raw files: an empty line before and after each heading, spaces around every line."""
    return "".join(f" \n{line}\n" for article in articles for line in article)


def write_raw(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wiki.train.raw").write_text(raw_text(LOBSTER, PLAY))
    (folder / "wiki.valid.raw").write_text(raw_text(LIGHTHOUSE))
    (folder / "wiki.test.raw").write_text("never read")
    return folder


def write_parquet(path: Path, text: str) -> None:
    """Write the text as the Hub has it: a row for each line, nothing at all where the line is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [f"{line}\n" if line.strip() else "" for line in text.splitlines()]
    parquet.write_table(pyarrow.table({"text": rows}), path)


def write_hub(folder: Path, name: str, shards: int) -> Path:
    """The published files below `folder`; the training part broken in the middle of an article."""
    lines = raw_text(LOBSTER, PLAY).splitlines()
    cuts = [0, 5, len(lines)] if shards == 2 else [0, len(lines)]
    place = folder / wikitext.REPOSITORY.name / f"{name}-raw-v1"
    for shard in range(shards):
        text = "\n".join(lines[cuts[shard] : cuts[shard + 1]])
        write_parquet(place / f"train-{shard:05}-of-{shards:05}.parquet", text)
    write_parquet(place / "validation-00000-of-00001.parquet", raw_text(LIGHTHOUSE))
    return place


def kept(name: str = "wikitext-2") -> dict[str, list[str]]:
    return {part: list(articles(name, part)) for part in ("train", "valid")}


def test_raw_files_become_articles(tmp_path: Path, lamobench_home: Path) -> None:
    found = fetch_wikitext("wikitext-2", [write_raw(tmp_path / "wikitext-2-raw")])
    assert kept() == TEXTS
    assert (found["train_articles"], found["held_out_articles"]) == (2, 1)
    assert found["published_train_articles"] == 600
    assert sorted(path.name for path in folder_of("wikitext-2").iterdir()) == ["meta.json", "train.txt", "valid.txt"]


@pytest.mark.parametrize(("name", "shards"), [("wikitext-2", 1), ("wikitext-103", 2)])
def test_published_files_are_downloaded_and_forgotten(
    served_hub: Path, lamobench_home: Path, name: str, shards: int
) -> None:
    write_hub(served_hub, name, shards)
    fetch_wikitext(name)
    assert kept(name) == TEXTS
    assert not list((lamobench_home / "downloads").rglob("*"))
    shutil.rmtree(served_hub)
    assert fetch_wikitext(name)["train_articles"] == 2, "it is there already, and not asked for again"


def test_a_folder_that_was_downloaded_elsewhere_is_imported(tmp_path: Path, lamobench_home: Path) -> None:
    inner = write_hub(tmp_path, "wikitext-2", 1)
    fetch_wikitext("wikitext-2", [inner.parent])
    assert kept() == TEXTS
    assert len(list(inner.iterdir())) == 2, "brought files stay where they are"
    fetch_wikitext("wikitext-2", [folder_of("wikitext-2")])
    assert kept() == TEXTS, "files as we keep them are read as well"


def test_files_may_be_given_one_by_one(tmp_path: Path, lamobench_home: Path) -> None:
    folder = write_raw(tmp_path / "raw")
    fetch_wikitext("wikitext-2", [folder / "wiki.valid.raw", folder / "wiki.train.raw"])
    assert kept() == TEXTS


def test_bringing_other_files_takes_the_place_of_the_corpus(tmp_path: Path, lamobench_home: Path) -> None:
    folder = write_raw(tmp_path / "raw")
    fetch_wikitext("wikitext-2", [folder])
    before = wikitext.sources("wikitext-2")
    (folder / "wiki.train.raw").write_text(raw_text(PLAY))
    fetch_wikitext("wikitext-2", [folder])
    assert kept()["train"] == TEXTS["train"][1:]
    after = wikitext.sources("wikitext-2")
    assert after["wikitext-2 train"] != before["wikitext-2 train"]
    assert after["wikitext-2 valid"] == before["wikitext-2 valid"]


def test_the_published_split_is_kept_and_articles_end_with_end_of_text(tmp_path: Path, lamobench_home: Path) -> None:
    fetch_wikitext("wikitext-2", [write_raw(tmp_path / "raw")])
    tokenizer = train_tokenizer(TEXTS["train"] * 30, vocabulary=300, context=16)
    corpus = load_corpus("wikitext-2", tokenizer)
    assert tokenizer.decode(corpus.train.tolist()) == "".join(text + END_OF_TEXT for text in TEXTS["train"])
    assert tokenizer.decode(corpus.held_out.tolist()) == TEXTS["valid"][0] + END_OF_TEXT
    assert corpus.paragraphs == {"train": 2, "held_out": 1, "dropped": 0}
    assert corpus.sources == wikitext.sources("wikitext-2")
    assert load_corpus("wikitext-2", tokenizer).train_sha256 == corpus.train_sha256


def test_encoding_in_groups_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer: GPT2TokenizerFast = train_tokenizer(TEXTS["train"] * 30, vocabulary=300, context=16)
    texts = TEXTS["train"] * 5
    whole = encode(texts, tokenizer)
    monkeypatch.setattr("lamobench.datasets.corpora.ENCODED_AT_ONCE", 40)
    np.testing.assert_array_equal(encode(iter(texts), tokenizer), whole)


@pytest.mark.parametrize("use", [lambda: corpus_parts("wikitext-103"), lambda: wikitext.sources("wikitext-103")])
def test_an_absent_corpus_says_what_to_type(lamobench_home: Path, use: object) -> None:
    with pytest.raises(UserError, match="is not on this machine; type: lamobench lm fetch wikitext-103 "):
        use()  # type: ignore[operator]


def test_a_failed_download_says_what_to_type_and_leaves_what_was_there(served_hub: Path, lamobench_home: Path) -> None:
    place = write_hub(served_hub, "wikitext-2", 1)
    fetch_wikitext("wikitext-2")
    for spoil in (lambda file: file.write_text("<html>moved</html>"), lambda file: file.unlink()):
        spoil(place / "validation-00000-of-00001.parquet")
        with pytest.raises(
            UserError, match=r"validation.*; type it again, or on a connected machine: hf download "
        ) as e:
            fetch_wikitext("wikitext-2", force=True)
        assert str(e.value).endswith("and type: lamobench lm fetch wikitext-2 --from wikitext-2")
        assert "--repo-type dataset --revision" in str(e.value)
        assert "\n" not in str(e.value)
        assert kept() == TEXTS


def test_the_address_names_the_pinned_revision() -> None:
    address = hub.address(wikitext.REPOSITORY, "wikitext-2-raw-v1/train-00000-of-00001.parquet")
    revision = wikitext.REPOSITORY.revision
    assert address.endswith(
        f"/datasets/Salesforce/wikitext/resolve/{revision}/wikitext-2-raw-v1/train-00000-of-00001.parquet"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "wiki.valid.raw").unlink(), "needs one file of its valid part .*, found none among"),
        (
            lambda f: (f / "train.txt").write_text("more"),
            r"needs one file of its train part .*train\.txt, .*wiki\.train",
        ),
        (lambda f: (f / "wiki.train.raw").write_text(" \n \n"), r"wiki\.train\.raw holds no text"),
        (lambda f: (f / "wiki.train.raw").write_text("a <unk> b c"), r"has 1 times '<unk>' .*; give the raw"),
        (lambda f: (f / "wiki.train.raw").write_bytes(b"caf\xe9"), r"is not UTF-8"),
        (lambda f: (f / "wiki.train.raw").rename(f / "train.parquet"), r"train\.parquet can't be read as parquet"),
        (shutil.rmtree, r"no file or folder '.*raw'; give the folder that holds wikitext-2's files"),
    ],
)
def test_files_that_can_not_be_used_leave_nothing(
    tmp_path: Path, lamobench_home: Path, change: object, message: str
) -> None:
    folder = write_raw(tmp_path / "raw")
    change(folder)  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as mistake:
        fetch_wikitext("wikitext-2", [folder])
    assert "\n" not in str(mistake.value)
    assert not [path for path in lamobench_home.rglob("*") if path.is_file()]


def test_parquet_without_text_and_a_damaged_record(tmp_path: Path, lamobench_home: Path) -> None:
    folder = write_raw(tmp_path / "raw")
    (folder / "wiki.train.raw").unlink()
    parquet.write_table(pyarrow.table({"line": ["a"]}), folder / "train.parquet")
    with pytest.raises(UserError, match=r"has no column 'text' \(it has line\)"):
        fetch_wikitext("wikitext-2", [folder])
    fetch_wikitext("wikitext-2", [write_raw(tmp_path / "good")])
    (folder_of("wikitext-2") / "meta.json").write_text(json.dumps({"train": {}}))
    with pytest.raises(UserError, match=r"meta\.json can't be read .*; type: lamobench lm fetch wikitext-2 --force"):
        wikitext.sources("wikitext-2")
