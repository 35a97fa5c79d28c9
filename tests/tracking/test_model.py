import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from model_bundles import KINDS, bundle_of, questions
from model_server import environment

import gradual
from gradual import tracking
from gradual.models import model_of
from gradual.tracking import Registration

Experiment = Callable[[Path], AbstractContextManager[mlflow.MlflowClient]]
SLOW = pytest.mark.slow
SETTINGS = {
    "collab": {"n": 3, "min_ratings": 5},
    "language_model": {"words": 5, "temperature": 0.5, "min_p": 0.0, "seed": 1},
}

# Runs with nothing of this project on the path, and without what the model does not ask for.
ALONE = """
import json, re, sys
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path

folder, source, questions = sys.argv[1:]
sys.path[:] = [path for path in sys.path if path != source]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]

wanted, waiting = {"gradual"}, (Path(folder) / "requirements.txt").read_text().split()
while waiting:
    requirement = waiting.pop()
    name = re.match(r"[\\w.-]+", requirement)[0].lower().replace("_", "-")
    if name not in wanted and "extra ==" not in requirement:
        wanted.add(name)
        try:
            waiting += requires(name) or []
        except ImportError:
            pass  # for another system
of = packages_distributions()

class Refuse:
    def find_spec(self, name, *_):
        owners = {o.lower().replace("_", "-") for o in of.get(name.partition(".")[0], ())}
        if owners and not owners & wanted:
            raise ModuleNotFoundError(f"{name} is no requirement of the model")

sys.meta_path.insert(0, Refuse())
import mlflow
import pandas as pd

model = mlflow.pyfunc.load_model(folder)
print(model.predict(pd.read_json(questions, dtype=False)).to_json(orient="records"))
import gradual.training

assert "/code/gradual/" in gradual.training.__file__, gradual.training.__file__
assert not {"kedro", "plotly"} & set(sys.modules)
"""


@pytest.fixture(scope="module")
def logged(
    experiment: Experiment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The URI of a logged model of each kind."""
    with experiment(tmp_path_factory.mktemp("models")):
        uris = {}
        with mlflow.start_run(), tracking.namespace("imdb"):
            for kind in KINDS:
                uris[kind] = tracking.log_model(
                    bundle_of(kind),
                    input_example=questions(kind) if "tabular" not in kind else None,
                    registration=Registration(f"served_{kind}", "champion"),
                    name=f"a_{kind}",
                    settings=SETTINGS.get(kind),
                )
        yield uris


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def served(uris: dict[str, str], kind: str) -> mlflow.pyfunc.PyFuncModel:
    return mlflow.pyfunc.load_model(uris[kind])


@pytest.mark.parametrize(
    "kind",
    # A process each, of ten seconds: by default one of each method.
    [
        kind if kind in {"text_classifier", "tabular", "collab"} else pytest.param(kind, marks=SLOW)
        for kind in KINDS
    ],
)
def test_a_logged_model_runs_with_its_own_code_and_requirements_only(
    logged: dict[str, str], kind: str, tracking_uri: str, tmp_path: Path
) -> None:
    folder = Path(mlflow.artifacts.download_artifacts(logged[kind], dst_path=str(tmp_path)))
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"mlflow_script.py", "artifacts/model.safetensors", "MLmodel"} <= files
    assert not [f for f in files if Path(f).suffix in {".pkl", ".pickle", ".pt", ".pyc"}]
    assert not [f for f in files if f.startswith(("code/gradual/pipelines", "code/gradual/io"))]
    requirements = (folder / "requirements.txt").read_text()
    assert "+" not in requirements
    assert all("==" in line for line in requirements.split())

    (tmp_path / "questions.json").write_text(questions(kind).to_json(orient="records"))
    source = str(Path(tracking.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-P", "-c", ALONE, str(folder), source, "questions.json"],
        cwd=tmp_path, env=environment(tracking_uri), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = model_of(bundle_of(kind)).predict(questions(kind), **SETTINGS.get(kind, {}))
    as_json = json.loads(expected.to_json(orient="records"))
    answer, expected = pd.DataFrame(json.loads(done.stdout)), pd.DataFrame(as_json)
    pd.testing.assert_frame_equal(answer, expected, atol=1e-3, check_dtype=False)


def test_the_registered_model_is_loaded_by_alias_version_and_id(
    logged: dict[str, str], kind: str
) -> None:
    answers = [
        gradual.load(address).predict(questions(kind))
        for address in (f"models:/served_{kind}@champion", f"models:/served_{kind}/1", logged[kind])
    ]
    for other in answers[1:]:
        pd.testing.assert_frame_equal(answers[0], other)
    found = gradual.load(logged[kind])
    assert found.bundle.hash == bundle_of(kind).hash
    assert found.settings.items() >= SETTINGS.get(kind, {}).items()
    name = mlflow.MlflowClient().get_logged_model(logged[kind].rpartition("/")[2]).name
    assert name == f"imdb_a_{kind}"


def test_signatures_say_what_to_send_and_what_may_be_set(logged: dict[str, str]) -> None:
    def columns(kind: str) -> dict[str, str]:
        return {c.name: str(c.type) for c in served(logged, kind).metadata.signature.inputs}

    assert columns("text_classifier") == {"text": "DataType.string"}
    assert columns("language_model") == {"prompt": "DataType.string"}
    assert set(columns("tabular")) == {"job", "age", "hired"}
    assert not set(columns("tabular").values()) & {"DataType.double", "DataType.string"}
    recommender = served(logged, "collab").metadata.signature
    assert [c.name for c in recommender.inputs if not c.required] == ["item"]
    assert {p.name: p.default for p in recommender.params} == {
        "n": 3, "exclude_seen": True, "min_ratings": 5,
    }  # fmt: skip


def test_parameters_of_a_call_win_over_the_defaults(logged: dict[str, str]) -> None:
    users = pd.DataFrame({"user": ["5"]})
    model = served(logged, "collab")
    assert len(model.predict(users)) == 3
    assert len(model.predict(users, params={"n": 7, "exclude_seen": False})) == 7
    writer = served(logged, "language_model")
    prompts = pd.DataFrame({"prompt": ["A fine"]})
    told = {"words": 9, "top_k": 2, "seed": 2}
    expected = model_of(bundle_of("language_model")).predict(
        prompts, **(SETTINGS["language_model"] | told)
    )
    assert writer.predict(prompts, params=told)["text"].tolist() == expected["text"].tolist()


def rows(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({n: pd.Series(v, dtype=object) for n, v in columns.items()})


def person(**changed: Any) -> pd.DataFrame:
    return rows(**{"job": ["cook"] * 2, "age": [31, 40], "hired": ["2020-01-01"] * 2, **changed})


@pytest.mark.parametrize(
    ("kind", "sent", "params", "message"),
    [
        ("text_classifier", rows(text=["fine", None]), {}, r"row 1 .*\(the columns are 'text'"),
        ("text_classifier", rows(text=[" \n", "fine"]), {}, "row 0 is blank"),
        ("text_classifier", rows(text=[5]), {}, "row 0 is 5, no text"),
        ("text_ensemble", rows(text=[]), {}, "there is no row"),
        ("language_model", rows(prompt=["A"]), {"temperature": -1.0}, r"temperature is -1\.0"),
        ("language_model", rows(prompt=["A", None]), {}, r"no string in 1 of 2 rows \(row 1"),
        ("tabular", person().drop(columns="age"), {}, "no column 'age'"),
        ("tabular", person(age=["31", "young"]), {}, r"row 1 .*'young'.*'age'"),
        ("tabular_baseline", person(age=[31, np.inf]), {}, r"row 1 .*inf.*'age'"),
        ("tabular", person().head(0), {}, "there is no row"),
        ("collab", rows(user=["5"]), {"n": 0}, "n is 0"),
        ("collab", rows(user=["5"]), {"n": 10**9}, "n is 1,000,000,000, but the model knows"),
        ("collab", rows(user=["5", ["5"]]), {}, r"row 1 .*'user'"),
        ("text_classifier", rows(text=["x" * 200_001]), {}, r"row 0 .* 200,001 .*'text'"),
        ("language_model", rows(prompt=["A"]), {"words": 10**9}, r"words is 1,000,000,000"),
    ],
)
def test_what_cannot_be_used_is_refused_with_column_and_row(
    logged: dict[str, str], kind: str, sent: pd.DataFrame, params: dict[str, Any], message: str
) -> None:
    with pytest.raises(mlflow.MlflowException, match=message) as refused:
        served(logged, kind).predict(sent, params=params)
    assert refused.value.get_http_status_code() == 400


def test_tables_take_whole_numbers_gaps_and_numbers_as_texts(logged: dict[str, str]) -> None:
    model = served(logged, "tabular")
    for age in (31, 31.0, "31", None):
        assert len(model.predict(person(age=[age, 40]))) == 2


def test_without_a_run_nothing_is_logged() -> None:
    assert tracking.log_model(bundle_of("tabular")) is None


def test_an_alias_needs_a_registered_name() -> None:
    with pytest.raises(ValueError, match="needs a registered_name"):
        Registration(alias="champion")


@pytest.mark.slow
def test_mlflow_models_predict_reads_raw_text(
    logged: dict[str, str], tracking_uri: str, tmp_path: Path
) -> None:
    (tmp_path / "in.csv").write_text('text\n"A fine film, really"\nDull\n')
    subprocess.run(
        [
            str(Path(sys.executable).with_name("mlflow")), "models", "predict",
            "-m", logged["text_classifier"], "-i", "in.csv", "-t", "csv", "-o", "out.json",
            "--env-manager", "local",
        ],
        cwd=tmp_path, env=environment(tracking_uri), check=True, capture_output=True,
    )  # fmt: skip
    predictions = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [set(row) for row in predictions] == 2 * [
        {"label", "probability_negative", "probability_positive"}
    ]
