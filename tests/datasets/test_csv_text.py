from pathlib import Path

import pandas as pd
import pytest

from lamobench.datasets.csv_text import cell_text, csv_text, read_csv
from lamobench.datasets.storage import write_rows, write_text

FORMULAS = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "+1+1", "--1", "=", "-nano"]
NUMBERS = ["-1", "-0.5", "+3", "1e-5", "-1.5E+10", "-.5", "-3.", "-inf", "nan", "-nan"]
TEXTS = ["", "gpt2", "'", "''", "'quoted'", "a=b", "learning_rate=1e-3", " =1", "é"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_reckon_is_text(text: str) -> None:
    cell = csv_text(["lm"], [[text]]).split("\n", 1)[1].strip('"')
    assert cell.startswith(f"'{text[0]}")


@pytest.mark.parametrize("text", NUMBERS + TEXTS)
def test_numbers_and_other_text_stay_as_they_are(text: str) -> None:
    assert csv_text(["lm", "x"], [[text, 0]]) == f"lm,x\n{text},0\n"


def test_numbers_keep_their_bytes(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [{"a": -1, "b": -0.123456, "c": None, "d": True, "e": float("-inf")}])
    assert (tmp_path / "a.csv").read_text() == "a,b,c,d,e\n-1,-0.1235,,True,-inf\n"


@pytest.mark.parametrize("text", [*FORMULAS, *NUMBERS, *TEXTS, *(f"'{text}" for text in FORMULAS + NUMBERS)])
def test_what_is_read_back_is_what_was_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.csv"
    write_text(path, csv_text(["lm", text or "x"], [[text, 0], ["", 1]]))
    first, second = read_csv(path)
    assert (first["lm"], second["lm"]) == (text, "")
    frame = pd.read_csv(path, keep_default_na=False, dtype=str)
    assert cell_text(frame["lm"][0]) == text
