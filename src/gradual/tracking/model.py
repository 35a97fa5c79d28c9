"""Log models to MLflow so that they run on raw input with no Kedro project around."""

from __future__ import annotations

import logging
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gradual.tracking.run import active_run_id, current_namespace

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)

# What the model's own code imports; the model's environment is built from these alone.
_REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "pyarrow",
    "safetensors",
    "spacy",
    "torch",
    "tqdm",
)
_CODE = ("__init__.py", "splits.py", "text", "training")


def log_text_classifier(
    bundle: Bundle,
    *,
    input_example: list[str],
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "classifier",
) -> str | None:
    """Log a text classifier as an MLflow model that takes raw texts.

    The model is its bundle (safetensors), this package's text and training code and a script;
    nothing of it is pickled. ``mlflow models predict`` and ``serve`` run it with the column
    `text` as input and answer `label` and `probability_<label>`. The example is classified
    first, so that a bundle that does not work is not logged.

    Args:
        bundle: A bundle of the kind "text_classifier".
        input_example: A few texts; they are stored with the model and show how to call it.
        registered_name: Register the model as the next version of this name.
        alias: Point this alias (`champion`, …) of the registered model to the new version.
        name: The model's name in the run; the namespace comes before it (`imdb_classifier`).

    Returns:
        The model's URI (`models:/m-…`), or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name.
    """
    if alias is not None and registered_name is None:
        raise ValueError(f"alias={alias!r} needs a registered_name: only those have aliases.")
    run_id = active_run_id()
    if run_id is None:
        logger.debug("No active MLflow run: model %r is not logged.", name)
        return None
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    from gradual.text.classifier import TextClassifier
    from gradual.training.bundle import save_bundle

    columns = TextClassifier.from_bundle(bundle).predict(input_example).columns
    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "text")]),
        outputs=Schema([ColSpec("string", "label"), *(ColSpec("double", c) for c in columns[1:])]),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.safetensors")
        save_bundle(bundle, path)
        info = mlflow.pyfunc.log_model(
            # MLflow refuses "." and "/" in a model's name.
            name="_".join(filter(None, (current_namespace().replace(".", "_"), name))),
            python_model=str(Path(__file__).with_name("text_classifier_model.py")),
            artifacts={"bundle": str(path)},
            code_paths=[str(_copy_code(Path(folder)))],
            pip_requirements=_requirements(),
            signature=signature,
            input_example=pd.DataFrame({"text": input_example}),
            registered_model_name=registered_name,
        )
    if registered_name is not None and alias is not None:
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(registered_name, alias, info.registered_model_version)
    return str(info.model_uri)


def _copy_code(folder: Path) -> Path:
    """Copy the part of this package that a model needs into ``folder``; return the copy."""
    source = Path(__file__).parents[1]
    target = folder / source.name
    target.mkdir()
    for name in _CODE:
        if (source / name).is_dir():
            shutil.copytree(
                source / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source / name, target / name)
    return target


def _requirements() -> list[str]:
    """The installed versions, without a local tag such as `+cpu`, which no registry has."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in _REQUIREMENTS]
