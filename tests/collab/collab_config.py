"""A small recommender's configuration for tests."""

import dataclasses

from gradual.collab.models import CollabModelConfig
from gradual.collab.train import CollabConfig
from gradual.training.config import Phase, TrainingConfig


def config(epochs: int = 6, lr: float = 2e-2, seed: int = 1, **settings) -> CollabConfig:
    names = {field.name for field in dataclasses.fields(CollabModelConfig)}
    model = CollabModelConfig(**{"factors": 6, **{k: v for k, v in settings.items() if k in names}})
    rest = {k: v for k, v in settings.items() if k not in names}
    training = TrainingConfig(
        phases=(Phase(epochs, lr),), precision="float32", device="cpu", seed=seed
    )
    return CollabConfig(model=model, training=training, **{"batch_size": 16, **rest})
