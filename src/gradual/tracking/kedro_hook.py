"""Kedro's runs in MLflow: kedro-mlflow's hook, readable parameters, an end for killed runs."""

from __future__ import annotations

import atexit
import logging
import os
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path, PurePath
from typing import Any

import mlflow
from filelock import FileLock
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from gradual.retraining.errors import Stop
from gradual.tracking.environment import (
    environment_tags,
    process_is_alive,
    process_tags,
    without_passwords,
)
from gradual.tracking.heartbeat import TAG, Heartbeat, is_dead
from gradual.tracking.run import (
    MAX_VALUE,
    active_run_id,
    log_artifact,
    log_params,
    set_namespace,
    set_tags,
)

with warnings.catch_warnings(record=True):
    # MLflow asks the plugin's own model class for type hints as soon as it is defined, and a filter
    # by message does not survive its imports.
    from kedro_mlflow.framework.hooks.mlflow_hook import MlflowHook

# A run's log is for what the run does. These set their own levels and handlers when imported, so
# conf/logging.yml cannot quieten them.
for _name in ("mlflow", "kedro_mlflow"):
    logging.getLogger(_name).setLevel(logging.WARNING)

# A progress bar for each copied file would bury the run's own log.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

logger = logging.getLogger(__name__)

SHARED_RUN = "GRADUAL_RUN"
SHARED_TAG = "scheduler.run"


class TrackingHook(MlflowHook):
    """One MLflow run per ``kedro run``, as kedro-mlflow has it, and somewhat more.

    * a parameter that is a model or a mapping is logged field by field under dotted names;
    * where ``GRADUAL_RUN`` in the environment names a run of a scheduler, all its processes log
      to one MLflow run, those that are tried again too;
    * relative locations in `mlflow.yml` are relative to the project, not to the current folder,
      and ``MLFLOW_TRACKING_URI`` wins over the file;
    * the run is tagged with the code, the machine and the process that it ran with;
    * runs of this machine that were killed end as KILLED when the next one starts;
    * what nodes log is put under their namespace;
    * a dataset with ``metadata: {mlflow: {artifact_path: reports}}`` is logged as an artifact
      each time it is saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self._catalog: DataCatalog | None = None
        self._env: str | None = None
        self._own_uri: str | None = None
        self._heartbeat: Heartbeat | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Set up MLflow with locations anchored at the project's root."""
        loader: Any = context.config_loader
        loader.config_patterns.setdefault("mlflow", ["mlflow*", "mlflow*/**", "**/mlflow*"])
        environ = dict(os.environ)
        if environ.get("MLFLOW_TRACKING_URI") == self._own_uri:
            # MLflow puts the location of an earlier run in this process there; nobody asked for it.
            environ.pop("MLFLOW_TRACKING_URI", None)
        loader["mlflow"] = anchor(loader["mlflow"], Path(context.project_path), environ)
        self._env = context.env or loader.default_run_env
        with _first_use(loader["mlflow"]["server"]["mlflow_tracking_uri"]):
            self._set_up(context)
        if "MLFLOW_TRACKING_URI" not in environ:
            self._own_uri = mlflow.get_tracking_uri()
        experiment = self.mlflow_config.tracking.experiment
        wanted = experiment.create_experiment_kwargs.artifact_location
        if wanted is not None and experiment._experiment.artifact_location != wanted:
            logger.warning(
                "Experiment %r keeps its artifacts in %s, where they were when it was created, not "
                "in %s as mlflow.yml says. If the project has moved, name another experiment.",
                experiment.name,
                experiment._experiment.artifact_location,
                wanted,
            )

    def _set_up(self, context: KedroContext) -> None:
        try:
            super().after_context_created(context)
        except mlflow.MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            # Another run has created the experiment after this one has looked for it.
            super().after_context_created(context)

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """Start the run, or go on with the scheduler's; end runs that were killed."""
        tracking = self.mlflow_config.tracking
        shared = os.environ.get(SHARED_RUN, "").replace("'", "_") or None  # MLflow escapes no quote
        if shared:
            tracking.run.id = (
                _run_shared_as(shared, tracking.experiment._experiment.experiment_id)
                or tracking.run.id
            )
        super().before_pipeline_run(run_params, pipeline, catalog)
        self._catalog = catalog
        if not self._is_mlflow_enabled:
            return
        set_tags({SHARED_TAG: shared})
        logger.info(
            "MLflow run %s of experiment %r is tracked in %s",
            self.run_id,
            self.mlflow_config.tracking.experiment.name,
            without_passwords(mlflow.get_tracking_uri()),
        )
        set_tags(process_tags())
        if not mlflow.get_tracking_uri().startswith("sqlite:"):  # which is this machine's own
            self._heartbeat = Heartbeat(mlflow.MlflowClient(), self.run_id)
        # An interrupt (Ctrl-C) reaches no hook, and MLflow would call the run FINISHED at exit.
        atexit.register(_end_interrupted, self.run_id)
        end_killed_runs(self.mlflow_config.tracking.experiment._experiment.experiment_id)
        set_tags(
            environment_tags(Path(run_params["project_path"]))
            | {"kedro.env": run_params.get("env") or self._env}
        )

    @hook_impl
    def before_node_run(self, node: Node, catalog: DataCatalog, inputs: dict[str, Any]) -> None:
        """Log the node's parameters field by field and put what it logs under its namespace."""
        # Not the plugin's: it logs a parameter as one text, and opens the run again for each node,
        # which leaves it open in this process when the pipeline has ended.
        if self.run_id is not None and active_run_id() != self.run_id:
            mlflow.start_run(run_id=self.run_id, nested=True)  # runs are active by thread
        set_namespace(None)  # parameters have theirs in their name already
        self._catalog = catalog
        for name, value in inputs.items():
            if name.startswith("params:"):
                log_params({name.removeprefix("params:"): value})
            elif name == "parameters":
                log_params(value)
        set_namespace(node.namespace)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:  # noqa: ARG002
        """Log the saved file as an artifact where the catalog entry's metadata says so."""
        dataset = self._catalog.get(dataset_name) if self._catalog is not None else None
        options = (getattr(dataset, "metadata", None) or {}).get("mlflow")
        if not options:
            return
        versioned = getattr(dataset, "_get_load_path", None)
        path = versioned() if versioned else getattr(dataset, "_filepath", None)
        if path is None or not Path(path).exists():
            logger.warning(
                "Dataset %r has `metadata: mlflow:` in the catalog but is not a local file: "
                "MLflow does not get it.",
                dataset_name,
            )
            return
        log_artifact(Path(path), options.get("artifact_path", ""))

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: DataCatalog
    ) -> None:
        """End the run as FINISHED."""
        set_namespace(None)
        self._end_heartbeat()
        super().after_pipeline_run(run_params, pipeline, catalog)

    @hook_impl
    def on_pipeline_error(
        self,
        error: Exception,
        run_params: dict[str, Any],
        pipeline: Pipeline,
        catalog: DataCatalog,
    ) -> None:
        """End the run as FAILED, with the error in the tag `error`; a retrain's stop is an end."""
        if isinstance(error, Stop):
            set_tags(
                {"retrain.decision": error.decision, "retrain.message": str(error)[:MAX_VALUE]}
            )
            self.after_pipeline_run(run_params, pipeline, catalog)
            return
        set_namespace(None)
        self._end_heartbeat()
        said = without_passwords(f"{type(error).__name__}: {error}")
        set_tags({"error": said[:MAX_VALUE]})
        super().on_pipeline_error(error, run_params, pipeline, catalog)

    def _end_heartbeat(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.end()


def _first_use(uri: str | None) -> AbstractContextManager[Any]:
    """A lock under which MLflow may create the tables of a local database.

    Of two processes that find it empty, the second would be told of duplicate columns.
    """
    path = (uri or "").partition("sqlite:///")[2]
    if not path or path == ":memory:":
        return nullcontext()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}-lock")


def anchor(config: Mapping[str, Any], project: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """`mlflow.yml` with the local database and artifacts placed relative to the project.

    Args:
        config: What the file says.
        project: The project's root folder.
        environ: The environment, in which ``MLFLOW_TRACKING_URI`` wins over the file.

    Returns:
        A new configuration. With a server, the artifacts' location is left to it.
    """
    server = dict(config.get("server") or {})
    tracking = dict(config.get("tracking") or {})
    experiment = dict(tracking.get("experiment") or {})
    create = dict(experiment.get("create_experiment_kwargs") or {})

    uri = environ.get("MLFLOW_TRACKING_URI") or server.get("mlflow_tracking_uri")
    scheme, separator, path = (uri or "").partition(":///")
    if separator and scheme == "sqlite" and path and not PurePath(path).is_absolute():
        uri = f"sqlite:///{(project / path).as_posix()}"
    server["mlflow_tracking_uri"] = uri
    if uri is None or not uri.startswith("sqlite:"):
        create["artifact_location"] = None

    experiment["create_experiment_kwargs"] = create
    tracking["experiment"] = experiment
    return {**config, "server": server, "tracking": tracking}


def _run_shared_as(name: str, experiment_id: str) -> str | None:
    """The id of the run that a task before this one has begun; None for the first task."""
    found = mlflow.MlflowClient().search_runs(
        [experiment_id],
        f"tags.`{SHARED_TAG}` = '{name}'",
        order_by=["attributes.start_time"],
        max_results=1,
    )
    return str(found[0].info.run_id) if found else None


def end_killed_runs(experiment_id: str) -> list[str]:
    """End as KILLED the experiment's RUNNING runs whose process is gone.

    Of those of this machine that is known at once, of those of others by their heartbeat.

    Returns:
        The ids of the runs that were ended.
    """
    client = mlflow.MlflowClient()
    own = process_tags()
    ended = []
    for run in client.search_runs([experiment_id], "attributes.status = 'RUNNING'"):
        tags = run.data.tags
        if tags.get("process.host") != own["process.host"]:
            if not is_dead(tags.get(TAG)):
                continue
        elif process_is_alive(tags.get("process.id", ""), tags.get("process.started", "")):
            continue
        client.set_terminated(run.info.run_id, "KILLED")
        ended.append(run.info.run_id)
        logger.warning(
            "MLflow run %s (%s) was killed (process %s of %s is gone): it is marked KILLED now.",
            run.info.run_name, run.info.run_id, tags.get("process.id"), tags.get("process.host"),
        )  # fmt: skip
    return ended


def _end_interrupted(run_id: str) -> None:
    if active_run_id() == run_id:
        mlflow.end_run("KILLED")
