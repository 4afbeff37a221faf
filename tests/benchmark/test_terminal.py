from lamobench.benchmark.terminal import WIDTH, Right, aligned, described, table_lines


def test_columns_are_as_wide_as_they_need_be() -> None:
    lines = [["lamo-random", Right("9 %"), "", "a"], ["bc", Right("100 %"), "", ""]]
    assert aligned(lines) == ["lamo-random    9 %  a", "bc           100 %"]
    assert aligned([]) == []


def test_numbers_stand_to_the_right_and_so_does_what_asks_for_it() -> None:
    rows = [{"n": 5, "size": Right("12 MB"), "what": "7"}, {"n": None, "size": Right("1.0 GB"), "what": "seven"}]
    assert table_lines(rows) == ["n    size  what", "5   12 MB  7", "-  1.0 GB  seven"]


def test_texts_stand_beside_their_names_and_are_wrapped() -> None:
    first, second, third = described({"a": "word " * 30, "name": "x" * 120})
    assert first.startswith("a     word word")
    assert len(first) <= WIDTH
    assert second.startswith("      word")
    assert third == "name  " + "x" * 120  # no word is broken
    assert described({}) == []
