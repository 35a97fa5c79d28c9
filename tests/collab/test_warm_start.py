"""A recommender that starts from an earlier one answers as that did, before it learns on."""

import logging

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from collab_config import config

from gradual.collab.recommender import Recommender
from gradual.collab.train import train_collab


@pytest.fixture(scope="module")
def fewer(ratings, parts):
    """The ratings without some users and items, which come later."""
    kept = pc.and_(pc.less(ratings["user"], 500), pc.not_equal(ratings["item"], "m3"))
    return ratings.filter(kept), parts.filter(kept)


def first_answers(start, ratings, parts, settings, **kwargs) -> Recommender:
    """A recommender that has only just begun: so small a rate moves nothing."""
    bundle, _ = train_collab(
        ratings, parts, config(epochs=1, lr=1e-9, **settings), start=start, **kwargs
    )
    assert bundle.dependencies["start"] == start.hash
    return Recommender.from_bundle(bundle)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"interaction": "mlp", "layers": (8,)},
        {"intercept": True, "item_features": True},
        {"implicit": True, "max_history": 8},
        {"time_bins": 3},
    ],
    ids=["dot_bias", "mlp", "features", "implicit", "time"],
)
def test_known_users_get_the_earlier_answers_and_new_ones_those_of_a_stranger(
    settings, fewer, ratings, parts, items, caplog
):
    caplog.set_level(logging.INFO)
    earlier, _ = train_collab(*fewer, config(**settings), items=items)
    before = Recommender.from_bundle(earlier)
    after = first_answers(earlier, ratings, parts, settings, items=items)
    known = fewer[0].slice(0, 200)
    asked = known["user"].to_numpy(), known["item"].to_pandas()
    # Spans of time have moved with the ratings that came in.
    times = [] if settings.get("time_bins") else [known["time"].to_numpy()]
    close = 0.2 if settings.get("interaction") == "mlp" else 2e-3  # running means of batch norm
    np.testing.assert_allclose(
        before.predict(*asked, *times)["score"], after.predict(*asked, *times)["score"], atol=close
    )
    new = pa.array([595] * 5), pa.array([f"m{k}" for k in range(10, 15)])
    if not settings.get("interaction"):
        np.testing.assert_allclose(
            before.predict(*new)["score"], after.predict(*new)["score"], atol=2e-3
        )
    assert "of 60 users and 39 of 40 items known" in caplog.text


def test_it_starts_better_than_from_nothing(fewer, ratings, parts):
    earlier, _ = train_collab(*fewer, config())
    _, warm = train_collab(ratings, parts, config(epochs=1, lr=1e-3), start=earlier)
    _, cold = train_collab(ratings, parts, config(epochs=1, lr=1e-3))
    assert warm.epochs[0]["valid_loss"] < 0.8 * cold.epochs[0]["valid_loss"]


def test_one_that_does_not_fit_is_left_aside_with_the_reason(fewer, caplog):
    earlier, _ = train_collab(*fewer, config(epochs=1))
    other = config(epochs=1, factors=3)
    begun, _ = train_collab(*fewer, other, start=earlier)
    alone, _ = train_collab(*fewer, other)
    assert "another factors" in caplog.text
    assert begun.state["users"].equal(alone.state["users"])
