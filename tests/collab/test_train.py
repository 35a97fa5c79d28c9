import numpy as np
import pyarrow as pa
import pytest
import torch
from collab_config import config

from gradual.collab.recommender import Recommender
from gradual.collab.train import number_ids, train_collab
from gradual.sources.ratings_file import RatingsError
from gradual.sources.splits import part_rows
from gradual.training import rows
from gradual.training.checkpoint import CheckpointStore


@pytest.fixture(params=["whole tables", "row by row"])
def tables(request, monkeypatch):
    """Small tables are trained as a whole, large ones by the rows of each batch."""
    if request.param == "row by row":
        monkeypatch.setattr(rows, "_SMALL", 0)


def train(ratings, parts, settings, **kwargs):
    return train_collab(ratings, parts, *number_ids(ratings, parts), settings, **kwargs)


def spread_of_valid(ratings, parts) -> float:
    train_mean = ratings["rating"].to_numpy()[part_rows(parts, "train")].mean()
    valid = ratings["rating"].to_numpy()[part_rows(parts, "valid")]
    return float(np.square(valid - train_mean).mean())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interaction": "mlp", "layers": (20,), "dropout": 0.1},
        {"intercept": True, "item_features": True},
        {"implicit": True, "max_history": 8},
        {"time_bins": 3},
        {"y_range": None, "intercept": True},
    ],
    ids=["dot_bias", "mlp", "features", "implicit", "time", "no range"],
)
def test_each_kind_of_model_beats_the_mean_and_is_used_as_it_was_validated(
    ratings, parts, items, settings, tables
):
    bundle, history = train(ratings, parts, config(**settings), items=items)
    assert history.epochs[-1]["valid_loss"] < 0.8 * spread_of_valid(ratings, parts)
    model = Recommender.from_bundle(bundle)
    valid = ratings.take(part_rows(parts, "valid"))
    found = model.predict(
        valid["user"].to_numpy(), valid["item"].to_pandas(), valid["time"].to_numpy()
    )
    loss = np.square(found["score"] - valid["rating"].to_numpy()).mean()
    assert loss == pytest.approx(history.epochs[-1]["valid_loss"], rel=1e-4)


@pytest.mark.parametrize("loss", ["bpr", "softmax"])
def test_ranking_losses_learn_what_users_take(loss, tables):
    rng = np.random.default_rng(3)
    # Each user takes items of one half of the catalogue only.
    user, item = np.nonzero(rng.random((50, 60)) < 0.3)
    own = (item < 30) == (user < 25)
    ones = np.ones(own.sum(), np.float32)
    taken = pa.table({"user": user[own], "item": item[own], "rating": ones})
    part = np.where(rng.random(own.sum()) < 0.2, "valid", "train")
    settings = config(epochs=8, loss=loss, negatives=4, lr=3e-2)
    bundle, history = train(taken, pa.table({"part": part}), settings)
    assert history.epochs[-1]["valid_ndcg"] > 1.5 * history.epochs[0]["valid_ndcg"] > 0
    lists = Recommender.from_bundle(bundle).recommend(n=5)
    assert ((lists["item"] < 30) == (lists["user"] < 25)).mean() > 0.95


def test_the_same_seed_gives_the_same_weights_and_another_one_others(ratings, parts):
    first, again, other = (
        train(ratings, parts, config(epochs=1, seed=seed))[0] for seed in (1, 1, 2)
    )
    assert first.hash == again.hash != other.hash


def test_a_finished_run_is_loaded_and_other_ratings_start_afresh(ratings, parts, tmp_path):
    store = CheckpointStore(tmp_path)
    first, _ = train(ratings, parts, config(epochs=1), store=store)
    again, history = train(ratings, parts, config(epochs=1), store=store)
    assert history.resumed
    assert first.hash == again.hash
    place = ratings.schema.get_field_index("rating")
    changed = ratings.set_column(place, "rating", pa.array(ratings["rating"].to_numpy()[::-1]))
    _, history = train(changed, parts, config(epochs=1), store=store)
    assert not history.resumed


def test_unknown_users_and_items_have_the_mean_row(ratings, parts):
    bundle, _ = train(ratings, parts, config(epochs=2))
    for name in ("users", "items"):
        rows = bundle.state[name]
        torch.testing.assert_close(rows[0], rows[1:].mean(0))


def test_validation_and_test_ratings_are_not_learned_from(ratings, parts):
    other = ratings["rating"].to_numpy().copy()
    other[part_rows(parts, "valid", "test")] = 1.0
    place = ratings.schema.get_field_index("rating")
    changed = ratings.set_column(place, "rating", pa.array(other))
    first, second = (train(r, parts, config(epochs=1))[0] for r in (ratings, changed))
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)


def test_what_a_configuration_needs_and_lacks_is_named(ratings, parts):
    with pytest.raises(RatingsError, match="item_features is true, but there is no table of items"):
        train(ratings, parts, config(item_features=True))
    with pytest.raises(RatingsError, match="time_bins is 3, but the ratings have no time"):
        train(ratings.drop(["time"]), parts, config(time_bins=3))
    with pytest.raises(RatingsError, match="no rating is at least 9"):
        train(ratings, parts, config(loss="bpr", positive_from=9.0))
    with pytest.raises(ValueError, match=r"positive_from is 3\.0, but the loss mse"):
        config(positive_from=3.0)
    with pytest.raises(ValueError, match=r"y_range is \[5.0, 1.0\]"):
        config(y_range=(5.0, 1.0))
