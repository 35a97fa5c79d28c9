import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradual.results.predictions import predictions_table

PROJECT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(Path(__file__).parent))  # for model_bundles


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return PROJECT


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of real archives; tests that need it skip where there is none."""
    folder = Path(os.environ.get("GRADUAL_MIRROR", PROJECT.parent / "shared" / "mirror"))
    if not folder.is_dir():
        pytest.skip("needs the mirror of real archives: set GRADUAL_MIRROR")
    return folder.resolve()


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
