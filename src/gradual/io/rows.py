"""Rows between two nodes, of which the second reads a source."""

from pathlib import Path
from typing import Any

from gradual.io.parquet import ParquetDataset
from gradual.sources.reader import SourceFormat, SourceRows, open_source


class RowsDataset(ParquetDataset):
    """A table in a Parquet file, loaded as the rows of a source; None if it was never written.

    Examples:
        ```yaml
        adult_retrain.training_rows:
          type: gradual.io.RowsDataset
          filepath: data/02_intermediate/adult_retrain/training_rows.parquet
        ```

        >>> dataset = RowsDataset(filepath="training_rows.parquet")
        >>> dataset.save(pa.table({"age": [31]}))
        >>> dataset.load().read()
    """

    def load(self) -> SourceRows | None:
        """Say how to read the rows; none is read yet."""
        if not self._exists():
            return None
        return open_source(Path(self._get_load_path()), SourceFormat("parquet"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
