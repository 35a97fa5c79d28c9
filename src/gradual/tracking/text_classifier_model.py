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
        """Classify the column `text`.

        Returns:
            One row per text in the input's order: `label` and a `probability_<label>` for each.

        Raises:
            MlflowException: If there is no text, or one is missing, blank or not a string; a
                server answers with status 400 and the message.
        """
        texts = model_input["text"].tolist()
        if not texts:
            raise _refusal("There is no text: send at least one row in the column 'text'.")
        wrong = [i for i, text in enumerate(texts) if not isinstance(text, str) or not text.strip()]
        if wrong:
            raise _refusal(
                f"Column 'text' is missing, blank or not a string in {len(wrong)} of {len(texts)} "
                f"rows (the first at position {wrong[0]}, counted from 0, is {texts[wrong[0]]!r}). "
                "Remove them or give them a text."
            )
        predictions = self._classifier.predict(texts)
        return predictions.astype(dict.fromkeys(predictions.columns[1:], "float64"))


def _refusal(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


set_model(TextClassifierModel())
