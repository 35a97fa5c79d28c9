import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gradual.collab.ratings import RatingsSplit, split_ratings
from gradual.sources.splits import Split

sys.path.insert(0, str(Path(__file__).parent))  # for collab_config


def make_ratings(users: int = 60, items: int = 40, filled: float = 0.4, seed: int = 0) -> pa.Table:
    """Ratings from two latent factors and biases, with times."""
    rng = np.random.default_rng(seed)
    user, item = np.nonzero(rng.random((users, items)) < filled)
    p, q = rng.normal(0, 0.7, (users, 2)), rng.normal(0, 0.7, (items, 2))
    score = 3.2 + (p[user] * q[item]).sum(1) + rng.normal(0, 0.5, users)[user]
    score += rng.normal(0, 0.5, items)[item] + rng.normal(0, 0.3, len(user))
    order = rng.permutation(len(user))
    rating = np.clip(np.round(score * 2) / 2, 0.5, 5).astype(np.float32)
    return pa.table(
        {
            "user": user[order] * 10 + 5,
            "item": pa.array([f"m{k}" for k in item[order]]),
            "rating": rating[order],
            "time": np.arange(len(order)) * 100 + 1_000_000_000,
        }
    )


@pytest.fixture(scope="session")
def ratings() -> pa.Table:
    return make_ratings()


@pytest.fixture(scope="session")
def parts(ratings: pa.Table) -> pa.Table:
    split = RatingsSplit(valid=Split(fraction=0.2, seed=1), test=Split(fraction=0.1, seed=2))
    return split_ratings(ratings, split)


@pytest.fixture(scope="session")
def items() -> pa.Table:
    """Titles and properties of more items than were rated."""
    count = 45
    return pa.table(
        {
            "id": [f"m{k}" for k in range(count)],
            "title": [f"Film {k}" for k in range(count)],
            "year": pa.array([1950.0 + k if k % 7 else None for k in range(count)], pa.float32()),
            "genres": [[["a"], ["b", "c"], []][k % 3] for k in range(count)],
        }
    )
