import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from gradual.collab.metrics import (
    HeldOut,
    list_metrics,
    per_user_scores,
    ranking_scores,
    relevant_level,
)
from gradual.results.metrics import metric_named


def test_a_list_is_scored_as_by_hand():
    top = np.array([[3, 1, 2], [5, 4, 9]])
    frame = per_user_scores(top, np.array([7, 8]), np.array([7, 7, 8, 6]), np.array([1, 4, 9, 1]))
    assert frame["user"].tolist() == [7, 8]
    best = 1 + 1 / np.log2(3)
    assert frame["ndcg"].tolist() == pytest.approx([1 / np.log2(3) / best, 1 / np.log2(4)])
    assert frame["recall"].tolist() == [0.5, 1.0]
    assert frame["precision"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert frame["hit_rate"].tolist() == [1.0, 1.0]


def test_ndcg_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    scores, truth = rng.random((20, 30)), rng.random((20, 30)) < 0.2
    truth[:, 0] = True
    top = np.argsort(-scores, axis=1)[:, :5]
    held = np.nonzero(truth)
    found = ranking_scores(top, np.arange(20), *held)["ndcg"]
    assert found == pytest.approx(ndcg_score(truth, scores, k=5))


def test_users_without_held_out_items_do_not_count_and_gaps_are_no_hits():
    frame = per_user_scores(np.array([[1, -1], [-1, -1]]), np.array([1, 2]), [1, 3], [2, 2])
    assert frame["user"].tolist() == [1]
    assert frame["hit_rate"].tolist() == [0.0]
    with pytest.raises(ValueError, match="no user with a list has a held-out item"):
        ranking_scores(np.array([[1]]), np.array([5]), np.array([1]), np.array([2]))


def scored(name, top, truth):
    return metric_named(name).score(truth, top)


def test_coverage_and_popularity():
    counts, top = np.array([0, 10, 2, 4]), np.array([[1, 2], [1, -1]])
    truth = HeldOut(np.array([1, 2]), np.array([1, 2]), np.array([2, 3]), counts, 3)
    assert scored("coverage", top, truth).value == pytest.approx(2 / 3)
    assert scored("popularity_lift", top, truth).value == pytest.approx(22 / 9)
    assert scored("hit_rate", top, truth).value == 0.5
    assert [metric.title for metric in list_metrics(5)][:2] == ["NDCG@5", "Recall@5"]


def test_the_better_half_of_the_ratings_is_relevant_unless_another_level_is_given(caplog):
    ratings = np.array([1.0, 2, 2, 3, 3, 3])
    assert relevant_level(ratings, None) == 3
    assert relevant_level(ratings, 2.0) == 2
    assert relevant_level(np.ones(5), None) == 1
    assert not caplog.messages
    assert relevant_level(ratings, 4.0) == 3
    assert "no training rating is above 3" in caplog.text
