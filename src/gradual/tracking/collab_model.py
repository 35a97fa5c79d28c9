"""The MLflow model of a recommender, as code (https://mlflow.org/docs/latest/model/models-from-code).

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

from gradual.collab.recommender import Recommender
from gradual.collab.serving import answer
from gradual.training.bundle import load_bundle


class RecommenderModel(PythonModel):
    """Users to lists of items, or pairs of users and items to scores."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that was logged with the model."""
        path = Path(context.artifacts["recommender"])
        self._recommender = Recommender.from_bundle(load_bundle(path, kind="collab"))

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answer the column `user`, or `user` and `item`; see `gradual.collab.serving.answer`.

        Raises:
            MlflowException: If there is no row, or a column is missing; a server answers with
                status 400 and the message.
        """
        try:
            return answer(self._recommender, model_input, **(params or {}))
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error


set_model(RecommenderModel())
