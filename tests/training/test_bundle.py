import json
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradual.training import sealed
from gradual.training.bundle import Bundle, BundleError, BundleStore, load_bundle, save_bundle


def make(**changes):
    values = {
        "kind": "toy",
        "config": {"size": 3, "rates": [0.1, 0.2]},
        "state": {
            "weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
            "half": torch.ones(3, dtype=torch.bfloat16),
            "count": torch.tensor(7),
            "empty": torch.zeros(0, 4),
            "flag": torch.tensor([True, False]),
        },
        "metadata": {"words": ["a", "ü", "\u2028"]},
        "dependencies": {"corpus": "abc"},
    }
    return Bundle(**{**values, **changes})


def test_a_bundle_comes_back_as_it_was(tmp_path):
    bundle = make()
    save_bundle(bundle, tmp_path / "model.safetensors")
    loaded = load_bundle(tmp_path / "model.safetensors", kind="toy")
    assert loaded.hash == bundle.hash
    assert (loaded.config, loaded.metadata) == (bundle.config, bundle.metadata)
    assert loaded.dependencies == bundle.dependencies
    for name, tensor in bundle.state.items():
        assert torch.equal(loaded.state[name], tensor)
        assert loaded.state[name].dtype == tensor.dtype


def test_equal_bundles_give_equal_bytes_whatever_the_order(tmp_path):
    bundle = make()
    other = make(
        config=dict(reversed(bundle.config.items())), state=dict(reversed(bundle.state.items()))
    )
    save_bundle(bundle, tmp_path / "a")
    save_bundle(other, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "other"},
        {"config": {}},
        {"metadata": {}},
        {"dependencies": {"corpus": "abd"}},
        {"state": {"weight": torch.arange(6, dtype=torch.float32).reshape(3, 2)}},
    ],
)
def test_the_hash_covers_everything(change):
    assert make(**change).hash != make().hash


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_flipped_byte_never_gives_another_model(tmp_path, data):
    path = tmp_path / "model.safetensors"
    bundle = make()
    save_bundle(bundle, path)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        loaded = load_bundle(path)
    except BundleError:
        return
    assert loaded.hash == bundle.hash  # a blank that pads the header became another blank


def test_a_flipped_byte_in_a_weight_is_an_error(tmp_path):
    path = tmp_path / "model.safetensors"
    save_bundle(make(), path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="altered"):
        load_bundle(path)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_an_error(tmp_path, part):
    path = tmp_path / "model.safetensors"
    save_bundle(make(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(BundleError, match=r"model\.safetensors.*cut short.*Delete it"):
        load_bundle(path)


def test_a_file_of_someone_else_is_an_error(tmp_path):
    import safetensors.torch

    path = tmp_path / "model.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(BundleError, match="not written by gradual"):
        load_bundle(path)


def test_another_kind_a_missing_file_and_another_version_say_so(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(BundleError, match="no such bundle"):
        load_bundle(path)
    save_bundle(make(), path)
    with pytest.raises(BundleError, match="'toy' bundle where a 'classifier'"):
        load_bundle(path, kind="classifier")
    sealed.write_sealed(path, {}, json.dumps({"format": 99, "kind": "toy"}))
    with pytest.raises(BundleError, match="format version 99"):
        load_bundle(path)


def test_what_cannot_be_saved_leaves_the_old_bundle(tmp_path):
    path = tmp_path / "model.safetensors"
    save_bundle(make(), path)
    before = path.read_bytes()
    tied = torch.zeros(3)
    for bad in (
        make(metadata={"loss": float("nan")}),
        make(metadata={"words": {"a"}}),
        make(state={"a": tied, "b": tied}),
    ):
        with pytest.raises(BundleError, match="cannot be saved"):
            save_bundle(bad, path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_the_old_bundle(tmp_path):
    """A real limit of the operating system stops the write half way."""
    path = tmp_path / "model.safetensors"
    save_bundle(make(), path)
    before = path.read_bytes()
    script = (
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from gradual.training.bundle import Bundle, save_bundle\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "big = Bundle('toy', {}, {'w': torch.zeros(100_000)}, {}, {})\n"
        "try:\n    save_bundle(big, Path(sys.argv[1]))\n"
        "except OSError as error:\n    sys.exit('Free disk space' not in str(error))\n"
        "sys.exit('no error')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_store_makes_a_bundle_anew_only_when_what_it_is_made_from_changes(tmp_path, caplog):
    store, made = BundleStore(tmp_path / "rivals"), []

    def make_one():
        made.append(len(made))
        return make(metadata={"made": len(made)})

    first = store.kept("forest", {"trees": 10, "rows": "abc"}, make_one)
    again = store.kept("forest", {"rows": "abc", "trees": 10}, make_one)
    assert (again.hash, again.metadata, made) == (first.hash, {"made": 1}, [0])
    assert store.kept("linear", {"trees": 10, "rows": "abc"}, make_one).metadata == {"made": 2}
    assert store.kept("forest", {"trees": 11, "rows": "abc"}, make_one).metadata == {"made": 3}
    assert len(list(store.path.iterdir())) == 2, "one file a name"
    file = store.path / "forest.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    assert store.kept("forest", {"trees": 11, "rows": "abc"}, make_one).metadata == {"made": 4}
    assert "forest is made anew" in caplog.text
