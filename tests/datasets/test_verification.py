from pathlib import Path

import pytest

from lamobench.datasets import cache
from lamobench.datasets.errors import UserError
from lamobench.datasets.verification import verify_data


def test_it_reads_every_byte(home: Path) -> None:
    (row,) = verify_data([])
    assert (row["dataset"], row["source"], row["state"]) == ("reacher2d-medium", "recorded", "intact")
    assert row["note"].startswith("8 episodes, 160 steps, ")
    array = cache.folder_of("reacher2d-medium", "recorded") / "rewards.npy"
    content = bytearray(array.read_bytes())
    content[-1] ^= 1
    array.write_bytes(content)
    (row,) = verify_data(["reacher2d-medium"])
    assert row["state"] == "damaged"
    assert "rewards.npy is damaged" in row["note"]


def test_it_names_what_is_absent_or_unknown(home: Path) -> None:
    (row,) = verify_data(["reacher2d-medium-large"])
    assert (row["state"], row["note"]) == ("absent", "lamobench data record reacher2d-medium-large")
    with pytest.raises(UserError, match="unknown data set 'reacher'"):
        verify_data(["reacher"])
