import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from gradual.collab import scores
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.train import CollabConfig, train_collab
from gradual.results.table import value_of
from gradual.training.config import Phase, TrainingConfig

LISTS = ListsConfig(n=5)


def trained(ratings: pa.Table, parts: pa.Table, **settings: object) -> Recommender:
    training = TrainingConfig(phases=(Phase(epochs=3, lr=2e-2),), precision="float32")
    config = dataclasses.replace(CollabConfig(training=training), **settings)
    bundle, _ = train_collab(ratings, parts, config, lists=LISTS)
    return Recommender.from_bundle(bundle)


@pytest.fixture(scope="module")
def recommender(ratings: pa.Table, parts: pa.Table) -> Recommender:
    return trained(ratings, parts)


@pytest.fixture(scope="module")
def found(recommender: Recommender, ratings: pa.Table, parts: pa.Table) -> scores.Evaluation:
    return scores.evaluate(recommender, ratings, parts, LISTS, source="films")


def of_part(parts: pa.Table, part: str) -> np.ndarray:
    return np.array(parts["part"].to_pylist()) == part


def test_all_models_are_scored_on_test_and_validation_rows(
    found: scores.Evaluation, ratings: pa.Table, parts: pa.Table
) -> None:
    table = found.predictions
    test = of_part(parts, "test")
    assert table["rating"].tolist() == ratings["rating"].filter(pa.array(test)).to_pylist()
    rmse = found.scores[found.scores["metric"] == "rmse"]
    models = {"recommender", "global mean", "biases", "item neighbours"}
    for part in ("test", "valid"):
        rows = rmse[rmse["part"] == part]
        assert set(rows["model"]) == models
        assert set(rows["rows"]) == {of_part(parts, part).sum()}
    for name, column in (("recommender", "score"), ("biases", "biases")):
        error = table[column] - table["rating"]
        row = value_of(found.scores, name, "rmse")
        assert row["value"] == pytest.approx(float((error**2).mean() ** 0.5))
        assert row["low"] < row["value"] < row["high"]
    assert set(found.scores["source"]) == {"films"}


def test_intervals_are_of_users_and_the_verdict_is_against_all_simple_models(
    found: scores.Evaluation,
) -> None:
    table = found.predictions
    squares = (table["score"] - table["rating"]).to_numpy(float) ** 2
    rng = np.random.default_rng(0)
    users, codes = np.unique(table["user"], return_inverse=True)
    drawn = [
        np.bincount(rng.integers(0, len(users), len(users)), minlength=len(users))[codes]
        for _ in range(2000)
    ]
    means = [np.sqrt(np.average(squares, weights=w)) for w in drawn]
    row = value_of(found.scores, "recommender", "rmse")
    expected = np.quantile(means, [0.025, 0.975])
    assert [row["low"], row["high"]] == pytest.approx(list(expected), abs=0.01)
    verdict = found.verdicts["ratings"]
    assert set(verdict["against"]) == {"global mean", "biases", "item neighbours"}
    gap = verdict["against"]["biases"]
    other = value_of(found.scores, "biases", "rmse")["value"]
    assert gap["difference"] == pytest.approx(other - row["value"])
    assert gap["low"] < gap["difference"] < gap["high"]


def test_the_mean_is_that_of_training_ratings(
    found: scores.Evaluation, ratings: pa.Table, parts: pa.Table
) -> None:
    mean = ratings["rating"].to_numpy()[of_part(parts, "train")].mean()
    assert found.predictions[scores.MEAN].unique() == pytest.approx([mean])


def test_without_test_ratings_the_validation_ratings_are_scored(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    part = np.array(parts["part"].to_pylist(), object)
    part[part == "test"] = "train"
    found = scores.evaluate(recommender, ratings, pa.table({"part": part}), LISTS)
    assert len(found.predictions) == (part == "valid").sum()
    assert set(found.scores["part"]) == {"valid"}


def judged_lists(
    monkeypatch: pytest.MonkeyPatch, *args: object
) -> tuple[list[np.ndarray], np.ndarray]:
    """The lists of all models on the test ratings, and their users."""
    seen: list[tuple] = []
    real = scores.score_models
    monkeypatch.setattr(
        scores, "score_models", lambda *a, **k: (seen.append((a, k)), real(*a, **k))[1]
    )
    scores.evaluate(*args)
    answers, truth, _ = next(a for a, k in seen if a[2] == "list" and k["part"] == "test")
    return [one.found for one in answers], truth.users


def test_lists_of_all_models_leave_out_what_was_seen(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists, users = judged_lists(monkeypatch, recommender, ratings, parts, LISTS)
    assert len(lists) == 4
    train = ratings.filter(pa.array(of_part(parts, "train")))
    pairs = recommender.user_ids.encode(train["user"]), recommender.item_ids.encode(train["item"])
    seen = set(zip(*(side.tolist() for side in pairs), strict=True))
    for top in lists:
        listed = {(int(u), int(i)) for u, row in zip(users, top, strict=True) for i in row if i > 0}
        assert len(listed) == (top > 0).sum()
        assert not listed & seen


def test_lists_are_judged_as_they_are_served(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ListsConfig(n=4, min_ratings=16, exclude_seen=False)
    served = dataclasses.replace(recommender, lists=settings)
    lists, users = judged_lists(monkeypatch, served, ratings, parts, settings)
    for top in lists:
        assert (served.counts[top[top > 0]] >= 16).all()
    own = served.recommend(served.user_ids.decode(users).to_pylist())["item"]
    assert served.item_ids.encode(own).tolist() == lists[0][lists[0] > 0].tolist()


def test_popularity_lists_what_most_have_rated(found: scores.Evaluation) -> None:
    lift = found.scores[found.scores["metric"] == "popularity_lift"].query("part == 'test'")
    assert lift.set_index("model")["value"].idxmax() == "popularity"


def test_lists_that_nobody_can_judge_are_left_out(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    """All held-out users are new."""
    frame = ratings.to_pandas().assign(part=parts["part"].to_pandas())
    frame.loc[frame["part"] == "test", "user"] = 1
    table = pa.Table.from_pandas(frame.drop_duplicates(["user", "item"]), preserve_index=False)
    found = scores.evaluate(recommender, table, table.select(["part"]), LISTS)
    assert found.verdicts["lists"] is None
    assert found.verdicts["ratings"] is not None


def test_a_ranking_has_lists_and_no_ratings(ratings: pa.Table, parts: pa.Table) -> None:
    recommender = trained(ratings, parts, loss="bpr", positive_from=3.5)
    found = scores.evaluate(recommender, ratings, parts, ListsConfig(n=5, relevant_from=3.5))
    assert found.verdicts["ratings"] is None
    assert "ndcg@5" in set(found.scores["metric"])
    assert "rmse" not in set(found.scores["metric"])


def test_a_refitted_model_is_scored_on_test_ratings_only(
    ratings: pa.Table, parts: pa.Table
) -> None:
    found = scores.evaluate(trained(ratings, parts, refit=True), ratings, parts, LISTS)
    assert set(found.scores["part"]) == {"test"}
