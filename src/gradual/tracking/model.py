"""Log models to MLflow so that they run on raw input with no Kedro project around."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradual.tracking.registration import Registration
from gradual.tracking.run import active_run_id, current_namespace

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.types import Schema

    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)

NAMESPACE = "namespace"
"""The tag of a logged model that says which pipeline has made it."""

# MLflow's type by the kind of a NumPy type; all else is text. Wide types only: whoever asks a
# model sends JSON or CSV, which know no narrow ones.
_TYPES = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime"}


def log_model(
    bundle: Bundle,
    *,
    input_example: pd.DataFrame | None = None,
    registration: Registration = Registration(),  # noqa: B008
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    allowed_rules: Collection[str] = (),
) -> str | None:
    """Log a model of any kind as an MLflow model that takes a frame and answers with one.

    It is its bundle (safetensors), the modules of this package that it imports, and a script;
    nothing of it is pickled. ``mlflow models predict`` and ``serve`` run it. The example is
    answered first, so that a bundle that does not work is not logged.

    Args:
        bundle: The model, of a kind that `gradual.models` knows.
        input_example: A few rows as the model takes them, stored with it to show how to call it;
            columns and types become the signature's (numbers as long or double, all else text); a
            column with a gap is optional. None takes the model's own `example`.
        registration: Under which name to register it.
        name: The model's name in the run; the namespace comes before it (`imdb_classifier`). None
            takes the bundle's kind.
        settings: Defaults of what a caller may set at each prediction, kept in the logged bundle;
            None leaves those of the bundle.
        allowed_rules: Rules of your own that a text model's tokenizer may import; see
            `gradual.models.Model`. Who serves the model needs the packages that they are in.

    Returns:
        The model's URI (`models:/m-…`), or None where no run is active.

    Raises:
        ValueError: If the model refuses the example or a setting.
    """
    name = name or bundle.kind
    if active_run_id() is None:
        logger.debug("No active MLflow run: model %r is not logged.", name)
        return None
    import mlflow
    from mlflow.models import ModelSignature, infer_signature

    from gradual.models import model_of, packaging, with_settings
    from gradual.training.bundle import save_bundle

    bundle = with_settings(bundle, settings) if settings else bundle
    model = model_of(bundle, allowed_rules=allowed_rules)
    example = model.example if input_example is None else input_example
    signature = ModelSignature(
        inputs=_schema(example, typed=model.typed), outputs=_schema(model.predict(example))
    )
    if model.settings:
        signature.params = infer_signature(params=model.settings).params
    limits = {} if model.max_characters is None else {"max_characters": model.max_characters}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        save_bundle(bundle, path)
        info = mlflow.pyfunc.log_model(
            # MLflow refuses "." and "/" in a model's name.
            name="_".join(filter(None, (current_namespace().replace(".", "_"), name))),
            python_model=str(packaging.SCRIPT),
            artifacts={"model": str(path)},
            model_config={"allowed_rules": list(allowed_rules)} | limits,
            code_paths=[str(packaging.copy_code(bundle.kind, Path(folder)))],
            pip_requirements=packaging.requirements(bundle),
            signature=signature,
            input_example=example,
            registered_model_name=registration.registered_name,
            tags={NAMESPACE: current_namespace()},
        )
    registered, alias = registration.registered_name, registration.alias
    if registered is not None and alias is not None:
        number = info.registered_model_version
        mlflow.MlflowClient().set_registered_model_alias(registered, alias, number)
        logger.info(
            "%s is version %s of the registered model models:/%s@%s",
            name, number, registered, alias,
        )  # fmt: skip
    return str(info.model_uri)


def _schema(example: pd.DataFrame, *, typed: bool = True) -> Schema:
    """The columns of a frame and their types in MLflow's words; one with a gap is optional.

    A model that checks types itself takes every column as it comes: MLflow would refuse whole
    numbers where the signature says double, and its messages name no row.
    """
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType, Array

    def kind(values: pd.Series) -> str | Array:
        if len(values) and isinstance(values.iloc[0], list):
            return Array("string")
        return _TYPES.get(values.dtype.kind, "string")

    if not typed:  # MLflow knows `any` as an optional column only: the model asks for it itself
        return Schema([ColSpec(AnyType(), str(name), required=False) for name in example])
    return Schema(
        [
            ColSpec(kind(values), str(name), required=not values.isna().any())
            for name, values in example.items()
        ]
    )
