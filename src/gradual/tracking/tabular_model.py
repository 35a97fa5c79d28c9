"""The MLflow model on a table, as code (https://mlflow.org/docs/latest/model/models-from-code).

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

from gradual.tabular.serving import model_from_bundle
from gradual.training.bundle import load_bundle


class RawRowsModel(PythonModel):
    """Raw rows to predictions."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that was logged with the model."""
        self._model = model_from_bundle(load_bundle(Path(context.artifacts["model"])))

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Predict raw rows.

        Returns:
            One row a row, in their order: see `gradual.tabular.predict.TableModel.predict`.

        Raises:
            MlflowException: If there is no row, a column is missing, or a value cannot be used; a
                server answers with status 400 and the message, which names column and row.
        """
        try:
            if len(model_input) == 0:
                raise ValueError("There is no row: send at least one.")
            return self._model.predict(model_input)
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(RawRowsModel())
