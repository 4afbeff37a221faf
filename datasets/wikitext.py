"""WikiText (Merity et al. 2016, arXiv 1609.07843), raw: fetched or imported, and kept as plain text.

The published split stays: its training part is ours, its validation part is what is held out, its test part is not
read. A file of ours has a line for each paragraph and heading, and an empty line between articles.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import storage
from .cache import replaced_folder
from .errors import UserError
from .hub import Check, Repository, download_files, forget_downloads
from .json_files import check_fields, parse_json

REPOSITORY = Repository("Salesforce/wikitext", "b08601e04326c79dfdd32d625aee71d232d685c3", dataset=True)
PARTS = ("train", "valid")
PUBLISHED_ARTICLES = {"wikitext-2": (600, 60), "wikitext-103": (28_475, 60)}  # training, validation; Table 1
SUFFIXES = (".parquet", ".raw", ".txt")
MAX_UNKNOWN = 0.001  # share of "<unk>" among words; where rare words were replaced by it 0.4 % or 2.6 %, Table 1


def folder_of(name: str) -> Path:
    """The folder where the corpus `name` is kept, whether or not it is there."""
    return storage.home() / "corpora" / name


def fetch_wikitext(name: str, given: Sequence[Path] = (), force: bool = False) -> dict[str, Any]:
    """Bring "wikitext-2" or "wikitext-103" here, from the Hub or from `given` files, and say what there is.

    `given` are parquet files, WikiText's raw files, text files like ours, or a folder of such, told apart by "train"
    and "valid" in their names; they stay where they are. A corpus that is here already is left alone unless `given` or
    `force`, and then replaced in one step. Raises a `UserError`, and changes nothing, for what can't be had or used.
    """
    folder = folder_of(name)
    if given or force or not folder.is_dir():
        with storage.plain_disk_errors():
            files = _given_files(name, given) if given else _downloaded_files(name)
            with replaced_folder(folder) as temporary:
                found = {part: _write_part(files[part], temporary / f"{part}.txt") for part in PARTS}
                storage.write_json(temporary / "meta.json", found)
            forget_downloads(name)
    return {"corpus": name, "folder": str(folder)} | _counts(name)


def articles(name: str, part: str) -> Iterator[str]:
    """The articles of a part, "train" or "valid", with a line a paragraph or heading."""
    lines: list[str] = []
    with (_present(name) / f"{part}.txt").open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                lines.append(line.rstrip("\n"))
            elif lines:
                yield "\n".join(lines)
                lines = []
    if lines:
        yield "\n".join(lines)


def sources(name: str) -> dict[str, str]:
    """SHA-256 of each part's text, by the part's name; it was computed when the file was written."""
    return {f"{name} {part}": about["sha256"] for part, about in _meta(name).items()}


def article_counts(name: str) -> dict[str, int]:
    """The number of articles in "train" and "valid"."""
    return {part: about["articles"] for part, about in _meta(name).items()}


def _counts(name: str) -> dict[str, int]:
    counts = article_counts(name)
    (train, valid) = PUBLISHED_ARTICLES[name]
    return {
        "train_articles": counts["train"],
        "published_train_articles": train,
        "held_out_articles": counts["valid"],
        "published_held_out_articles": valid,
    }


def _present(name: str) -> Path:
    folder = folder_of(name)
    if not folder.is_dir():
        raise UserError(
            f"corpus '{name}' is not on this machine; type: lamobench lm fetch {name} (it says what to do without a "
            "network)"
        )
    return folder


def _meta(name: str) -> dict[str, Any]:
    path = _present(name) / "meta.json"
    try:
        meta = check_fields(parse_json(path.read_text(encoding="utf-8")), dict.fromkeys(PARTS, dict))
        return {part: check_fields(meta[part], {"sha256": str, "articles": int}) for part in PARTS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} can't be read ({error}); type: lamobench lm fetch {name} --force") from None


def _downloaded_files(name: str) -> dict[str, list[Path]]:
    files = _published_files(name)
    placed = download_files(REPOSITORY, files, name)
    return {part: [path for file, path in placed.items() if _part_of(Path(file)) == part] for part in PARTS}


def _published_files(name: str) -> Mapping[str, Check]:
    shards = 2 if name == "wikitext-103" else 1
    train = [f"train-{shard:05}-of-{shards:05}.parquet" for shard in range(shards)]
    return {f"{name}-raw-v1/{file}": _check_parquet for file in [*train, "validation-00000-of-00001.parquet"]}


def _given_files(name: str, given: Sequence[Path]) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = {part: [] for part in PARTS}
    for path in given:
        if not path.exists():
            raise UserError(f"no file or folder '{path}'; give the folder that holds {name}'s files, or the files")
        for file in _files_in(name, path) if path.is_dir() else [path]:
            part = _part_of(file)
            if part:
                files[part].append(file)
    for part, found in files.items():
        if not found or (len(found) > 1 and any(file.suffix != ".parquet" for file in found)):
            which = ", ".join(str(file) for file in found) or "none"
            raise UserError(
                f"{name} needs one file of its {part} part (or parquet files), found {which} among "
                f"{', '.join(map(str, given))}; names like wiki.{part}.raw or {part}.txt tell what they are"
            )
    return files


def _files_in(name: str, folder: Path) -> list[Path]:
    """The files of the folder that a download or an archive makes below `folder`, or of `folder` itself."""
    inner = [folder / f"{name}-raw-v1", folder / f"{name}-raw", folder]
    for place in inner:
        files = sorted(path for path in place.glob("*") if path.suffix in SUFFIXES and path.is_file())
        if files:
            return files
    return []


def _part_of(file: Path) -> str:
    return next((part for part in PARTS if part in file.name.lower()), "")


def _write_part(files: Sequence[Path], target: Path) -> dict[str, Any]:
    """Write the articles in `files` to `target`; how many they are, and the text's SHA-256."""
    digest = hashlib.sha256()
    count = 0
    words = 0
    unknown = 0
    with target.open("wb") as output:
        for article in _split_articles(line for file in files for line in _lines(file)):
            text = f"{article}\n\n".encode()
            output.write(text)
            digest.update(text)
            count = count + 1
            words = words + article.count(" ") + 1
            unknown = unknown + article.count("<unk>")
    if not count:
        raise UserError(f"{', '.join(map(str, files))} holds no text; give WikiText's raw files")
    if unknown > MAX_UNKNOWN * words:
        raise UserError(
            f"{', '.join(map(str, files))} has {unknown} times '<unk>' in place of rare words; give the raw version, "
            "e.g. wiki.train.raw of wikitext-2-raw-v1"
        )
    return {"articles": count, "sha256": digest.hexdigest()}


def _split_articles(lines: Iterable[str]) -> Iterator[str]:
    """Articles begin at headings of the first level, ` = Title = `; empty lines and outer spaces are dropped."""
    article: list[str] = []
    for line in map(str.strip, lines):
        first_level = line.startswith("= ") and line.endswith(" =") and not line.startswith("= =") and len(line) > 4
        if first_level and article:
            yield "\n".join(article)
            article = []
        if line:
            article.append(line)
    if article:
        yield "\n".join(article)


def _lines(file: Path) -> Iterator[str]:
    if file.suffix == ".parquet":
        yield from _parquet_lines(file)
        return
    try:
        with file.open(encoding="utf-8") as text:
            yield from text
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 (byte {error.start} of a block); give WikiText's raw files") from None


def _parquet_lines(file: Path) -> Iterator[str]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as table:
            if "text" not in table.schema_arrow.names:
                raise UserError(f"{file} has no column 'text' (it has {', '.join(table.schema_arrow.names)})")
            for batch in table.iter_batches(columns=["text"]):
                for text in batch.column("text").to_pylist():
                    yield from text.split("\n")
    except (pyarrow.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise UserError(f"{file} can't be read as parquet ({first}); copy or download it anew") from None


def _check_parquet(file: Path) -> None:
    for _ in _parquet_lines(file):
        pass
