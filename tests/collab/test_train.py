from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from collab_config import config

from gradual.collab.recommender import Recommender
from gradual.collab.train import train_collab
from gradual.sources.errors import SourceError
from gradual.sources.splits import part_rows
from gradual.training import rows
from gradual.training.checkpoint import CheckpointStore
from gradual.training.config import EarlyStopping


@pytest.fixture(params=["whole tables", "row by row"])
def tables(request, monkeypatch):
    """Small tables are trained as a whole, large ones by the rows of each batch."""
    if request.param == "row by row":
        monkeypatch.setattr(rows, "_SMALL", 0)


def train(ratings, parts, settings, **kwargs):
    return train_collab(ratings, parts, settings, **kwargs)


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
    with pytest.raises(SourceError, match="item_features is true, but there is no table of items"):
        train(ratings, parts, config(item_features=True))
    with pytest.raises(SourceError, match="time_bins is 3, but the ratings have no time"):
        train(ratings.drop(["time"]), parts, config(time_bins=3))
    with pytest.raises(SourceError, match="no rating is at least 9"):
        train(ratings, parts, config(loss="bpr", positive_from=9.0))
    with pytest.raises(ValueError, match=r"positive_from is 3\.0, but the loss mse"):
        config(positive_from=3.0)
    with pytest.raises(ValueError, match=r"y_range is \[5.0, 1.0\]"):
        config(y_range=(5.0, 1.0))


def test_the_noise_is_that_of_the_kept_epoch(ratings, parts):
    settings = config(epochs=12, lr=0.3, factors=20)
    stopping = EarlyStopping(patience=12)
    settings = replace(settings, training=replace(settings.training, early_stopping=stopping))
    bundle, history = train(ratings, parts, settings)
    assert history.best_epoch < len(history.epochs)
    model = Recommender.from_bundle(bundle)
    valid = ratings.take(part_rows(parts, "valid"))
    found = model.predict(valid["user"].to_numpy(), valid["item"].to_pandas())
    errors = found["score"] - valid["rating"].to_numpy()
    assert model.noise == pytest.approx(np.square(errors).mean(), rel=1e-4)
    assert model.noise < 0.99 * history.epochs[-1]["valid_loss"]


def test_a_refit_learns_from_validation_ratings_too_for_the_epochs_found(ratings, parts, tmp_path):
    settings = replace(config(epochs=3), refit=True)
    store = CheckpointStore(tmp_path)
    bundle, history = train(ratings, parts, settings, store=store)
    alone, _ = train(ratings, parts, config(epochs=3))
    assert [e["valid_loss"] for e in history.epochs] == [
        e["valid_loss"] for e in train(ratings, parts, config(epochs=3))[1].epochs
    ]
    everything = Recommender.from_bundle(bundle)
    assert everything.noise == Recommender.from_bundle(alone).noise
    assert everything.learned_from == ("train", "valid")
    assert everything.counts.sum() == len(part_rows(parts, "train", "valid"))
    both = pc.replace_substring(parts["part"], "valid", "train")
    direct, _ = train(ratings, pa.table({"part": both}), config(epochs=3))
    assert torch.equal(direct.state["items"], bundle.state["items"])
    again, _ = train(ratings, parts, settings, store=store)
    assert again.hash == bundle.hash
    no_test = pa.table({"part": pc.replace_substring(parts["part"], "test", "train")})
    with pytest.raises(SourceError, match="set refit to false"):
        train(ratings, no_test, settings)


def test_properties_of_users_are_learned_from(ratings, parts):
    """What users with a property share is known of one with a single rating, too."""
    frame = ratings.to_pandas()
    kind = frame["user"] % 20 // 10
    frame["rating"] = (2.0 + 2.0 * kind).astype("float32")
    few = (frame["user"] < 105) & (frame.groupby("user").cumcount() > 0)
    part = parts["part"].to_pandas().replace("test", "train").mask(few, "test")
    ids = np.unique(frame["user"])
    users = pa.table({"id": ids, "kind": [f"k{user % 20 // 10}" for user in ids]})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    errors = []
    for wanted in (False, True):
        settings = config(epochs=4, user_features=wanted)
        bundle, _ = train(table, pa.table({"part": part.to_numpy()}), settings, users=users)
        held = frame[few]
        found = Recommender.from_bundle(bundle).predict(held["user"], held["item"])
        errors.append(np.square(found["score"].to_numpy() - held["rating"].to_numpy()).mean())
    assert errors[1] < 0.7 * errors[0]
