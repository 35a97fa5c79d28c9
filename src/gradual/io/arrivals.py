"""Rows that keep arriving: files in a folder, or a table of a database that grows."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
from kedro.io.core import DatasetError
from kedro_datasets._typing import TablePreview

from gradual.io.parquet import table_preview
from gradual.io.source import SourceDataset
from gradual.retraining.kept_rows import Beyond, Partition
from gradual.sources.reader import SourceRows, open_source
from gradual.training.files import fingerprint, sha256_file

# What says where rows are, not what they are.
_PLACE = ("filepath", "url", "sha256", "table", "query", "schema", "con", "credentials", "metadata")
# Programs write to a file of such a name until all of it has come.
_UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp")


class ArrivalsDataset(SourceDataset):
    """What arrives from time to time: partitions, each with its name and the hash of its content.

    Of a folder each file is a partition, in the order of their names (with `pattern`, each folder
    or archive of text files in it is one); hidden files, those that begin with `_`, and
    unfinished ones (`.part`, `.tmp`, …) are passed over. Of a table with a `watermark` the rows
    beyond the highest value so far are the next one; there, a row that comes again with the same
    `key` takes the place of the older one. Rows without a watermark's value are never read. Any
    other source is one partition.

    Saving is refused, and versions are not supported.

    Examples:
        ```yaml
        adult.arrivals:
          type: gradual.io.ArrivalsDataset
          filepath: data/01_raw/adult/arrivals  # 2026-11-20.csv, 2026-11-21.csv, …

        orders.arrivals:
          type: gradual.io.ArrivalsDataset
          table: orders
          watermark: updated_at
          credentials: shop
        ```

        >>> [partition.name for partition in ArrivalsDataset(filepath="arrivals").load()]
        ['2026-11-20.csv', '2026-11-21.csv']
    """

    def __init__(self, *, watermark: str | None = None, **source: Any) -> None:
        """Say where they arrive; nothing is read yet.

        Args:
            watermark: A column of the table that never falls, such as the time of a row's last
                change.
            **source: As `SourceDataset`: where the rows are and how they are written.

        Raises:
            DatasetError: As `SourceDataset`, or there is a watermark of no table.
        """
        super().__init__(**source)
        if watermark is not None and self._database is None:
            raise DatasetError(
                f"watermark is {watermark!r}, but files have none, each is a partition of its own: "
                "leave it out, or name a table"
            )
        self._watermark = watermark
        # Read otherwise, a file is another partition.
        self._reading = json.dumps(_without_place(source), sort_keys=True, default=str)

    def load(self) -> tuple[Partition, ...] | Beyond | SourceRows | None:  # type: ignore[override]
        """Say what has arrived: files are hashed, and nothing is read yet.

        Returns:
            The partitions of a folder, by name; a table with a watermark; rows that are one
            partition; None where the catalog names none.

        Raises:
            DatasetError: There is no such file, or it cannot be fetched.
        """
        if self._watermark is not None and self._database is not None:
            return Beyond(self._database.name, self._watermark, self._beyond)
        path = self._file.path()
        if path is None or not path.is_dir():
            return super().load()
        arrived = [each for each in sorted(path.iterdir()) if not _passed_over(each)]
        return tuple(
            Partition(each.name, self._hash(each), partial(self._open, each)) for each in arrived
        )

    def preview(self, nrows: int = 10) -> TablePreview:
        """Some rows of the first partition for kedro-viz."""
        arrived = self.load() if self._exists() else None
        if isinstance(arrived, Beyond):
            arrived = arrived.read(None)
        if isinstance(arrived, tuple):
            arrived = arrived[0].open() if arrived else None
        return table_preview(pa.table({}) if arrived is None else arrived.head(nrows))

    def _beyond(self, least: Any) -> SourceRows:
        assert self._database is not None
        assert self._watermark is not None
        database = replace(self._database, beyond=(self._watermark, least))
        return self._completed(SourceRows((database,), database.name))

    def _open(self, path: Path) -> SourceRows:
        return self._completed(open_source(path, self._form))

    def _hash(self, path: Path) -> str:
        files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
        content = [[file.relative_to(path).as_posix(), sha256_file(file)] for file in files]
        return fingerprint([self._reading, content])


def _passed_over(path: Path) -> bool:
    return path.name.startswith((".", "_")) or path.name.lower().endswith(_UNFINISHED)


def _without_place(entry: dict[str, Any]) -> dict[str, Any]:
    said = {name: value for name, value in entry.items() if name not in _PLACE}
    if said.get("joins"):  # what is joined matters, and no password
        hidden = ("con", "credentials")
        said["joins"] = [{k: v for k, v in j.items() if k not in hidden} for j in said["joins"]]
    return said
