"""The file of a source's contract, which people edit."""

from pathlib import Path

from gradual.retraining.contract import Contract
from gradual.training.files import atomic_path


class ContractFile:
    """A file that holds a contract as YAML, or will.

    Args:
        path: It need not exist before the first contract is inferred.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"ContractFile({str(self.path)!r})"

    def exists(self) -> bool:
        """Whether there is a contract yet."""
        return self.path.is_file()

    def text(self) -> str:
        """What the file says; nothing if it is not there."""
        return self.path.read_text(encoding="utf-8") if self.exists() else ""

    def read(self) -> Contract:
        """The contract.

        Raises:
            SourceError: Something in the file makes no sense; names line and key.
        """
        return Contract.from_yaml(self.text(), str(self.path))

    def write(self, contract: Contract) -> None:
        """Write the first contract, whole or not at all."""
        with atomic_path(self.path) as temporary:
            temporary.write_text(contract.to_yaml(), encoding="utf-8")
