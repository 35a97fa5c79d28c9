"""The MLflow model of a language model, as code (https://mlflow.org/docs/latest/model/models-from-code).

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

from gradual.text.generation import GenerationConfig, write_texts
from gradual.training.bundle import load_bundle


class LanguageModelModel(PythonModel):
    """Beginnings of texts to the texts that the model makes of them."""

    def load_context(self, context: Any) -> None:
        """Read the bundle that was logged with the model."""
        path = Path(context.artifacts["language_model"])
        self._bundle = load_bundle(path, kind="language_model")

    def predict(
        self,
        context: Any,  # noqa: ARG002
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Go on from each text in the column `prompt`; an empty one lets the model begin.

        Returns:
            One row per prompt in the input's order: `text`, prompt and continuation.

        Raises:
            MlflowException: If there is no prompt, one is no string, or a parameter is out of
                range; a server answers with status 400 and the message.
        """
        prompts = model_input["prompt"].tolist()
        if not prompts:
            raise _refusal("There is no prompt: send at least one row in the column 'prompt'.")
        wrong = [i for i, prompt in enumerate(prompts) if not isinstance(prompt, str)]
        if wrong:
            raise _refusal(
                f"Column 'prompt' holds no string in {len(wrong)} of {len(prompts)} rows (the "
                f"first at position {wrong[0]}, counted from 0, is {prompts[wrong[0]]!r}). Give "
                "each row a text; an empty one lets the model begin by itself."
            )
        settings = dict(params or {})
        settings["top_k"] = settings.get("top_k") or None  # 0 stands for all words
        try:
            written = write_texts(
                self._bundle, GenerationConfig(prompts=tuple(prompts), **settings)
            )
        except ValueError as error:
            raise _refusal(str(error)) from error
        return pd.DataFrame({"text": [entry["text"] for entry in written]})


def _refusal(message: str) -> MlflowException:
    return MlflowException(message, error_code=INVALID_PARAMETER_VALUE)


set_model(LanguageModelModel())
