import errno

import pytest
import torch
from torch import nn

from gradual.training import checkpoint as module
from gradual.training import sealed
from gradual.training.checkpoint import Checkpoint, CheckpointStore, Position, changes
from gradual.training.sealed import DamagedFileError


def make(**changes):
    values = {
        "key": {"corpus": "abc", "lr": [0.1, 1e-3]},
        "position": Position(1, 7, 3.3, 0.1, {"train": 1.5}),
        "finished": False,
        "history": [{"train_loss": 0.1 + 0.2, "auc": 1.0}],
        "model": {"weight": torch.randn(2, 3)},
        "optimizer": {"0.exp_avg": torch.randn(2, 3), "0.step": torch.tensor(7.0)},
        "task": {"hidden/state": torch.randn(4)},
        "random": {"cpu": torch.get_rng_state()},
    }
    return Checkpoint(**{**values, **changes})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    store = CheckpointStore(tmp_path / "a" / "b")
    assert store.load() is None
    saved = make()
    store.save(saved)
    loaded = store.load()
    for name in ("key", "position", "finished", "history", "format_version"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name in ("model", "optimizer", "task", "random"):
        one, two = getattr(loaded, name), getattr(saved, name)
        assert one.keys() == two.keys()
        assert all(torch.equal(one[k], two[k]) for k in one)
    assert [file.name for file in store.path.iterdir()] == [module.FILE_NAME]
    store.delete()
    assert store.load() is None


def test_tied_weights_are_stored_once_and_come_back_under_both_names(tmp_path):
    model = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 50))
    model[1].weight = model[0].weight
    store = CheckpointStore(tmp_path)
    store.save(make(model=model.state_dict()))
    tensors, _ = sealed.read_sealed(store.file)
    assert "model/1.weight" not in tensors
    loaded = store.load().model
    assert torch.equal(loaded["1.weight"], model[0].weight)
    model.load_state_dict(loaded)


def test_a_figure_may_be_nan(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(make(history=[{"auc": float("nan")}]))
    assert store.load().history[0]["auc"] != store.load().history[0]["auc"]


@pytest.mark.parametrize("place", [3, 40, -1])
def test_a_flipped_byte_is_an_error(tmp_path, place):
    store = CheckpointStore(tmp_path)
    store.save(make())
    content = bytearray(store.file.read_bytes())
    content[place] ^= 16
    store.file.write_bytes(content)
    with pytest.raises(DamagedFileError, match="altered"):
        store.load()


def test_another_format_version_comes_back_as_such_and_empty(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(make(format_version=0))
    loaded = store.load()
    assert loaded.format_version == 0
    assert loaded.model == {}


def test_a_failing_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    store = CheckpointStore(tmp_path)
    store.save(make())
    before = store.file.read_bytes()

    def full_disk(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed.safetensors.torch, "save_file", full_disk)
    with pytest.raises(OSError, match=r"checkpoint\.safetensors: cannot be written.*No space"):
        store.save(make(finished=True))
    assert store.file.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_changes_name_what_differs_with_dots():
    old = {"a": {"phases": [{"lr": 0.1}, {"lr": 0.2}], "gone": 1}, "same": [1]}
    new = {"a": {"phases": [{"lr": 0.1}, {"lr": 0.3}, {"lr": 1}]}, "same": [1], "text": "x" * 99}
    found = changes(old, new)
    assert found[0] == "a.phases.1.lr: 0.2 → 0.3"
    assert found[1] == 'a.phases.2: (absent) → {"lr": 1}'
    assert found[2] == "a.gone: 1 → (absent)"
    assert found[3].startswith('text: (absent) → "xxx')
    assert len(found) == 4
    assert len(found[3]) < 100
    assert changes(old, old) == []
