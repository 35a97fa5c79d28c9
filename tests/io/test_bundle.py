"""Bundles that are not files of our own: what fastai has stored."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastai_files import archive
from kedro.io.core import DatasetError

from gradual.io import BundleDataset
from gradual.text.bundles import reads_backwards
from gradual.text.fastai_weights import fastai_language_model
from gradual.training.files import sha256_file


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return archive(tmp_path / "mirror" / "wt103-bwd.tgz")


@pytest.fixture(autouse=True)
def no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror").mkdir()
    monkeypatch.delenv("GRADUAL_MIRROR", raising=False)
    monkeypatch.chdir(tmp_path)


def dataset(address: str, **arguments: Any) -> BundleDataset:
    return BundleDataset(filepath=f"fastai:{address}", **arguments)


def test_an_archive_of_fastai_is_a_language_model(packed: Path) -> None:
    found = dataset(str(packed), kind="language_model", backwards=True)
    assert found.exists()
    bundle = found.load()
    assert bundle is not None
    assert bundle.hash == fastai_language_model(packed, backwards=True).hash
    assert reads_backwards(bundle)
    assert bundle.origin == f"fastai:{packed}"
    assert json.loads(found.preview())["kind"] == "language_model"
    with pytest.raises(DatasetError, match=r"name a \.safetensors file to save"):
        found.save(bundle)
    with pytest.raises(DatasetError, match="is a language_model, where a text_classifier"):
        dataset(str(packed), kind="text_classifier", backwards=True).load()


def test_a_checksum_may_follow_the_address(packed: Path) -> None:
    good = f"{packed}#sha256={sha256_file(packed)}"
    assert dataset(good, backwards=True).load() is not None
    with pytest.raises(DatasetError, match=r"sha256 says 0+"):
        dataset(f"{packed}#sha256={'0' * 64}", backwards=True).load()
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        dataset(f"{packed}#sha256=abc")


def test_a_url_is_taken_from_the_mirror(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dataset("https://user:secret@example.org/models/wt103-bwd.tgz", backwards=True)
    assert not found.exists()
    assert json.loads(found.preview())["model"] == "not fetched yet"
    assert "secret" not in str(found)
    (packed.parent / "SHA256SUMS").write_text(f"{sha256_file(packed)}  {packed.name}\n")
    monkeypatch.setenv("GRADUAL_MIRROR", str(packed.parent))
    bundle = found.load()
    assert bundle is not None
    assert bundle.origin == "fastai:https://example.org/models/wt103-bwd.tgz"
    (packed.parent / "SHA256SUMS").write_text(f"{'0' * 64}  {packed.name}\n")
    with pytest.raises(DatasetError, match="altered"):
        found.load()


def test_what_names_no_file_is_refused() -> None:
    with pytest.raises(DatasetError, match="write fastai:<path or URL>"):
        dataset("")
    with pytest.raises(DatasetError, match=r"nowhere\.tgz does not exist"):
        dataset("nowhere.tgz").load()
