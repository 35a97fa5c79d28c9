import numpy as np
import pyarrow as pa
import pytest
from collab_config import config
from sklearn.linear_model import Ridge

from gradual.collab.cold_start import ColdStartConfig, score_cold_start
from gradual.collab.metadata import learn_rows, place_new_items
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.train import train_collab
from gradual.results.table import value_of
from gradual.sources.errors import SourceError

COLD = ColdStartConfig(share=0.3, given=(0, 8), asked=(10,), min_ratings=2)


def ridge(properties, rows):
    """The simplest learner: linear in flags and numbers."""

    def inputs(table):
        return table.to_pandas().fillna(0).to_numpy(np.float64)

    model = Ridge().fit(inputs(properties), rows)
    return lambda table: model.predict(inputs(table))


@pytest.fixture(scope="module")
def model(ratings, parts, items) -> Recommender:
    bundle, _ = train_collab(ratings, parts, config(), items=items)
    return Recommender.from_bundle(bundle)


def test_rows_are_predicted_from_properties(model, items):
    rows = learn_rows(model, items, ridge, min_ratings=2).rows(items)
    assert rows.shape == (items.num_rows, model.config.width)
    assert np.isfinite(rows.numpy()).all()
    with pytest.raises(SourceError, match="lower min_ratings"):
        learn_rows(model, items, ridge, min_ratings=10_000)


def test_new_items_are_placed_and_too_few_to_learn_from_end_nothing(model, items, caplog):
    placed = place_new_items(model, items, ridge, min_ratings=2)
    assert set(placed["item"]) == {"m40", "m41", "m42", "m43", "m44"}
    assert placed.groupby("item").size().eq(10).all()
    assert place_new_items(model, items, ridge, min_ratings=10_000).empty
    assert "New items are not placed" in caplog.text


@pytest.fixture(scope="module")
def found(ratings, parts, items):
    lists = ListsConfig(n=5, relevant_from=3.5)
    return score_cold_start(ratings, parts, config(), COLD, lists, items=items, learner=ridge)


def of(found, slice, model, metric):
    return value_of(found[found["slice"] == slice].assign(slice=""), model, metric, "valid")


def test_cold_start_is_scored_on_users_and_items_that_were_held_out(found, ratings, parts, items):
    none, eight = "new users, 0 ratings given", "new users, 8 ratings given"
    assert (
        of(found, eight, "recommender", "rmse")["value"]
        < of(found, none, "recommender", "rmse")["value"]
    )
    assert of(found, none, "recommender", "answered")["value"] == 0
    asked = {f"new users, 10 items asked by {s}" for s in ("information", "entropy", "popularity")}
    assert asked | {none, eight, "new items"} == set(found["slice"])
    assert found.loc[found["metric"] == "rmse"].groupby(["slice", "model"]).size().eq(1).all()
    new = found[found["slice"] == "new items"]
    assert set(new["model"]) == {"recommender", "biases", "global mean", "popularity"}
    lists = ListsConfig(n=5, relevant_from=3.5)
    again = score_cold_start(ratings, parts, config(), COLD, lists, items=items, learner=ridge)
    assert again.equals(found)


def test_test_ratings_are_not_looked_at(found, ratings, parts, items):
    test = np.array(parts["part"].to_pylist()) == "test"
    changed = np.where(test, 0.5, ratings["rating"].to_numpy()).astype(np.float32)
    other = ratings.set_column(2, "rating", pa.array(changed))
    lists = ListsConfig(n=5, relevant_from=3.5)
    again = score_cold_start(other, parts, config(), COLD, lists, items=items, learner=ridge)
    assert again.equals(found)


@pytest.mark.parametrize("relevant_from", [None, 4.0, 0.0])
def test_ratings_from_1_to_3_are_scored_whatever_counts_as_a_hit(ratings, parts, relevant_from):
    coarse = np.clip(np.round(ratings["rating"].to_numpy() * 0.6), 1, 3).astype(np.float32)
    table = ratings.set_column(2, "rating", pa.array(coarse))
    lists = ListsConfig(relevant_from=relevant_from)
    found = score_cold_start(table, parts, config(epochs=1), COLD, lists)
    assert {"rmse", "ndcg@10"} <= set(found["metric"])


def test_too_few_ratings_end_nothing(ratings, parts, caplog):
    few = ratings.slice(0, 120), parts.slice(0, 120)
    found = score_cold_start(*few, config(epochs=1), COLD, ListsConfig())
    assert found.empty
    assert "Cold start is not scored" in caplog.text
