"""Nights in one project folder, in this process: what a schedule does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from kedro.framework.project import settings
from kedro.framework.startup import bootstrap_project
from retraining_nights import Night, Nights

from gradual.retraining.errors import Stop
from gradual.retraining.history import History


@pytest.fixture(scope="session")
def retrains() -> Nights:
    """In its context, gives a function that runs a night of a source in a clone."""

    @contextmanager
    def open_project(project: Path, source: str) -> Iterator[Callable[..., Night]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(project)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            bootstrap_project(project)

            def night(**params: Any) -> Night:
                code, message = 0, ""
                try:
                    with settings.SESSION_CLASS.create(
                        project, env="tiny", runtime_params=params
                    ) as session:
                        session.run(pipeline_names=[f"{source}_retrain"])
                except Stop as stop:
                    code, message = int(stop.exit_code), str(stop)
                client = mlflow.MlflowClient()
                found = client.search_registered_models(f"name = '{source}'")
                versions = client.search_model_versions(f"name = '{source}'")
                experiment = client.get_experiment_by_name("gradual")
                runs = client.search_runs([experiment.experiment_id])
                return Night(
                    code,
                    message,
                    History(Path(f"data/tiny/08_reporting/{source}_retrain/history")).records(),
                    sorted(str(version.version) for version in versions),
                    {alias: str(number) for alias, number in found[0].aliases.items()}
                    if found
                    else {},
                    [(run.info.status, run.data.tags) for run in runs],
                )

            try:
                yield night
            finally:
                patch.delenv("MLFLOW_TRACKING_URI", raising=False)
                mlflow.set_tracking_uri(None)

    return open_project
