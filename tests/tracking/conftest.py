import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import mlflow
import pytest


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all tests: to create its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def experiment(tracking_uri: str) -> Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]:
    """Track in an experiment of its own, with artifacts in a folder, while in the context."""

    @contextmanager
    def track(folder: Path) -> Iterator[mlflow.MlflowClient]:
        # MLflow keeps its location in the environment too, where other tests' processes find it.
        before = os.environ.get("MLFLOW_TRACKING_URI")
        mlflow.set_tracking_uri(tracking_uri)
        client = mlflow.MlflowClient()
        name = f"{folder.parent.name}-{folder.name}"
        client.create_experiment(name, artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment(name)
        try:
            yield client
        finally:
            while mlflow.active_run():
                mlflow.end_run()
            mlflow.set_tracking_uri(before)
            if before is None:
                os.environ.pop("MLFLOW_TRACKING_URI", None)
            for name in ("MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID"):
                os.environ.pop(name, None)

    return track


@pytest.fixture
def store(
    experiment: Callable[[Path], AbstractContextManager[mlflow.MlflowClient]], tmp_path: Path
) -> Iterator[mlflow.MlflowClient]:
    """A client of an experiment of the test's own, with no active run."""
    with experiment(tmp_path) as client:
        yield client
