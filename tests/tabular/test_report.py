import pandas as pd

from gradual.reports.page import Material
from gradual.tabular.report import columns, new_rows_page


def test_new_rows_are_reported_with_what_is_unusual() -> None:
    answers = pd.DataFrame({"row": [0, 1], "label": ["<50k", "<script>"], "probability": 0.25})
    counts = pd.DataFrame({"column": ["job"], "gaps": [3], "unseen": [1], "share": [0.02]})
    page = new_rows_page(200, counts, answers)
    assert "200 rows predicted; gaps or unseen levels in 1 columns." in page
    assert "<td>job</td>" in page
    assert "2.0\u00a0%" in page
    assert "&lt;script&gt;" in page
    assert "no gaps" in new_rows_page(200, counts.head(0), answers)


def material(**tables: pd.DataFrame) -> Material:
    return Material({}, pd.DataFrame(), {}, tables, {})


def test_columns_have_headings() -> None:
    frame = pd.DataFrame({"column": ["age"], "kind": ["number"], "fill": [37.0], "gaps": [2]})
    (table,) = columns(material(columns=frame)).blocks
    assert [table.titles[name] for name in table.frame] == [
        "Column",
        "Kind",
        "Gaps filled with",
        "Gaps in held-out rows",
    ]
