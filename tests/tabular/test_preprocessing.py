import datetime
import json
from functools import reduce
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradual.sources.errors import SourceError
from gradual.tabular.categorify import CategorifyConfig
from gradual.tabular.columns import TextConfig
from gradual.tabular.date_parts import DatePartsConfig
from gradual.tabular.fill_missing import FillMissingConfig
from gradual.tabular.normalize import NormalizeConfig
from gradual.tabular.preprocessing import (
    ColumnsConfig,
    PartialFit,
    PreprocessingConfig,
    Preprocessor,
    TransformReport,
    fit,
    merge,
)


def config(**columns: Any) -> PreprocessingConfig:
    return PreprocessingConfig(ColumnsConfig(**columns))


def test_a_table_becomes_codes_and_numbers_in_the_order_of_its_rows() -> None:
    train = pa.table(
        {
            "job": [" b", "a", None, "b ", "?"],
            "age": [1.0, None, 3.0, 5.0, 3.0],
            "id": [1, 2, 3, 4, 5],
        }
    )
    fitted = fit(train, config(categorical=("job",), continuous=("age",)))
    assert fitted.categorical == ["job", "age_na"]
    assert fitted.continuous == ["age"]
    assert fitted.cardinalities == {"job": 3, "age_na": 3}
    assert fitted.levels("job") == ["a", "b"]
    encoded = fitted.transform(train, keep=("id",))
    assert encoded.column_names == ["job", "age_na", "age", "id"]
    assert encoded["job"].to_pylist() == [2, 1, 0, 2, 0]
    assert encoded["age_na"].to_pylist() == [1, 2, 1, 1, 1]
    assert encoded.schema.field("job").type == pa.int32()
    filled = np.array([1.0, 3.0, 3.0, 5.0, 3.0])
    expected = ((filled - filled.mean()) / filled.std()).astype(np.float32)
    np.testing.assert_array_equal(encoded["age"].to_numpy(), expected)
    assert encoded["id"].to_pylist() == [1, 2, 3, 4, 5]


# The three known faults of the reference


def test_a_level_seen_only_in_validation_is_na() -> None:
    fitted = fit(pa.table({"c": ["a", "b"]}), config(categorical=("c",)))
    report = TransformReport()
    assert fitted.transform(pa.table({"c": ["z", "b"]}), report=report)["c"].to_pylist() == [0, 2]
    assert report.unseen == {"c": 1}
    ordered = fit(pa.table({"c": ["a", "b"]}), config(ordinal={"c": ("b", "z", "a")}))
    assert ordered.levels("c") == ["b", "a"]
    assert ordered.transform(pa.table({"c": ["z", "b"]}))["c"].to_pylist() == [0, 1]


def test_a_categorical_column_is_taken_by_its_values_not_by_its_codes() -> None:
    train = pd.DataFrame({"c": pd.Categorical(["a", "b", "c"])})
    later = pd.DataFrame({"c": pd.Categorical(["c", "a", None], categories=["c", "x", "a"])})
    fitted = fit(pa.Table.from_pandas(train), config(categorical=("c",)))
    assert fitted.transform(pa.Table.from_pandas(later))["c"].to_pylist() == [3, 1, 0]
    pieces = pa.concat_tables([pa.Table.from_pandas(later), pa.Table.from_pandas(train)])
    assert fitted.transform(pieces)["c"].to_pylist() == [3, 1, 0, 1, 2, 3]
    assert fit(pieces, config(categorical=("c",))).levels("c") == ["a", "b", "c"]


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint8(), pa.uint64()])
def test_dictionaries_may_have_codes_of_any_width(kind: pa.DataType) -> None:
    names = [f"{i:03}" for i in range(128)]
    values = pa.DictionaryArray.from_arrays(pa.array(range(128), kind), names)
    fitted = fit(pa.table({"c": values[:127]}), config(categorical=("c",)))
    report = TransformReport()
    codes = fitted.transform(pa.table({"c": values}), report=report)["c"].to_pylist()
    assert codes == [*range(1, 128), 0]
    assert report.unseen == {"c": 1}


def test_a_gap_in_a_column_without_gaps_in_training_is_filled_and_counted() -> None:
    fitted = fit(pa.table({"n": [1.0, 2.0, 6.0]}), config(continuous=("n",)))
    assert fitted.categorical == []
    report = TransformReport()
    encoded = fitted.transform(pa.table({"n": [None, 2.0, float("nan")]}), report=report)
    numbers = encoded["n"].to_numpy()
    assert numbers[0] == numbers[1] == numbers[2]
    assert report.rows == 3
    assert report.gaps == {"n": 2}


def test_columns_may_be_named_like_anything() -> None:
    names = ["c", "target", "", "two words", "Größe ü", "n_na", "text", "count", "x\ny"]
    table = pa.table({name: ["a", "b"] for name in names} | {"n": [1.0, None]})
    fitted = fit(table, config(categorical=tuple(names), continuous=("n",)))
    assert fitted.categorical == [*names, "n_na_na"]
    assert fitted.transform(table).column_names == [*names, "n_na_na", "n"]
    again = Preprocessor.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.transform(table).equals(fitted.transform(table))


# Statistics


def test_statistics_are_those_of_numpy() -> None:
    numbers = np.random.default_rng(0).normal(1e6, 3, 1001)
    table = pa.table({"n": numbers})
    mean = fit(table, config(continuous=("n",))).continuous_columns[0]
    assert mean.fill == np.median(numbers)
    assert mean.scale.center == pytest.approx(numbers.mean(), rel=1e-15)
    assert mean.scale.spread == pytest.approx(numbers.std(), rel=1e-9)
    robust = fit(table, _with(normalize=NormalizeConfig("robust"))).continuous_columns[0].scale
    low, high = np.quantile(numbers, [0.25, 0.75])
    assert (robust.center, robust.spread) == (np.median(numbers), high - low)
    scores = fit(table, _with(normalize=NormalizeConfig("quantile"))).transform(table)["n"]
    assert np.std(scores.to_numpy()) == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(np.argsort(scores.to_numpy()), np.argsort(numbers))


def _with(**options: Any) -> PreprocessingConfig:
    return PreprocessingConfig(ColumnsConfig(continuous=("n",)), **options)


def test_without_deviation_nothing_is_divided_by_zero() -> None:
    table = pa.table({"n": [0.1, 0.1, 0.1]})
    for method in ("mean", "robust", "quantile", "none"):
        fitted = fit(table, _with(normalize=NormalizeConfig(method)))  # type: ignore[arg-type]
        expected = np.float32(0.1 if method == "none" else 0)
        assert fitted.transform(table)["n"].to_pylist() == [expected] * 3


@pytest.mark.parametrize(
    ("options", "fill"),
    [
        (FillMissingConfig(), 2.5),
        (FillMissingConfig("most_frequent"), 1.0),
        (FillMissingConfig("constant", -7), -7.0),
    ],
)
def test_gaps_are_filled_by(options: FillMissingConfig, fill: float) -> None:
    table = pa.table({"n": [1.0, None, 4.0, 4.0, 1.0]})
    assert fit(table, _with(fill_missing=options)).continuous_columns[0].fill == fill


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([3, 10, None, 3], [3, 10]),
        ([True, False, None], [False, True]),
        ([10.0, 3.0, float("nan")], [3, 10]),
        ([0.5, 2.0], [0.5, 2.0]),
        (["10", "3"], ["10", "3"]),
        ([None, None], []),
        ([2**63 - 1, -5], [-5, 2**63 - 1]),
        (pa.array([2**64 - 1, 1], pa.uint64()), [1, 2**64 - 1]),
    ],
)
def test_levels_keep_their_type_and_order(values: list[Any], levels: list[Any]) -> None:
    table = pa.table({"c": values})
    fitted = fit(table, config(categorical=("c",)))
    assert fitted.levels("c") == levels
    assert [type(level) for level in fitted.levels("c")] == [type(level) for level in levels]
    again = Preprocessor.from_dict(json.loads(json.dumps(fitted.to_dict())))
    codes = fitted.transform(table)["c"].to_pylist()
    assert codes == again.transform(table)["c"].to_pylist()
    gaps = [value is None or value != value for value in table["c"].to_pylist()]
    assert [code == 0 for code in codes] == gaps


def test_whole_numbers_are_the_same_level_in_every_type() -> None:
    fitted = fit(pa.table({"c": [3, 10]}), config(categorical=("c",)))
    for same in ([10.0, None], ["10", ""], pa.array([10, None], pa.int8())):
        assert fitted.transform(pa.table({"c": same}))["c"].to_pylist() == [2, 0]


def test_rare_levels_share_the_code_of_the_unseen() -> None:
    table = pa.table({"c": ["a", "b", "a"]})
    fitted = fit(table, PreprocessingConfig(ColumnsConfig(("c",)), categorify=CategorifyConfig(2)))
    assert fitted.levels("c") == ["a"]
    assert fitted.categorical_columns[0].rare == 1
    assert fitted.transform(table)["c"].to_pylist() == [1, 0, 1]


# Anything


LEVEL = st.one_of(st.none(), st.sampled_from(["a", " a", "b", "", "?", "ü", "1"]), st.text("ab1"))
NUMBER = st.one_of(
    st.none(), st.floats(-3e38, 3e38), st.sampled_from([0.0, -0.0, 1.0, float("nan"), 1e-320])
)
ROWS = st.lists(st.tuples(LEVEL, NUMBER), max_size=30)
BOTH = config(categorical=("c",), continuous=("n",))


def rows_table(rows: list[tuple[str | None, float | None]]) -> pa.Table:
    return pa.table(
        {
            "c": pa.array([c for c, _ in rows], pa.string()),
            "n": pa.array([n for _, n in rows], pa.float64()),
        }
    )


def text(part: PartialFit) -> str:
    return json.dumps(part.finish().to_dict())


constant = PreprocessingConfig(BOTH.columns, fill_missing=FillMissingConfig("constant", 2))


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=3, max_size=5))
def test_merges_commute_and_associate_and_chunks_are_the_whole(parts: list[Any]) -> None:
    parts[0].append(("a", 1.0))
    fits = [PartialFit.of(rows_table(rows), constant) for rows in parts]
    whole = text(PartialFit.of(rows_table([row for rows in parts for row in rows]), constant))
    assert text(reduce(merge, fits)) == whole
    assert text(reduce(merge, fits[::-1])) == whole
    assert text(merge(fits[0], reduce(merge, fits[1:]))) == whole
    assert json.dumps(fit(map(rows_table, parts), constant).to_dict()) == whole


@settings(max_examples=60, deadline=None)
@given(
    ROWS,
    ROWS,
    st.sampled_from(["mean", "robust", "quantile", "none"]),
    st.sampled_from(["median", "most_frequent", "constant"]),
)
def test_anything_becomes_a_known_code_or_a_finite_number(
    train: Any, later: Any, method: Any, strategy: Any
) -> None:
    options = PreprocessingConfig(
        BOTH.columns,
        fill_missing=FillMissingConfig(strategy),
        normalize=NormalizeConfig(method, quantiles=5),
    )
    fitted = fit(rows_table([*train, ("a", 1.0)]), options)
    encoded = fitted.transform(rows_table(later))
    assert encoded.num_rows == len(later)
    for name, cardinality in fitted.cardinalities.items():
        codes = encoded[name].to_numpy()
        assert ((codes >= 0) & (codes < cardinality)).all()
    assert np.isfinite(encoded["n"].to_numpy()).all()
    again = Preprocessor.from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again == fitted
    assert again.hash == fitted.hash


# Bad tables


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"n": ["1", "x"]}, ["row 1 ", "'x'", "'n'"]),
        ({"n": [1.0, float("inf")]}, ["row 1 ", "infinite", "'n'"]),
        ({"n": [1.0, -1e300]}, ["row 1 ", "-1e+300", "'n'"]),
        ({"n": ["1", "inf"]}, ["row 1 ", "'inf'", "'n'"]),
        ({"m": [1.0]}, ["no column 'n'", "'m'"]),
        ({"n": [[1.0]]}, ["'n'", "list"]),
    ],
)
def test_a_bad_number_is_named_with_its_row(table: dict[str, Any], words: list[str]) -> None:
    fitted = fit(pa.table({"n": [1.0]}), config(continuous=("n",)))
    for attempt in (
        lambda: fit(pa.table(table), config(continuous=("n",))),
        lambda: fitted.transform(pa.table(table)),
    ):
        with pytest.raises(SourceError) as error:
            attempt()
        for word in words:
            assert word in str(error.value)


def test_rows_are_counted_through_all_chunks() -> None:
    chunks = [pa.table({"n": [1.0] * 5}), pa.table({"n": [1.0, float("inf")]})]
    with pytest.raises(SourceError, match="row 6 "):
        fit(chunks, config(continuous=("n",)))
    with pytest.raises(SourceError, match="row 16 "):
        fit([pa.table({"n": [1.0]})], config(continuous=("n",))).transform(chunks[1], first_row=15)


def test_nothing_to_fit_on() -> None:
    with pytest.raises(SourceError, match="no training rows"):
        fit([], config(continuous=("n",)))
    with pytest.raises(SourceError, match="'n' has no number"):
        fit(pa.table({"n": pa.nulls(3)}), config(continuous=("n",)))
    with pytest.raises(SourceError, match="'z' in 2 training rows"):
        fit(pa.table({"c": ["a", "z", "z"]}), config(ordinal={"c": ("a",)}))
    with pytest.raises(SourceError, match="encoded column"):
        fit(pa.table({"n": [1.0]}), config(continuous=("n",))).transform(
            pa.table({"n": [1.0]}), keep=("n",)
        )


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, "no column at all"),
        ({"categorical": ("a",), "continuous": ("a",)}, "'a' more than once"),
        ({"ordinal": {"a": ("x", "x")}}, "twice"),
        ({"ordinal": {"a": ("x", 1)}}, "several types"),
        ({"categorical": ("d_year",), "dates": ("d",)}, "'d_year'"),
    ],
)
def test_bad_columns(columns: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        config(**columns)


def test_texts_may_keep_their_blanks() -> None:
    as_is = PreprocessingConfig(ColumnsConfig(("c",)), text=TextConfig(strip=False, missing=()))
    assert fit(pa.table({"c": [" a", "a", ""]}), as_is).levels("c") == ["", " a", "a"]


def test_dates_become_parts() -> None:
    days = ["2024-02-29", "2024-12-25", None, " 2024-04-01"]
    options = PreprocessingConfig(
        ColumnsConfig(dates=("d",)), date_parts=DatePartsConfig(holidays="DE")
    )
    fitted = fit(pa.table({"d": days}), options)
    assert fitted.continuous == ["d_elapsed"]
    assert fitted.categorical[-1] == "d_elapsed_na"
    assert fitted.levels("d_month") == [2, 4, 12]
    assert fitted.levels("d_is_month_end") == [False, True]
    assert fitted.levels("d_holiday") == ["Christmas Day", "Easter Monday", "no holiday"]
    encoded = fitted.transform(pa.table({"d": days}))
    assert encoded["d_month"].to_pylist() == [1, 3, 0, 2]
    assert encoded["d_is_month_end"].to_pylist() == [2, 1, 0, 1]


@pytest.mark.parametrize(
    ("days", "years"),
    [
        (["2024-01-01T23:30:00Z", "2025-01-01 00:30+01:00"], [2024]),
        ([datetime.date(1, 1, 1), datetime.date(9999, 12, 31)], [1, 9999]),
        ([datetime.datetime(2024, 5, 1, 3), None], [2024]),
        (pd.to_datetime(["2023-12-31 23:30"]).tz_localize("America/New_York"), [2023]),
        (pa.array(["2024-01-01", ""]).dictionary_encode(), [2024]),
    ],
)
def test_dates_come_in_many_types(days: Any, years: list[int]) -> None:
    table = pa.table({"d": pa.array(days)})
    assert fit(table, config(dates=("d",))).levels("d_year") == years


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (["2024-01-01", "2024-13-01"], ["row 1 ", "'2024-13-01'", "'d'"]),
        (["2024-01-01", "2024-01-01T10:00Z"], ["row 1 ", "offset"]),
        ([5], ["'d'", "int64"]),
    ],
)
def test_what_is_no_date_is_named_with_its_row(days: Any, words: list[str]) -> None:
    with pytest.raises(SourceError) as error:
        fit(pa.table({"d": days}), config(dates=("d",)))
    for word in words:
        assert word in str(error.value)


def test_holidays_of_an_unknown_country() -> None:
    with pytest.raises(ValueError, match="'XX'"):
        DatePartsConfig(holidays="XX")


def test_an_infinite_number_is_no_level() -> None:
    with pytest.raises(SourceError, match=r"'c' holds -?inf"):
        fit(pa.table({"c": [0.5, float("inf")]}), config(categorical=("c",)))
