import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gradual.retraining.contract import ColumnKind, ColumnRules, Contract, infer
from gradual.sources.errors import SourceError
from gradual.sources.reader import open_source

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
KINDS: dict[str, ColumnKind] = {
    "age": "continuous",
    "job": "categorical",
    "shop": "categorical",
    "text": "text",
    "day": "date",
    "user": "user",
    "stars": "rating",
    "pay": "label",
}


def _people(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.integers(17, 91, count),
            "job": rng.choice(["clerk", "baker", "garçon"], count),
            "shop": rng.integers(1, 6, count),
            "text": [f"It was {word} at {n} o'clock." for n, word in enumerate(["fine"] * count)],
            "day": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(rng.integers(0, 1000, count), unit="D"),
            "user": rng.integers(1, 10**6, count),
            "stars": rng.choice([0.5, 3.0, 5.0], count),
            "pay": rng.choice(["<50k", ">=50k"], count),
        }
    )


def _table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.fixture(scope="module")
def contract() -> Contract:
    return infer(_table(_people(2000)), KINDS, now=NOW, partition_rows=[400, 600, 1000])


def test_ordinary_new_rows_keep_an_inferred_contract(contract: Contract) -> None:
    new = _people(500, seed=1)
    new["age"] += 20  # up to 110
    new.loc[:20, "job"] = "judge"
    new.loc[21:30, "age"] = None
    new["user"] += 10**7
    broken = contract.check(_table(new), now=NOW)
    assert broken.reasons.empty
    assert broken.table_wide == ()
    assert broken.remarks == ("job has 1 new level in 21 rows: 'judge'",)
    assert broken.summary() == "all 500 rows keep the contract"


def _with(column: str, row: int, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def damage(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object)
        values[row] = value
        if isinstance(value, str):  # as a file with this value is read
            values = values.map(str)
        return frame.assign(**{column: values})

    return damage


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("age", 214, "age is 214: more than 130"),
        ("age", -3, "age is -3: less than 0"),
        ("age", "forty", "age is 'forty': not a number"),
        ("age", float("inf"), "age is inf: not a number"),
        ("shop", "A12", "shop is 'A12': not a whole number"),
        ("text", " \n", "text is ' \\n': empty"),
        ("text", "It was fine at the cafÃ©.", "signs of a wrong encoding"),
        ("job", "gar�on", "job is 'gar�on': signs of a wrong encoding"),
        ("day", pd.Timestamp("2027-01-01"), "day is 2027-01-01 00:00:00: in the future"),
        ("day", pd.Timestamp("1900-01-01"), "day is 1900-01-01 00:00:00: before 2021-04-"),
        ("day", "tomorrow", "day is 'tomorrow': not a date"),
        ("user", None, "user is empty"),
        ("user", -1, "user is -1: less than 0"),
        ("stars", 10.0, "stars is 10: more than 5"),
        ("pay", "<50K", "pay is '<50K': not one of '<50k', '>=50k'"),
        ("pay", "?", "pay is '?': empty"),
    ],
)
def test_a_broken_value_is_named_with_its_row_and_reason(
    contract: Contract, column: str, value: object, reason: str
) -> None:
    damaged = _with(column, 7, value)(_people(300, seed=2))
    broken = contract.check(_table(damaged), now=NOW)
    assert broken.rows.tolist() == [7]
    (line,) = broken.reasons.itertuples()
    assert (line.row, line.column) == (7, column)
    assert reason in line.reason
    assert broken.table_wide == ()
    frame = broken.frame("2026-11-20.csv")
    assert list(frame) == ["partition", "row", "column", "value", "reason"]
    assert frame["partition"].tolist() == ["2026-11-20.csv"]


def _shifted(frame: pd.DataFrame) -> pd.DataFrame:
    texts = frame.astype(str)
    return texts.set_axis([*frame.columns[1:], frame.columns[0]], axis=1)[list(frame.columns)]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: f.rename(columns={"age": "Age"}), "'age' is missing (renamed to 'Age'?)"),
        (lambda f: f.drop(columns="pay"), "'pay' is missing"),
        (lambda f: f.assign(age=f["age"] / 1000), "median of age is"),
        (lambda f: f.assign(job=None), "job has no value in 100.0% of the rows: more than 5.0%"),
        (lambda f: f.assign(job=f["job"].str.upper()), "job has levels that are not known"),
        (lambda f: f.head(39), "39 rows: fewer than 40"),
        (_shifted, "job has levels that are not known"),
    ],
)
def test_a_partition_that_is_wrong_as_a_whole_is_named(
    contract: Contract, damage: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    broken = contract.check(_table(damage(_people(300, seed=3))), now=NOW)
    assert any(message in said for said in broken.table_wide)
    assert message in broken.summary()


def test_other_units_and_shifted_columns_break_nearly_all_rows(contract: Contract) -> None:
    new = _people(300, seed=3)
    broken = contract.check(_table(new.assign(age=new["age"] * 1000)), now=NOW)
    assert broken.share == 1
    assert "300 of 300 rows (100.00%) break the contract: age is" in broken.summary()
    assert contract.check(_table(_shifted(new)), now=NOW).share == 1


def test_a_header_that_is_there_twice_is_one_broken_row(contract: Contract, tmp_path: Path) -> None:
    written = _people(60, seed=4).to_csv(index=False)
    header = written.splitlines(keepends=True)[0]
    (tmp_path / "new.csv").write_text(written + header)
    table = open_source(tmp_path / "new.csv").read()
    assert pa.types.is_string(table["age"].type)
    broken = contract.check(table, now=NOW)
    assert broken.rows.tolist() == [60]
    assert {"age is 'age': not a number", "day is 'day': not a date"} <= set(
        broken.reasons["reason"]
    )
    sound = contract.cast(table.slice(0, 60))
    assert sound["age"].to_pylist() == _people(60, seed=4)["age"].tolist()


def test_chunks_are_checked_as_one_partition(contract: Contract) -> None:
    new = _people(300, seed=5)
    new["job"] = new["job"].astype(object)
    new.loc[100:, "job"] = None  # 2 of 3, all in the last chunks
    new.loc[[5, 250], "age"] = 999
    table = _table(new)
    whole = contract.check(table, now=NOW)
    parts = contract.check((table.slice(n, 70) for n in range(0, 300, 70)), now=NOW)
    pd.testing.assert_frame_equal(parts.reasons, whole.reasons)
    assert parts.rows.tolist() == [5, 250]
    assert parts.table_wide == whole.table_wide != ()
    assert parts.by_rule()[["column", "rule", "rows"]].to_numpy().tolist() == [
        ["age", "more than 130", 2]
    ]


def test_a_share_of_few_rows_has_to_be_above_the_limit_for_sure() -> None:
    contract = Contract({"job": ColumnRules("text", gaps=0.05)})
    assert contract.check(pa.table({"job": [None, *"abcdefghi"]})).table_wide == ()
    assert contract.check(pa.table({"job": [None] * 5 + list("abcde")})).table_wide != ()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([-5.0, 15.0], "continuous", ColumnRules("number", lowest=-15, highest=25, gaps=0.05)),
        ([3.0, 3.0], "continuous", ColumnRules("number", 0, least_median=1, gaps=0.05)),
        ([1.0, None, 2.0], "target", ColumnRules("number", 0.5, 2.5, least_median=0.35, gaps=0.72)),
        ([None, None], "categorical", ColumnRules("text")),
        ([True, False], "label", ColumnRules("boolean", gaps=0, unseen=0, known=(False, True))),
        ([1.0, 0.0], "label", ColumnRules("integer", gaps=0, unseen=0, known=(0, 1))),
        (["u1", "u2"], "user", ColumnRules("text", gaps=0, garbled=0)),
        (["good"], "text", ColumnRules("text", longest=1000, gaps=0, garbled=0)),
        ([1_600_000_000], "date", ColumnRules("seconds", date(2019, 9, 14), None, 2, gaps=0)),
        ([16 * 10**11], "date", ColumnRules("milliseconds", date(2019, 9, 14), None, 2, gaps=0)),
        ([date(2027, 11, 20)], "date", ColumnRules("date", date(2026, 11, 20), None, 548, gaps=0)),
    ],
)  # fmt: skip
def test_inferred_rules(values: list, kind: ColumnKind, expected: ColumnRules) -> None:
    found = infer(pa.table({"x": values}), {"x": kind}, now=NOW).columns["x"]
    assert found == expected


def test_small_nights_may_follow_a_large_past() -> None:
    rows = _table(_people(200))
    contract = infer(rows, KINDS, partition_rows=[200], now=NOW)
    assert contract.check(rows.slice(0, 2), now=NOW).table_wide == ()
    assert "rows: more than 2,000" in contract.check(_table(_people(2001))).summary()


@pytest.mark.parametrize("values", [[0, 0], [0, 1], ["a"] * 50, ["a", "b", "c"]])
def test_levels_of_which_all_next_ones_may_be_new_are_only_counted(values: list) -> None:
    contract = infer(pa.table({"x": values}), {"x": "categorical"})
    new = pa.table({"x": [7] * 100}) if values[0] == 0 else pa.table({"x": ["z"] * 100})
    broken = contract.check(new)
    assert [said for said in broken.table_wide if "levels" in said] == []
    assert broken.remarks[0].startswith("x has 1 new level in 100 rows")


@pytest.mark.parametrize("values", [list(range(300)), [f"level {n}" for n in range(300)]])
def test_levels_that_keep_coming_are_not_listed(values: list) -> None:
    assert infer(pa.table({"x": values}), {"x": "categorical"}).columns["x"].known is None


def test_the_same_values_pass_in_whatever_type_a_file_gives_them() -> None:
    rows = pa.table({"id": [1, 2], "flag": [True, False], "zip": ["01234", "A1"]})
    contract = infer(rows, {"id": "item", "flag": "label", "zip": "categorical"})
    other = pa.table(
        {
            "id": ["1", "9007199254740993"],
            "flag": pa.array(["True", " false"]).dictionary_encode(),
            "zip": [1234.0, 5.5],
        }
    )
    assert contract.check(other).reasons.empty
    cast = contract.cast(other)
    assert cast.to_pydict() == {
        "id": [1, 9007199254740993],
        "flag": [True, False],
        "zip": ["1234", "5.5"],
    }
    wrong = contract.check(pa.table({"id": [1.5], "flag": [2], "zip": [b"x"]}))
    assert wrong.reasons["reason"].tolist() == [
        "id is 1.5: not a whole number",
        "flag is 2: neither true nor false",
    ]


def test_an_edited_contract_is_read_back(contract: Contract) -> None:
    text = contract.to_yaml()
    assert Contract.from_yaml(text, "contract.yml") == contract
    edited = text.replace("highest: 130", "highest: 120").replace("'>=50k']", "'>=50k', none]")
    found = Contract.from_yaml(edited, "contract.yml")
    assert found.columns["age"] == replace(contract.columns["age"], highest=120)
    new = _people(50, seed=6).assign(pay="none")
    new.loc[3, "age"] = 125
    broken = found.check(_table(new), now=NOW)
    assert broken.reasons["reason"].tolist() == ["age is 125: more than 120"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("highest: 130", "hihgest: 130", "columns.age.hihgest is no rule: did you mean highest?"),
        ("highest: 130", "highest: -5", "columns.age.lowest is 0, which is above highest, -5"),
        ("highest: 130", "highest: many", "columns.age.highest is 'many': give a number"),
        ("highest: 130", "longest: 130", "columns.age.longest is for the types text"),
        ("highest: 130", "lowest: 1", "columns.age.lowest stands in line"),
        ("highest: 130", "highest: [1", "is no YAML"),
        ("type: date", "type: day", "columns.day.type is 'day': choose among number, integer"),
        ("days_ahead: 2", "days_ahead: 1.5", "columns.day.days_ahead is 1.5: give a whole number"),
        ("lowest: 2021", "lowest: 2021-02-31 #", "is no YAML"),
        ("gaps: 0.05", "gaps: 5", "gaps is 5: give a share of the rows, from 0 to 1"),
        ("[<50k,", "[yes,", "columns.pay.known has True, not a text: put it in quotes"),
        ("least: 40", "least: few", "rows.least is 'few': give a number of rows"),
        ("columns:", "colums:", "colums is no rule: did you mean columns?"),
        ("rows:", "- rows:", "is no YAML"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_with_its_line(
    contract: Contract, old: str, new: str, message: str
) -> None:
    text = contract.to_yaml()
    assert old in text
    edited = text.replace(old, new, 1)
    with pytest.raises(SourceError) as refused:
        Contract.from_yaml(edited, "contract.yml")
    assert message in str(refused.value)
    if "YAML" not in message:
        line = int(re.search(r"contract.yml line (\d+)", str(refused.value))[1])  # type: ignore[index]
        assert message.split(" ")[0].rsplit(".", 1)[-1] in edited.splitlines()[line - 1]


def test_columns_that_are_not_what_they_are_listed_as_are_refused() -> None:
    table = pa.table({"job": ["clerk"] * 10})
    with pytest.raises(SourceError, match="listed under continuous, but 10 of its values are not"):
        infer(table, {"job": "continuous"})
    with pytest.raises(SourceError, match="no column 'pay'"):
        infer(table, {"pay": "label"})


def test_half_of_a_real_table_keeps_the_contract_of_the_other(mirror: Path) -> None:
    table = open_source(mirror / "adult_sample.tgz").read()
    numbers = ("age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week")
    kinds: dict[str, ColumnKind] = dict.fromkeys(table.column_names, "categorical")
    kinds |= dict.fromkeys(numbers, "continuous")
    kinds["salary"] = "label"
    half = np.random.default_rng(0).random(table.num_rows) < 0.5
    contract = infer(table.filter(pa.array(half)), kinds)
    broken = contract.check(table.filter(pa.array(~half)))
    assert broken.summary() == f"all {(~half).sum():,} rows keep the contract"
