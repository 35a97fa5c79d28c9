"""The MLflow model of a text classifier, as code (https://mlflow.org/docs/latest/model/models-from-code).

MLflow copies this script beside the model's bundle and executes it to load the model, so nothing is
pickled. It runs with the packages that the model names as its requirements and no Kedro project.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from gradual.text.classifier import TextClassifier
from gradual.training.bundle import load_bundle


class TextClassifierModel(PythonModel):
    """Raw texts to a label and the probability of each label."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that was logged with the model."""
        bundle = load_bundle(Path(context.artifacts["classifier"]), kind="text_classifier")
        self._classifier = TextClassifier.from_bundle(bundle)

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Classify the text columns.

        Returns:
            One row per text in the input's order: `label`, null where the model cannot tell, or a
            list where a text may have several labels, and a `probability_<label>` for each.

        Raises:
            MlflowException: If there is no text, or one is missing, blank or not a string; a
                server answers with status 400 and the message.
        """
        columns = ", ".join(map(repr, self._classifier.text_columns))
        if model_input.empty:
            raise _refusal(f"There is no text: send at least one row in the columns {columns}.")
        try:
            predictions = self._classifier.predict(model_input)
        except ValueError as error:
            raise _refusal(f"{error} (the columns are {columns}; rows count from 0).") from error
        predictions["label"] = (
            predictions["label"].astype(object).where(predictions["label"].notna(), None)
        )
        return predictions.astype(dict.fromkeys(predictions.columns[1:], "float64"))


def _refusal(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


set_model(TextClassifierModel())
