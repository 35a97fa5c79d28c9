"""The pipeline on ratings from file to lists, at tiny size."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest

from gradual.collab.figures import FIGURES

Kedro = Callable[..., CompletedProcess[str]]
AddSource = Callable[[Path, str, dict[str, str]], None]


@pytest.fixture(scope="module")
def workspace(project_clone: Path, kedro: Kedro) -> Path:
    """A clone in which the pipeline has ended well at tiny size, and then answered questions."""
    result = kedro(project_clone, "run", "--pipelines=movielens,movielens_predict", "--env=tiny")
    assert result.returncode == 0, result.stdout
    return project_clone


def test_everything_people_use_is_written(workspace: Path) -> None:
    output = workspace / "data/tiny/07_model_output/movielens"
    lists = pd.read_parquet(output / "recommendations.parquet")
    ratings = pd.read_csv(workspace / "data/01_raw/movie_lens_sample/ratings.csv")
    assert set(lists["user"]) == set(ratings["userId"])
    assert lists.groupby("user").size().max() == 10
    assert {"similar_items", "item_biases", "item_components", "item_embeddings"} <= {
        path.stem for path in output.iterdir()
    }


def test_scores_stand_beside_simple_models_in_summary_and_report(workspace: Path) -> None:
    folder = workspace / "data/tiny/08_reporting/movielens"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["part"] == "test"
    assert summary["rows"] == 1600
    assert "scored once" in summary["notes"][0]
    scores = pd.read_parquet(folder / "scores.parquet")
    rmse = scores[(scores["metric"] == "rmse") & (scores["slice"] == "")]
    models = ["recommender", "item neighbours", "biases", "global mean"]
    for part in ("test", "valid"):
        assert set(rmse.loc[rmse["part"] == part, "model"]) == set(models)
    assert set(scores["source"]) == {"movielens"}
    page = (folder / "report.html").read_text().replace("\u00a0", " ")
    for words in (
        summary["headline"],
        "item neighbours",
        "NDCG@10",
        "Popularity lift",
        "Liked best",
    ):
        assert words in page
    assert {path.stem for path in (folder / "figures").iterdir()} == set(FIGURES)
    assert page.count("plotly-graph-div") == len(FIGURES)


def test_questions_are_answered_and_the_unknown_counted(workspace: Path) -> None:
    answers = pd.read_parquet(workspace / "data/tiny/07_model_output/movielens/answers.parquet")
    assert answers.groupby("row").size().tolist() == [10] * 5
    assert set(answers[answers["user"] == "9999"]["fallback"]) == {"popularity"}
    metrics = json.loads(
        (workspace / "data/tiny/08_reporting/movielens/answers_metrics.json").read_text()
    )
    assert metrics["fallback"] == {"none": 4, "popularity": 1}


def test_the_logged_model_answers_without_the_project(workspace: Path, tmp_path: Path) -> None:
    logged = workspace / "data/tiny/08_reporting/movielens/logged_model.json"
    code = """
import json, sys
sys.path[:] = [path for path in sys.path if not path.endswith("src")]
import mlflow
import pandas as pd
model = mlflow.pyfunc.load_model(json.load(open(sys.argv[1]))["model_uri"])
asked = pd.DataFrame({"user": ["16", "16", "nobody"], "item": ["78", None, None]})
answers = model.predict(asked, params={"n": 3})
import gradual
print(json.dumps([gradual.__file__, answers["row"].tolist(), answers["fallback"].tolist()]))
try:
    model.predict(pd.DataFrame({"item": ["78"]}))
except mlflow.MlflowException as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, logged],
        cwd=tmp_path,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{workspace}/mlflow.db"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    answer, refusal = done.stdout.strip().split("\n", 1)
    file, rows, fallbacks = json.loads(answer)
    assert "code" in file, "the code that was logged with the model"
    assert rows == [0, 1, 1, 1, 2, 2, 2]
    assert fallbacks == [""] * 4 + ["popularity"] * 3
    assert "user" in refusal


def test_new_users_are_folded_in_and_get_lists_of_their_own(workspace: Path) -> None:
    output = workspace / "data/tiny/07_model_output/movielens"
    lists = pd.read_parquet(output / "new_user_recommendations.parquet")
    brought = pd.read_csv(workspace / "data/01_raw/movie_lens_sample/new_users.csv")
    assert set(lists["user"]) == set(brought["userId"])
    assert not set(lists["item"]) & set(brought["movieId"])


def test_cold_start_stands_in_the_report(workspace: Path) -> None:
    folder = workspace / "data/tiny/08_reporting/movielens"
    scores = pd.read_parquet(folder / "scores.parquet")
    asked = [f"new users, 10 items asked by {s}" for s in ("information", "entropy", "popularity")]
    assert {"", "new users, 3 ratings given", "new items", *asked} == set(scores["slice"])
    page = (folder / "report.html").read_text().replace("\u00a0", " ")
    for words in ("new users, 3 ratings given", "new items", "Items to ask a new user about"):
        assert words in page
    output = workspace / "data/tiny/07_model_output/movielens"
    new_items = pd.read_parquet(output / "new_items.parquet")
    assert len(new_items)
    trained = pd.read_parquet(output / "item_embeddings.parquet")
    assert not set(new_items["item"]) & set(trained["id"].dropna())


def test_answers_leave_out_what_the_lists_leave_out(workspace: Path) -> None:
    output = workspace / "data/tiny/07_model_output/movielens"
    ratings = pd.read_parquet(output.parents[1] / "02_intermediate/movielens/ratings.parquet")
    parts = pd.read_parquet(output.parents[1] / "02_intermediate/movielens/rating_splits.parquet")
    counts = ratings[parts["part"] == "train"]["item"].value_counts()
    assert (counts < 5).any()
    for name in ("answers", "recommendations", "new_user_recommendations"):
        listed = pd.read_parquet(output / f"{name}.parquet")["item"].astype(int)
        assert counts[listed.unique()].min() >= 5


def test_another_file_of_purchases_by_configuration(
    project: Path, workspace: Path, kedro: Kedro, add_source: AddSource
) -> None:
    """The example of docs/ratings.md, typed out of the page."""
    page = (project / "docs/ratings.md").read_text()
    files = re.findall(r"`(conf/base/shop/\w+\.yml)`.*?```yaml\n(.*?)```", page, re.DOTALL)
    assert [Path(name).name for name, _ in files] == ["catalog.yml", "parameters.yml"]
    (line,) = re.findall(r"```yaml\n(shop: .*\n)```", page)
    add_source(workspace, line, dict(files))
    folder = workspace / "data/01_raw/shop"
    folder.mkdir()
    rows = [
        {"customer": f"c{c:03}", "article": f"{'ab'[c % 2]}{(c * k) % 23:02}"}
        for c in range(60)
        for k in range(1, 13)
    ]
    pd.DataFrame(rows).to_csv(folder / "purchases.csv", index=False)

    result = kedro(workspace, "run", "--pipeline=shop")

    assert result.returncode == 0, result.stdout
    scores = pd.read_parquet(workspace / "data/08_reporting/shop/scores.parquet")
    assert "rmse" not in set(scores["metric"])
    ndcg = scores[(scores["metric"] == "ndcg@10") & (scores["part"] == "test")]
    ndcg = ndcg.set_index("model")["value"]
    assert ndcg["recommender"] > ndcg["popularity"]
