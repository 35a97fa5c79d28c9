"""The base of the datasets that live in one local file."""

import os
from abc import abstractmethod
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from kedro.io.core import (
    AbstractVersionedDataset,
    DatasetError,
    Version,
    get_protocol_and_path,
)

from gradual.training.files import atomic_path

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class AtomicFileDataset(AbstractVersionedDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A dataset in one local file that a failed or killed save leaves as it was.

    A subclass says how to `_read` and `_write` a path; this class gives `_write` a temporary file
    in the same folder and renames it when all of it is on disk. `versioned: true` works as in
    every Kedro dataset. Remote filesystems are refused: rename is atomic on a local disk only.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the file; nothing is read or written yet.

        Args:
            filepath: The local file. Its folder is made by the first save.
            version: Set by Kedro where the catalog says `versioned: true`.
            metadata: Ignored here; read by plugins such as kedro-viz.

        Raises:
            DatasetError: `filepath` is on a remote filesystem.
        """
        protocol, path = get_protocol_and_path(filepath, version)
        if protocol != "file":
            raise DatasetError(
                f"filepath is {filepath}: {type(self).__name__} writes local files only, since "
                "only those can be replaced atomically; give a local path, and copy the result"
            )
        super().__init__(filepath=PurePosixPath(path), version=version)
        self.metadata = metadata

    def load(self) -> Loaded:
        """Read the file."""
        return self._read(Path(self._get_load_path()))

    def save(self, data: Saved) -> None:
        """Write the file, or leave it as it was and raise."""
        with atomic_path(Path(self._get_save_path())) as temporary:
            self._write(data, temporary)

    @abstractmethod
    def _read(self, path: Path) -> Loaded: ...

    @abstractmethod
    def _write(self, data: Saved, path: Path) -> None: ...

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}
