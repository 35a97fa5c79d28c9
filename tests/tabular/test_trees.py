import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from gradual.tabular.trees import pack_boosting, pack_forest


def table(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes (one of them rare, one never 0), numbers, and a score that depends on all."""
    generator = np.random.default_rng(seed)
    colour = generator.integers(1, 6, n)
    town = generator.zipf(1.6, n).clip(max=60)
    numbers = generator.normal(size=(n, 2)).astype(np.float32)
    score = (colour == 3) * 2 + np.sin(town) + numbers[:, 0] * (colour > 2) - numbers[:, 1]
    return np.c_[numbers[:, :1], colour, numbers[:, 1:], town].astype(np.float64), score


NEW = np.array([[0.1, 0, -1.0, 0], [0.1, 99, 2.0, 1000], [0, 5, 0, 59]])  # unseen codes
CODES = [False, True, False, True]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("codes", [CODES, None])
def test_boosted_classifier_answers_as_scikit_learn_does(
    classes: int, codes: list[bool] | None
) -> None:
    matrix, score = table()
    labels = np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    model = HistGradientBoostingClassifier(max_iter=15, categorical_features=codes, random_state=0)
    model.fit(matrix, labels)
    trees = pack_boosting(model)
    for rows in (matrix, table(seed=1)[0], NEW):
        outputs = trees.outputs(rows)
        probabilities = (
            np.c_[1 - expit(outputs[:, 0]), expit(outputs[:, 0])]
            if classes == 2
            else softmax(outputs, axis=1)
        )
        np.testing.assert_allclose(probabilities, model.predict_proba(rows), rtol=1e-12)


def test_boosted_regressor_answers_as_scikit_learn_does() -> None:
    matrix, score = table()
    model = HistGradientBoostingRegressor(max_iter=15, categorical_features=CODES, random_state=0)
    model.fit(matrix, score)
    trees = pack_boosting(model)
    for rows in (matrix, NEW):
        np.testing.assert_allclose(trees.outputs(rows)[:, 0], model.predict(rows), rtol=1e-12)


def test_forests_answer_as_scikit_learn_does() -> None:
    matrix, score = table()
    labels = np.digitize(score, [0, 1])
    classifier = RandomForestClassifier(12, random_state=0).fit(matrix, labels)
    regressor = RandomForestRegressor(12, random_state=0).fit(matrix, score)
    for rows in (matrix, table(seed=1)[0], NEW):
        shares = pack_forest(classifier).outputs(rows)
        np.testing.assert_allclose(shares, classifier.predict_proba(rows), atol=1e-12)
        values = pack_forest(regressor).outputs(rows)[:, 0]
        np.testing.assert_allclose(values, regressor.predict(rows), rtol=1e-12)


def test_many_rows_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, score = table()
    trees = pack_forest(RandomForestRegressor(5, random_state=0).fit(matrix, score))
    whole = trees.outputs(matrix)
    monkeypatch.setattr("gradual.tabular.trees._VISITS", 35)
    assert (trees.outputs(matrix) == whole).all()


def test_trees_survive_a_tree_that_is_a_single_leaf() -> None:
    matrix, _ = table()
    model = HistGradientBoostingRegressor(max_iter=2).fit(matrix, np.full(len(matrix), 7.0))
    np.testing.assert_allclose(pack_boosting(model).outputs(matrix)[:, 0], 7)
