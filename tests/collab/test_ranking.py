import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from gradual.collab.ranking import (
    bootstrap_interval,
    list_figures,
    per_user_scores,
    ranking_scores,
)


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


def test_coverage_and_popularity():
    popularity = np.array([0, 10, 2, 4])
    found = list_figures(np.array([[1, 2], [1, -1]]), popularity, np.array([2, 3]), 3)
    assert found["coverage"] == pytest.approx(2 / 3)
    assert found["popularity"] == pytest.approx(22 / 3)
    assert found["popularity_lift"] == pytest.approx(22 / 9)


def test_intervals_by_groups_are_wider_where_a_groups_values_are_alike():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 50)
    values = rng.normal(size=20)[groups] + 0.1 * rng.normal(size=1000)
    alone, grouped = bootstrap_interval(values), bootstrap_interval(values, groups)
    assert grouped[0] < alone[0] < values.mean() < alone[1] < grouped[1]
    low, high = bootstrap_interval(values**2, groups, root=True)
    assert low < np.sqrt((values**2).mean()) < high
    assert bootstrap_interval(values, groups) == grouped
