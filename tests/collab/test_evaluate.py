import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from gradual.collab import evaluate
from gradual.collab.recommender import Recommender
from gradual.collab.train import CollabConfig, number_ids, train_collab
from gradual.training.config import Phase, TrainingConfig


def trained(ratings: pa.Table, parts: pa.Table, **settings: object) -> Recommender:
    training = TrainingConfig(phases=(Phase(epochs=3, lr=2e-2),), precision="float32")
    config = dataclasses.replace(CollabConfig(training=training), **settings)
    bundle, _ = train_collab(ratings, parts, *number_ids(ratings, parts), config)
    return Recommender.from_bundle(bundle)


@pytest.fixture(scope="module")
def recommender(ratings: pa.Table, parts: pa.Table) -> Recommender:
    return trained(ratings, parts)


def test_all_models_are_scored_on_the_test_rows(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    predictions, scores = evaluate.score_ratings(recommender, ratings, parts)

    test = np.array(parts["part"].to_pylist()) == "test"
    assert predictions["rating"].tolist() == ratings["rating"].filter(pa.array(test)).to_pylist()
    assert set(scores["model"]) == {"recommender", "global mean", "biases", "item neighbours"}
    for name, column in (("recommender", "score"), ("biases", "biases")):
        error = predictions[column] - predictions["rating"]
        row = scores[(scores["model"] == name) & (scores["score"] == "RMSE")].iloc[0]
        assert row["value"] == pytest.approx(float((error**2).mean() ** 0.5))
        assert row["low"] < row["value"] < row["high"]


def test_the_mean_is_that_of_training_ratings(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    predictions, _ = evaluate.score_ratings(recommender, ratings, parts)
    train = np.array(parts["part"].to_pylist()) == "train"
    assert predictions[evaluate.MEAN].unique() == pytest.approx(
        [ratings["rating"].to_numpy()[train].mean()]
    )


def test_without_test_ratings_the_validation_ratings_are_scored(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    part = np.array(parts["part"].to_pylist(), object)
    part[part == "test"] = "train"
    predictions, _ = evaluate.score_ratings(recommender, ratings, pa.table({"part": part}))
    assert len(predictions) == (part == "valid").sum()


def test_lists_of_all_models_leave_out_what_was_seen(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = []
    real = evaluate.per_user_scores
    monkeypatch.setattr(
        evaluate, "per_user_scores", lambda top, *rest: (lists.append(top), real(top, *rest))[1]
    )
    scores = evaluate.score_lists(recommender, ratings, parts, n=5)

    assert len(lists) == 4
    train = ratings.filter(pa.array(np.array(parts["part"].to_pylist()) == "train"))
    users = recommender.user_ids.encode(train["user"])
    items = recommender.item_ids.encode(train["item"])
    seen = set(zip(users.tolist(), items.tolist(), strict=True))
    test = ratings.filter(pa.array(np.array(parts["part"].to_pylist()) == "test"))
    judged = np.unique(recommender.user_ids.encode(test["user"]))
    for top in lists:
        pairs = {(int(u), int(i)) for u, row in zip(judged, top, strict=True) for i in row if i > 0}
        assert len(pairs) == (top > 0).sum()
        assert not pairs & seen
    assert set(scores["score"]) == {
        "NDCG@5", "recall@5", "hit rate@5", "coverage", "popularity lift"
    }  # fmt: skip


def test_popularity_lists_what_most_have_rated(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    scores = evaluate.score_lists(recommender, ratings, parts, n=3)
    lift = scores[scores["score"] == "popularity lift"].set_index("model")["value"]
    assert lift.idxmax() == "popularity"


def test_an_item_counts_from_its_rating_on(
    recommender: Recommender, ratings: pa.Table, parts: pa.Table
) -> None:
    with pytest.raises(ValueError, match="rated 99 or more: lower relevant_from"):
        evaluate.score_lists(recommender, ratings, parts, relevant_from=99)


def test_a_ranking_has_lists_and_no_ratings(ratings: pa.Table, parts: pa.Table) -> None:
    recommender = trained(ratings, parts, loss="bpr", positive_from=3.5)
    _, scores = evaluate.score_ratings(recommender, ratings, parts)
    assert scores.empty
    lists = evaluate.score_lists(recommender, ratings, parts, relevant_from=3.5)
    assert "recommender" in set(lists["model"])
