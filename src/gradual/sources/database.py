"""Rows of a database, through SQLAlchemy."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from gradual.sources.content import check_columns
from gradual.sources.errors import SourceError
from gradual.sources.separated import without_empty_texts
from gradual.sources.table_files import Types, with_types

# What SQLAlchemy would take for a parameter; queries here have none.
_PARAMETER = re.compile(r"(?<![:\w$\\]):([\w$]+)(?![:\w$])")


@dataclass(frozen=True)
class SqlRows:
    """The rows of one table or query.

    Attributes:
        connection: SQLAlchemy's URL of the database.
        table: The table to read; None where there is a query.
        query: What to select, in the database's SQL, sent as it is written.
        schema: The table's schema.
        types: Types of columns that are not the database's.
        beyond: A column that orders the rows, and its value in the first of them to read; None for
            all that have one.
        rows: Rows fetched at a time.
    """

    connection: str = field(repr=False)  # it may hold a password
    table: str | None = None
    query: str | None = None
    schema: str | None = None
    types: Types = ()
    beyond: tuple[str, Any] | None = None
    rows: int = 1 << 16

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"the table {self.table!r}" if self.table else f"the query {self.query!r}"

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        as_text: bool = False,  # noqa: ARG002 - these have types of their own
    ) -> Iterator[pa.Table]:
        """Its rows in the order that the database gives them; without ORDER BY, that may differ."""
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        try:
            engine = sqlalchemy.create_engine(self.connection)
            try:
                streaming = {"stream_results": True, "max_row_buffer": self.rows}
                with engine.connect().execution_options(**streaming) as connection:
                    result = connection.execute(self._select())
                    names = list(result.keys())
                    check_columns(self.name, columns, names)
                    wanted = names if columns is None else list(dict.fromkeys(columns))
                    none = True
                    for rows in result.partitions(self.rows):
                        none = False
                        chunk = self._chunk(names, list(zip(*rows, strict=True)))
                        yield with_types(chunk.select(wanted), self.types, self.name)
                    if none:
                        yield pa.table({name: pa.nulls(0) for name in wanted})
            finally:
                engine.dispose()
        except SQLAlchemyError as error:
            raise SourceError(
                f"{self.name} cannot be read ({getattr(error, 'orig', None) or error}): correct "
                "the connection, the table or the query in the catalog"
            ) from error

    def _select(self) -> Any:
        import sqlalchemy

        columns: list[Any] = [] if self.beyond is None else [sqlalchemy.column(self.beyond[0])]
        table: Any = sqlalchemy.table(self.table or "", *columns, schema=self.schema)
        if self.query is not None:
            # As text, and not straight to the driver: SQLAlchemy doubles each % where the driver
            # would take it for a parameter.
            query = sqlalchemy.text(_PARAMETER.sub(r"\\:\1", self.query))
            if self.beyond is None:
                return query
            table = query.columns(*columns).subquery("arrived")
        rows = sqlalchemy.select(sqlalchemy.text("*")).select_from(table)
        if self.beyond is None:
            return rows
        column, least = table.c[self.beyond[0]], self.beyond[1]
        wanted = column.is_not(None) if least is None else column >= least
        return rows.where(wanted).order_by(column)

    def _chunk(self, names: list[str], columns: list[tuple[Any, ...]]) -> pa.Table:
        arrays = []
        for name, values in zip(names, columns, strict=True):
            try:
                arrays.append(pa.array(values))
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                kinds = sorted({type(value).__name__ for value in values if value is not None})
                raise SourceError(
                    f"{self.name}: the column {name!r} mixes {' and '.join(kinds)} ({error}): CAST "
                    "it to one type in the query"
                ) from error
        return without_empty_texts(pa.Table.from_arrays(arrays, names))
