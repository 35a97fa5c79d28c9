import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog
from kedro.io.core import AbstractDataset, DatasetError

from gradual.sources.errors import SourceError

TABLE = pa.table({"n": [1, 2, 3], "c": ["a", None, "b"]})


def dataset(**entry: Any) -> AbstractDataset[Any, Any]:
    return DataCatalog.from_config({"data": {"type": "gradual.io.SourceDataset", **entry}}).get(
        "data"
    )


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        TABLE.to_pandas().to_sql("the sales", connection, index=False)
    return f"sqlite:///{tmp_path / 'shop.db'}"


def test_each_source_gives_the_same_table(tmp_path: Path, database: str) -> None:
    TABLE.to_pandas().to_csv(tmp_path / "t.csv", index=False)
    pq.write_table(TABLE, tmp_path / "t.parquet")
    (tmp_path / "shards").mkdir()
    for i in range(3):
        pq.write_table(TABLE.slice(i, 1), tmp_path / "shards" / f"{i}.parquet")
    entries: list[dict[str, Any]] = [
        {"filepath": str(tmp_path / "t.csv")},
        {"filepath": str(tmp_path / "t.parquet")},
        {"filepath": str(tmp_path / "shards")},
        {"table": "the sales", "con": database},
        {"query": 'SELECT * FROM "the sales" ORDER BY n', "credentials": {"con": database}},
    ]
    for entry in entries:
        data = dataset(**entry)
        assert data.exists()
        rows = [row for chunk in data.load().chunks() for row in chunk.to_pylist()]
        assert [row["n"] for row in rows] == [1, 2, 3]
        assert [row["c"] or "" for row in rows] == ["a", "", "b"]
        assert data.preview(nrows=1)["data"] == [[1, "a"]]


def test_what_is_not_there_does_not_exist(tmp_path: Path, database: str) -> None:
    assert not dataset(filepath=str(tmp_path / "t.csv")).exists()
    assert not dataset(table="nothing", con=database).exists()
    with pytest.raises(DatasetError, match="does not exist"):
        dataset(filepath=str(tmp_path / "t.csv")).load()
    with pytest.raises(SourceError, match="nothing"):
        dataset(table="nothing", con=database).load().read()


def test_the_lessons_table_is_taken_from_the_mirror(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUAL_MIRROR", str(mirror))
    url = "https://s3.amazonaws.com/fast-ai-sample/adult_sample.tgz"
    assert dataset(url=url).load().read().num_rows == 32_561


def test_a_source_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="never write"):
        dataset(filepath=str(tmp_path / "t.csv")).save(TABLE)


def test_an_entry_that_names_nothing_has_no_rows() -> None:
    data = dataset()
    assert data.load() is None
    assert data.exists()
    assert data.preview()["data"] == []


def test_how_rows_are_written_is_said_in_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes("1;é\n".encode("latin-1"))
    data = dataset(
        filepath=str(tmp_path / "t.txt"),
        separator=";",
        columns=["n", "c"],
        encoding="latin-1",
        types={"n": "string"},
    )
    assert data.load().read().to_pylist() == [{"n": "1", "c": "é"}]
    (tmp_path / "x" / "train" / "good").mkdir(parents=True)
    (tmp_path / "x" / "train" / "good" / "1.txt").write_text("Fine")
    texts = dataset(filepath=str(tmp_path / "x"), pattern="*/{part}/{label}/*.txt")
    assert texts.preview(nrows=1)["columns"] == ["source", "text", "part", "label"]


def test_joins_and_derived_columns_are_said_in_the_catalog(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("shop,date,sales\na,2024-01-01,5\nb,2024-01-08,6\n")
    (tmp_path / "shops.txt").write_text("shop;opened\na;2023-11-01\n")
    (tmp_path / "new.csv").write_text("shop,date\na,2024-01-08\n")
    joins = [{"filepath": str(tmp_path / "shops.txt"), "on": "shop"}]
    derive = [
        {"name": "age", "months_between": ["opened", "date"]},
        {"name": "week_ago", "lag": "sales", "days": 7, "date": "date", "group": "shop"},
    ]
    settings = {"joins": joins, "derive": derive}
    data = dataset(filepath=str(tmp_path / "train.csv"), **settings)
    assert data.load().read()["age"].to_pylist() == [2, None]
    history = {"filepath": str(tmp_path / "train.csv")}
    new = dataset(filepath=str(tmp_path / "new.csv"), **settings, history=history)
    assert new.load().read().select(["age", "week_ago"]).to_pylist() == [{"age": 2, "week_ago": 5}]
    assert new.preview(nrows=1)["columns"] == ["shop", "date", "opened", "age", "week_ago"]


def test_passwords_are_not_shown() -> None:
    data = dataset(table="t", credentials={"con": "postgresql://me:secret@host/db"})
    assert "secret" not in str(data)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"filepath": "t.csv", "table": "t", "con": "sqlite://"}, "and not both"),
        ({"table": "t"}, "no con"),
        ({"table": "t", "query": "SELECT 1", "con": "sqlite://"}, "and not both"),
        ({"filepath": "t.csv", "con": "sqlite://"}, "a con"),
        ({"filepath": "t.csv", "header": ["a"]}, "'header' is no setting .*columns"),
        ({"filepath": "t.csv", "encoding": "nonsense"}, "encoding is 'nonsense'"),
        ({"filepath": "t.csv", "types": {"a": "nonsense"}}, "types: .*nonsense"),
        ({"filepath": "t", "format": "texts"}, "pattern is not given"),
        ({"filepath": "t.csv", "joins": [{"filepath": "u.csv"}]}, "in `on` by which columns"),
        ({"filepath": "t.csv", "joins": [{"on": "a"}]}, "where the table is"),
        ({"filepath": "t.csv", "derive": [{"name": "x", "since": "y"}]}, "'since'; there are"),
        ({"filepath": "t.csv", "history": {"filepath": "u.csv"}}, "only looked at by derive"),
    ],
)
def test_bad_entries(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        dataset(**entry)
