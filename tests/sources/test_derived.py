from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.sources.derived import Derive, Derived
from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceRows, open_source


def derived(table: pa.Table, *columns: Derive, history: pa.Table | None = None) -> pa.Table:
    past = None if history is None else open_source(history)
    return SourceRows((Derived(open_source(table), columns, past),)).read()


def days(*numbers: int) -> list[str]:
    return [f"2024-03-{number:02}" for number in numbers]


def by_shop(**settings: Any) -> Derive:
    return Derive(date="date", group=("shop",), **settings)


def test_months_between_two_dates() -> None:
    table = pa.table(
        {
            "opened": ["2023-11-15", "2024-03-20", None, "2024-03-20"],
            "date": ["2024-03-14", "2024-01-25", "2024-01-01", "2024-04-20"],
        }
    )
    column = Derive("months", months_between=("opened", "date"))
    assert derived(table, column)["months"].to_pylist() == [3, -1, None, 1]


def test_days_since_and_until_a_flag() -> None:
    table = pa.table(
        {
            "shop": ["a", "a", "b", "a", "a", "b"],
            "date": days(9, 1, 2, 5, 6, 4),
            "flag": [0, 0, 1, 1, None, 0],
        }
    )
    since, until = by_shop(name="s", days_since="flag"), by_shop(name="u", days_until="flag")
    found = derived(table, since, until)
    assert found["s"].to_pylist() == [4, None, 0, 0, 1, 2]
    assert found["u"].to_pylist() == [None, 4, 0, 0, None, None]


def test_a_day_of_several_rows_is_flagged_by_any_of_them() -> None:
    table = pa.table({"date": days(1, 1, 2), "flag": ["0", "a", "0"]})
    column = Derive("s", days_since="flag", date="date")
    assert derived(table, column)["s"].to_pylist() == [0, 0, 1]


def test_a_lag_is_the_value_of_so_many_days_before() -> None:
    table = pa.table(
        {"shop": ["a", "b", "a", "a"], "date": days(1, 8, 8, 15), "sales": [1.5, 2.0, None, 4.0]}
    )
    lag = by_shop(name="week_ago", lag="sales", days=7)
    assert derived(table, lag)["week_ago"].to_pylist() == [None, None, 1.5, None]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 28), st.booleans()), min_size=2))
def test_the_future_changes_nothing_of_what_looks_back(
    rows: list[tuple[int, int, bool]],
) -> None:
    frame = pd.DataFrame(rows, columns=["shop", "day", "flag"]).drop_duplicates(["shop", "day"])
    frame = frame.assign(date=days(*frame["day"]), sales=range(len(frame))).reset_index(drop=True)
    columns = by_shop(name="s", days_since="flag"), by_shop(name="l", lag="sales", days=3)
    whole = derived(pa.Table.from_pandas(frame), *columns).to_pandas()
    past = frame["day"] <= frame["day"].median()
    cut = derived(pa.Table.from_pandas(frame[past], preserve_index=False), *columns).to_pandas()
    pd.testing.assert_frame_equal(
        whole[past][["s", "l"]].reset_index(drop=True), cut[["s", "l"]], check_dtype=False
    )
    for row in whole.itertuples():  # as a search would find it
        before = frame[(frame["shop"] == row.shop) & frame["flag"] & (frame["day"] <= row.day)]
        assert (row.s if row.s == row.s else None) == (
            row.day - before["day"].max() if len(before) else None
        )


def test_history_is_looked_at_and_not_handed_on() -> None:
    past = pa.table({"shop": ["a", "a"], "date": days(1, 8), "flag": [1, 0], "sales": [1.0, 2.0]})
    new = pa.table({"shop": ["a", "b"], "date": days(15, 15), "flag": [0, 0]})
    columns = by_shop(name="s", days_since="flag"), by_shop(name="l", lag="sales", days=7)
    found = derived(new, *columns, history=past)
    assert found.column_names == ["shop", "date", "flag", "s", "l"]
    assert found.select(["s", "l"]).to_pylist() == [{"s": 14, "l": 2.0}, {"s": None, "l": None}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "exactly one of"),
        ({"lag": "x", "days_since": "y", "date": "d"}, "lag"),
        ({"lag": "x", "date": "d"}, "how many days before"),
        ({"lag": "x", "date": "d", "days": -1}, "later days are the future"),
        ({"days_since": "x"}, "name the column with the day"),
        ({"months_between": ("a",)}, "two columns"),
    ],
)
def test_bad_settings(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Derive("x", **fields)


def test_what_cannot_be_derived_is_said() -> None:
    table = pa.table({"date": ["2024-01-01", "soon"], "x": [1, 2]})
    with pytest.raises(SourceError, match="row 2 has 'soon' in the column 'date'"):
        derived(table, Derive("l", lag="x", days=1, date="date"))
    with pytest.raises(SourceError, match="no column 'flag'"):
        derived(table, Derive("l", days_since="flag", date="date"))
    with pytest.raises(SourceError, match="has a column 'x' already"):
        derived(table.slice(0, 1), Derive("x", lag="x", days=1, date="date"))
    twice = pa.table({"date": days(1, 1), "x": [1, 2]})
    with pytest.raises(SourceError, match=r"row 2: its group has a second value of 'x'"):
        derived(twice, Derive("l", lag="x", days=1, date="date"))
