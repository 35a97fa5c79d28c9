"""Predictions tables for the tests: one label a row, and any number of them."""

import numpy as np
import pandas as pd
from scipy.stats import norm

from gradual.results.predictions import predictions_table
from gradual.text.predictions import labels_table

ROWS = 40
LABELS = ["bad <b>", "good", "rare"]
RATES = np.array([0.4, 0.5, 0.05])


def predictions(seed: int, baseline: bool = True, **options) -> pd.DataFrame:
    """A classifier that is right two times in three."""
    random = np.random.default_rng(seed)
    truth = np.arange(ROWS) % 2
    noisy = np.clip(0.5 + (truth - 0.5) * 0.4 + random.normal(0, 0.4, ROWS), 0.01, 0.99)
    return predictions_table(
        np.arange(100, 100 + ROWS),
        ["no", "yes"] * (ROWS // 2),
        np.c_[1 - noisy, noisy],
        ["no", "yes"],
        baseline_probabilities=np.c_[1 - truth * 0.9, truth * 0.9] if baseline else None,
        sources=[f"texts.csv row {i}" for i in range(ROWS)],
        texts=[f"text {i}" for i in range(ROWS)],
        **options,
    )


def labels_drawn(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth (n, 3) and probabilities that know something of it."""
    random = np.random.default_rng(seed)
    truth = random.random((n, 3)) < RATES
    return truth, norm.cdf(random.normal(size=(n, 3)) + 1.5 * truth - 1)


def labels_predictions(n: int = 200) -> pd.DataFrame:
    """A classifier of three labels beside n-grams that know nothing but their shares."""
    truth, values = labels_drawn(n)
    return labels_table(
        np.arange(n), truth, values, LABELS, np.array([0.5, 0.4, 0.6]),
        baseline_probabilities=np.tile(RATES, (n, 1)), baseline_thresholds=np.full(3, 0.45),
        sources=["a"] * n, texts=["<script>alert(1)</script>"] * n,
    )  # fmt: skip
