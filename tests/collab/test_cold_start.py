import numpy as np
import pytest
from collab_config import config

from gradual.collab.cold_start import ColdStartConfig, score_cold_start
from gradual.collab.metadata import MetadataConfig, predict_rows, train_metadata
from gradual.collab.recommender import Recommender
from gradual.collab.train import number_ids, train_collab
from gradual.sources.ratings_file import RatingsError
from gradual.tabular.model import TabularModelConfig
from gradual.training.config import Phase, TrainingConfig

NET = TabularModelConfig(
    layers=(16,), training=TrainingConfig(phases=(Phase(4, 1e-2),), precision="float32")
)


@pytest.fixture(scope="module")
def model(ratings, parts, items) -> Recommender:
    bundle, _ = train_collab(ratings, parts, *number_ids(ratings, parts), config(), items=items)
    return Recommender.from_bundle(bundle)


def test_rows_are_predicted_from_properties(model, items):
    bundle = train_metadata(model, items, MetadataConfig(min_ratings=2, net=NET))
    rows = predict_rows(bundle, items)
    assert rows.shape == (items.num_rows, model.config.width)
    assert np.isfinite(rows.numpy()).all()
    with pytest.raises(RatingsError, match="lower min_ratings"):
        train_metadata(model, items, MetadataConfig(min_ratings=10_000))


def test_cold_start_is_scored_on_users_and_items_that_were_held_out(ratings, parts, items):
    cold = ColdStartConfig(
        share=0.3,
        given=(0, 8),
        asked=(10,),
        relevant_from=3.5,
        k=5,
        metadata=MetadataConfig(min_ratings=2, net=NET),
    )
    found = score_cold_start(ratings, parts, config(), cold, items=items)
    users = found.users.set_index(["case", "known"])
    assert users["rmse"]["random", 8] < users["rmse"]["random", 0]
    assert users["answered"]["random", 0] == 0
    assert users["rows"].nunique() == 1
    assert {"information", "entropy", "popularity"} <= set(users.index.get_level_values(0))
    assert list(found.items["method"]) == ["mean", "user biases", "properties"]
    assert (found.items["items"] > 0).all()
    again = score_cold_start(ratings, parts, config(), cold, items=items)
    assert again.users.equals(found.users)
