import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.retraining.row_hash import held_out, row_hashes
from gradual.sources.errors import SourceError
from gradual.sources.reader import open_source


def hash_of(value: Any, kind: pa.DataType | None = None) -> int:
    return int(row_hashes(pa.table({"a": pa.array([value], kind)}))[0])


@pytest.mark.parametrize(
    "spellings",
    [
        [7, 7.0, "7", "007", "7.0", Decimal("7.00"), np.float32(7)],
        [-3, -3.0, "-3"],
        [0.1, np.float32(0.1), "0.1", ".1", "1e-1", Decimal("0.1")],
        [2**60, "1152921504606846976", float(2**60)],
        [True, "true", "TRUE", 1],
        [
            datetime.date(2026, 11, 20),
            datetime.datetime(2026, 11, 20),
            "2026-11-20",
            "2026-11-20T01:00+01:00",
            datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC),
        ],
        [datetime.time(10, 30), "10:30:00"],
        [None, "", float("nan")],
        [0, 0.0, -0.0, "0", "-0", False],
    ],
)
def test_one_value_has_one_hash_however_it_is_spelled(spellings: list[Any]) -> None:
    assert len({hash_of(value) for value in spellings}) == 1


def test_what_differs_has_different_hashes() -> None:
    texts = ["7a", "a", "A", "2026-02-30", "2026-13-01", "é", " a", "1.5-3", "1e", ".", "-"]
    names = ["12345678901234567890", "12345678901234567891"]  # too long for numbers
    values = [*texts, *names, 7, 7.5, -7, 2**63 - 1, 2**63 - 2, datetime.date(1970, 1, 1), b"\xff"]
    values += [float("inf"), 1e300, None, [1, 2], [2, 1], {"a": 1}]
    assert len({hash_of(value) for value in values}) == len(values)


def test_hashes_are_the_same_in_every_version() -> None:  # rows stay held out for ever
    table = pa.table({"n": [1, -2], "x": [0.5, None], "c": ["a", "β"], "d": ["2026-11-20", ""]})
    assert row_hashes(table).tolist() == [4949213983497011252, 1045400441796675491]
    assert row_hashes(table, ["c"]).tolist() == [4779316423864204466, 13157901538793033168]


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_files_of_all_kinds_and_orders_of_columns_give_the_same_hashes(data: Any) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(
                st.integers(-(10**18) + 1, 2**63 - 1) | st.none(),
                st.floats(allow_nan=False, allow_infinity=False) | st.none(),
                st.text("aé10.-eT ", max_size=5),
                st.dates(datetime.date(1700, 1, 1), datetime.date(2200, 1, 1)),
                st.booleans(),
            ),
            min_size=1,
            max_size=8,
        )
    )
    types = [pa.int64(), pa.float64(), pa.string(), pa.date32(), pa.bool_()]
    columns = [pa.array(c, t) for c, t in zip(zip(*rows, strict=True), types, strict=True)]
    table = pa.table(columns, names=list("nxcdb"))
    expected = row_hashes(table)
    order = data.draw(st.permutations(table.column_names))
    assert (row_hashes(table.select(order)) == expected).all()
    # As texts, as dictionaries, as what a CSV file gives, in pieces, with a column that came later.
    texts = pa.table({c: table[c].cast(pa.string()) for c in order})
    assert (row_hashes(texts) == expected).all()
    levels = pa.table({c: texts[c].dictionary_encode() for c in order})
    pieces = pa.concat_tables([levels.slice(0, 1), levels.slice(1)])
    pieces = pieces.append_column("later", pa.nulls(len(rows), pa.float64()))
    assert (row_hashes(pieces) == expected).all()


def test_a_row_read_from_csv_parquet_excel_and_json_has_one_hash(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "n": [1, 2, None],
            "x": [0.1, 1e6, -7],
            "c": ["a", None, "x,y"],
            "d": pd.to_datetime(["2026-11-20", "2026-11-21 10:00", None], format="mixed"),
        }
    )
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text(
        frame.to_json(orient="records", lines=True, date_format="iso")
    )
    csv, *others = (
        row_hashes(open_source(tmp_path / f"t.{suffix}").read())
        for suffix in ("csv", "parquet", "xlsx", "jsonl")
    )
    for other in others:
        assert other.tolist() == csv.tolist()


def test_a_key_alone_says_which_row_it_is() -> None:
    old = pa.table({"id": [1, 2], "part": ["a", "a"], "v": [0.5, 0.7]})
    new = pa.table({"part": ["a", "a"], "v": [9.0, 0.7], "id": ["1", "3"]})
    same = row_hashes(old, ["id", "part"]) == row_hashes(new, ["part", "id"])
    assert same.tolist() == [True, False]
    # The same value in another column is another row.
    assert hash_of(1) != row_hashes(pa.table({"b": [1]}))[0]
    with pytest.raises(SourceError, match=r"monday.csv has no column 'day'"):
        row_hashes(old, ["day"], "monday.csv")


def test_shares_are_what_they_say_and_grow_into_each_other() -> None:
    hashes = row_hashes(pa.table({"id": range(50_000)}))
    assert len(np.unique(hashes)) == 50_000
    fifth, half = held_out(hashes, 0.2), held_out(hashes, 0.5)
    assert fifth.mean() == pytest.approx(0.2, abs=0.01)
    assert half.mean() == pytest.approx(0.5, abs=0.01)
    assert half[fifth].all()
    assert not held_out(hashes, 0).any()
    assert held_out(hashes, 1).all()
    assert held_out(np.zeros(0, np.uint64), 0.2).tolist() == []


def test_an_empty_table_has_no_hashes() -> None:
    assert row_hashes(pa.table({"a": pa.nulls(0), "b": pa.array([], pa.string())})).shape == (0,)
