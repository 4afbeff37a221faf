"""JSON from anywhere."""

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from lamobench.datasets.errors import UserError
from lamobench.datasets.json_files import (
    DEEPEST,
    MOST,
    check_fields,
    from_fields,
    parse_json,
    parse_python_json,
    read_json,
)


def test_what_python_writes_comes_back() -> None:
    state = np.random.default_rng(2**127 + 1).bit_generator.state  # has integers of 128 bits
    value = {"state": state, "text": "é \U0001f600 \x00", "numbers": [0, -1.5, 1e-300, 2**63, True, None], "empty": {}}
    for ascii_only in (True, False):
        assert parse_json(json.dumps(value, ensure_ascii=ascii_only)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("NaN", "NaN is no finite number"),
        ('{"a": -Infinity}', "-Infinity is no finite number"),
        ("[1e999]", "1e999 is no finite number"),
        ("1" * 41, "has 41 digits"),
        ("1" * 5000, "has 5000 digits"),
        ('{"a": {"b": 1, "c": 2, "b": 3}}', "the key 'b' stands twice"),
        (r'["\ud800"]', "surrogates not allowed"),
        (r'{"\uDC00": 1}', "surrogates not allowed"),
        ("[" * 101 + "]" * 101, "nested more than 100 levels"),
        ('{"a":' * 101 + "1" + "}" * 101, "nested more than 100 levels"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(text)


def test_what_is_just_within_the_limits() -> None:
    assert parse_json("-" + "1" * 39) == -int("1" * 39)
    assert parse_json("[" * DEEPEST + "1" + "]" * DEEPEST) is not None
    assert parse_json(r'"\ud83d\ude00"') == "\U0001f600"  # a pair is one character


def test_a_file_that_is_no_good_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    for content in (b"\xff\xfe", b"{", b"[" * 100_000, b"\xef\xbb\xbf{}", b'{"a": NaN}'):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"meta\.json can't be read") as error:
            read_json(path)
        assert "\n" not in str(error.value)
    path.unlink()
    with pytest.raises(UserError, match=r"meta\.json can't be read \(No such file"):
        read_json(path)


def test_a_file_is_checked_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zeros.json").symlink_to("/dev/zero")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(MOST + 1)
    for name, reason in (("pipe", "named pipe"), ("zeros", "device"), ("large", "more than the 16 MB")):
        with pytest.raises(UserError, match=reason):
            read_json(tmp_path / f"{name}.json")
    (tmp_path / "small.json").write_text("[1]")
    assert read_json(tmp_path / "small.json", max_bytes=3) == [1]
    with pytest.raises(UserError, match="more than the 2e-06 MB"):
        read_json(tmp_path / "small.json", max_bytes=2)


def test_what_python_writes_may_be_infinite_but_nothing_else() -> None:
    assert parse_python_json("[Infinity, -Infinity, 1e999, 1]") == [math.inf, -math.inf, math.inf, 1]
    assert math.isnan(parse_python_json("NaN"))
    for text in ("[" * 100_000, '{"a": 1, "a": 2}', "1" * 41, r'"\ud800"'):
        with pytest.raises(ValueError, match=r"."):
            parse_python_json(text)


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        (1, int, True), (True, int, False), (1.0, int, False), (1, float, True), (True, float, False),
        ("1", float, False), (None, str | None, True), ("", str | None, True), (1, str | None, False),
        (["a"], list[str], True), (["a", 1], list[str], False), ("a", list[str], False),
        ([1, 2.5], tuple[float, float], True), ([1], tuple[float, float], False), ([], tuple[str, ...], True),
        ([1], tuple[str, ...], False), ({}, dict, True), ([], dict, False), (False, bool, True), (0, bool, False),
    ],
)  # fmt: skip
def test_fields_are_of_their_kind(value: object, kind: object, fits: bool) -> None:
    given = {"name": value, "other": 1}
    for kinds, absent in (({"name": kind}, {}), ({}, {"name": kind, "absent": int})):
        if fits:
            assert check_fields(given, kinds, absent) is given
        else:
            with pytest.raises(ValueError, match=r"'name' is .*, expected"):
                check_fields(given, kinds, absent)


def test_a_field_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="it has no 'name'"):
        check_fields({}, {"name": int})
    for value in ([], None, "text", 5):
        with pytest.raises(ValueError, match="it is no object with fields"):
            check_fields(value, {})


@dataclass(frozen=True)
class Point:
    name: str
    place: tuple[float, ...]
    colour: str | None = None


def test_a_dataclass_comes_back_from_its_fields() -> None:
    for point in (Point("a", (1.0, 2.0)), Point("b", (), "red")):
        assert from_fields(Point, json.loads(json.dumps(asdict(point)))) == point
    assert from_fields(Point, {"name": "a", "place": [1]}) == Point("a", (1,))
    for wrong, message in (
        ({"name": "a"}, "it has no 'place'"),
        ({"name": "a", "place": ["1"]}, "'place' is"),
        ({"name": "a", "place": [], "colour": 5}, "'colour' is '5'"),
        ({"name": "a", "place": [], "size": 5}, "a field 'size', which is not known"),
    ):
        with pytest.raises(ValueError, match=message):
            from_fields(Point, wrong)
