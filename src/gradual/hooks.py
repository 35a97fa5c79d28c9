"""Kedro hooks of the project."""

import logging
import math
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from gradual.configuration.checks import check_inputs
from gradual.configuration.loader import ConfigLoader
from gradual.io.lock import OneWriter
from gradual.retraining.errors import ExitCode, Stop

logger = logging.getLogger(__name__)

LOCKS = "locks"  # their folder, among an environment's data
ANSWERING = {"predict", "prediction"}  # tags of the nodes that answer new rows


class ConfigurationHook:
    """Makes the pipelines from what the session's environment and ``--params`` say."""

    def __init__(self) -> None:
        self._loader: ConfigLoader | None = None
        self._catalog: CatalogProtocol | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Hand the config loader to the registry; pipelines of an earlier session are forgotten."""
        loader = context.config_loader
        self._loader = loader if isinstance(loader, ConfigLoader) and loader.sources else None
        if self._loader is None:
            return
        if (said := self._loader.packaged_logging) and "KEDRO_LOGGING_CONFIG" not in os.environ:
            project.LOGGING.configure(said)
        from gradual import pipeline_registry  # reads the settings, which name this hook

        pipeline_registry.use(self._loader)
        if project.PACKAGE_NAME is not None:
            project.pipelines.configure(f"{project.PACKAGE_NAME}.pipeline_registry")

    @hook_impl(tryfirst=True)  # before a run is tracked
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Check that what the pipeline reads is there."""
        self._catalog = catalog
        if self._loader is not None:
            check_inputs(self._loader, project.pipelines, pipeline, catalog)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Say where the answers to new rows lie."""
        if self._catalog is not None and node.tags & ANSWERING:
            path = getattr(self._catalog.get(dataset_name), "_filepath", None)
            if path is not None:
                logger.info("%s is in %s", dataset_name, path)


class LockHook:
    """Lets one run at a time write to a namespace of an environment, before it is tracked."""

    def __init__(self) -> None:
        self._writer: OneWriter | None = None

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Find the environment's folder; what an interrupted run of this process has is freed."""
        self._release()
        loader = context.config_loader
        self._writer = None
        if isinstance(loader, ConfigLoader):
            self._writer = OneWriter(Path(context.project_path) / loader.data_folder / LOCKS)

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Lock what the pipeline writes to.

        Raises:
            Stop: Another run writes there.
        """
        if self._writer is not None:
            self._writer.acquire(written_namespaces(pipeline))

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Free it."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Free it."""
        self._release()

    def _release(self) -> None:
        if self._writer is not None:
            self._writer.release()


def written_namespaces(pipeline: Pipeline) -> set[str]:
    """Return the namespaces that a pipeline writes to; the answers to new rows are one apart."""
    return {
        name.partition(".")[0] + ("_predict" if node.tags & ANSWERING else "")
        for node in pipeline.nodes
        for name in node.outputs
        if "." in name
    }


class RetrainHook:
    """Records retrains that are stopped or fail, as their last node records those that do not."""

    def __init__(self) -> None:
        self._started: dict[str, str] = {}  # when they began in this process, by namespace

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Find out which sources are retrained, from which node on, and for how long at most."""
        nodes = [node for node in pipeline.nodes if "retrain" in node.tags]
        self._started = {str(node.namespace): "" for node in nodes}
        for node in nodes:
            if node.name.endswith(".take_in"):
                self._started[str(node.namespace)] = datetime.now(UTC).isoformat()
        configs = [catalog.load(f"params:{name}.retrain").root for name in self._started]
        minutes = sum(config.max_minutes or math.inf for config in configs)
        if configs and math.isfinite(minutes):
            _stop_after(minutes)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Let time go on."""
        self._let_go()

    @hook_impl(tryfirst=True)  # while the run is still tracked
    def on_pipeline_error(self, error: Exception, catalog: CatalogProtocol) -> None:
        """Record what has ended early."""
        self._let_go()
        for namespace, started in self._started.items():
            from gradual.pipelines.retraining import records

            try:
                records.end_early(catalog, namespace, error, started)
            except Exception:  # what ended the run is to be told, and not this
                logger.exception("The end of %s could not be recorded", namespace)

    def _let_go(self) -> None:
        if self._started:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _stop_after(minutes: float) -> None:
    """Raise a stop in the main thread, where nodes run one after the other, when time is up."""

    def stop(*_: object) -> None:
        raise Stop(
            f"The retrain took more than the {minutes:g} minutes of max_minutes. The champion "
            "stays; the next run goes on from the last checkpoint.",
            ExitCode.OUT_OF_TIME,
            "out_of_time",
        )

    signal.signal(signal.SIGALRM, stop)
    # Again, should somebody catch it who catches all exceptions.
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes, 10)


class TrackingHook:
    """Tracks runs in MLflow, which is imported when a session opens: not for ``--help``."""

    def __init__(self) -> None:
        self._hook: Any = None  # one for all sessions of a process: it knows what it has set

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Register the hook of `gradual.tracking` with the run's hooks."""
        if self._hook is None:
            from gradual.tracking import kedro_hook

            self._hook = kedro_hook.TrackingHook()
        manager = context._hook_manager
        if not manager.is_registered(self._hook):
            manager.register(self._hook)
        self._hook.after_context_created(context)
