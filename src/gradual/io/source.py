"""Where the rows of a data source are: files, folders, archives, URLs, databases."""

import os
from dataclasses import replace
from typing import Any

import pyarrow as pa
from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from gradual.io.download import SourceFile
from gradual.io.parquet import table_preview
from gradual.sources.database import SqlRows
from gradual.sources.derived import Derive, Derived
from gradual.sources.joins import Join, Joined
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

        sales.source:
          type: gradual.io.SourceDataset
          filepath: data/01_raw/sales/train.csv
          joins:
            - {filepath: data/01_raw/sales/store.csv, on: [store], unmatched: refuse}
          derive:
            - {name: months_open, months_between: [opened, date]}
            - {name: after_promotion, days_since: promotion, date: date, group: [store]}
            - {name: before_holiday, days_until: holiday, date: date, group: [store]}
            - {name: sales_6_weeks_ago, lag: sales, days: 42, date: date, group: [store]}

        sales.new_rows:
          type: gradual.io.SourceDataset
          filepath: data/01_raw/sales/new.csv  # joins and derive as above
          history: {filepath: data/01_raw/sales/train.csv}
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
        joins: list[dict[str, Any]] | None = None,
        derive: list[dict[str, Any]] | None = None,
        history: dict[str, Any] | None = None,
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
            joins: Tables whose columns are put beside the rows that have their key: `on`, `take`
                and `unmatched` as in `gradual.sources.joins.Join`, and where the table is and how
                it is written, as here.
            derive: Columns that follow from others, see `gradual.sources.derived.Derive`.
            history: Rows that came before, only looked at for derived columns: where they are,
                and how they are written, as here.
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
            names += ["joins", "derive", "history"]
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
        self._joins = [_join_entry(join) for join in joins or []]
        self._derive = tuple(_derive(column) for column in derive or [])
        if history is not None and not derive:
            raise DatasetError("history is only looked at by derive: leave it out")
        self._history = None if history is None else SourceDataset(**history)
        self.metadata = metadata

    def load(self) -> SourceRows | None:
        """Say how to read the rows; None where the catalog names none.

        Raises:
            DatasetError: There is no such file, it cannot be fetched, or it is not what it has to
                be.
        """
        rows: SourceRows | None = None
        if self._database is not None:
            rows = SourceRows((self._database,), self._database.name)
        elif (path := self._file.path()) is not None:
            rows = open_source(path, self._form)
        return None if rows is None else self._completed(rows)

    def _completed(self, rows: SourceRows) -> SourceRows:
        """The rows with the columns that are joined and derived."""
        if self._joins:
            joins = tuple(_join(dataset, settings) for dataset, settings in self._joins)
            rows = replace(rows, parts=tuple(Joined(part, joins) for part in rows.parts))
        if self._derive:
            history = None if self._history is None else self._history.load()
            rows = SourceRows((Derived(rows, self._derive, history),), rows.name)
        return rows

    @property
    def says_where(self) -> bool:
        """Whether the entry names a file or a table at all."""
        return self._database is not None or self._file.describe()["filepath"] is not None

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


def _join_entry(entry: dict[str, Any]) -> tuple[SourceDataset, dict[str, Any]]:
    """The table of a join, and how it is joined."""
    names = ("on", "take", "unmatched")
    settings = {name: entry[name] for name in names if name in entry}
    dataset = SourceDataset(**{name: value for name, value in entry.items() if name not in names})
    if "on" not in settings or not dataset.says_where:
        raise DatasetError(
            f"joins: {entry} must say where the table is (filepath, url or table), and in `on` by "
            "which columns it is joined"
        )
    return dataset, settings


def _join(dataset: SourceDataset, settings: dict[str, Any]) -> Join:
    right = dataset.load()
    assert right is not None
    take = settings.get("take")
    return Join(
        right,
        _names(settings["on"]),
        None if take is None else _names(take),
        settings.get("unmatched", "allow"),
    )


def _derive(entry: dict[str, Any]) -> Derive:
    lists: dict[str, Any] = {
        name: _names(entry[name]) for name in ("group", "months_between") if name in entry
    }
    try:
        return Derive(**entry | lists)
    except TypeError as error:
        raise DatasetError(
            f"derive: {entry}: {str(error).split('__init__() ')[-1]}; there are "
            f"{', '.join(Derive.__dataclass_fields__)}"
        ) from error


def _names(value: str | list[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
