import csv
from collections import Counter

from lamobench.benchmark.runs.methods import METHODS
from lamobench.benchmark.scores.reported import REPORTED


def rows() -> list[dict[str, str]]:
    with (REPORTED / "finetuning.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_cell_of_the_tables_is_there_once() -> None:
    assert Counter(row["table"] for row in rows()) == {"4": 5 * 10, "5": 9, "6": 4 * 2 * 3}
    cells = Counter((row["table"], row["method"], row["detail"], row["measure"]) for row in rows())
    assert set(cells.values()) == {1}
    assert all(row["method"] in METHODS for row in rows() if row["table"] != "5")


def test_tables_that_repeat_a_number_agree() -> None:
    four = {row["method"]: row["value"] for row in rows() if row["table"] == "4" and row["measure"] == "score"}
    (five,) = (row for row in rows() if row["table"] == "5" and row["method"] == "finetune-ks")
    assert five["value"] == four["finetune-ks"]


def test_what_is_published_of_the_robot_is_that_bc_transfers_most() -> None:
    transfer = {(row["detail"], row["method"]): float(row["value"]) for row in rows() if row["table"] == "6"}
    for detail in {detail for detail, _ in transfer}:
        plain, ewc, bc = (transfer[detail, method] for method in ("finetune", "finetune-ewc", "finetune-bc"))
        assert plain < ewc < bc < 1.0
