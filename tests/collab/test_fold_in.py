import numpy as np
import pyarrow as pa
import pytest
import torch
from collab_config import config

from gradual.collab.fold_in import Prior, fold_in, onboarding, recommend_new
from gradual.collab.recommender import Recommender
from gradual.collab.train import train_collab
from gradual.sources.splits import part_rows


@pytest.fixture(scope="module")
def model(ratings, parts) -> Recommender:
    bundle, _ = train_collab(ratings, parts, config())
    return Recommender.from_bundle(bundle)


def test_the_row_is_the_most_probable_one(model):
    given = pa.table({"user": ["new"] * 3, "item": ["m1", "m4", "m9"], "rating": [5.0, 1.0, 4.0]})
    prior = Prior.of(model)
    users = fold_in(model, given, prior)
    items = model.items[torch.from_numpy(model.item_ids.encode(given["item"]))].double()

    def cost(row: torch.Tensor) -> torch.Tensor:
        scores = items[:, :-1] @ row[:-1] + row[-1] + items[:, -1] + model.offset
        errors = 5.5 * torch.sigmoid(scores) - torch.tensor([5.0, 1.0, 4.0])
        away = row - prior.mean
        return (errors**2).sum() / prior.noise + away @ torch.linalg.inv(prior.covariance) @ away

    row = users.rows[0].double().requires_grad_()
    cost(row).backward()
    assert row.grad.abs().max() < 1e-2 * cost(prior.mean).item()
    assert cost(row) < 0.9 * cost(prior.mean)


def test_users_are_folded_in_one_by_one_or_together_alike(model, ratings, parts):
    held = ratings.take(part_rows(parts, "valid"))
    together = fold_in(model, held)
    alone = fold_in(model, held.filter(pa.compute.equal(held["user"], together.ids[2])))
    torch.testing.assert_close(together.rows[2], alone.rows[0], atol=1e-5, rtol=1e-4)


def test_ratings_of_unknown_items_are_counted_and_leave_the_prior(model):
    users = fold_in(model, pa.table({"user": ["x"], "item": ["nope"], "rating": [5.0]}))
    assert users.unknown == 1
    torch.testing.assert_close(users.rows[0], Prior.of(model).mean.float())
    with pytest.raises(ValueError, match="row 0 has nan for a rating"):
        fold_in(model, pa.table({"user": ["x"], "item": ["m1"], "rating": [np.nan]}))


def test_new_users_are_not_recommended_what_they_rated(model):
    given = pa.table({"user": ["x", "y"], "item": ["m1", "m2"], "rating": [5.0, 5.0]})
    lists = recommend_new(model, fold_in(model, given), 100)
    assert lists.groupby("user").size().eq(len(model.items) - 2).all()
    assert "m1" not in lists.loc[lists["user"] == "x", "item"].tolist()


@pytest.mark.parametrize("strategy", ["information", "entropy", "popularity"])
def test_onboarding_lists_hold_each_item_once(model, ratings, strategy):
    asked = onboarding(model, 12, strategy=strategy, ratings=ratings)
    assert asked["item"].is_unique
    assert len(asked) == 12
    assert asked["ratings"].mean() > model.counts[1:].mean()


def test_onboarding_prefers_what_tells_more(model, ratings):
    prior = Prior.of(model)
    left = []
    for strategy in ("information", "popularity"):
        asked = onboarding(model, 5, strategy=strategy)
        inputs = model.items[torch.from_numpy(model.item_ids.encode(asked["item"]))].double()
        inputs = torch.cat([inputs[:, :-1], torch.ones(5, 1)], 1)
        precision = torch.linalg.inv(prior.covariance) + inputs.T @ inputs / prior.noise
        left.append(torch.linalg.inv(precision).trace().item())
    assert left[0] <= left[1]
    with pytest.raises(ValueError, match="entropy needs the training ratings"):
        onboarding(model, 5, strategy="entropy")


def test_models_that_cannot_take_in_users_say_so(ratings, parts):
    settings = config(epochs=1, loss="bpr")
    bundle, _ = train_collab(ratings, parts, settings)
    with pytest.raises(ValueError, match="loss bpr or softmax cannot take in new users"):
        Prior.of(Recommender.from_bundle(bundle))
