"""What tests of retrains see of a night."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Night:
    """What a night has left.

    Attributes:
        exit_code: Of the command.
        message: The line of a stop; "" of a run to the end.
        records: All so far, the oldest first.
        versions: Of the registered model.
        aliases: Version by alias.
        runs: Status and tags of the MLflow runs, the latest first.
    """

    exit_code: int
    message: str
    records: list[dict[str, Any]]
    versions: list[str]
    aliases: dict[str, str]
    runs: list[tuple[str, dict[str, str]]]

    @property
    def record(self) -> dict[str, Any]:
        return self.records[-1]


Nights = Callable[[Path, str], AbstractContextManager[Callable[..., Night]]]
