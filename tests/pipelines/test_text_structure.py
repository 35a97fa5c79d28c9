"""Texts in two columns with any number of labels each, from a CSV to answers on raw rows."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest

from gradual.results.table import value_of
from gradual.text.classifier import TextClassifier
from gradual.training.bundle import load_bundle

Kedro = Callable[..., CompletedProcess[str]]
AddSource = Callable[[Path, str, dict[str, str]], None]

WORDS = {"billing": "invoice payment refund", "network": "line router signal", "praise": "thanks"}
CATALOG = """
notes.source: {type: gradual.io.SourceDataset, filepath: data/01_raw/notes/notes.csv}
"""
PARAMETERS = """
notes:
  documents:
    text_columns: [title, body]
    label_columns: [billing, network, praise]
    test: {method: random, fraction: 0.25, seed: 1}
  classifier_split: {method: random, fraction: 0.2, seed: 1, stratify: label}
  vocabulary: {min_frequency: 2}
  language_model:
    model: {embedding_size: 16, hidden_size: 16, layers: 1}
    batch_size: 8
    training: {phases: [{epochs: 1, lr: 1.0e-2}]}
  generation: {words: 5}
  classifier:
    model: {embedding_size: 16, hidden_size: 16, layers: 1}
    batch_size: 16
    class_weights: balanced
    label_smoothing: 0.02
    training: {eps: 1.0e-8, phases: [{epochs: 6, lr: 2.0e-2}]}
"""


def notes(n: int = 320) -> pd.DataFrame:
    """Titles and bodies; one in eight has none of the labels."""
    random = np.random.default_rng(3)
    flags = random.random((n, 3)) < 0.5
    rows = []
    for row in flags:
        said = [random.choice(WORDS[name].split()) for name in np.array(list(WORDS))[row]]
        place = random.random() < 0.5
        words = ["please", "look", "at", *said, "today"]
        rows.append(
            {"title": "Hello" if place else " ".join(words), "body": " ".join(words) * place}
        )
    return pd.DataFrame(rows).assign(**dict(zip(WORDS, flags.T.astype(int), strict=True)))


@pytest.fixture
def finished(clone: Path, kedro: Kedro, add_source: AddSource) -> Path:
    """A clone in which the pipeline has ended well."""
    files = {"catalog.yml": CATALOG, "parameters.yml": PARAMETERS}
    files = {f"conf/base/notes/{name}": content for name, content in files.items()}
    add_source(clone, "notes: texts", files)
    (clone / "data/01_raw/notes").mkdir()
    notes().to_csv(clone / "data/01_raw/notes/notes.csv", index=False)
    result = kedro(clone, "run", "--pipeline=notes")
    assert result.returncode == 0, result.stdout
    return clone


def _read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_several_columns_and_labels_from_configuration_to_raw_rows(finished: Path) -> None:
    data = finished / "data"
    documents = pd.read_parquet(data / "02_intermediate/notes/documents.parquet")
    assert list(documents.columns) == ["source", "title", "body", "label", "part"]
    source = notes()
    assert [list(labels) for labels in documents["label"]] == [
        [name for name in sorted(WORDS) if row[name]] for _, row in source.iterrows()
    ]
    tokens = pd.read_parquet(data / "03_primary/notes/tokens.parquet")["tokens"][0].tolist()
    assert tokens[:3] == ["xxbos", "xxfld", "1"]
    assert tokens.count("xxfld") == 2

    scores = pd.read_parquet(data / "08_reporting/notes/scores.parquet")
    own, every = (value_of(scores, m, "micro_f1") for m in ("classifier", "every_label"))
    assert own["rows"] == 80
    assert own["value"] > every["value"] + 0.1
    assert {f"label {name}" for name in WORDS} <= set(scores["slice"])
    macro = value_of(scores, "ngrams", "macro_f1")
    assert macro["value"] > 0.9, "each label has words of its own"
    report = (data / "08_reporting/notes/report.html").read_text()
    for text in ("Label by label", "F1 by label", "Micro F1"):
        assert text in report

    bundle = load_bundle(data / "06_models/notes/classifier.safetensors")
    thresholds = bundle.metadata["decision"]["thresholds"]
    summary = _read(data / "08_reporting/notes/summary.json")
    assert thresholds == summary["decision"]["thresholds"]
    assert set(thresholds) == set(WORDS)
    rows = pd.DataFrame(
        {"id": [1, 2], "body": ["the invoice", None], "title": ["a refund", "the router is down"]}
    )
    answer = TextClassifier.from_bundle(bundle).predict(rows)
    for i in range(2):
        reached = [k for k in sorted(WORDS) if answer[f"probability_{k}"][i] >= thresholds[k]]
        assert answer["label"][i] == reached

    assert _read(data / "08_reporting/notes/logged_model.json")["model_uri"].startswith("models:/")
    (logged,) = (finished / "mlartifacts").rglob("MLmodel")
    model = mlflow.pyfunc.load_model(str(logged.parent))
    assert model.metadata.signature.inputs.input_names() == ["title", "body"]
    served = model.predict(rows[["title", "body"]].fillna(""))
    assert served["label"].tolist() == answer["label"].tolist()
    with pytest.raises(mlflow.MlflowException, match="body"):
        model.predict(rows[["title"]])
    with pytest.raises(mlflow.MlflowException, match="row 1 is blank"):
        model.predict(pd.DataFrame({"title": ["a", " "], "body": ["b", ""]}))
