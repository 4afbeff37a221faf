from pathlib import Path

import pytest

from lamobench.datasets import measured_text as module
from lamobench.datasets.errors import UserError
from lamobench.datasets.measured_text import measured_text
from lamobench.datasets.wikitext import fetch_wikitext

ARTICLE = " = Title = \n\n Naïve words , one after another . \n"


@pytest.fixture
def wikitext(home: Path, tmp_path: Path) -> None:
    """WikiText-2, fetched: a training part, and a validation part of two articles."""
    for part, articles in (("train", 3), ("valid", 2)):
        (tmp_path / f"wiki.{part}.raw").write_text(ARTICLE * articles)
    fetch_wikitext("wikitext-2", [tmp_path / "wiki.train.raw", tmp_path / "wiki.valid.raw"])


@pytest.mark.usefixtures("wikitext")
def test_wikitext_s_validation_part_is_taken_where_it_was_fetched() -> None:
    text = measured_text()
    assert text.name == "WikiText-2 validation text"
    assert text.text == "= Title =\nNaïve words , one after another .\n\n" * 2
    assert text == measured_text("wikitext-2")
    assert text.bytes == len(text.text) + 2  # two characters of two bytes


def test_else_it_is_the_documentation(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "corpus_parts", lambda name: (["learned"], ["Held out.", "Too."], {}))
    text = measured_text()
    assert (text.name, text.text) == ("documentation", "Held out.\nToo.\n")


@pytest.mark.usefixtures("wikitext")
def test_only_whole_lines_are_read() -> None:
    assert measured_text(most_bytes=20).text == "= Title =\n"
    assert measured_text(most_bytes=10).text == "= Title =\n"


def test_a_file_is_read_as_it_is_and_named_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes(b"one\r\ntwo\r\nthree")
    text = measured_text(str(tmp_path / "own.txt"), 12)
    assert (text.name, text.text) == ("own.txt", "one\r\ntwo\r\n")


def test_a_known_file_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "valid.txt").write_text("known\n")
    monkeypatch.setitem(module.KNOWN, measured_text(str(tmp_path / "valid.txt")).sha256, "a known text")
    assert measured_text(str(tmp_path / "valid.txt")).name == "a known text"


@pytest.mark.parametrize(
    ("content", "limit", "message"),
    [
        (None, 100, "no text '.*own.txt': give 'docs', 'wikitext-2', 'wikitext-103' or the path"),
        (b"\xff\xfe\n", 100, "own.txt is not UTF-8"),
        (b"a line that is longer\n", 10, "no whole line in its first 10 bytes"),
        (b"", 10, "no whole line"),
        (b"line\n", 0, "the text may have 0 bytes; give 1 or more"),
    ],
)
def test_what_can_t_be_read_gets_one_line(home: Path, tmp_path: Path, content: bytes, limit: int, message: str) -> None:
    path = tmp_path / "own.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        measured_text(str(path), limit)
