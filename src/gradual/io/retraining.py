"""What the nodes of a retrain write to themselves: the history of all, and the first contract."""

from typing import TYPE_CHECKING

from gradual.io.checkpoint_store import CheckpointStoreDataset

if TYPE_CHECKING:
    from gradual.retraining.contract_file import ContractFile
    from gradual.retraining.history import History


class HistoryDataset(CheckpointStoreDataset):
    """The folder of the records of all retrains; an input of the nodes that write to it.

    Examples:
        ```yaml
        adult_retrain.history:
          type: gradual.io.HistoryDataset
          filepath: data/08_reporting/adult_retrain/history
        ```
    """

    def load(self) -> "History":  # type: ignore[override]
        """A handle to the folder; nothing is read yet."""
        from gradual.retraining.history import History  # imports pandas

        return History(self._filepath)


class ContractDataset(CheckpointStoreDataset):
    """The file of the contract, which people edit; an input of the node that writes the first one.

    Examples:
        ```yaml
        adult_retrain.contract:
          type: gradual.io.ContractDataset
          filepath: data/06_models/adult_retrain/contract.yml
        ```
    """

    def load(self) -> "ContractFile":  # type: ignore[override]
        """A handle to the file; nothing is read yet."""
        from gradual.retraining.contract_file import ContractFile

        return ContractFile(self._filepath)

    def _exists(self) -> bool:
        return self._filepath.is_file()
