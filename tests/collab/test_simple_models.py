import numpy as np
import pytest

from gradual.collab.simple_models import fit_biases, fit_neighbours


def data(seed: int = 0):
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((80, 700)) < 0.15)
    p, q = rng.normal(size=(80, 2)), rng.normal(size=(700, 2))
    truth = 3 + rng.normal(size=80)[user] * 0.5 + rng.normal(size=700)[item] * 0.5
    rating = truth + 0.5 * (p[user] * q[item]).sum(1) + rng.normal(size=len(user)) * 0.2
    order = rng.permutation(len(user))
    return user[order] + 1, item[order] + 1, rating[order]


def test_biases_are_the_ridge_solution():
    user, item, rating = (part[:300] for part in data())
    found = fit_biases(user, item, rating, (81, 701), rounds=300)
    mean = rating.mean()
    design = np.zeros((300, 782))
    design[np.arange(300), user] = 1
    design[np.arange(300), 81 + item] = 1
    exact = np.linalg.solve(design.T @ design + 5 * np.eye(782), design.T @ (rating - mean))
    np.testing.assert_allclose(np.r_[found.users, found.items], exact, atol=1e-6)
    with pytest.raises(ValueError, match="no rows to fit biases on"):
        fit_biases(user[:0], item[:0], rating[:0], (81, 701))


def test_neighbours_know_more_than_biases_and_agree_with_a_plain_loop():
    user, item, rating = data()
    cut = len(user) * 4 // 5
    model = fit_neighbours(user[:cut], item[:cut], rating[:cut], (81, 701), neighbours=700)
    held = user[cut:], item[cut:]
    errors = [
        np.square(p - rating[cut:]).mean()
        for p in (model.predict(*held), model.biases.predict(*held))
    ]
    assert errors[0] < 0.9 * errors[1]
    similar, residual = model.similar.toarray(), model.residuals.toarray()
    for u, i, found in zip(*held, model.predict(*held), strict=True):
        near = [j for j in range(701) if similar[i, j] > 0 and residual[u, j] != 0]
        told = sum(similar[i, j] * residual[u, j] for j in near)
        expected = told / (0.5 + sum(similar[i, j] for j in near))
        assert found - model.biases.predict(u, i) == pytest.approx(expected, abs=1e-5)
        if i > 40:
            break
    scores = model.scores(held[0][:5])
    np.testing.assert_allclose(
        scores[np.arange(5), held[1][:5]], model.predict(*held)[:5], rtol=1e-6
    )


def test_unknown_users_and_items_get_what_is_known():
    user, item, rating = data()
    model = fit_neighbours(user, item, rating, (81, 701))
    assert model.predict(np.array([0]), np.array([0])) == pytest.approx(rating.mean())
