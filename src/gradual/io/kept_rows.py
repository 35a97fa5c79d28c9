"""The folder in which a retrain keeps the rows that have arrived."""

from typing import TYPE_CHECKING

from gradual.io.checkpoint_store import CheckpointStoreDataset

if TYPE_CHECKING:
    from gradual.retraining.kept_rows import KeptRows


class KeptRowsDataset(CheckpointStoreDataset):
    """The folder in which a retrain keeps the rows that have arrived.

    Like `CheckpointStoreDataset` it is an input of the nodes that write to it.

    Examples:
        ```yaml
        adult_retrain.kept_rows:
          type: gradual.io.KeptRowsDataset
          filepath: data/02_intermediate/adult_retrain/kept_rows
        ```

        >>> kept = KeptRowsDataset(filepath="kept_rows").load()
    """

    def load(self) -> "KeptRows":  # type: ignore[override]
        """A handle to the folder; nothing is read yet."""
        from gradual.retraining.kept_rows import KeptRows

        return KeptRows(self._filepath)
