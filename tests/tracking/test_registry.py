import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
import pytest
from kedro.io.core import DatasetError
from model_bundles import bundle_of

from gradual import tracking
from gradual.io import BundleDataset, FirstBundleDataset
from gradual.training.bundle import Bundle, BundleError

Experiment = Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]

KIND = "tabular_baseline"


def bundle(number: int) -> Bundle:
    return dataclasses.replace(bundle_of(KIND), dependencies={"made_from": str(number)})


@pytest.fixture(scope="module")
def registry(experiment: Experiment, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A registry with two versions of one model; the alias stands at the first."""
    with experiment(tmp_path_factory.mktemp("registry")), mlflow.start_run():
        for number, alias in ((1, "champion"), (2, None)):
            registration = tracking.Registration("registry_rich", alias)
            tracking.log_model(bundle(number), registration=registration)


@pytest.mark.usefixtures("registry", "store")
@pytest.mark.parametrize(
    ("address", "number"),
    [("registry_rich@champion", 1), ("registry_rich/1", 1), ("registry_rich/2", 2)],
)
def test_a_registered_model_gives_back_its_bundle(address: str, number: int) -> None:
    found = BundleDataset(filepath=f"models:/{address}", kind=KIND).load()
    assert found.hash == bundle(number).hash
    assert found.origin == f"models:/registry_rich/{number}", "the version, not the alias"


@pytest.mark.usefixtures("registry", "store")
def test_the_champion_is_loaded_or_the_file_where_there_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / "stored.safetensors"
    unknown = BundleDataset(filepath=path, kind=KIND, champion="registry_none")
    known = BundleDataset(filepath=path, kind=KIND, champion="registry_rich")
    assert not unknown.exists()
    assert known.exists(), "no file is needed"
    BundleDataset(filepath=path).save(bundle(3))
    assert unknown.load().hash == bundle(3).hash
    assert "no registered model registry_none has a champion" in caplog.text
    found = known.load()
    assert (found.hash, found.origin) == (bundle(1).hash, "models:/registry_rich/1")
    assert "The champion of registry_rich answers: version 1, registered on 20" in caplog.text
    assert "registry_rich" in str(known.preview())
    with pytest.raises(DatasetError, match="champion of registry_rich is read"):
        known.save(bundle(3))


def test_a_registry_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri("http://127.0.0.1:9")
    try:
        with pytest.raises(BundleError, match=r"127\.0\.0\.1:9 does not .*predict_with: stored"):
            tracking.find_version("registry_rich")
    finally:
        mlflow.set_tracking_uri(before)


@pytest.mark.usefixtures("registry", "store")
@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        (
            "models:/registry_none@champion",
            None,
            r"no model 'registry_none', only .*: run the pipeline",
        ),
        ("models:/registry_rich@best", None, r"no alias 'best', only champion \(version 1\)"),
        ("models:/registry_rich/7", None, "no version 7, only 1, 2"),
        ("models:/registry_rich", None, "write models:/<name>@<alias>"),
        ("models:/m-123@champion/artifacts", None, "write models:/<name>@<alias>"),
        (
            "models:/registry_rich/2",
            "language_model",
            "holds tabular_baseline, where one language_model",
        ),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    uri: str, kind: str | None, message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        tracking.load_registered(uri, kind)


def test_files_that_are_gone_are_told_from_a_wrong_name(
    experiment: Experiment, tmp_path: Path
) -> None:
    with experiment(tmp_path), mlflow.start_run():
        tracking.log_model(bundle(1), registration=tracking.Registration("registry_lost"))
        for path in (tmp_path / "artifacts").rglob("*.safetensors"):
            path.unlink()
        with pytest.raises(BundleError, match=r"version 1\) holds no bundle"):
            tracking.load_registered("models:/registry_lost/1")


@pytest.mark.usefixtures("registry", "store")
def test_the_first_model_that_is_there_is_taken(tmp_path: Path) -> None:
    absent = ["models:/registry_none@champion", str(tmp_path / "none.safetensors")]
    there = ["models:/registry_rich/2", "models:/registry_rich@champion"]
    found = FirstBundleDataset(filepaths=[*absent, *there], kind=KIND)
    assert found.exists()
    assert found.load().origin == "models:/registry_rich/2"
    assert FirstBundleDataset(filepaths=[*absent, None], kind=KIND).load() is None
    with pytest.raises(DatasetError, match="no model 'registry_none'"):
        FirstBundleDataset(filepaths=absent[::-1], kind=KIND).load()
    with pytest.raises(DatasetError, match="where one language_model is needed"):
        # one that is there and cannot be used is not passed over
        FirstBundleDataset(filepaths=[there[0], None], kind="language_model").load()
    with pytest.raises(DatasetError, match="name at least one model"):
        FirstBundleDataset(filepaths=[])
    with pytest.raises(DatasetError, match="never write"):
        found.save(bundle(1))


def test_a_registered_model_is_not_written_to() -> None:
    dataset = BundleDataset(filepath="models:/registry_rich@champion")
    assert dataset.exists()
    with pytest.raises(Exception, match="is a registered model, which pipelines read"):
        dataset.save(bundle(1))
