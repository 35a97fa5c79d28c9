import sqlite3
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradual.sources import tables as sources
from gradual.sources.tables import SqlRows, of_table, open_table
from gradual.tabular.columns import TableError

TABLE = pa.table({"n": [1, 2, None], "c": ["a", " b", None]})


def test_a_folder_of_shards_is_one_table(tmp_path: Path) -> None:
    for i in range(3):
        pq.write_table(TABLE.slice(i, 1), tmp_path / f"part-{i}.parquet")
    (tmp_path / "_SUCCESS").touch()
    source = open_table(tmp_path)
    assert source.read().equals(TABLE)
    assert [chunk.num_rows for chunk in source.chunks()] == [1, 1, 1]
    assert source.map(lambda chunk: chunk.select(["c"])).read().equals(TABLE.select(["c"]))


def test_csv_shards_may_have_columns_of_different_types(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,c\n1,x\n")
    (tmp_path / "b.csv").write_text("n,c\n0.5,y\n")
    assert open_table(tmp_path).read().to_pydict() == {"n": [1.0, 0.5], "c": ["x", "y"]}
    (tmp_path / "c.csv").write_text("n,d\n2,y\n")
    with pytest.raises(TableError, match="same columns"):
        open_table(tmp_path).read()


def test_a_large_csv_file_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_WHOLE_CSV_BYTES", 0)
    monkeypatch.setattr(sources, "_CSV_BLOCK_BYTES", 100)
    path = tmp_path / "t.csv"
    rows = [f'{i},"{i}\n x",' for i in range(100)]
    path.write_text("\n".join(["n,c,late", *rows, '0.5,y,"z"']) + "\n")
    source = open_table(path)
    assert len(list(source.chunks())) > 5
    assert source.read()["n"].to_pylist() == [*map(float, range(100)), 0.5]
    assert source.read()["late"].to_pylist()[-1] == "z"
    path.write_text("\n".join(["n", *["1"] * 100, "x"]) + "\n")
    with pytest.raises(TableError, match=r"t\.csv .*'n'.*types"):
        source.read()
    as_text = open_table(path, types={"n": "string"}).read()
    assert as_text["n"].to_pylist()[-1] == "x"


def test_tsv_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("1\ta,b\n")
    source = open_table(tmp_path / "t.tsv", header=("n", "c"), types={"n": "string"})
    assert source.read().to_pylist() == [{"n": "1", "c": "a,b"}]


def test_the_lessons_table_comes_out_of_its_archive(mirror: Path) -> None:
    table = open_table(mirror / "adult_sample.tgz").read()
    assert table.num_rows == 32_561
    assert table["workclass"][0].as_py() == " Private"


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere\.csv does not exist"):
        open_table(tmp_path / "nowhere.csv")
    with pytest.raises(TableError, match="no files"):
        open_table(tmp_path)
    (tmp_path / "t.parquet").write_text("no")
    with pytest.raises(TableError, match=r"t\.parquet cannot be read"):
        open_table(tmp_path).read()
    (tmp_path / "t.csv").write_text("a,b\n1\n")
    with pytest.raises(TableError, match=r"one kind"):
        open_table(tmp_path)
    with pytest.raises(TableError, match=r"t\.csv cannot be read as CSV"):
        open_table(tmp_path / "t.csv").read()
    with pytest.raises(TableError, match="nonsense"):
        open_table(tmp_path / "t.csv", types={"a": "nonsense"})
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "t.csv", "x/t.csv")
        tar.add(tmp_path / "t.csv", "x/u.csv")
    with pytest.raises(TableError, match=r"x/t\.csv, x/u\.csv"):
        open_table(tmp_path / "a.tar").read()


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute('CREATE TABLE "the rows" (n REAL, c TEXT, mixed)')
        connection.executemany(
            'INSERT INTO "the rows" VALUES (?, ?, ?)',
            [(i / 2 if i % 3 else None, f"c{i % 5}", "x" if i == 7 else i) for i in range(10)],
        )
    return f"sqlite:///{path}"


def test_sql_rows_come_in_chunks(database: str) -> None:
    query = "SELECT n, c FROM \"the rows\" WHERE c LIKE 'c%' ORDER BY rowid"
    part = SqlRows(database, query, "the query", rows=4)
    chunks = list(part.chunks())
    assert [chunk.num_rows for chunk in chunks] == [4, 4, 2]
    assert pa.concat_tables(chunks)["n"].to_pylist()[:4] == [None, 0.5, 1.0, None]
    empty = SqlRows(database, query.replace("WHERE", "WHERE n > 99 AND"), "the query")
    assert [chunk.column_names for chunk in empty.chunks()] == [["n", "c"]]


def test_sql_faults_are_named(database: str) -> None:
    with pytest.raises(TableError, match=r"the query cannot be read.*no such table"):
        list(SqlRows(database, "SELECT * FROM nowhere", "the query").chunks())
    with pytest.raises(TableError, match="'mixed' mixes int and str"):
        list(SqlRows(database, 'SELECT mixed FROM "the rows"', "the query").chunks())
    assert "secret" not in repr(SqlRows("postgresql://me:secret@host/db", "SELECT 1", "x"))


def test_a_table_in_memory_is_a_source() -> None:
    source = of_table(TABLE)
    assert source.read().equals(TABLE)
    assert of_table(TABLE.to_pandas()).read()["c"].to_pylist() == ["a", " b", None]
