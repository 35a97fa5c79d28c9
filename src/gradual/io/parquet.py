"""Tables in Parquet."""

import os
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io.core import Version
from kedro_datasets._typing import TablePreview

from gradual.io.atomic import AtomicFileDataset

# A reader that streams needs memory for one row group, and a preview reads at most one.
_ROW_GROUP_BYTES = 64 << 20
# Above its limit (1 MiB by default) a writer spells out every value of a dictionary column: for
# tokens, 30 million strings.
_DICTIONARY_BYTES = 64 << 20
_PREVIEW_CHARACTERS = 300


class ParquetDataset(
    AtomicFileDataset[pa.Table | pd.DataFrame | pa.RecordBatchReader, pa.Table | pd.DataFrame]
):
    """A table in a Parquet file, loaded as an Arrow table or as a pandas frame.

    Either kind can be saved, whatever `load_as` is, and so can a reader of record batches, which
    are written one by one: more rows than there is room for in memory. The Arrow schema is kept
    (dictionary columns stay dictionaries, also inside lists), and so is a frame's index. zstd
    compression.

    Examples:
        ```yaml
        imdb.documents:
          type: gradual.io.ParquetDataset
          filepath: data/03_primary/imdb/documents.parquet
          load_as: arrow
          metadata:
            kedro-viz: {layer: primary, preview_args: {nrows: 10}}
        ```

        >>> dataset = ParquetDataset(filepath="predictions.parquet", load_as="pandas")
        >>> dataset.save(pd.DataFrame({"label": ["positive"], "probability": [0.9]}))
        >>> dataset.load()
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        load_as: Literal["arrow", "pandas"] = "arrow",
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """As `AtomicFileDataset`, and what `load` returns.

        Args:
            filepath: The local file.
            load_as: `arrow` gives a `pyarrow.Table`, `pandas` a `pandas.DataFrame`.
            version: Set by Kedro where the catalog says `versioned: true`.
            metadata: Ignored here; read by plugins such as kedro-viz.

        Raises:
            ValueError: `load_as` is something else.
        """
        if load_as not in ("arrow", "pandas"):
            raise ValueError(f"load_as is {load_as!r}: set it to arrow or pandas")
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._load_as = load_as

    def _read(self, path: Path) -> pa.Table | pd.DataFrame:
        table = pq.read_table(path)
        return table if self._load_as == "arrow" else table.to_pandas()

    def _write(self, data: pa.Table | pd.DataFrame | pa.RecordBatchReader, path: Path) -> None:
        options: Any = {"compression": "zstd", "dictionary_pagesize_limit": _DICTIONARY_BYTES}
        if isinstance(data, pa.RecordBatchReader):
            with pq.ParquetWriter(path, data.schema, **options) as writer:
                for batch in data:
                    writer.write_batch(batch)
            return
        if isinstance(data, pd.DataFrame):
            data = pa.Table.from_pandas(data)
        if not isinstance(data, pa.Table):
            raise TypeError(
                f"a {type(data).__name__} is no table: give ParquetDataset a pyarrow.Table or a "
                "pandas.DataFrame"
            )
        groups = max(1, round(data.nbytes / _ROW_GROUP_BYTES))
        pq.write_table(
            data,
            path,
            row_group_size=max(1, -(-data.num_rows // groups)),
            **options,
        )

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "load_as": self._load_as}

    def preview(self, nrows: int = 10) -> TablePreview:
        """The first rows for kedro-viz, read from the first row group alone."""
        with pq.ParquetFile(Path(self._get_load_path())) as file:
            rows = next(file.iter_batches(batch_size=nrows), file.schema_arrow.empty_table())
        return table_preview(rows)


def table_preview(rows: pa.Table | pa.RecordBatch) -> TablePreview:
    """A few rows in the form that kedro-viz shows: long texts shortened, lists joined."""
    columns = [[_cell(value) for value in column.to_pylist()] for column in rows.columns]
    return TablePreview(
        {
            "index": list(range(rows.num_rows)),
            "columns": list(rows.schema.names),
            "data": [list(row) for row in zip(*columns, strict=True)],
        }
    )


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        # so many items always fill the cell, and a document may have 100,000
        value = " ".join(str(item) for item in value[:_PREVIEW_CHARACTERS])
    if isinstance(value, float) and value != value:  # not-a-number is not JSON
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return text if len(text) <= _PREVIEW_CHARACTERS else f"{text[: _PREVIEW_CHARACTERS - 1]}…"
