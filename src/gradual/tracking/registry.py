"""Models out of MLflow's model registry."""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradual.tracking.environment import without_passwords

if TYPE_CHECKING:
    from mlflow import MlflowException
    from mlflow.entities.model_registry import ModelVersion

    from gradual.training.bundle import Bundle

#: How the address of a registered model begins.
SCHEME = "models:/"

_URI = re.compile(rf"{SCHEME}(?P<name>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>\d+))")
_LOGGED = re.compile(rf"{SCHEME}m-\w+")
_SHOWN = 10


@dataclass(frozen=True)
class Fetched:
    """The files of a model that MLflow has, on this machine.

    Attributes:
        folder: Where they lie.
        origin: `models:/<name>/<version>` or `models:/m-…`.
        whose: What to call it in messages.
    """

    folder: Path
    origin: str
    whose: str


def load_registered(uri: str, kind: str | None = None) -> Bundle:
    """Read the bundle of a model that MLflow has.

    Args:
        uri: `models:/<name>@<alias>` or `models:/<name>/<version>`, in the registry that belongs
            to the tracking server in use, or `models:/m-…`, a logged model.
        kind: Kind that the bundle must be of; None accepts any.

    Returns:
        The bundle; its `origin` is `models:/<name>/<version>`, so that what was used can be told
        also after the alias has moved on.

    Raises:
        NotRegisteredError: There is no such model, alias or version; the message lists those there
            are.
        BundleError: The address is none, or the model holds no such bundle.
    """
    with fetched(uri) as model:
        return bundle_in(model, kind)


@contextmanager
def fetched(uri: str) -> Iterator[Fetched]:
    """Fetch a model's files for as long as the context lasts; see `load_registered`."""
    import mlflow

    from gradual.training.bundle import BundleError

    match = _URI.fullmatch(uri)
    if match is None and not _LOGGED.fullmatch(uri):
        raise BundleError(
            f"{uri} is no registered model: write {SCHEME}<name>@<alias>, for example "
            f"{SCHEME}wikitext_language_model@champion, or {SCHEME}<name>/<version>, "
            f"or the model_uri of a logged one ({SCHEME}m-…)"
        )
    origin, whose = uri, uri
    if match is not None:
        version = _version(mlflow.MlflowClient(), **match.groupdict())
        origin, whose = f"{SCHEME}{match['name']}/{version}", f"{uri} (version {version})"
    with tempfile.TemporaryDirectory() as folder:
        try:
            model = Path(mlflow.artifacts.download_artifacts(origin, dst_path=folder))
        except (mlflow.MlflowException, OSError) as error:
            raise BundleError(
                f"{whose} cannot be fetched ({error}): its files have been moved "
                "or deleted; register it anew with the pipeline that makes it"
            ) from error
        yield Fetched(model, origin, whose)


def bundle_in(model: Fetched, kind: str | None = None) -> Bundle:
    """Read the bundle of a model whose files have been fetched; see `load_registered`."""
    from gradual.training.bundle import BundleError, load_bundle

    bundles = [load_bundle(path) for path in sorted(model.folder.glob("artifacts/*.safetensors"))]
    kinds = [bundle.kind for bundle in bundles]
    fitting = [bundle for bundle in bundles if kind in (None, bundle.kind)]
    if len(fitting) != 1:
        raise BundleError(
            f"{model.whose} holds {', '.join(kinds) or 'no bundle'}, where one "
            f"{kind or 'bundle'} is needed: name another model"
        )
    return dataclasses.replace(fitting[0], origin=model.origin)


def is_missing(error: MlflowException) -> bool:
    """Whether an error of MLflow's says that something is not there."""
    from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST, ErrorCode

    return bool(error.error_code == ErrorCode.Name(RESOURCE_DOES_NOT_EXIST))


def find_version(name: str, alias: str = "champion") -> ModelVersion | None:
    """Return the version of a registered model that an alias points to; None if there is none.

    Raises:
        BundleError: The registry does not answer.
    """
    import mlflow

    from gradual.training.bundle import BundleError

    client = mlflow.MlflowClient()
    try:
        number = client.get_registered_model(name).aliases.get(alias)
        return None if number is None else client.get_model_version(name, number)
    except mlflow.MlflowException as error:
        if is_missing(error):
            return None
        raise BundleError(
            f"{_registry()} does not say who the {alias} of {name} is ({error}): see that it runs "
            "and that MLFLOW_TRACKING_URI names it; `predict_with: stored` answers without it"
        ) from error


def _registry() -> str:
    from mlflow import get_registry_uri

    return f"the registry at {without_passwords(get_registry_uri())}"


def _version(client: Any, name: str, alias: str | None, version: str | None) -> str:
    """The version's number, if it is there."""
    from mlflow import MlflowException

    from gradual.training.bundle import NotRegisteredError

    where = _registry()
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if not is_missing(error):
            raise
        names = [model.name for model in client.search_registered_models(max_results=_SHOWN)]
        raise NotRegisteredError(
            f"{where} has no model {name!r}, only {', '.join(names) or 'none at all'}: run the "
            "pipeline that registers it (`kedro run --pipeline=wikitext`, in the same environment "
            "or tracking server), or correct the name"
        ) from error
    if alias is not None:
        if alias not in model.aliases:
            aliases = ", ".join(f"{a} (version {v})" for a, v in sorted(model.aliases.items()))
            raise NotRegisteredError(
                f"the model {name!r} in {where} has no alias {alias!r}, only {aliases or 'none'}: "
                f"correct it, or name a version ({SCHEME}{name}/<version>)"
            )
        return str(model.aliases[alias])
    try:
        return str(client.get_model_version(name, version).version)
    except MlflowException as error:
        if not is_missing(error):
            raise
        versions = [int(v.version) for v in client.search_model_versions(f"name='{name}'")]
        raise NotRegisteredError(
            f"the model {name!r} in {where} has no version {version}, only "
            f"{', '.join(map(str, sorted(versions))) or 'none'}: correct it, or name an alias"
        ) from error
