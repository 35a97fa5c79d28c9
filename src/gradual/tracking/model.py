"""Log models to MLflow so that they run on raw input with no Kedro project around."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradual.tracking.run import active_run_id, current_namespace

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.types import Schema

    from gradual.text.generation import GenerationConfig
    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)

# What a text model imports: the packages and the parts of this one.
TEXT_REQUIREMENTS = ("numpy", "pandas", "pyarrow", "safetensors", "spacy", "torch", "tqdm")
UNIT_REQUIREMENTS = {"subword": ("sentencepiece",), "character": ("wcwidth",)}
LANGUAGE_REQUIREMENTS = {"ja": ("sudachidict-core", "sudachipy")}
TEXT_CODE = ("reports", "results", "sources", "text", "training")

# MLflow's type by the kind of a NumPy type; all else is text. Wide types only: whoever asks a
# model sends JSON or CSV, which know no narrow ones.
_TYPES = {"b": "boolean", "i": "long", "u": "long", "f": "double", "M": "datetime"}


def log_model(
    bundles: Mapping[str, Bundle],
    *,
    script: Path,
    input_example: pd.DataFrame,
    output_example: pd.DataFrame,
    code: Sequence[str],
    requirements: Sequence[str],
    name: str,
    registered_name: str | None = None,
    alias: str | None = None,
    params: Mapping[str, Any] | None = None,
    checks_types: bool = False,
) -> str | None:
    """Log a model made of bundles as an MLflow model that takes a table and answers with one.

    The model is its bundles (safetensors), the named parts of this package and a script; nothing
    of it is pickled. ``mlflow models predict`` and ``serve`` run it. Each kind of model has a
    function ``log_<kind>`` that calls this one.

    Args:
        bundles: What the model is made of, by name: the script finds the file of each under
            ``context.artifacts[name]``.
        script: The model as code: defines a ``PythonModel`` and ends in ``set_model(…)``.
        input_example: A few rows as the model takes them, stored with it to show how to call it;
            columns and types become the signature's (numbers as long or double, all else text);
            a column with a gap is optional.
        output_example: What the model answers to them; only columns and types are used.
        code: Parts of the package `gradual` that the script imports, as names of files and
            folders in it (`"text"`, `"splits.py"`).
        requirements: Distributions that this code imports; their installed versions are logged.
        name: The model's name in the run; the namespace comes before it (`imdb_classifier`).
        registered_name: Register the model as the next version of this name.
        alias: Point this alias (`champion`, …) of the registered model to the new version.
        params: Default by name of what a caller may set at each prediction (`params` of the
            script's ``predict``); None for nothing.
        checks_types: The model says itself what is wrong with a value, and takes every input
            column as it comes. MLflow would refuse whole numbers where the signature says double,
            and its messages name no row.

    Returns:
        The model's URI (`models:/m-…`), or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name.
    """
    if alias is not None and registered_name is None:
        raise ValueError(f"alias={alias!r} needs a registered_name: only those have aliases.")
    if active_run_id() is None:
        logger.debug("No active MLflow run: model %r is not logged.", name)
        return None
    import mlflow
    from mlflow.models import ModelSignature, infer_signature

    from gradual.training.bundle import save_bundle

    inputs = _schema(input_example, any_type=checks_types)
    signature = ModelSignature(inputs=inputs, outputs=_schema(output_example))
    if params:
        signature.params = infer_signature(params=dict(params)).params
    with tempfile.TemporaryDirectory() as folder:
        paths = {key: Path(folder, f"{key}.safetensors") for key in bundles}
        for key, bundle in bundles.items():
            save_bundle(bundle, paths[key])
        info = mlflow.pyfunc.log_model(
            # MLflow refuses "." and "/" in a model's name.
            name="_".join(filter(None, (current_namespace().replace(".", "_"), name))),
            python_model=str(script),
            artifacts={key: str(path) for key, path in paths.items()},
            code_paths=[str(_copy_code(code, Path(folder)))],
            pip_requirements=_versions(["mlflow", *requirements]),
            signature=signature,
            input_example=input_example,
            registered_model_name=registered_name,
        )
    if registered_name is not None and alias is not None:
        client = mlflow.MlflowClient()
        client.set_registered_model_alias(registered_name, alias, info.registered_model_version)
        logger.info(
            "%s is version %s of the registered model models:/%s@%s",
            name, info.registered_model_version, registered_name, alias,
        )  # fmt: skip
    return str(info.model_uri)


def log_text_classifier(
    bundle: Bundle,
    *,
    input_example: pd.DataFrame,
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "classifier",
) -> str | None:
    """Log a text classifier as an MLflow model that takes raw texts.

    Its input are its text columns by their names, its answer `label` (a list of labels where a
    document may have several) and `probability_<label>`. The example is classified first, so that
    a bundle that does not work is not logged.

    Args:
        bundle: A bundle of the kind "text_classifier".
        input_example: A few rows with the text columns.
        registered_name: See `log_model`, and so for the others.
        alias: A name for the new version.
        name: The model's name in the run.

    Returns:
        The model's URI, or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name.
    """
    import pandas as pd

    # Nothing is loaded and classified for a model that is not logged.
    answer = pd.DataFrame()
    if active_run_id() is not None:
        from gradual.text.classifier import TextClassifier

        answer = TextClassifier.from_bundle(bundle).predict(input_example)
    return log_model(
        {"classifier": bundle},
        script=Path(__file__).with_name("text_classifier_model.py"),
        input_example=input_example,
        output_example=answer,
        code=TEXT_CODE,
        requirements=_text_requirements(bundle),
        name=name,
        registered_name=registered_name,
        alias=alias,
    )


def log_text_ensemble(
    bundles: Mapping[str, Bundle],
    *,
    input_example: pd.DataFrame,
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "ensemble",
) -> str | None:
    """Log several text classifiers as one MLflow model that answers with their mean.

    Input and answer are those of `log_text_classifier`.

    Args:
        bundles: Bundles of the kind "text_classifier" with the same labels, by name.
        input_example: A few rows with the text columns.
        registered_name: See `log_model`, and so for the others.
        alias: A name for the new version.
        name: The model's name in the run.

    Returns:
        The model's URI, or None where no run is active.

    Raises:
        ValueError: If the labels differ, or there is an alias without a registered name.
    """
    import pandas as pd

    from gradual.text.ensemble import TextEnsemble, check_members

    check_members(list(bundles.values()))
    answer = pd.DataFrame()
    if active_run_id() is not None:
        answer = TextEnsemble.from_bundles(list(bundles.values())).predict(input_example)
    return log_model(
        bundles,
        script=Path(__file__).with_name("text_ensemble_model.py"),
        input_example=input_example,
        output_example=answer,
        code=TEXT_CODE,
        requirements=_text_requirements(*bundles.values()),
        name=name,
        registered_name=registered_name,
        alias=alias,
    )


def log_language_model(
    bundle: Bundle,
    writing: GenerationConfig,
    *,
    registered_name: str | None = None,
    alias: str | None = None,
    name: str = "language_model",
) -> str | None:
    """Log a language model as an MLflow model that goes on writing.

    Its input is the column `prompt`, its answer the column `text`. A caller may set words,
    temperature, min_p, top_k (0 for all words) and seed as parameters of each prediction. The
    configured prompts are gone on with beforehand, so that a bundle that does not work is not
    logged.

    Args:
        bundle: A bundle of the kind "language_model".
        writing: The prompts that are stored as example, and the parameters' defaults.
        registered_name: See `log_model`, and so for the others.
        alias: A name for the new version.
        name: The model's name in the run.

    Returns:
        The model's URI, or None where no run is active.

    Raises:
        ValueError: If there is an alias without a registered name.
    """
    import pandas as pd

    from gradual.text.generation import write_texts

    answer = write_texts(bundle, writing) if active_run_id() is not None else []
    return log_model(
        {"language_model": bundle},
        script=Path(__file__).with_name("language_model_model.py"),
        input_example=pd.DataFrame({"prompt": list(writing.prompts)}),
        output_example=pd.DataFrame({"text": [entry["text"] for entry in answer]}, dtype="str"),
        code=TEXT_CODE,
        requirements=_text_requirements(bundle),
        name=name,
        registered_name=registered_name,
        alias=alias,
        params={
            "words": writing.words,
            "temperature": writing.temperature,
            "min_p": writing.min_p,
            "top_k": writing.top_k or 0,  # MLflow's parameters cannot be null
            "seed": writing.seed,
        },
    )


def _schema(example: pd.DataFrame, *, any_type: bool = False) -> Schema:
    """The columns of a table and their types in MLflow's words; one with a gap is optional."""
    from mlflow.types import ColSpec, Schema
    from mlflow.types.schema import AnyType, Array

    def kind(name: str) -> str | Array:
        if len(example) and isinstance(example[name].iloc[0], list):
            return Array("string")
        return _TYPES.get(example[name].dtype.kind, "string")

    def complete(name: str) -> bool:
        return not example[name].isna().any()

    if any_type:  # MLflow knows `any` as an optional column only: the model asks for it itself
        return Schema([ColSpec(AnyType(), str(name), required=False) for name in example])
    return Schema(
        [ColSpec(kind(name), str(name), required=complete(name)) for name in example.columns]
    )


def _copy_code(parts: Sequence[str], folder: Path) -> Path:
    """Copy the parts of this package that a model needs into ``folder``; return the copy."""
    source = Path(__file__).parents[1]
    target = folder / source.name
    target.mkdir()
    for name in ("__init__.py", *parts):
        if (source / name).is_dir():
            shutil.copytree(
                source / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source / name, target / name)
    return target


def _versions(requirements: Sequence[str]) -> list[str]:
    """The installed versions, without a local tag such as `+cpu`, which no registry has."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in requirements]


def _text_requirements(*bundles: Bundle) -> list[str]:
    """Return the packages that text models import, those of their tokenizers included."""
    packages = set(TEXT_REQUIREMENTS)
    for bundle in bundles:
        tokenizer = bundle.metadata.get("tokenizer") or {}
        unit = tokenizer.get("unit", "word")
        packages.update(UNIT_REQUIREMENTS.get(unit, ()))
        if unit == "word":
            packages.update(LANGUAGE_REQUIREMENTS.get(tokenizer.get("language", "en"), ()))
    return sorted(packages)
