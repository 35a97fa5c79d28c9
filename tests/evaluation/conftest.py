import numpy as np
import pandas as pd
import pytest

from gradual.evaluation.examples import predictions_table


@pytest.fixture
def predictions() -> pd.DataFrame:
    """Six rows: two wrong, one undecided, and a text that would like to run."""
    p = np.array([0.9, 0.8, 0.1, 0.45, 0.97, 0.02])
    q = np.array([0.6, 0.3, 0.6, 0.20, 0.70, 0.40])
    texts = ["fine", "a" * 30, "<script>alert('x')</script> & co", "so so", "lovely", "dreadful"]
    return predictions_table(
        np.array([10, 11, 12, 13, 14, 15]),
        ["positive", "negative", "positive", "negative", "positive", "negative"],
        np.c_[1 - p, p],
        ["negative", "positive"],
        baseline_probabilities=np.c_[1 - q, q],
        sources=[f"test/{i}.txt" for i in range(6)],
        texts=texts,
    )
