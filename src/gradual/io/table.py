"""Tables of any size: files, folders of shards, SQL."""

import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd
import pyarrow as pa
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from gradual.io.parquet import table_preview
from gradual.io.remote_archive import RemoteArchiveDataset
from gradual.sources.tables import Source, SqlRows, of_table, open_table
from gradual.tabular.engine import write_shards

Table: TypeAlias = Source | pa.Table | pd.DataFrame


class TableDataset(AbstractDataset[Table, Table]):
    """A table to be read in chunks: Parquet or CSV, one file or a folder of shards, or SQL.

    `load` gives a `gradual.sources.tables.Source`, whose `chunks()` come one at a time, so that
    a table may be larger than memory; `load_as: arrow` or `pandas` reads all of it. A `url` is
    downloaded, verified, or taken from the mirror as `RemoteArchiveDataset` does.

    Only a folder of shards can be saved: one Parquet file for each part of the source, all of them
    or none.

    Examples:
        ```yaml
        sales.table:
          type: gradual.io.TableDataset
          filepath: data/01_raw/sales  # a folder of shards, or a .parquet, .csv or .tsv file

        adult.table:
          type: gradual.io.TableDataset
          url: https://s3.amazonaws.com/fast-ai-sample/adult_sample.tgz
          member: adult_sample/adult.csv

        shop.orders:
          type: gradual.io.TableDataset
          table: orders  # or `query: SELECT … ORDER BY …`
          credentials: shop  # conf/local/credentials.yml: `shop: {con: postgresql://…}`
        ```

        >>> source = TableDataset(filepath="sales.csv").load()
        >>> next(source.chunks())
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str] | None = None,
        url: str | None = None,
        sha256: str | None = None,
        member: str | None = None,
        types: dict[str, str] | None = None,
        header: list[str] | None = None,
        table: str | None = None,
        query: str | None = None,
        schema: str | None = None,
        con: str | None = None,
        load_as: Literal["source", "arrow", "pandas"] = "source",
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Say where the rows are; nothing is read yet.

        Args:
            filepath: The file or folder, or where to keep what comes from `url`.
            url: Where the file is published.
            sha256: Its checksum there.
            member: The table's path inside an archive.
            types: Arrow's names of types of CSV columns that are not to be found out.
            header: Names of the columns of CSV files without a header line.
            table: The table in the database.
            query: What to select from the database instead.
            schema: The table's schema.
            con: SQLAlchemy's URL of the database; one with a password belongs in `credentials`.
            load_as: `source`, `arrow` (a `pyarrow.Table`) or `pandas` (a `pandas.DataFrame`).
            credentials: `{con: …}`, or options of the URL's filesystem.
            metadata: Ignored here; read by plugins such as kedro-viz.

        Raises:
            DatasetError: It is not said, or said twice, where the rows are.
        """
        con = con or (credentials or {}).get("con")
        in_files, in_database = bool(filepath or url), bool(table or query)
        if in_files == in_database or (table and query) or in_database != bool(con):
            raise DatasetError(
                "a TableDataset needs either filepath (or url), or table or query together with "
                f"con; it was given filepath {filepath}, url {url}, table {table}, query {query} "
                f"and {'a' if con else 'no'} con"
            )
        if load_as not in ("source", "arrow", "pandas"):
            raise DatasetError(f"load_as is {load_as!r}: set it to source, arrow or pandas")
        self._filepath = None if filepath is None else Path(filepath)
        self._download = (
            RemoteArchiveDataset(url=url, sha256=sha256, filepath=filepath, credentials=credentials)
            if url
            else None
        )
        self._options: dict[str, Any] = {
            "member": member,
            "types": types,
            "header": None if header is None else tuple(header),
        }
        self._con, self._table, self._query, self._schema = con, table, query, schema
        self._load_as = load_as
        self.metadata = metadata

    def load(self) -> Table:
        """Say how to read the table, or read it."""
        source = self._source()
        if self._load_as == "source":
            return source
        table = source.read()
        return table if self._load_as == "arrow" else table.to_pandas()

    def save(self, data: Table) -> None:
        """Write a folder of Parquet shards, or leave the old one and raise."""
        if self._filepath is None or self._download or self._filepath.suffix:
            raise DatasetError(
                f"{self._describe()} cannot be saved: a TableDataset writes folders of shards, "
                "name a folder (without a suffix) as filepath"
            )
        write_shards(data if isinstance(data, Source) else of_table(data), self._filepath)

    def preview(self, nrows: int = 10) -> TablePreview:
        """The first rows for kedro-viz."""
        return table_preview(next(self._source().chunks()).slice(0, nrows))

    def _source(self) -> Source:
        if self._con is None:
            path = self._download.load() if self._download else self._filepath
            assert path is not None
            return open_table(path, **self._options)
        return Source((SqlRows(self._con, self._select(), f"the {self._what()}"),))

    def _what(self) -> str:
        return f"table {self._table!r}" if self._table else f"query {self._query!r}"

    def _select(self) -> str:
        if self._query is not None:
            return self._query
        import sqlalchemy

        assert self._con is not None
        rows = sqlalchemy.select(sqlalchemy.text("*")).select_from(
            sqlalchemy.table(self._table or "", schema=self._schema)
        )
        url = sqlalchemy.make_url(self._con)
        return str(rows.compile(dialect=url.get_dialect()()))

    def _exists(self) -> bool:
        if self._con is None:
            if self._download:
                return self._download.exists()
            return bool(self._filepath and self._filepath.exists())
        if self._table is None:
            return True
        import sqlalchemy

        engine = sqlalchemy.create_engine(self._con)
        try:
            return sqlalchemy.inspect(engine).has_table(self._table, schema=self._schema)
        finally:
            engine.dispose()

    def _describe(self) -> dict[str, Any]:
        if self._con is not None:
            return {"table": self._table, "query": self._query, "load_as": self._load_as}
        if self._download:
            return {**self._download._describe(), "load_as": self._load_as}
        return {"filepath": self._filepath, "load_as": self._load_as}
