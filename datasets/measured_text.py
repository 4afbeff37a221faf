"""English text on which the forgetting of a language model is measured: named, and the same for every run."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import wikitext
from .corpora import DOCS, corpus_parts
from .errors import UserError

MOST_BYTES = 100_000  # of a text, the part that is measured: 25,000 tokens of GPT-2
WIKITEXT = "wikitext-2"
TITLES = {DOCS: "documentation"} | {
    name: f"{name.replace('wikitext', 'WikiText')} validation text" for name in wikitext.PUBLISHED_ARTICLES
}
# Files that are known by their SHA-256, if they are given by path.
KNOWN = {
    "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8": f"{TITLES[WIKITEXT]} with <unk>",
}


@dataclass(frozen=True)
class MeasuredText:
    """A text, and its name wherever a number measured on it is shown."""

    name: str
    text: str

    @property
    def bytes(self) -> int:
        """The number of its bytes in UTF-8."""
        return len(self.text.encode())

    @property
    def sha256(self) -> str:
        """SHA-256 of its UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def measured_text(named: str = "", most_bytes: int = MOST_BYTES) -> MeasuredText:
    """The first whole lines of a held-out text, `most_bytes` at most.

    `named` is "wikitext-2" or "wikitext-103", whose validation text it is, once fetched; "docs", the held-out part of
    the packages' documentation, which takes half a minute to gather; or the path of a UTF-8 text file, none of which a
    model should have been trained on. Empty: "wikitext-2" if it was fetched, else "docs". Raises a `UserError` for
    anything else, and for a text whose first line is longer than `most_bytes`.
    """
    if most_bytes < 1:
        raise UserError(f"the text may have {most_bytes} bytes; give 1 or more, e.g. {MOST_BYTES}")
    named = named or (WIKITEXT if wikitext.folder_of(WIKITEXT).is_dir() else DOCS)
    if named in wikitext.PUBLISHED_ARTICLES:
        lines: Iterable[str] = (f"{article}\n\n" for article in wikitext.articles(named, "valid"))
    elif named == DOCS:
        lines = (f"{paragraph}\n" for paragraph in corpus_parts(DOCS)[1])
    else:
        return _given(Path(named).expanduser(), most_bytes)
    return MeasuredText(TITLES[named], _beginning(lines, most_bytes, named))


def _given(path: Path, most_bytes: int) -> MeasuredText:
    if not path.is_file():
        names = ", ".join(f"'{name}'" for name in TITLES)
        raise UserError(f"no text '{path}': give {names} or the path of a UTF-8 text file")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            return MeasuredText(KNOWN.get(sha256, path.name), _beginning(lines, most_bytes, str(path)))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({error.reason}); convert it, e.g. with iconv") from None


def _beginning(lines: Iterable[str], most_bytes: int, named: str) -> str:
    kept: list[str] = []
    size = 0
    for line in (line for part in lines for line in part.splitlines(keepends=True)):
        size += len(line.encode())
        if size > most_bytes:
            break
        kept.append(line)
    if not kept:
        raise UserError(
            f"text '{named}' has no whole line in its first {most_bytes} bytes; allow more, or give another"
        )
    return "".join(kept)
