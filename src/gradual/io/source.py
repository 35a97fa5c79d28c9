"""Where the rows of a data source are: files, folders, archives, URLs, databases."""

import os
from typing import Any

import pyarrow as pa
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from gradual.io.download import SourceFile
from gradual.io.parquet import table_preview
from gradual.sources.database import SqlRows
from gradual.sources.reader import SourceFormat, SourceRows, open_source


class SourceDataset(AbstractDataset[None, SourceRows | None]):
    """Rows of texts, tables or ratings; `load` says how to read them and reads none yet.

    Files, folders, archives and databases are read by the same rules (see
    `gradual.sources.reader`). A `url` is downloaded, verified, or taken from the mirror that the
    environment variable `GRADUAL_MIRROR` names (see `gradual.io.download.SourceFile`).

    Where neither a file nor a table is named, there are no rows: it loads as None. Saving is
    refused, and versions are not supported.

    Examples:
        ```yaml
        tickets.source:
          type: gradual.io.SourceDataset
          filepath: data/01_raw/tickets/tickets.csv  # also .txt, .json, .xlsx, .csv.gz, a folder, …

        ratings.source:
          type: gradual.io.SourceDataset
          filepath: data/01_raw/ml-1m.zip
          member: "*/ratings.dat"
          separator: "::"
          columns: [user, item, rating, time]  # the file has no header

        imdb.source:
          type: gradual.io.SourceDataset
          url: https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz
          sha256: "…"  # 64 hexadecimal digits, as sha256sum prints them
          pattern: "*/{part}/{label}/*.txt"  # each text is a file; folders say part and label

        shop.source:
          type: gradual.io.SourceDataset
          table: orders  # or `query: SELECT … ORDER BY …`
          credentials: shop  # conf/local/credentials.yml: `shop: {con: postgresql://…}`
        ```

        >>> rows = SourceDataset(filepath="sales.csv").load()
        >>> table = rows.read()
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str] | None = None,
        url: str | None = None,
        sha256: str | None = None,
        table: str | None = None,
        query: str | None = None,
        schema: str | None = None,
        con: str | None = None,
        credentials: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        **form: Any,
    ) -> None:
        """Say where the rows are; nothing is read yet.

        Args:
            filepath: The file or folder, or where to keep what comes from `url`.
            url: Where the file is published.
            sha256: Its checksum there.
            table: The table in a database.
            query: What to select from a database instead.
            schema: The table's schema.
            con: SQLAlchemy's URL of the database; one with a password belongs in `credentials`.
            credentials: `{con: …}`, or options of the URL's filesystem.
            metadata: Ignored here; read by plugins such as kedro-viz.
            **form: How the rows are written, see `gradual.sources.reader.SourceFormat`: `format`,
                `member`, `sheet`, `separator`, `columns`, `encoding`, `decimal`, `types`,
                `pattern`.

        Raises:
            DatasetError: It is said twice where the rows are, or a database without connection.
            ValueError: A setting has a value that it cannot have.
        """
        con = con or (credentials or {}).get("con")
        in_files, in_database = bool(filepath or url), bool(table or query)
        if (in_files and in_database) or (table and query) or in_database != bool(con):
            raise DatasetError(
                "give filepath (or url), or table or query together with con, and not both; what "
                f"was given is filepath {filepath}, url {url}, table {table}, query {query} and "
                f"{'a' if con else 'no'} con"
            )
        try:
            self._form = SourceFormat(
                **form | {name: tuple(form[name]) for name in ("columns",) if form.get(name)}
            )
        except TypeError as error:
            wrong = str(error).split("argument ")[-1]
            names = ["filepath", "url", "sha256", "table", "query", "schema", "con", "credentials"]
            names += SourceFormat.__dataclass_fields__
            raise DatasetError(
                f"{wrong} is no setting of a SourceDataset: there are {', '.join(names)}"
            ) from error
        self._file = SourceFile(
            url=url, sha256=sha256, filepath=filepath, credentials=None if con else credentials
        )
        self._database = None
        if con:
            types = self._form.arrow_types()
            self._database = SqlRows(con, table, query, schema, types)
        self.metadata = metadata

    def load(self) -> SourceRows | None:
        """Say how to read the rows; None where the catalog names none.

        Raises:
            DatasetError: There is no such file, it cannot be fetched, or it is not what it has to
                be.
        """
        if self._database is not None:
            return SourceRows((self._database,), self._database.name)
        path = self._file.path()
        return None if path is None else open_source(path, self._form)

    def save(self, data: None) -> None:  # noqa: ARG002
        """Refused: sources are read only.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(
            f"{self._file.describe()['filepath']} is a source: pipelines read it and never write it"
        )

    def preview(self, nrows: int = 10) -> TablePreview:
        """Some rows for kedro-viz; nothing is downloaded for it."""
        rows = self.load() if self._exists() else None
        return table_preview(pa.table({}) if rows is None else rows.head(nrows))

    def _exists(self) -> bool:
        """Whether the file is on this machine, or the database has the table."""
        if self._database is None:
            return self._file.exists()
        if self._database.table is None:
            return True
        import sqlalchemy

        engine = sqlalchemy.create_engine(self._database.connection)
        try:
            return sqlalchemy.inspect(engine).has_table(
                self._database.table, schema=self._database.schema
            )
        finally:
            engine.dispose()

    def _describe(self) -> dict[str, Any]:
        if self._database is not None:
            return {"table": self._database.table, "query": self._database.query}
        return self._file.describe()
