from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.sources.errors import SourceError
from gradual.sources.joins import Join, Joined, rows_with
from gradual.sources.reader import SourceRows, open_source


def joined(left: pa.Table, right: pa.Table, *on: str, **settings: Any) -> pa.Table:
    join = Join(open_source(right), on or ("store",), **settings)
    parts = tuple(Joined(part, (join,)) for part in open_source(left).parts)
    return SourceRows(parts).read()


SALES = pa.table({"store": [2, 1, None, 2, 3], "sales": [5, 6, 7, 8, 9]})
STORES = pa.table({"store": [1, 2, None], "town": ["Ulm", "Bonn", "?"], "opened": [1, 2, 3]})


def test_each_row_gets_the_row_with_its_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        table = joined(SALES, STORES)
    assert table.column_names == ["store", "sales", "town", "opened"]
    assert table["sales"].equals(SALES["sales"])
    assert table["town"].to_pylist() == ["Bonn", "Ulm", None, "Bonn", None]
    assert "the table: 2 of 5 rows have no row in the table" in caplog.text
    assert joined(SALES, STORES, take=("opened",)).column_names == ["store", "sales", "opened"]


def test_keys_of_several_columns_and_of_other_types() -> None:
    left = pa.table({"store": ["1", "2", "2"], "year": [2020, 2020, 2021]})
    right = pa.table({"year": [2021, 2020], "store": [2, 1], "x": ["b", "a"]})
    assert joined(left, right, "store", "year")["x"].to_pylist() == ["a", None, "b"]


def test_what_cannot_be_joined_is_said() -> None:
    with pytest.raises(SourceError, match=r"row 3 has store missing.* set `unmatched` to allow"):
        joined(SALES, STORES, unmatched="refuse")
    again = pa.table({"store": [1, 2, 1], "town": ["a", "b", "c"]})
    with pytest.raises(SourceError, match=r"rows 1 and 3 both have store 1: each key"):
        joined(SALES, again)
    with pytest.raises(SourceError, match=r"both have the column 'sales'.*`take`"):
        joined(SALES, pa.table({"store": [1], "sales": [2]}))
    with pytest.raises(SourceError, match="no column 'town'"):
        joined(SALES, STORES, "town")
    with pytest.raises(ValueError, match="unmatched is 'drop'"):
        joined(SALES, STORES, unmatched="drop")


def test_text_files_are_joined_by_what_their_paths_say(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,n\n01,1\n1,2\n")
    (tmp_path / "b.csv").write_text("id,label\n1,x\n01,y\n")
    join = Join(open_source(tmp_path / "b.csv"), ("id",))
    rows = SourceRows((Joined(open_source(tmp_path / "a.csv").parts[0], (join,)),))
    # As they are written, 01 and 1 are two keys.
    assert rows.read(["id", "label"], as_text=True).to_pylist() == [
        {"id": "01", "label": "y"},
        {"id": "1", "label": "x"},
    ]
    with pytest.raises(SourceError, match="both have id 1"):
        rows.read()


@settings(deadline=None)
@given(st.lists(st.integers(0, 5) | st.none(), max_size=30), st.sets(st.integers(0, 5)))
def test_rows_are_found_as_by_a_search(keys: list[int | None], among: set[int]) -> None:
    known = sorted(among)
    left = pd.DataFrame({"k": pd.Series(keys, dtype="Int64")})
    found = rows_with(left, pd.DataFrame({"k": pd.Series(known, dtype="int64")}))
    assert found.tolist() == [known.index(k) if k in known else -1 for k in keys]
