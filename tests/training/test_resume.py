import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("resume_script.py")


@pytest.mark.parametrize(
    ("precision", "seconds"), [("float32", "0"), ("float32", "0.02"), ("bfloat16", "0")]
)
def test_a_run_killed_again_and_again_ends_with_the_same_bits(tmp_path, precision, seconds):
    done = subprocess.run(  # a failing child tells why on stderr
        [sys.executable, str(SCRIPT), str(tmp_path), precision, seconds, "7"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    )
    report = json.loads(done.stdout)
    assert report["killed"] >= 6
    assert report["writing"] >= 6
    assert report["left"] == ["checkpoint.safetensors", "weights.safetensors"]
    whole, pieces = (load_file(tmp_path / n / "weights.safetensors") for n in ("whole", "pieces"))
    assert whole.keys() == pieces.keys()
    for name, value in whole.items():
        assert torch.equal(value, pieces[name]), name
