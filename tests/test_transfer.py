"""The classifier that starts from the language model beats the one that starts from nothing."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "transfer" / "run.py"


@pytest.mark.slow
def test_pretraining_helps_over_three_seeds() -> None:
    spec = importlib.util.spec_from_file_location("transfer", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["transfer"] = module
    spec.loader.exec_module(module)
    results = module.run([0, 1, 2])
    gain = results["pretrained"] - results["random"]
    assert gain.mean() > 0.02, results.to_string()
