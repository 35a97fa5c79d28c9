"""Who answers: the champion of a registered model, who replaces it, and the way back.

A registered model has two aliases: `champion`, which answers, and `previous`, which did before.
``models:/<name>@champion`` is what is served and what new rows are scored with.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from gradual.retraining.errors import ExitCode, Stop
from gradual.tracking.model import NAMESPACE
from gradual.tracking.registry import SCHEME, bundle_in, fetched, is_missing, load_registered
from gradual.tracking.run import current_namespace, log_metrics, pages, set_tags

if TYPE_CHECKING:
    from gradual.training.bundle import Bundle

logger = logging.getLogger(__name__)

CHAMPION, PREVIOUS = "champion", "previous"
TRAINING_ROWS = "training_rows.npy"
"""Beside a model: the sorted hashes of the rows that it was trained on, uint64."""
_SINCE, _BY, _BEFORE = "champion.since", "champion.by", "champion.before"  # on a version
_WAIT = 60.0  # seconds; whoever holds the lock needs some milliseconds


@dataclass(frozen=True)
class Champion:
    """The version of a registered model that answers.

    Attributes:
        name: Of the registered model.
        version: Its number.
        bundle: The model.
        training_rows: ``(n,)`` uint64, sorted: hashes of the rows that it was trained on.
    """

    name: str
    version: str
    bundle: Bundle
    training_rows: np.ndarray


@dataclass(frozen=True)
class Move:
    """A change of the champion; JSON can hold it.

    Attributes:
        name: Of the registered model.
        version: Who answers now.
        before: Who answered before; None if nobody did.
        at: When, ISO 8601 in UTC.
        by: Which process on which machine.
    """

    name: str
    version: str
    before: str | None
    at: str
    by: str


def champion(name: str) -> Champion | None:
    """The champion of a registered model with the rows it was trained on; None if it has none.

    Raises:
        BundleError: The alias points to a version that has been deleted or whose files are gone, or
            the version does not say what it was trained on. The message says what to do.
    """
    from gradual.training.bundle import BundleError

    version = champion_version(name)
    if version is None:
        return None
    try:
        with fetched(f"{SCHEME}{name}/{version}") as model:
            bundle, path = bundle_in(model), model.folder / TRAINING_ROWS
            rows = np.load(path, allow_pickle=False) if path.is_file() else None
    except (BundleError, ValueError) as error:
        raise BundleError(
            f"the champion of {name}, version {version}, cannot be used: {error}. `kedro gradual "
            f"rollback {name}` puts the version before in its place; or take its alias "
            f"{CHAMPION!r} away in MLflow, and the next retrain is a first one"
        ) from error
    if rows is None or rows.dtype != np.uint64:
        raise BundleError(
            f"the champion of {name}, version {version}, does not say which rows it was trained "
            f"on (there is no {TRAINING_ROWS} beside it), so that there are none to judge it by: "
            f"no retrain has made it. Take its alias {CHAMPION!r} away in MLflow, and the next "
            "retrain is a first one, whose challenger has to beat the best simple baseline"
        )
    return Champion(name, version, bundle, rows)


def champion_version(name: str) -> str | None:
    """The number of the version that answers; None if there is no such model or alias."""
    return _aliases(name).get(CHAMPION)


def register(name: str, model_uri: str, training_rows: np.ndarray) -> str:
    """Make a logged model the next version of a registered one, with no alias yet.

    Done again, for a run that was killed and goes on, it gives the same version.

    Args:
        name: Of the registered model; it is made if need be.
        model_uri: `models:/m-…`, of the logged model.
        training_rows: ``(n,)`` uint64, hashes of the rows that it was trained on.

    Returns:
        The version's number.
    """
    import mlflow

    client, model_id = mlflow.MlflowClient(), model_uri.removeprefix(SCHEME)
    for found in pages(client.search_model_versions, f"source_path = '{model_uri}'"):
        if found.name == name:
            return str(found.version)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, TRAINING_ROWS)
        np.save(path, np.unique(np.asarray(training_rows, np.uint64)), allow_pickle=False)
        client.log_model_artifact(model_id, str(path))
    return str(mlflow.register_model(model_uri, name).version)


def promote(name: str, version: str, expected: str | None, *, lock: Path) -> Move:
    """Make a version the champion if the champion still is the one that it was judged against.

    `previous` is set first, to the champion until now; then `champion`, by one call to the
    registry. Whoever is killed in between leaves the champion as it was. Done again, it changes
    nothing.

    Args:
        name: Of the registered model.
        version: The challenger, proved.
        expected: The champion that it was judged against; None if there was none.
        lock: A file that all who move the champion of this model lock.

    Raises:
        Stop: There is another champion by now; the message says since when and by whom.
    """
    import mlflow

    client = mlflow.MlflowClient()
    with _locked(lock, name):
        current = champion_version(name)
        if current == version:
            return _last_move(client, name, version)
        if current != expected:
            raise Stop(
                f"{_who(client, name, current)}; version {version} was judged against "
                f"{'none' if expected is None else f'version {expected}'} and is not promoted: run "
                "the retrain again, which judges it against the champion of now",
                exit_code=ExitCode.LOCKED,
                decision="overtaken",
            )
        move = _signed(client, name, version, current)
        if current is not None:
            client.set_registered_model_alias(name, PREVIOUS, current)
        client.set_registered_model_alias(name, CHAMPION, version)
    return move


def rollback(name: str, *, lock: Path) -> Move:
    """Put the version before back in the champion's place; the champion becomes `previous`.

    Args:
        name: Of the registered model.
        lock: As for `promote`.

    Raises:
        BundleError: There is no version before, or it cannot be loaded; nothing has changed.
    """
    import mlflow

    from gradual.training.bundle import BundleError

    client = mlflow.MlflowClient()
    with _locked(lock, name):
        aliases = _aliases(name)
        current, target = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        tags = {} if current is None else _tags(client, name, current)
        if tags is None:  # the version has been deleted, and only its alias is left
            current, tags = None, {}
        if target in (None, current):  # a promotion was killed between its two aliases
            target = tags.get(_BEFORE) or None
        if target in (None, current):
            raise BundleError(
                f"{name} has no version before its champion ({current or 'which is missing too'}): "
                f"there is nothing to go back to. Set the alias {CHAMPION!r} in MLflow yourself, "
                "or let a retrain find one"
            )
        assert target is not None
        load_registered(f"{SCHEME}{name}/{target}")
        move = _signed(client, name, target, current)
        # The champion first: killed now, the way back has been gone.
        client.set_registered_model_alias(name, CHAMPION, target)
        if current is not None:
            client.set_registered_model_alias(name, PREVIOUS, current)
    return move


def prune(name: str, keep: int, *, lock: Path) -> list[str]:
    """Delete old versions of a registered model, and the files of models that nobody needs.

    Of the versions the latest are kept, those with an alias, and the one before the champion. Of
    the models that the current namespace has logged, registered or not, those are kept that are a
    version, of this registered model or of another, and the latest. Whoever is killed here leaves
    files that the next call deletes. (A checkpoint is replaced by the next one of its stage: there
    are no old ones.)

    Args:
        name: Of the registered model.
        keep: How many of the latest versions, and of the latest models, stay.
        lock: As for `promote`.

    Returns:
        The versions that were deleted, the oldest first.
    """
    import mlflow
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    client, deleted = mlflow.MlflowClient(), []
    with _locked(lock, name):
        aliases = _aliases(name)
        kept = set(aliases.values())
        if CHAMPION in aliases:
            kept.add((_tags(client, name, aliases[CHAMPION]) or {}).get(_BEFORE, ""))
        found = pages(client.search_model_versions, f"name = '{name}'")
        versions = sorted(found, key=lambda version: int(version.version))
        kept |= {str(version.version) for version in versions[-keep:]}
        for version in versions:
            if str(version.version) not in kept:
                client.delete_model_version(name, version.version)
                deleted.append(str(version.version))
        experiments = [e.experiment_id for e in pages(client.search_experiments)]
        own = f"tags.`{NAMESPACE}` = '{current_namespace()}'"
        models = list(pages(client.search_logged_models, experiments, own))
        for model in sorted(models, key=lambda model: model.creation_timestamp)[:-keep]:
            files = f"source_path = '{SCHEME}{model.model_id}'"
            if not list(pages(client.search_model_versions, files)):
                get_artifact_repository(model.artifact_location).delete_artifacts()
                client.delete_logged_model(model.model_id)
    if deleted:
        logger.info("Deleted of %s: version %s.", name, ", ".join(deleted))
    return deleted


def log_judgement(judgement: Mapping[str, Any]) -> None:
    """Log a judgement to the active run: its words as tags, its figures as metrics.

    Args:
        judgement: `gradual.retraining.judging.Judgement` as a mapping.
    """
    words = ("decision", "sentence", "rule", "metric", "against")
    set_tags({f"judgement.{name}": judgement[name] for name in words})
    metrics: dict[str, Any] = {f"rows.{name}": n for name, n in judgement["rows"].items()}
    for figure in judgement["figures"]:
        for model in ("challenger", "against"):
            for bound, value in figure[model].items():
                metrics[_dotted(figure["metric"], model, bound)] = value
        for bound in ("difference", "low", "high"):
            metrics[_dotted(figure["metric"], "gap", bound)] = figure["gap"][bound]
    for model, costs in judgement["costs"].items():
        metrics |= {f"{name}.{model}": value for name, value in costs.items()}
    log_metrics(metrics, prefix="judgement")
    logger.info("%s", judgement["sentence"])


def _dotted(*names: str) -> str:
    return ".".join(name for name in names if name not in ("value", "difference"))


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold the lock, which the system frees when its holder dies.

    Raises:
        Stop: Somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=_WAIT)
    try:
        lock.acquire()
    except Timeout as error:
        raise Stop(
            f"another process has been moving the champion of {name} for {_WAIT:g} seconds (it "
            f"holds {path}): try again later",
            exit_code=ExitCode.LOCKED,
            decision="locked",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _aliases(name: str) -> dict[str, str]:
    """The versions that a registered model's aliases point to; none for one that is not there."""
    import mlflow

    try:
        model = mlflow.MlflowClient().get_registered_model(name)
    except mlflow.MlflowException as error:
        if is_missing(error):
            return {}
        raise
    return {alias: str(version) for alias, version in model.aliases.items()}


def _tags(client: Any, name: str, version: str) -> dict[str, str] | None:
    """The tags of a version; None if it has been deleted."""
    from mlflow import MlflowException

    try:
        return dict(client.get_model_version(name, version).tags)
    except MlflowException as error:
        if is_missing(error):
            return None
        raise


def _signed(client: Any, name: str, version: str, before: str | None) -> Move:
    """Write on a version who makes it the champion, before it is done."""
    by = f"process {os.getpid()} on {socket.gethostname()}"
    move = Move(name, version, before, datetime.now(UTC).isoformat(timespec="seconds"), by)
    for key, value in ((_SINCE, move.at), (_BY, by), (_BEFORE, before or "")):
        client.set_model_version_tag(name, version, key, value)
    return move


def _last_move(client: Any, name: str, version: str) -> Move:
    tags = _tags(client, name, version) or {}
    return Move(name, version, tags.get(_BEFORE) or None, tags.get(_SINCE, ""), tags.get(_BY, ""))


def _who(client: Any, name: str, version: str | None) -> str:
    if version is None:
        return f"{name} has no champion any more"
    move = _last_move(client, name, version)
    by = f", made so by {move.by} at {move.at}" if move.by else ""
    return f"version {version} is the champion of {name} now{by}"
