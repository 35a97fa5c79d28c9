import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from gradual.sources.database import SqlRows
from gradual.sources.errors import SourceError


class PercentCursor(sqlite3.Cursor):
    """Takes % for parameters, as psycopg and MySQL's drivers do."""

    def execute(self, query: str, parameters: Any = ()) -> "PercentCursor":
        return super().execute(query % tuple(parameters), ())  # type: ignore[return-value]


class PercentConnection(sqlite3.Connection):
    def cursor(self, *_: Any) -> Any:
        return super().cursor(PercentCursor)


class PercentDialect(SQLiteDialect_pysqlite):
    driver = "percent"
    default_paramstyle = "format"
    supports_statement_cache = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options | {"paramstyle": "format"})

    def create_connect_args(self, url: sqlalchemy.URL) -> Any:
        return [url.database], {"factory": PercentConnection}


registry.impls["sqlite.percent"] = lambda: PercentDialect


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
    part = SqlRows(database, query=query, rows=4)
    chunks = list(part.chunks())
    assert [chunk.num_rows for chunk in chunks] == [4, 4, 2]
    assert pa.concat_tables(chunks)["n"].to_pylist()[:4] == [None, 0.5, 1.0, None]
    empty = SqlRows(database, query=query.replace("WHERE", "WHERE n > 99 AND"))
    assert [chunk.column_names for chunk in empty.chunks()] == [["n", "c"]]


def test_sql_faults_are_named(database: str) -> None:
    with pytest.raises(SourceError, match=r"the query .* cannot be read.*no such table"):
        list(SqlRows(database, query="SELECT * FROM nowhere").chunks())
    with pytest.raises(SourceError, match="'mixed' mixes int and str"):
        list(SqlRows(database, query='SELECT mixed FROM "the rows"').chunks())
    assert "secret" not in repr(SqlRows("postgresql://me:secret@host/db", query="SELECT 1"))


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+percent"])
def test_a_query_is_sent_as_it_is_written(database: str, driver: str) -> None:
    query = (
        "SELECT n, '50 %' AS share, ' :no parameter' AS colon FROM \"the rows\" "
        "WHERE c LIKE 'c1%' ORDER BY rowid"
    )
    connection = database.replace("sqlite:", f"{driver}:")
    table = pa.concat_tables(SqlRows(connection, query=query).chunks())
    assert table["n"].to_pylist() == [0.5, None]
    assert table["share"].to_pylist() == ["50 %"] * 2
    assert table["colon"].to_pylist() == [" :no parameter"] * 2
