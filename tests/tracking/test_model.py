import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from gradual import tracking
from gradual.text.awd_lstm import AWDLSTMConfig
from gradual.text.classifier import ClassifierConfig, TextClassifier, train_classifier
from gradual.text.corpus import numericalize
from gradual.text.generation import GenerationConfig, generate
from gradual.text.language_model import LanguageModelConfig, train_language_model
from gradual.text.tokenizer import TokenizerConfig, tokenize
from gradual.text.vocabulary import VocabularyConfig, build_vocabulary
from gradual.tracking import model as models
from gradual.training.bundle import Bundle
from gradual.training.config import Phase, TrainingConfig
from gradual.training.files import plain

EXAMPLE = ["A fine film, really.", "Dull and far too long."]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A classifier trained for a few steps."""
    torch.set_num_threads(1)
    texts = [f"a fine film {i}" if i % 2 else f"a dull film {i}" for i in range(16)]
    labels = np.array(["positive" if i % 2 else "negative" for i in range(16)], dtype=object)
    config = TokenizerConfig(workers=1)
    tokens: pa.Table = tokenize([texts], config)
    rows = np.ones(16, dtype=bool)
    vocabulary = build_vocabulary(tokens, rows, VocabularyConfig(min_frequency=1))
    classifier = ClassifierConfig(
        model=AWDLSTMConfig(embedding_size=8, hidden_size=8, layers=2),
        training=TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),), device="cpu"),
        batch_size=4,
        head_size=4,
    )
    trained, _ = train_classifier(
        numericalize(tokens, vocabulary), vocabulary, labels, rows, rows, classifier,
        language_model=None, tokenizer=plain(config),
    )  # fmt: skip
    return trained


@pytest.fixture(scope="module")
def logged(
    bundle: Bundle,
    experiment: Callable[[Path], AbstractContextManager[mlflow.MlflowClient]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """The classifier, logged and registered once."""
    with experiment(tmp_path_factory.mktemp("model")), mlflow.start_run():
        started = time.monotonic()
        with tracking.namespace("imdb"):
            uri = tracking.log_text_classifier(
                bundle,
                input_example=pd.DataFrame({"text": EXAMPLE}),
                registered_name="imdb",
                alias="champion",
            )
        seconds = time.monotonic() - started
        model = Path(mlflow.artifacts.download_artifacts(uri))
    return {"uri": uri, "path": model, "seconds": seconds}


def environment(tracking_uri: str) -> dict[str, str]:
    """Where to find the model and `mlflow`'s own python; no Kedro project."""
    bin_folder = str(Path(sys.executable).parent)
    return os.environ | {
        "MLFLOW_TRACKING_URI": tracking_uri,
        "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
    }


def test_a_model_is_logged_quickly_and_without_pickles(logged: dict[str, Any]) -> None:
    assert logged["seconds"] < 10
    files = {str(p.relative_to(logged["path"])) for p in logged["path"].rglob("*") if p.is_file()}
    assert {"text_classifier_model.py", "artifacts/classifier.safetensors", "MLmodel"} <= files
    assert not [file for file in files if Path(file).suffix in {".pkl", ".pickle", ".pyc"}]
    code = {file.split("/")[2] for file in files if file.startswith("code/gradual/")}
    assert code <= {"__init__.py", "decisions.py", "splits.py", "text", "training"}


def test_requirements_are_public_versions_of_what_the_model_imports(
    logged: dict[str, Any],
) -> None:
    requirements = (logged["path"] / "requirements.txt").read_text().split()
    names = {requirement.split("==")[0] for requirement in requirements}
    assert {"mlflow", "torch", "spacy", "pandas", "safetensors"} <= names
    assert "cloudpickle" not in names
    assert all("==" in requirement for requirement in requirements)
    assert "+" not in "".join(requirements)


def test_signature_and_example_show_how_to_call_the_model(logged: dict[str, Any]) -> None:
    info = mlflow.models.Model.load(str(logged["path"]))
    assert info.signature.inputs.input_names() == ["text"]
    assert info.signature.outputs.input_names() == [
        "label",
        "probability_negative",
        "probability_positive",
    ]
    example = json.loads((logged["path"] / "input_example.json").read_text())
    assert example == {"columns": ["text"], "data": [[text] for text in EXAMPLE]}


def test_the_model_is_registered_with_its_alias(
    logged: dict[str, Any], store: mlflow.MlflowClient
) -> None:
    version = store.get_model_version_by_alias("imdb", "champion")
    assert int(version.version) == 1
    name = store.get_logged_model(logged["uri"].rpartition("/")[2]).name
    assert name == "imdb_classifier"


def test_the_model_runs_without_kedro_and_this_project(
    logged: dict[str, Any], bundle: Bundle, tracking_uri: str, tmp_path: Path
) -> None:
    code = """
import sys

source = sys.argv[2]
sys.path[:] = [path for path in sys.path if path != source]
sys.meta_path[:] = [f for f in sys.meta_path if "editable" not in repr(f)]

class Refuse:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"kedro", "kedro_mlflow", "kedro_datasets", "pydantic_settings"}:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.DataFrame({"text": ["A fine film", "Dull"]})).to_json(orient="records"))
import gradual.text

assert "/code/gradual/" in gradual.text.__file__, gradual.text.__file__
"""
    source = str(Path(tracking.__file__).parents[2])
    process = subprocess.run(
        [sys.executable, "-c", code, str(logged["path"]), source],
        cwd=tmp_path, env=environment(tracking_uri), capture_output=True, text=True,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    answer = pd.DataFrame(json.loads(process.stdout))
    expected = TextClassifier.from_bundle(bundle).predict(["A fine film", "Dull"])
    pd.testing.assert_frame_equal(answer, expected, check_dtype=False, check_exact=False, atol=1e-3)


def test_mlflow_models_predict_reads_raw_text(
    logged: dict[str, Any], tracking_uri: str, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text('text\n"A fine film, really"\nDull\n')
    subprocess.run(
        [
            str(Path(sys.executable).with_name("mlflow")), "models", "predict", "-m", logged["uri"],
            "-i", "in.csv", "-t", "csv", "-o", "out.json", "--env-manager", "local",
        ],
        cwd=tmp_path, env=environment(tracking_uri), check=True, capture_output=True,
    )  # fmt: skip
    predictions = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [set(row) for row in predictions] == 2 * [
        {"label", "probability_negative", "probability_positive"}
    ]
    assert all(
        abs(row["probability_negative"] + row["probability_positive"] - 1) < 1e-5
        for row in predictions
    )


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["fine", None], r"row 1 is None, no text: .* \(the columns are 'text'"),
        ([" \n", "fine"], "row 0 is blank"),
        ([5], "row 0 is 5, no text"),
        ([], "There is no text"),
    ],
)
def test_texts_that_are_no_texts_are_refused_readably(
    logged: dict[str, Any], texts: list[Any], message: str
) -> None:
    model = mlflow.pyfunc.load_model(str(logged["path"]))
    with pytest.raises(mlflow.MlflowException, match=message):
        model.predict(pd.DataFrame({"text": pd.Series(texts, dtype="object")}))


def test_an_alias_needs_a_registered_name(bundle: Bundle) -> None:
    with pytest.raises(ValueError, match="needs a registered_name"):
        tracking.log_text_classifier(
            bundle, input_example=pd.DataFrame({"text": EXAMPLE}), alias="champion"
        )


@pytest.mark.slow
def test_mlflow_models_serve_answers_every_json_layout(
    logged: dict[str, Any], tracking_uri: str, tmp_path: Path
) -> None:
    port = 40_000 + os.getpid() % 20_000
    server = subprocess.Popen(
        [
            str(Path(sys.executable).with_name("mlflow")), "models", "serve",
            "-m", "models:/imdb@champion", "--env-manager", "local", "-p", str(port),
        ],
        cwd=tmp_path, env=environment(tracking_uri), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def ask(content: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/invocations",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=1)
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start in a minute"
                time.sleep(0.2)
        for content in (
            {"dataframe_split": {"columns": ["text"], "data": [["fine"], ["dull"]]}},
            {"dataframe_records": [{"text": "fine"}, {"text": "dull"}]},
            {"inputs": ["fine", "dull"]},
            {"inputs": {"text": ["fine", "dull"]}},
            {"instances": ["fine", "dull"]},
        ):
            status, answer = ask(content)
            assert status == 200, answer
            assert len(answer["predictions"]) == 2
            assert set(answer["predictions"][0]) >= {"label", "probability_positive"}
        status, answer = ask({"inputs": ["fine", " "]})
        assert status == 400
        assert "row 1 is blank" in answer["message"]
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()


def test_a_model_of_several_bundles_gets_them_all_and_its_parameters(
    experiment: Callable[[Path], AbstractContextManager[mlflow.MlflowClient]], tmp_path: Path
) -> None:
    script = tmp_path / "sum_model.py"
    script.write_text("""
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel
from gradual.training.bundle import load_bundle


class SumModel(PythonModel):
    def load_context(self, context):
        self.weights = sum(
            float(load_bundle(context.artifacts[name]).state["weight"]) for name in ("one", "two")
        )

    def predict(self, context, model_input, params=None):
        return model_input[["number"]] * self.weights * params["factor"]


set_model(SumModel())
""")
    bundles = {
        name: Bundle("sum", {}, {"weight": torch.tensor(value)}, {}, {})
        for name, value in (("one", 1.0), ("two", 2.0))
    }
    with experiment(tmp_path), mlflow.start_run():
        uri = tracking.log_model(
            bundles,
            script=script,
            input_example=pd.DataFrame({"number": [1.5], "count": [3], "word": ["a"]}),
            output_example=pd.DataFrame({"number": [4.5]}),
            code=["training"],
            requirements=["torch", "safetensors"],
            name="sum",
            params={"factor": 1.0},
        )
        model = mlflow.pyfunc.load_model(uri)
    types = {c.name: c.type.name for c in model.metadata.signature.inputs.inputs}
    assert types == {"number": "double", "count": "long", "word": "string"}
    row = pd.DataFrame({"number": [2.0], "count": [1], "word": ["b"]})
    assert model.predict(row)["number"].tolist() == [6.0]
    assert model.predict(row, params={"factor": 10.0})["number"].tolist() == [60.0]


def test_a_language_model_goes_on_from_prompts(
    experiment: Callable[[Path], AbstractContextManager[mlflow.MlflowClient]], tmp_path: Path
) -> None:
    texts = ["A fine film, really.", "Dull and far too long."] * 10
    tokens = tokenize([texts], TokenizerConfig(workers=1))
    rows = np.arange(20) > 3
    vocabulary = build_vocabulary(tokens, rows, VocabularyConfig(min_frequency=1))
    recipe = LanguageModelConfig(
        model=AWDLSTMConfig(embedding_size=8, hidden_size=8, layers=1),
        training=TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),), device="cpu"),
        batch_size=4,
    )
    trained, _ = train_language_model(
        numericalize(tokens, vocabulary), vocabulary, ~rows, recipe,
        tokenizer=plain(TokenizerConfig(workers=1)),
    )  # fmt: skip
    options = {"words": 5, "temperature": 0.7, "min_p": 0.0, "seed": 1}
    with experiment(tmp_path), mlflow.start_run():
        uri = tracking.log_language_model(
            trained, GenerationConfig(prompts=("A fine",), **options),
            registered_name="prompts", alias="champion",
        )  # fmt: skip
        model = mlflow.pyfunc.load_model("models:/prompts@champion")
        found = tracking.load_registered("models:/prompts@champion", "language_model")
    assert uri is not None
    assert found.hash == trained.hash
    prompts = pd.DataFrame({"prompt": ["A fine", ""]})
    answer = model.predict(prompts)
    assert answer["text"].tolist() == [generate(trained, p, **options) for p in ("A fine", "")]
    changed = {"words": 9, "top_k": 2, "seed": 2}
    longer = model.predict(prompts, params=changed)["text"]
    assert longer[0] == generate(trained, "A fine", **(options | changed))
    with pytest.raises(mlflow.MlflowException, match=r"temperature is -1\.0: give 0 or more"):
        model.predict(prompts, params={"temperature": -1.0})
    with pytest.raises(mlflow.MlflowException, match=r"no string in 1 of 2 rows .*position 1"):
        model.predict(pd.DataFrame({"prompt": pd.Series(["A", None], dtype="object")}))


@pytest.mark.parametrize(
    ("tokenizer", "package"),
    [
        ({"unit": "subword"}, "sentencepiece"),
        ({"unit": "character"}, "wcwidth"),
        ({"unit": "word", "language": "ja"}, "sudachipy"),
    ],
)
def test_a_text_model_names_the_packages_of_its_tokenizer(
    tokenizer: dict[str, str], package: str
) -> None:
    def bundle(metadata: dict[str, object]) -> Bundle:
        return Bundle("text_classifier", {}, {}, metadata, {})

    usual = models._text_requirements(bundle({"tokenizer": None}))
    assert {"spacy", "torch"} <= set(usual)
    assert package not in usual
    assert package in models._text_requirements(bundle({}), bundle({"tokenizer": tokenizer}))
