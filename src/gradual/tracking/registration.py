"""Under which name a model is registered."""

from dataclasses import dataclass

from gradual.training.settings import Settings


@dataclass(frozen=True)
class Registration(Settings):
    """Under which name and alias a model is registered in MLflow.

    Attributes:
        registered_name: Register the model as the next version of this name; None logs it only.
        alias: Point this alias (`champion`, …) of the registered model to the new version; None
            for none.
    """

    registered_name: str | None = None
    alias: str | None = None

    def __post_init__(self) -> None:
        if self.alias is not None and self.registered_name is None:
            raise ValueError(
                f"alias is {self.alias!r}, which needs a registered_name: only those have aliases"
            )
