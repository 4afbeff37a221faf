from lamobench.benchmark.reported import published_rows, published_table, read_reported


def test_a_data_set_s_rows_are_those_of_the_file() -> None:
    assert published_rows("pong-medium") == [row for row in read_reported() if row["dataset"] == "pong-medium"]
    assert published_rows("seaquest-medium") == published_table("seaquest-medium") == []


def test_the_table_has_a_row_a_method_and_a_column_a_fraction() -> None:
    table = published_table("hopper-medium")
    assert list(table[0]) == ["method", "0.5 %", "1 %", "10 %", "100 %"]
    rows = {row["method"]: row for row in table}
    assert list(rows)[:2] == ["lamo", "lamo-initialised"]  # ours first, in their order of display
    assert rows["lamo"] == {
        "method": "lamo",
        "0.5 %": "57.0 ±7.1",
        "1 %": "52.0 ±4.6",
        "10 %": "73.7 ±3.5",
        "100 %": "74.1 ±5.3",
    }
    assert (rows["diffusion-ql"]["1 %"], rows["diffusion-ql"]["100 %"]) == ("35.7", "-")


def test_another_metric_has_a_column_of_its_own() -> None:
    rows = {row["method"]: row for row in published_table("kitchen-partial")}
    assert list(rows["dt"]) == ["method", "1 %", "10 %", "100 %", "100 % (best 3)"]
    assert (rows["dt"]["100 %"], rows["dt"]["100 % (best 3)"]) == ("33.8 ±14.5", "59.8")


def test_no_cell_of_the_file_is_lost() -> None:
    for dataset in {row["dataset"] for row in read_reported()}:
        cells = sum(value != "-" for row in published_table(dataset) for key, value in row.items() if key != "method")
        keys = {(row["method"], row["fraction"], row["table"] == "13") for row in published_rows(dataset)}
        assert cells == len(keys)
