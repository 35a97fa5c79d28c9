from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import torch

from gradual import tracking
from gradual.io import BundleDataset
from gradual.training.bundle import Bundle, BundleError

Experiment = Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]

SCRIPT = """
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Echo(PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input


set_model(Echo())
"""


def bundle(value: float, kind: str = "echo") -> Bundle:
    return Bundle(kind, {"size": 1}, {"weight": torch.tensor([value])}, {"words": ["é"]}, {})


@pytest.fixture(scope="module")
def registry(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> AbstractContextManager[mlflow.MlflowClient]:
    """A registry with two versions of one model; the alias stands at the first."""
    folder = tmp_path_factory.mktemp("registry")
    (folder / "echo_model.py").write_text(SCRIPT)
    table = pd.DataFrame({"text": ["a"]})
    with experiment(folder), mlflow.start_run():
        for value, alias in ((1.0, "champion"), (2.0, None)):
            tracking.log_model(
                {"echo": bundle(value)}, script=folder / "echo_model.py", input_example=table,
                output_example=table, code=["training"], requirements=["torch"], name="echo",
                registered_name="registry_echo", alias=alias,
            )  # fmt: skip
    return folder


@pytest.mark.usefixtures("registry", "store")
@pytest.mark.parametrize(
    ("address", "value"),
    [("registry_echo@champion", 1.0), ("registry_echo/1", 1.0), ("registry_echo/2", 2.0)],
)
def test_a_registered_model_gives_back_its_bundle(address: str, value: float) -> None:
    found = BundleDataset(filepath=f"models:/{address}", kind="echo").load()
    assert found == bundle(value)
    assert found.hash == bundle(value).hash
    assert found.origin == f"models:/registry_echo/{int(value)}", "the version, not the alias"


@pytest.mark.usefixtures("registry", "store")
@pytest.mark.parametrize(
    ("uri", "kind", "message"),
    [
        ("models:/registry_none@champion", None, r"no model 'registry_none', only .*registry_echo"),
        ("models:/registry_echo@best", None, r"no alias 'best', only champion \(version 1\)"),
        ("models:/registry_echo/7", None, "no version 7, only 1, 2"),
        ("models:/registry_echo", None, "write models:/<name>@<alias>"),
        ("models:/m-123@champion/artifacts", None, "write models:/<name>@<alias>"),
        ("models:/registry_echo/2", "language_model", "holds echo, where one language_model"),
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
    (tmp_path / "echo_model.py").write_text(SCRIPT)
    table = pd.DataFrame({"text": ["a"]})
    with experiment(tmp_path), mlflow.start_run():
        tracking.log_model(
            {"echo": bundle(1.0)}, script=tmp_path / "echo_model.py", input_example=table,
            output_example=table, code=["training"], requirements=["torch"], name="echo",
            registered_name="registry_lost",
        )  # fmt: skip
        for path in (tmp_path / "artifacts").rglob("*.safetensors"):
            path.unlink()
        with pytest.raises(BundleError, match=r"version 1\) holds no bundle"):
            tracking.load_registered("models:/registry_lost/1")


def test_a_registered_model_is_not_written_to() -> None:
    dataset = BundleDataset(filepath="models:/registry_echo@champion")
    assert dataset.exists()
    with pytest.raises(Exception, match="is a registered model, which pipelines read"):
        dataset.save(bundle(1.0))
