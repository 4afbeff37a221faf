from lamobench.benchmark.scores.labels import (
    LONGEST,
    label,
    method_order,
    short,
    short_label,
    titles_of,
    with_named_model,
)


def test_a_label_is_the_title_and_what_tells_the_row_from_others() -> None:
    assert label("lamo") == label("lamo", "", "") == "LaMo"
    assert label("lamo", "gpt2", "adaptation=full") == "LaMo (gpt2, adaptation=full)"
    assert label("lamo-random", "", "hidden=512") == "LaMo, random weights (hidden=512)"
    assert label("somebody-s", "gpt2") == "somebody-s (gpt2)"  # not known here


def test_figures_have_short_ones() -> None:
    assert short_label("lamo-random", "gpt2") == "LaMo random (gpt2)"
    assert short("a-method-with-a-long-name") == "a-method-with-a…"
    assert len(short("a-method-with-a-long-name")) == LONGEST


def test_models_are_named_where_rows_have_several() -> None:
    rows = [("lamo", "gpt2"), ("lamo", "gpt2-mini"), ("lamo-random", "gpt2"), ("lamo-random", "gpt2"), ("bc", "")]
    assert with_named_model(rows) == {"lamo", "lamo-random"}
    assert with_named_model([("lamo", "gpt2"), ("lamo-random", "gpt2-mini")]) == {"lamo", "lamo-random"}
    assert with_named_model([("lamo", "gpt2"), ("lamo-random", "gpt2"), ("bc", "")]) == set()


def test_methods_are_in_the_order_of_their_table_then_unknown_ones_by_name() -> None:
    assert sorted(["zeta", "bc", "alpha", "lamo"], key=method_order) == ["lamo", "bc", "alpha", "zeta"]
    assert titles_of(["bc", "lamo", "bc"]) == [("lamo", "LaMo"), ("bc", "BC")]
