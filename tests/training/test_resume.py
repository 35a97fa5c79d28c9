import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("resume_script.py")
NEVER = "1e9"


def run(folder, precision, seconds, seed="0"):
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), precision, seconds, seed],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return load_file(folder / "weights.safetensors"), json.loads(done.stdout)


@pytest.mark.parametrize(
    ("precision", "seconds"), [("float32", "0"), ("float32", "0.02"), ("bfloat16", "0")]
)
def test_a_run_killed_again_and_again_ends_with_the_same_bits(tmp_path, precision, seconds):
    whole, _ = run(tmp_path / "whole", precision, NEVER)
    pieces, report = run(tmp_path / "pieces", precision, seconds, seed=str(len(seconds)))
    assert report["killed"] >= 5
    assert report["writing"] >= 1
    assert report["left"] == ["checkpoint.safetensors", "weights.safetensors"]
    assert whole.keys() == pieces.keys()
    for name, value in whole.items():
        assert torch.equal(value, pieces[name]), name
