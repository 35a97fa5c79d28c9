import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from kedro.io import DataCatalog
from kedro.io.core import DatasetError

from gradual.io import ArrivalsDataset, KeptRowsDataset, RowsDataset
from gradual.retraining.config import RetrainConfig
from gradual.retraining.kept_rows import KeptRows


def dataset(**entry: Any) -> ArrivalsDataset:
    catalog = {"data": {"type": "gradual.io.ArrivalsDataset", **entry}}
    made = DataCatalog.from_config(catalog).get("data")
    assert isinstance(made, ArrivalsDataset)
    return made


def names(loaded: Any) -> list[str]:
    return [partition.name for partition in loaded]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "arrivals").mkdir()
    for name in ("2026-11-21.csv", "2026-11-20.csv", ".hidden.csv", "_SUCCESS", "x.csv.PART"):
        (tmp_path / "arrivals" / name).write_text("n,c\n1,a\n")
    return tmp_path / "arrivals"


def test_each_file_of_a_folder_is_a_partition(folder: Path) -> None:
    loaded = dataset(filepath=str(folder)).load()
    assert names(loaded) == ["2026-11-20.csv", "2026-11-21.csv"]
    assert isinstance(loaded, tuple)
    assert loaded[0].open().read().to_pylist() == [{"n": 1, "c": "a"}]
    assert loaded[0].hash == loaded[1].hash  # of the content
    (folder / "2026-11-21.csv").write_text("n,c\n2,a\n")
    assert dataset(filepath=str(folder)).load()[1].hash != loaded[1].hash
    # One that is read otherwise is another.
    otherwise = dataset(filepath=str(folder), types={"n": "string"}).load()
    assert otherwise[0].hash != loaded[0].hash
    assert otherwise[0].open().read()["n"].to_pylist() == ["1"]
    assert dataset(filepath=str(folder)).preview()["data"] == [[1, "a"]]


def test_files_of_several_kinds_arrive_together(folder: Path, tmp_path: Path) -> None:
    pd.DataFrame({"c": ["a"], "n": [1.0]}).to_parquet(folder / "2026-11-22.parquet")
    (folder / "2026-11-23.txt.zip").write_bytes(b"no archive")
    kept = KeptRows(tmp_path / "kept")
    arrived = kept.take_in(dataset(filepath=str(folder)).load())
    assert len(arrived.taken_in) == 3
    assert "no archive" in arrived.unreadable["2026-11-23.txt.zip"]


def test_folders_of_text_files_are_partitions_each(tmp_path: Path) -> None:
    for night in ("monday", "tuesday"):
        (tmp_path / "reviews" / night / "pos").mkdir(parents=True)
        (tmp_path / "reviews" / night / "pos" / "1.txt").write_text(night)
    entry = {"filepath": str(tmp_path / "reviews"), "pattern": "*/{label}/*.txt"}
    monday, tuesday = dataset(**entry).load()
    assert (monday.name, tuesday.name) == ("monday", "tuesday")
    assert monday.open().read().select(["text", "label"]).to_pylist() == [
        {"text": "monday", "label": "pos"}
    ]
    (tmp_path / "reviews" / "monday" / "pos" / "1.txt").write_text("later")
    again = dataset(**entry).load()
    assert [again[0].hash == monday.hash, again[1].hash == tuesday.hash] == [False, True]


def test_joins_are_made_for_each_partition(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text("n,name\n1,one\n")
    joins = [{"filepath": str(tmp_path / "names.csv"), "on": "n"}]
    (first, _) = dataset(filepath=str(folder), joins=joins).load()
    assert first.open().read()["name"].to_pylist() == ["one"]


def test_any_other_source_is_one_partition(tmp_path: Path) -> None:
    assert dataset().load() is None
    assert KeptRows(tmp_path / "kept").take_in(None).rows == 0
    path = tmp_path / "t.csv"
    path.write_text("n,c\n1,a\n2,b\n")
    kept = KeptRows(tmp_path / "kept")

    def take_in() -> tuple[Any, ...]:
        arrived = kept.take_in(dataset(filepath=str(path)).load())
        accept(kept)
        return arrived.taken_in, arrived.corrected, arrived.unchanged

    assert take_in() == (("source",), (), 0)
    path.write_text("n,c\n2,b\n1,a\n")  # the same rows in another order
    assert take_in() == ((), (), 1)
    path.write_text("n,c\n2,b\n1,a\n3,a\n")
    assert take_in() == (("source",), ("source",), 0)
    assert kept.new_rows().num_rows == 3


def accept(kept: KeptRows) -> None:
    for version in kept.to_check("rules"):
        kept.accept(version, [], "rules")


class Shop:
    """A table that grows, and what is kept of it."""

    def __init__(self, folder: Path, **entry: str) -> None:
        self.path = folder / "shop.db"
        with sqlite3.connect(self.path) as connection:
            connection.execute("CREATE TABLE orders (id INTEGER, at, price REAL)")
        self.kept = KeptRows(folder / "kept")
        self.entry = {"watermark": "at", "con": f"sqlite:///{self.path}", "table": "orders"} | entry

    def grow(self, *rows: Sequence[Any]) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)

    def take_in(self) -> int:
        entry = {name: value for name, value in self.entry.items() if value}
        rows = self.kept.take_in(dataset(**entry).load()).rows
        accept(self.kept)
        return rows

    def ids(self, *key: str) -> list[int]:
        split = self.kept.split(RetrainConfig(key=key))
        return sorted(row["id"] for table in split for row in table.to_pylist())


@pytest.mark.parametrize("entry", [{}, {"table": "", "query": "SELECT id, at, price FROM orders"}])
def test_of_a_table_the_rows_beyond_the_watermark_arrive(
    tmp_path: Path, entry: dict[str, str]
) -> None:
    shop = Shop(tmp_path, **entry)
    assert shop.take_in() == 0
    shop.grow((1, "2026-11-20", 1.0), (2, "2026-11-21", 1.0), (3, None, 1.0))
    assert shop.take_in() == 2  # one has no watermark
    assert shop.take_in() == 0
    assert shop.kept.watermark == "2026-11-21"
    # One of the same day comes later, and one of an earlier day, which is passed over.
    shop.grow((4, "2026-11-21", 1.0), (5, "2026-11-22", 1.0), (6, "2026-11-01", 1.0))
    assert shop.take_in() == 2
    assert shop.ids() == [1, 2, 4, 5]
    assert shop.take_in() == 0


def test_numbers_are_watermarks_in_their_own_order(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.grow((1, 9, 1.0))
    assert shop.take_in() == 1
    shop.grow((2, 10, 1.0))
    assert shop.take_in() == 1
    shop.grow((3, 100, 1.0))
    assert shop.take_in() == 1
    assert shop.kept.watermark == 100
    assert shop.ids() == [1, 2, 3]


def test_a_row_that_comes_again_with_its_key_replaces_the_older_one(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.grow((1, 1, 1.0), (2, 2, 1.0), (2, 3, 2.0))
    shop.take_in()
    shop.grow((1, 4, 7.0))
    shop.take_in()
    assert shop.ids() == [1, 1, 2, 2]
    assert shop.ids("id") == [1, 2]
    rows = [
        row for table in shop.kept.split(RetrainConfig(key=("id",))) for row in table.to_pylist()
    ]
    assert sorted((row["id"], row["price"]) for row in rows) == [(1, 7.0), (2, 2.0)]


def test_rows_that_are_refused_are_looked_at_again_with_those_that_come(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.grow((1, 1, 1.0))
    shop.take_in()
    shop.grow((2, 2, -1.0))
    load = dataset(**shop.entry).load
    shop.kept.take_in(load())
    (version,) = shop.kept.to_check("rules")
    shop.kept.refuse(version, "a negative price", "rules")
    assert shop.kept.watermark == 1
    assert list(shop.kept.take_in(load()).refused.values()) == ["a negative price"]
    assert shop.kept.to_check("rules") == ()
    with sqlite3.connect(shop.path) as connection:
        connection.execute("UPDATE orders SET price = 1 WHERE id = 2")
    shop.grow((3, 3, 1.0))
    assert shop.take_in() == 2
    assert shop.ids() == [1, 2, 3]


def test_a_partition_that_stricter_rules_refuse_is_not_lost_nor_another_one(
    tmp_path: Path,
) -> None:
    shop = Shop(tmp_path)
    for number in (1, 2, 3):
        shop.grow((number, number, 1.0))
        shop.take_in()
    for version in shop.kept.to_check("strict"):
        if version.name.endswith("2"):
            shop.kept.refuse(version, "strictly", "strict")
        else:
            shop.kept.accept(version, [], "strict")
    assert shop.ids() == [1, 3]
    shop.grow((4, 4, 1.0))
    assert shop.take_in() == 1  # by looser rules
    assert [version.name[-1] for version in shop.kept.accepted] == ["1", "2", "3", "4"]
    assert shop.ids() == [1, 2, 3, 4]


def test_a_watermark_is_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="files have none"):
        dataset(filepath=str(tmp_path), watermark="at")


def test_passwords_are_no_part_of_a_hash(folder: Path) -> None:
    def hash_of(password: str) -> str:
        other = {"table": "t", "con": f"postgresql://me:{password}@host/db", "on": "n"}
        return dataset(filepath=str(folder), joins=[other]).load()[0].hash

    assert hash_of("one") == hash_of("two")


def test_rows_between_nodes_are_rows_of_a_source(tmp_path: Path) -> None:
    rows = RowsDataset(filepath=tmp_path / "training_rows.parquet")
    assert rows.load() is None
    assert not rows.exists()
    table = pa.table({"n": [1, None], "c": ["a", "b"]})
    rows.save(table)
    assert rows.load().read().equals(table)
    assert rows.preview(1)["data"] == [[1, "a"]]
    with pytest.raises(DatasetError, match="no table"):
        rows.save([1])  # type: ignore[arg-type]
    assert rows.load().read().equals(table)


def test_kept_rows_are_a_handle_to_a_folder(tmp_path: Path) -> None:
    data = KeptRowsDataset(filepath=tmp_path / "kept")
    kept = data.load()
    assert isinstance(kept, KeptRows)
    assert not data.exists()
    with pytest.raises(DatasetError, match="an input of the node"):
        data.save(kept)
