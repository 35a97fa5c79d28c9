"""The wikitext pipeline, and imdb on what it registers, as a user types them."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd

from gradual.results.table import value_of
from gradual.training.bundle import load_bundle

Kedro = Callable[..., CompletedProcess[str]]


def test_imdb_starts_from_what_wikitext_registers(clone: Path, kedro: Kedro) -> None:
    result = kedro(clone, "run", "--pipeline=wikitext", "--env=tiny")
    assert result.returncode == 0, result.stdout
    data = clone / "data/tiny"
    documents = pd.read_parquet(data / "02_intermediate/wikitext/documents.parquet")
    splits = pd.read_parquet(data / "02_intermediate/wikitext/document_splits.parquet")
    assert documents["part"].tolist() == splits["language_model"].tolist()
    assert documents["part"].value_counts().to_dict() == {"train": 160, "valid": 20, "test": 20}
    reporting = data / "08_reporting/wikitext"
    scores = pd.read_parquet(reporting / "scores.parquet")
    for part in ("valid", "test"):
        perplexity = value_of(scores, "language_model", "perplexity", part)
        assert perplexity["rows"] == 20
        assert perplexity["value"] < 500, "better than guessing among the 500 words"
    summary = json.loads((reporting / "summary.json").read_text())
    assert "on 20 test documents" in summary["headline"]
    page = (reporting / "report.html").read_text().replace("\u00a0", " ")
    assert summary["headline"] in page
    logged = json.loads((reporting / "logged_model.json").read_text())
    assert logged["model_uri"].startswith("models:/")

    start = f"models:/{logged['registered_name']}@{logged['alias']}"
    result = kedro(
        clone, "run", "--pipeline=imdb", "--env=tiny",
        f"--params=imdb.start={start},imdb.language_model_registration.registered_name=reviews",
        "--to-nodes=imdb.evaluate_language_model,imdb.register_language_model",
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    registered = json.loads((data / "08_reporting/imdb/logged_language_model.json").read_text())
    assert registered["registered_name"] == "reviews"
    assert registered["model_uri"].startswith("models:/")
    pretrained = load_bundle(data / "06_models/wikitext/language_model.safetensors")
    summary = json.loads((data / "08_reporting/imdb/language_model_summary.json").read_text())
    assert summary["start"]["bundle"] == pretrained.hash
    with sqlite3.connect(clone / "mlflow.db") as database:
        params = dict(database.execute("select key, value from params"))
    logged_start = {
        name.removeprefix("imdb.language_model.start."): value
        for name, value in params.items()
        if name.startswith("imdb.language_model.start.")
    }
    assert logged_start["source"] == "models:/wikitext_tiny_language_model/1"
    assert logged_start["vocabulary"] == pretrained.dependencies["vocabulary"]
    assert 0 < float(logged_start["words_found_share"]) < float(logged_start["tokens_found_share"])
