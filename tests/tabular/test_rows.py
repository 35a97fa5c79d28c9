import numpy as np
import pyarrow as pa
import pytest

from gradual.sources.splits import Split, part_rows, scored_part
from gradual.tabular.rows import RowsConfig, split_rows


def table(n: int = 100) -> pa.Table:
    return pa.table({"x": np.arange(n), "y": ["a", "b"] * (n // 2), "day": np.arange(n)[::-1]})


def test_validation_comes_out_of_what_test_leaves() -> None:
    config = RowsConfig(test=Split(method="rows", rows=(90, 100)), valid=Split(fraction=0.2))
    splits = split_rows(table(), ["y"], config)
    train, valid, test = (part_rows(splits, part) for part in ("train", "valid", "test"))
    assert test.tolist() == list(range(90, 100))
    assert len(valid) == 18
    assert sorted([*train, *valid, *test]) == list(range(100))
    assert scored_part(splits) == "test"


def test_splits_by_time_take_the_latest_for_test_and_the_next_for_validation() -> None:
    last = Split(method="last", fraction=0.1, column="day")
    splits = split_rows(table(), ["y"], RowsConfig(test=last, valid=last))
    assert part_rows(splits, "test").tolist() == list(range(10))
    assert part_rows(splits, "valid").tolist() == list(range(10, 19))


@pytest.mark.parametrize("method", ["random", "last_of_group"])
def test_rows_are_split_by_groups(method: str) -> None:
    groups = pa.table({"user": np.repeat(np.arange(10), 3), "y": np.arange(30)})
    split = Split(method=method, group="user")  # type: ignore[arg-type]
    splits = split_rows(groups, ["y"], RowsConfig(test=None, valid=split))
    expected = 1 if method == "random" else 10
    users = groups["user"].take(part_rows(splits, "valid")).to_pylist()
    assert len(set(users)) == expected
    assert len(users) == (3 if method == "random" else 10)


def test_rows_of_a_test_file_are_the_test() -> None:
    given = pa.table({"part": pa.array([None] * 90 + ["test"] * 10, pa.string())})
    splits = split_rows(table(), ["y"], RowsConfig(test=None), given)
    assert splits["part"].to_pylist()[90:] == ["test"] * 10
    assert splits["part"].to_pylist().count("valid") == 18
    with pytest.raises(ValueError, match=r"rows\.test draws test rows .* set rows\.test to null"):
        split_rows(table(), ["y"], RowsConfig(), given)


def test_without_test_rows_validation_rows_are_scored() -> None:
    splits = split_rows(table(), ["y"], RowsConfig(test=None))
    assert len(part_rows(splits, "test")) == 0
    assert scored_part(splits) == "valid"


def test_stratified_parts_keep_the_shares() -> None:
    split = Split(fraction=0.2, stratify="y")
    splits = split_rows(table(), ["y"], RowsConfig(test=split, valid=split))
    for part in ("train", "valid", "test"):
        labels = table()["y"].take(part_rows(splits, part)).to_pylist()
        assert abs(labels.count("a") - labels.count("b")) <= 1


@pytest.mark.parametrize(
    "target",
    [
        pa.array([1.0, None, 3.0, None, *range(20)]),
        pa.array([1.0, float("nan"), 3.0, float("nan"), *range(20)], from_pandas=False),
        pa.array(["a", " ?", "b", "", *"ab" * 10]),
        pa.array(["a", None, "b", " ", *"ab" * 10]).dictionary_encode(),
    ],
)
def test_rows_without_a_target_are_refused_or_left_out(target: pa.Array) -> None:
    holed = pa.table({"y": target})
    with pytest.raises(ValueError, match=r"row 1 .* and 1 others .* 'y'.*leave_out"):
        split_rows(holed, ["y"], RowsConfig())
    splits = split_rows(holed, ["y"], RowsConfig(missing_target="leave_out"))
    assert splits["part"].null_count == 2
    assert sum(len(part_rows(splits, part)) for part in ("train", "valid", "test")) == 22


@pytest.mark.parametrize(
    ("rows", "targets", "config", "message"),
    [
        (table().slice(0, 0), ["y"], RowsConfig(), "no rows"),
        (table(), ["z"], RowsConfig(), r"no target column 'z', only 'x', 'y', 'day'"),
        (
            table(),
            ["y"],
            RowsConfig(valid=Split(method="column", column="flag")),
            r"rows\.valid: there is no column 'flag'",
        ),
        (
            table(),
            ["y"],
            RowsConfig(test=Split(method="rows", rows=(90, 200))),
            r"rows\.test: rows is \[90, 200\], but there are only 100 rows",
        ),
        (pa.table({"y": pa.nulls(3)}), ["y"], RowsConfig(missing_target="leave_out"), "no row has"),
    ],
)
def test_errors_name_the_split_or_the_column(
    rows: pa.Table, targets: list[str], config: RowsConfig, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        split_rows(rows, targets, config)
