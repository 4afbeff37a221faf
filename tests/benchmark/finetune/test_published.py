import csv
from collections import Counter

from lamobench.benchmark.runs.methods import METHODS
from lamobench.benchmark.scores.reported import REPORTED


def rows(name: str = "finetuning.csv") -> list[dict[str, str]]:
    with (REPORTED / name).open(newline="") as file:
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


def test_the_ordering_of_nethack_s_scores_is_that_of_its_table() -> None:
    scores = {row["method"]: int(row["value"]) for row in rows() if row["table"] == "4" and row["measure"] == "score"}
    ranked = sorted(scores, key=lambda method: -scores[method])
    (claim,) = (row["claim"] for row in rows("finetuning_orderings.csv") if row["task"] == "nethack")
    assert claim.split(" > ") == [method.removeprefix("finetune-") for method in ranked]


def test_every_ordering_says_who_printed_it_and_stands_once() -> None:
    orderings = rows("finetuning_orderings.csv")
    assert {row["source"] for row in orderings} == {"paper", "rubric", "figure"}
    assert len({tuple(row.values()) for row in orderings}) == len(orderings)
    assert all(all(row.values()) for row in orderings)
