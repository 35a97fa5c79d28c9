import time

import numpy as np
import pandas as pd
import pytest
import torch
from collab_config import config

from gradual.collab.recommender import Recommender
from gradual.collab.train import train_collab
from gradual.sources.splits import part_rows
from gradual.training.bundle import Bundle, load_bundle, save_bundle


@pytest.fixture(scope="module")
def bundle(ratings, parts, items) -> Bundle:
    return train_collab(ratings, parts, config(), items=items)[0]


@pytest.fixture(scope="module")
def model(bundle) -> Recommender:
    return Recommender.from_bundle(bundle)


def test_a_stored_bundle_answers_alike(bundle, model, tmp_path):
    save_bundle(bundle, tmp_path / "m.safetensors")
    again = Recommender.from_bundle(load_bundle(tmp_path / "m.safetensors", "collab"))
    pd.testing.assert_frame_equal(again.recommend(n=3), model.recommend(n=3))


def test_unknown_ids_are_answered_and_named(model):
    found = model.predict([5, 15, 99, None], ["m1", "nope", "m1", None])
    assert found["fallback"].tolist() == ["", "item", "user", "user and item"]
    assert np.isfinite(found["score"]).all()
    assert found["score"][3] == pytest.approx(model.mean)
    with pytest.raises(ValueError, match="2 users and 1 items"):
        model.predict([5, 15], ["m1"])


def test_lists_leave_out_what_was_seen_and_are_in_order(model, ratings, parts):
    lists = model.recommend(n=8)
    assert lists.groupby("user").size().eq(8).all()
    assert lists.groupby("user")["score"].apply(lambda s: s.is_monotonic_decreasing).all()
    train = ratings.take(part_rows(parts, "train")).to_pandas()
    seen = set(zip(train["user"], train["item"], strict=True))
    assert not seen & set(zip(lists["user"], lists["item"], strict=True))
    pairs = model.predict(lists["user"], lists["item"])
    np.testing.assert_allclose(pairs["score"], lists["score"], rtol=1e-5)
    everything = model.recommend([5], n=1000, exclude_seen=False)
    assert len(everything) == len(model.items) - 1
    rest = model.recommend([5], n=1000)
    assert len(rest) == len(model.items) - 1 - (train["user"] == 5).sum()


def test_unknown_users_get_the_most_rated_items(model):
    found = model.recommend(["who", 5], n=4)
    assert found["fallback"].tolist() == ["popularity"] * 4 + [""] * 4
    assert found["ratings"][:4].tolist() == sorted(model.counts)[::-1][:4]
    assert model.recommend([5, "who"], n=3, min_ratings=20)["ratings"].ge(20).all()


def test_neighbours_biases_components_and_tables(model):
    near = model.similar(["m1", "nope"], 3)
    assert near["item"].tolist() == ["m1"] * 3
    assert near["cosine"].is_monotonic_decreasing
    assert "m1" not in near["similar"].tolist()
    vectors = model.item_vectors
    one, other = (model.item_ids.encode([name])[0] for name in ("m1", near["similar"][0]))
    cosine = torch.cosine_similarity(vectors[one], vectors[other], dim=0).item()
    assert near["cosine"][0] == pytest.approx(cosine, rel=1e-5)
    biases = model.biases()
    assert biases["bias"].is_monotonic_decreasing
    assert len(biases) == len(model.items) - 1
    places = model.components(2)
    spread = places[["component_1", "component_2"]].var()
    assert spread.iloc[0] >= spread.iloc[1]
    assert np.corrcoef(places["component_1"], places["component_2"])[0, 1] == pytest.approx(
        0, abs=1e-6
    )
    users, items = model.embeddings()
    assert items.num_rows == len(model.items)
    assert items["vector"][one].as_py() == pytest.approx(vectors[one].tolist())
    assert users.column_names == ["number", "id", "bias", "vector"]
    with pytest.raises(ValueError, match="ask for fewer"):
        model.components(30)


def test_all_users_by_all_items_of_latest_small_in_two_seconds(model):
    users, items = 611, 9743
    wide = Recommender(
        **{
            **vars(model),
            "users": torch.randn(users, 51),
            "items": torch.randn(items, 51),
        }
    )
    start = time.perf_counter()
    numbers, _ = wide.top(wide.users, 10)
    assert time.perf_counter() - start < 2
    assert numbers.shape == (611, 10)
