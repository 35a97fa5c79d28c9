import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog
from kedro.io.core import AbstractDataset, DatasetError

from gradual.sources.tables import of_table

TABLE = pa.table({"n": [1, 2, 3], "c": ["a", None, "b"]})


def dataset(**entry: Any) -> AbstractDataset[Any, Any]:
    return DataCatalog.from_config({"data": {"type": "gradual.io.TableDataset", **entry}}).get(
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
        assert dataset(**entry, load_as="arrow").load().num_rows == 3
        assert list(dataset(**entry, load_as="pandas").load().columns) == ["n", "c"]
        assert data.preview(nrows=1)["data"] == [[1, "a"]]


def test_what_is_not_there_does_not_exist(tmp_path: Path, database: str) -> None:
    assert not dataset(filepath=str(tmp_path / "t.csv")).exists()
    assert not dataset(table="nothing", con=database).exists()
    with pytest.raises(DatasetError, match="does not exist"):
        dataset(filepath=str(tmp_path / "t.csv")).load()
    with pytest.raises(DatasetError, match="nothing"):
        dataset(table="nothing", con=database, load_as="arrow").load()


def test_the_lessons_table_is_taken_from_the_mirror(
    mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADUAL_MIRROR", str(mirror))
    url = "https://s3.amazonaws.com/fast-ai-sample/adult_sample.tgz"
    assert dataset(url=url, load_as="arrow").load().num_rows == 32_561


def test_shards_are_saved(tmp_path: Path) -> None:
    data = dataset(filepath=str(tmp_path / "new" / "shards"))
    assert not data.exists()
    for table in (TABLE, TABLE.to_pandas(), of_table(TABLE)):
        data.save(table)
        assert data.load().read().to_pylist() == TABLE.to_pylist()
    with pytest.raises(DatasetError, match="name a folder"):
        dataset(filepath=str(tmp_path / "t.csv")).save(TABLE)


def test_passwords_are_not_shown() -> None:
    data = dataset(table="t", credentials={"con": "postgresql://me:secret@host/db"})
    assert "secret" not in str(data)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"filepath": "t.csv", "table": "t", "con": "sqlite://"},
        {"table": "t"},
        {"table": "t", "query": "SELECT 1", "con": "sqlite://"},
        {"filepath": "t.csv", "con": "sqlite://"},
        {"filepath": "t.csv", "load_as": "polars"},
    ],
)
def test_bad_entries(entry: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match=r"TableDataset needs|load_as is"):
        dataset(**entry)
