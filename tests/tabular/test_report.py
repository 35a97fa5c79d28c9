import pandas as pd

from gradual.tabular.report import columns_block, new_rows_page, readable


def test_new_rows_are_reported_with_what_is_unusual() -> None:
    answers = pd.DataFrame({"row": [0, 1], "label": ["<50k", "<script>"], "probability": 0.25})
    counts = pd.DataFrame({"column": ["job"], "gaps": [3], "unseen": [1], "share": [0.02]})
    page = new_rows_page(200, counts, answers)
    assert "200 rows predicted; unusual values in 1 columns." in page
    assert "<td>job</td>" in page
    assert "2.0%" in page
    assert "&lt;script&gt;" in page
    assert "nothing unusual" in new_rows_page(200, counts.head(0), answers)


def test_numbers_are_rounded_and_gaps_are_dashes() -> None:
    frame = pd.DataFrame({"a": [1 / 3, None, 12345.678], "b": pd.array([1, None, 3], "Int64")})
    assert readable(frame).to_dict("list") == {
        "a": ["0.3333", "–", "12,346"],
        "b": ["1", "–", "3"],
    }


def test_columns_have_headings() -> None:
    block = columns_block(
        pd.DataFrame({"column": ["age"], "kind": ["number"], "fill": [37.0], "gaps": [2]})
    )
    assert list(block.frame.columns) == [
        "Column",
        "Kind",
        "Gaps filled with",
        "Gaps in held-out rows",
    ]
    assert block.frame.iloc[0].tolist() == ["age", "number", "37", "2"]
