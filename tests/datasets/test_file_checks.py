"""Tests of the checks on a file before it is read."""

import os
from pathlib import Path

import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.file_checks import LIMIT, check_regular_file, check_unpacked_size


def test_a_regular_file_passes_and_so_does_a_link_to_one(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"123")
    (tmp_path / "link").symlink_to(file)
    for path in (file, tmp_path / "link"):
        check_regular_file(path, max_bytes=3, folder=tmp_path)
    with pytest.raises(UserError, match=r"file has 0\.0 MB, more than the 2e-06 MB"):
        check_regular_file(file, max_bytes=2)


def test_what_is_no_file_is_refused_without_being_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name, kind in (("pipe", "named pipe"), ("zeros", "device"), ("folder", "folder")):
        with pytest.raises(UserError, match=f"{name} is a {kind} where a regular file belongs"):
            check_regular_file(tmp_path / name)


@pytest.mark.parametrize("name", ["absent", "circle", "a\0b", "file/below", "n" * 300])
def test_what_cannot_be_found_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(UserError, match="can't be read") as error:
        check_regular_file(tmp_path / name, folder=tmp_path)
    assert "\n" not in str(error.value)


def test_a_link_that_leaves_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"1")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "data").symlink_to(tmp_path / "secret")
    check_regular_file(tmp_path / "given" / "data")
    with pytest.raises(UserError, match="leads out of"):
        check_regular_file(tmp_path / "given" / "data", folder=tmp_path / "given")
    with pytest.raises(UserError, match="leads out of"):
        check_regular_file(tmp_path / "given" / ".." / "secret", folder=tmp_path / "given")


def test_what_unpacks_to_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LIMIT, raising=False)
    check_unpacked_size(Path("file"), 4 * 10**9)
    with pytest.raises(
        UserError, match=rf"file says that it holds 4\.6 GB, more than the 4 GB .* put {LIMIT}=5 before"
    ):
        check_unpacked_size(Path("file"), 4_600_000_000)
    monkeypatch.setenv(LIMIT, "5")
    check_unpacked_size(Path("file"), 4_600_000_000)
    for needed in (10**16, 10**400):
        with pytest.raises(UserError, match="says that it holds more than a million GB, more than the 5 GB"):
            check_unpacked_size(Path("file"), needed)


@pytest.mark.parametrize("given", ["many", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_none_is_a_mistake(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, given)
    with pytest.raises(
        UserError, match=f"{LIMIT} is '{given}'; expected a number of gigabytes above 0, e.g. {LIMIT}=8"
    ):
        check_unpacked_size(Path("file"), 1)
