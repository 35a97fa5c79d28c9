"""Every model of this package as MLflow runs it, as code (https://mlflow.org/docs/latest/model/models-from-code).

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

from gradual.models.model import model_of
from gradual.training.bundle import load_bundle


class ServedModel(PythonModel):
    """A frame to a frame; which, and what may be set, the model's signature says."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that was logged with the model."""
        bundle = load_bundle(Path(context.artifacts["model"]))
        self._max_characters = context.model_config.get("max_characters")
        self._model = model_of(bundle, allowed_rules=context.model_config["allowed_rules"])

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Answer; see `gradual.models.model.Model.predict`.

        Returns:
            The answer in the types that MLflow and JSON know: floats are double, gaps are null.

        Raises:
            MlflowException: What was sent cannot be used; a server answers with status 400 and the
                message, which names column and row.
        """
        try:
            self._refuse_long(model_input)
            answer = self._model.predict(model_input, **(params or {}))
        except ValueError as error:
            raise MlflowException(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        answer = answer.astype(dict.fromkeys(answer.select_dtypes("float32"), "float64"))
        for name in answer.columns[answer.isna().any()]:
            answer[name] = answer[name].astype(object).where(answer[name].notna(), None)
        return answer

    def _refuse_long(self, frame: pd.DataFrame) -> None:
        """Raise ValueError for a text that the model would read for minutes."""
        most = self._max_characters
        if most is None:
            return
        for name in frame:
            for row, text in enumerate(frame[name]):
                if isinstance(text, str) and len(text) > most:
                    raise ValueError(
                        f"row {row} (the first is 0) has a text of {len(text):,} characters in the "
                        f"column {name!r}, more than {most:,}: send less of it, or serve with "
                        f"SERVING_MODEL_CONFIG='{{\"max_characters\": {len(text)}}}'"
                    )


set_model(ServedModel())
