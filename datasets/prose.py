"""English prose from the documentation of the installed packages, the one corpus that every machine already has.

Triple-quoted strings are cut into units of equal indentation; only units that read as whole sentences are kept.
"""

import ast
import inspect
import platform
import re
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from importlib import metadata, util
from pathlib import Path

from tqdm import tqdm

# Import name and distribution of every source. All come with this project's own dependencies, so that a fresh
# installation has them; the standard library's version is Python's.
PACKAGES = {
    "PIL": "pillow",
    "absl": "absl-py",
    "accelerate": "accelerate",
    "etils": "etils",
    "fontTools": "fonttools",
    "fsspec": "fsspec",
    "gymnasium": "gymnasium",
    "gymnasium_robotics": "gymnasium-robotics",
    "h5py": "h5py",
    "huggingface_hub": "huggingface_hub",
    "imageio": "imageio",
    "jax": "jax",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "minari": "minari",
    "mpmath": "mpmath",
    "mujoco": "mujoco",
    "networkx": "networkx",
    "numpy": "numpy",
    "packaging": "packaging",
    "pandas": "pandas",
    "peft": "peft",
    "pettingzoo": "pettingzoo",
    "pydantic": "pydantic",
    "pyparsing": "pyparsing",
    "rich": "rich",
    "scipy": "scipy",
    "sympy": "sympy",
    "torch": "torch",
    "transformers": "transformers",
}
STANDARD_LIBRARY = "python"
SKIPPED_FOLDERS = {"__pycache__", "site-packages", "lib2to3", "idlelib", "tests", "test", "testing", "_vendor"}

MIN_WORDS = 8
MIN_FUNCTION_WORDS = 0.25  # English prose has 0.35 to 0.55; lists of names and tables have less than 0.2
MAX_CODE_WORDS = 0.12  # share of words that are identifiers, numbers or formulas
_FUNCTION_WORDS = (
    "the a an of to in is are and or for with that this it be as on by if not from which can will at has have when was "
    "were but than these its into only may used no all any each then so do does you your we they there their where "
    "also such one same other more been would should could must"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())

_LITERAL = re.compile(r"""(?<![A-Za-z0-9_"'])([rRuU]?)(\"{3}|'{3})(.*?)(?<!\\)\2""", re.DOTALL)
_COMMENT = re.compile(r"(?:^[ \t]*# .*\n){2,}", re.MULTILINE)
_HASH = re.compile(r"^[ \t]*# ", re.MULTILINE)
_BULLET = re.compile(r"^(?:[-*+•]|\(?\d{1,2}[.)]|\[\d+\]|\.\. \[\w+\])\s+")
_FIELD = re.compile(r"^(?::\w+(?: [^:]+)?:|\*{0,2}`{0,2}[\w./, ]+`{0,2}(?: ?\([^)]*\))?(?: --|:))\s+(?=[A-Z])")
_DIRECTIVE = re.compile(r"^\.\. (?:note|warning|tip|important|seealso|versionadded|versionchanged|deprecated)::\s*")
_MARKUP = (
    (re.compile(r":[a-z:]+:`~?([^`<]*?)(?:\s*<[^`>]*>)?`"), r"\1"),  # :func:`name <target>`
    (re.compile(r"`([^`<]+?)\s*<[^`>]*>`_{0,2}"), r"\1"),  # `text <address>`_
    (re.compile(r"\[([^\][]+)\]\([^)]*\)"), r"\1"),  # [text](address)
    (re.compile(r"\s*\[[\w, ]{1,20}\]_?(?=[\s.,;:)]|$)"), ""),  # [1]_, [Smith2001]
    (re.compile(r"`+([^`]*)`+_{0,2}"), r"\1"),
    (re.compile(r"(?<!\w)\*{1,2}([^*]+)\*{1,2}(?!\w)"), r"\1"),
)
_NOT_PROSE = re.compile(
    r"[\\{}|<>=~^$@#]|https?:|www\.|\.\.\s|\.\.\.|::|__|->|--|>>|doi|arXiv|pp\.|vol\.|et al|isbn|copyright",
    re.IGNORECASE,
)
_CODE_WORD = re.compile(
    r"_|\d|[a-z]\.[a-zA-Z]|[a-z][A-Z]|[A-Za-z]\(|\)[A-Za-z]|[\[\]/*+%&]|^['\"]|^[^AaI0-9\W][.,;:)]*$"
)
_SENTENCE_END = re.compile(r"[.!?][\"')]*(?=\s|$)")
_NAME = re.compile(r"\b\w*(?:[a-z][A-Z]|_|\d)\w*\b")


def package_versions() -> dict[str, str]:
    """Version of every installed package whose documentation is read, by distribution name; they define the corpus."""
    versions = {STANDARD_LIBRARY: platform.python_version()}
    for module, distribution in PACKAGES.items():
        if util.find_spec(module) is not None:
            versions[distribution] = metadata.version(distribution)
    return versions


@lru_cache(maxsize=1)
def documentation_paragraphs() -> tuple[str, ...]:
    """Paragraphs of English from the installed packages, in the order of package, path and line.

    Near-duplicates are dropped. Each is one line that begins with a capital and ends with a sentence's end.
    """
    files = [path for _, root in sorted(_roots().items()) for path in _python_files(root)]
    paragraphs = [
        paragraph
        for path in tqdm(files, desc="reading documentation", unit="file", leave=False)
        for text in documentation_strings(path.read_text(encoding="utf-8", errors="replace"))
        for paragraph in prose(text)
    ]
    return tuple(drop_near_duplicates(paragraphs))


def documentation_strings(source: str) -> Iterator[str]:
    """The triple-quoted strings and the longer comments of a Python file.

    Of the standard library's language reference, which is a Python file too, it is the whole text. Patterns find them:
    parsing every file would take a minute, and `is_prose` refuses what is not documentation.
    """
    if source.startswith("# -*- coding: utf-8 -*-\n# Autogenerated by Sphinx") and "\ntopics = {" in source:
        yield from ast.literal_eval(source.split("\ntopics = ", 1)[1]).values()
        return
    for match in _LITERAL.finditer(source):
        prefix, _, text = match.groups()
        if len(text) < 40:
            continue
        if "\\" in text and prefix not in ("r", "R"):
            text = text.replace("\\\n", "").replace("\\n", "\n").replace("\\\\", "\\")
        yield text.expandtabs(4)
    for match in _COMMENT.finditer(source):
        yield _HASH.sub("", match.group())


def prose(text: str) -> Iterator[str]:
    """The paragraphs of one documentation string that read as English, cleaned of markup, each on one line."""
    for unit in _units(text):
        if unit.count(" ") < MIN_WORDS - 1:
            continue  # most units are names and signatures: spare the patterns
        paragraph = clean(unit)
        if is_prose(paragraph):
            yield paragraph


def clean(unit: str) -> str:
    """`unit` without reStructuredText and Markdown markup, field names and whatever follows its last full sentence."""
    unit = _DIRECTIVE.sub("", unit)
    unit = _FIELD.sub("", _BULLET.sub("", unit))
    for pattern, replacement in _MARKUP:
        unit = pattern.sub(replacement, unit)
    unit = " ".join(unit.split())
    ends = [match.end() for match in _SENTENCE_END.finditer(unit)]
    return unit[: ends[-1]] if ends else ""


def is_prose(paragraph: str) -> bool:
    """Check whether a cleaned paragraph is English sentences, not code, a table, a formula, a reference or a list."""
    words = paragraph.split()
    if len(words) < MIN_WORDS or not paragraph[0].isupper() or not paragraph.isascii():
        return False
    if _NOT_PROSE.search(paragraph) or paragraph.count("(") != paragraph.count(")"):
        return False
    function_words = sum(word.strip(".,;:!?()\"'").lower() in FUNCTION_WORDS for word in words)
    code_words = sum(_CODE_WORD.search(word) is not None for word in words)
    return function_words >= MIN_FUNCTION_WORDS * len(words) and code_words <= MAX_CODE_WORDS * len(words)


def near_duplicate_key(text: str) -> str:
    """Equal for texts that differ in class names, numbers, case and punctuation alone."""
    return " ".join(re.findall(r"[^\W\d_]+", _NAME.sub("x", text).lower()))


def drop_near_duplicates(paragraphs: list[str]) -> list[str]:
    """Keep a paragraph if at least half of its words are in sentences whose near-duplicate key was not seen before."""
    kept: list[str] = []
    seen: set[str] = set()
    for paragraph in paragraphs:
        keys = {near_duplicate_key(sentence) for sentence in re.split(r"(?<=[.!?]) ", paragraph)}
        new = keys - seen
        if 2 * sum(map(len, new)) >= sum(map(len, keys)) and new:
            kept.append(paragraph)
        seen |= keys
    return kept


def _roots() -> dict[str, Path]:
    roots = {STANDARD_LIBRARY: Path(sysconfig.get_path("stdlib"))}
    for module in PACKAGES:
        spec = util.find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            roots[module] = Path(next(iter(spec.submodule_search_locations)))
    return roots


def _python_files(root: Path) -> list[Path]:
    found = (path for path in root.rglob("*.py") if not SKIPPED_FOLDERS & set(path.relative_to(root).parts))
    return sorted(found)


def _units(text: str) -> Iterator[str]:
    """Runs of lines that share an indentation; a blank line, a bullet or a field name starts a new one."""
    lines: list[str] = []
    indentation = 0
    for line in [*inspect.cleandoc(text).split("\n"), ""]:
        stripped = line.strip()
        indented = len(line) - len(line.lstrip())
        hangs = len(lines) == 1 and indented > indentation and _starts_item(lines[0])
        breaks = not stripped or _starts_item(stripped) or (indented != indentation and not hangs)
        if breaks and lines:
            yield " ".join(lines)
            lines = []
        if stripped:
            lines.append(stripped)
            indentation = indented


def _starts_item(line: str) -> bool:
    field = (":" in line or "--" in line) and _FIELD.match(line)  # most lines need no pattern to be told apart
    return bool(field or _BULLET.match(line) or line.startswith(".. "))
