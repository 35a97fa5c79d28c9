"""Folders that a node writes to itself: checkpoints, and models that are kept between runs."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractDataset, DatasetError

if TYPE_CHECKING:
    from gradual.training.bundle import BundleStore
    from gradual.training.checkpoint import CheckpointStore


class CheckpointStoreDataset(AbstractDataset["CheckpointStore", "CheckpointStore"]):
    """The folder in which one training stage keeps its checkpoint.

    It is an input of the training node, which writes to the store while it trains; so nothing is
    saved through Kedro, and versions are not supported. The folder need not exist.

    Examples:
        ```yaml
        imdb.classifier_checkpoints:
          type: gradual.io.CheckpointStoreDataset
          filepath: data/06_models/imdb/classifier_checkpoints
        ```

        >>> store = CheckpointStoreDataset(filepath="checkpoints").load()
    """

    def __init__(
        self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None
    ) -> None:
        """Name the folder.

        Args:
            filepath: The local folder.
            metadata: Ignored here; read by plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> "CheckpointStore":
        """A handle to the folder; nothing is read yet."""
        from gradual.training.checkpoint import CheckpointStore  # imports torch, see BundleDataset

        return CheckpointStore(self._filepath)

    def save(self, data: "CheckpointStore") -> None:  # noqa: ARG002
        """Refused: the training stage writes its checkpoints itself.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(
            f"{self._filepath} is written by the node that has it as an input: make the store an "
            "input of the node, not an output"
        )

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


class BundleStoreDataset(CheckpointStoreDataset):
    """The folder in which a node keeps models that need not be fitted again.

    Like `CheckpointStoreDataset` it is an input of the node that writes to it.

    Examples:
        ```yaml
        adult.rivals:
          type: gradual.io.BundleStoreDataset
          filepath: data/06_models/adult/rivals
        ```

        >>> store = BundleStoreDataset(filepath="rivals").load()
    """

    def load(self) -> "BundleStore":  # type: ignore[override]
        """A handle to the folder; nothing is read yet."""
        from gradual.training.bundle import BundleStore  # imports torch, see BundleDataset

        return BundleStore(self._filepath)
