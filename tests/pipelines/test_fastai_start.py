"""imdb on a language model in fastai's files, as a user types it."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from fastai_files import WORDS, archive, state_dict

from gradual.text.fastai_weights import fastai_language_model

Kedro = Callable[..., CompletedProcess[str]]


def test_imdb_starts_from_what_fastai_publishes(clone: Path, kedro: Kedro) -> None:
    sizes = (8, 12, 8)  # those of the environment `tiny`
    forwards = archive(clone / "wt103-fwd.tgz", state_dict(sizes=sizes))

    def run(name: str) -> CompletedProcess[str]:
        return kedro(
            clone, "run", f"--pipeline={name}", "--env=tiny",
            f"--params={name}.start=fastai:wt103-fwd.tgz",
            f"--to-nodes={name}.evaluate_language_model",
        )  # fmt: skip

    result = run("imdb")
    assert result.returncode == 0, result.stdout
    summary = clone / "data/tiny/08_reporting/imdb/language_model_summary.json"
    start = json.loads(summary.read_text())["start"]
    assert start["from"] == "pretrained"
    assert start["bundle"] == fastai_language_model(forwards).hash
    assert 9 < start["words_found"] <= len(WORDS) - 2, "special tokens and words, no fillers"
    with sqlite3.connect(clone / "mlflow.db") as database:
        params = dict(database.execute("select key, value from params"))
    assert params["imdb.language_model.start.source"] == "fastai:wt103-fwd.tgz"

    result = run("imdb_backwards")
    assert result.returncode != 0
    assert "wt103-fwd.tgz is by its name a model that reads forwards" in result.stdout
