"""The MLflow model of several text classifiers that answer as one, as code.

MLflow copies this script beside the model's bundles and executes it to load the model; see
`text_classifier_model.py`.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from gradual.text.ensemble import TextEnsemble
from gradual.training.bundle import load_bundle


class TextEnsembleModel(PythonModel):
    """Raw texts to a label and the mean probability of each label."""

    def load_context(self, context: Any) -> None:
        """Read the bundles that were logged with the model."""
        self._ensemble = TextEnsemble.from_bundles(
            [load_bundle(Path(path), kind="text_classifier") for path in context.artifacts.values()]
        )

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Classify the text columns.

        Returns:
            One row per text in the input's order: `label` and a `probability_<label>` for each.

        Raises:
            MlflowException: If there is no text, or one is missing, blank or not a string; a
                server answers with status 400 and the message.
        """
        columns = ", ".join(map(repr, self._ensemble.members[0].text_columns))
        if model_input.empty:
            raise _refusal(f"There is no text: send at least one row in the columns {columns}.")
        try:
            return self._ensemble.predict(model_input)
        except ValueError as error:
            raise _refusal(f"{error} (the columns are {columns}; rows count from 0).") from error


def _refusal(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


set_model(TextEnsembleModel())
