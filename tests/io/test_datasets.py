"""What all datasets in a file have in common, each with content of its own kind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from kedro.io import DataCatalog
from kedro.io.core import AbstractDataset, DatasetError
from kedro_viz.models.flowchart.node_metadata import DataNodeMetadata
from kedro_viz.models.flowchart.nodes import GraphNode
from plotly import graph_objects as go

import gradual.io
from gradual.text.corpus import Corpus
from gradual.text.rules import SPECIAL_TOKENS
from gradual.text.vocabulary import Vocabulary
from gradual.training.bundle import Bundle


def _vocabulary(word: str) -> Vocabulary:
    return Vocabulary((*SPECIAL_TOKENS, word), (0,) * len(SPECIAL_TOKENS) + (7,))


def _corpus(first: int) -> Corpus:
    return Corpus(np.array([first, 1, 2], np.uint16), np.array([0, 1, 3]), "hash")


def _bundle(weight: float) -> Bundle:
    state = {"weight": torch.full((2,), weight)}
    return Bundle("language_model", {"size": 2}, state, {"words": ["é"]}, {"corpus": "abc"})


def _same_corpus(a: Corpus, b: Corpus) -> bool:
    return a.hash == b.hash and a.ids.dtype == b.ids.dtype


@dataclass(frozen=True)
class Case:
    type: str
    file: str
    first: Any
    second: Any
    bad: Any  # what a save must refuse, or fail on halfway
    same: Callable[[Any, Any], bool]
    preview_type: str | None


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b)


CASES = [
    Case(
        "ParquetDataset",
        "table.parquet",
        pa.table({"text": ["a", None], "n": [1, 2]}),
        pa.table({"text": ["b"], "n": [3]}),
        "no table",
        lambda a, b: a.equals(b, check_metadata=True),
        "TablePreview",
    ),
    Case(
        "JSONDataset", "a.json", {"x": [1, "é"]}, {"x": 2}, {"x": object()}, _equal, "JSONPreview"
    ),
    Case("HTMLDataset", "a.html", "<p>\r\né</p>", "<p>", None, _equal, "HTMLPreview"),
    Case(
        "PlotlyDataset",
        "figure.json",
        go.Figure(go.Scatter(y=[1.5, 2.5])),
        go.Figure(go.Bar(y=[1])),
        {"data": []},
        _equal,
        "PlotlyPreview",
    ),
    Case(
        "VocabularyDataset",
        "vocabulary.json",
        _vocabulary('qu"ote\n'),
        _vocabulary("é"),
        "words",
        _equal,
        "TablePreview",
    ),
    Case("CorpusDataset", "c.arrow", _corpus(5), _corpus(6), [1], _same_corpus, "TablePreview"),
    Case(
        "BundleDataset",
        "model.safetensors",
        _bundle(1.0),
        _bundle(2.0),
        Bundle("language_model", {"x": object()}, {}, {}, {}),
        lambda a, b: a.hash == b.hash,
        "JSONPreview",
    ),
]
by_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.type)


def _dataset(case: Case, folder: Path, **more: Any) -> AbstractDataset[Any, Any]:
    config = {"type": f"gradual.io.{case.type}", "filepath": str(folder / "new" / case.file)}
    return DataCatalog.from_config({"data": {**config, **more}}).get("data")


@by_case
def test_saves_and_loads(case: Case, tmp_path: Path) -> None:
    dataset = _dataset(case, tmp_path)
    assert not dataset.exists()
    with pytest.raises(DatasetError, match=case.file):
        dataset.load()
    dataset.save(case.first)
    assert dataset.exists()
    assert case.same(dataset.load(), case.first)
    dataset.save(case.second)
    assert case.same(dataset.load(), case.second)
    assert case.file in str(dataset)
    assert str(dataset._describe()["filepath"]) == str(tmp_path / "new" / case.file)


@by_case
def test_a_failing_save_leaves_the_old_file_and_nothing_else(case: Case, tmp_path: Path) -> None:
    dataset = _dataset(case, tmp_path)
    dataset.save(case.first)
    before = (tmp_path / "new" / case.file).read_bytes()
    with pytest.raises(DatasetError):
        dataset.save(case.bad)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [case.file]
    assert (tmp_path / "new" / case.file).read_bytes() == before


@by_case
def test_a_full_disk_leaves_the_old_file(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = _dataset(case, tmp_path)
    dataset.save(case.first)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatasetError, match="No space left"):
        dataset.save(case.second)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [case.file]
    assert case.same(dataset.load(), case.first)


@by_case
def test_keeps_versions(case: Case, tmp_path: Path) -> None:
    dataset = _dataset(case, tmp_path, versioned=True)
    assert not dataset.exists()
    dataset.save(case.first)
    later = _dataset(case, tmp_path, versioned=True)
    later.save(case.second)
    assert case.same(later.load(), case.second)
    assert len(list((tmp_path / "new" / case.file).iterdir())) == 2


@by_case
def test_refuses_a_remote_place(case: Case) -> None:
    config = {"type": f"gradual.io.{case.type}", "filepath": f"memory://data/{case.file}"}
    with pytest.raises(DatasetError, match="local"):
        DataCatalog.from_config({"data": config}).get("data")


@by_case
def test_kedro_viz_previews_it(case: Case, tmp_path: Path) -> None:
    dataset = _dataset(case, tmp_path)
    dataset.save(case.first)
    node = GraphNode.create_data_node("data", "data", None, set(), dataset, set())
    shown = DataNodeMetadata(data_node=node)
    assert shown.preview_type == case.preview_type
    assert shown.filepath == str(tmp_path / "new" / case.file)
    assert (shown.preview is None) == (case.preview_type is None)
    json.dumps(shown.preview, allow_nan=False)


def test_a_save_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    dataset = gradual.io.HTMLDataset(filepath=tmp_path / "a.html")
    dataset.save("old")
    script = (
        "import os, signal, sys, gradual.io\n"
        "class Killed(gradual.io.HTMLDataset):\n"
        "    def _write(self, data, path):\n"
        "        super()._write(data, path)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "Killed(filepath=sys.argv[1]).save('new')\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path / "a.html")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert dataset.load() == "old"
    dataset.save("newer")
    assert [path.name for path in tmp_path.iterdir()] == ["a.html"]


def test_importing_the_datasets_does_not_import_torch() -> None:
    script = "import sys, gradual.io; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_vocabulary_is_readable(tmp_path: Path) -> None:
    gradual.io.VocabularyDataset(filepath=tmp_path / "v.json").save(_vocabulary("café"))
    assert '["café", 7]' in (tmp_path / "v.json").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    ("type", "content"),
    [
        ("VocabularyDataset", b"[]"),
        ("VocabularyDataset", b'{"format": "gradual-vocabulary-1"}'),
        ("VocabularyDataset", b"{"),
        ("CorpusDataset", b"ARROW1 but no more"),
        ("BundleDataset", b"nothing"),
    ],
)
def test_a_damaged_file_is_named(type: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(content)
    with pytest.raises(DatasetError, match="damaged"):
        getattr(gradual.io, type)(filepath=tmp_path / "damaged").load()


def test_a_corpus_is_memory_mapped_and_survives_a_later_save(tmp_path: Path) -> None:
    dataset = gradual.io.CorpusDataset(filepath=tmp_path / "c.arrow")
    ids = np.arange(100_000, dtype=np.uint16)
    dataset.save(Corpus(ids, np.array([0, 100_000]), "hash"))
    before = pa.total_allocated_bytes()
    corpus = dataset.load()
    assert pa.total_allocated_bytes() - before < ids.nbytes / 10
    dataset.save(_corpus(5))
    np.testing.assert_array_equal(corpus.ids, ids)


def test_a_preview_of_a_table_is_short(tmp_path: Path) -> None:
    dataset = gradual.io.ParquetDataset(filepath=tmp_path / "t.parquet")
    tokens = pa.array([["the", "film"] * 10_000], pa.list_(pa.dictionary(pa.int32(), pa.string())))
    when = pa.array([pd.Timestamp("2020-01-01")])
    columns = {"text": ["x" * 100_000], "tokens": tokens, "nan": [float("nan")], "when": when}
    dataset.save(pa.table(columns))
    (row,) = dataset.preview(nrows=3)["data"]
    assert len(row[0]) == 300
    assert row[1].startswith("the film the film")
    assert len(row[1]) == 300
    assert row[2:] == [None, "2020-01-01 00:00:00"]
    dataset.save(pa.table({"text": pa.array([], pa.string())}))
    assert dataset.preview() == {"index": [], "columns": ["text"], "data": []}


def test_parquet_keeps_schema_and_index(tmp_path: Path) -> None:
    arrow = gradual.io.ParquetDataset(filepath=tmp_path / "t.parquet")
    pandas = gradual.io.ParquetDataset(filepath=tmp_path / "t.parquet", load_as="pandas")
    tokens = pa.array([["a", "b"], ["a"]], pa.list_(pa.dictionary(pa.int32(), pa.string())))
    table = pa.table({"tokens": tokens, "small": pa.array([1, None], pa.uint16())})
    arrow.save(table)
    assert arrow.load().schema == table.schema
    assert arrow.load().to_pylist() == table.to_pylist()
    frame = pd.DataFrame({"x": [1.5, 2.5], "s": ["a", None]}, index=pd.Index([4, 7], name="row"))
    pandas.save(frame)
    pd.testing.assert_frame_equal(pandas.load(), frame)
    with pytest.raises(ValueError, match="polars"):
        gradual.io.ParquetDataset(filepath="t.parquet", load_as="polars")  # type: ignore[arg-type]


def test_large_tables_come_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradual.io.parquet._ROW_GROUP_BYTES", 1000)
    dataset = gradual.io.ParquetDataset(filepath=tmp_path / "t.parquet")
    table = pa.table({"n": np.arange(1000)})
    dataset.save(table)
    assert pa.parquet.ParquetFile(tmp_path / "t.parquet").num_row_groups == 8
    assert dataset.load().equals(table)


@dataclass(frozen=True)
class _Inner:
    path: Path
    score: np.ndarray


def test_json_takes_what_nodes_return(tmp_path: Path) -> None:
    dataset = gradual.io.JSONDataset(filepath=tmp_path / "a.json")
    inner = _Inner(Path("a") / "b", np.array([[1.5, np.nan]]))
    dataset.save({"a": np.int64(3), 1: (True, None), "inner": inner, "set": {"y", "x"}})
    assert dataset.load() == {
        "a": 3,
        "1": [True, None],
        "inner": {"path": "a/b", "score": [[1.5, None]]},
        "set": ["x", "y"],
    }
    with pytest.raises(DatasetError, match=r"\$\.rows\[1\] is a Tensor"):
        dataset.save({"rows": [1, torch.zeros(1)]})


def test_html_previews_without_scripts(tmp_path: Path) -> None:
    dataset = gradual.io.HTMLDataset(filepath=tmp_path / "a.html")
    dataset.save("<h1>a</h1><script src='x'>if (1 < 2) {\n}</script ><p>b</p><SCRIPT></SCRIPT>")
    assert dataset.preview() == "<h1>a</h1><p>b</p>"


def test_no_filepath_is_no_bundle() -> None:
    config = {"type": "gradual.io.BundleDataset", "filepath": None, "kind": "language_model"}
    dataset = DataCatalog.from_config({"data": config}).get("data")
    assert dataset.load() is None
    assert dataset.exists()
    assert dataset._describe()["filepath"] is None
    assert "random weights" in dataset.preview()
    with pytest.raises(DatasetError, match="filepath is null"):
        dataset.save(_bundle(1.0))


def test_a_bundle_of_another_kind_is_refused(tmp_path: Path) -> None:
    any_kind = gradual.io.BundleDataset(filepath=tmp_path / "b.safetensors")
    classifier = gradual.io.BundleDataset(
        filepath=tmp_path / "b.safetensors", kind="text_classifier"
    )
    with pytest.raises(DatasetError, match="text_classifier"):
        classifier.save(_bundle(1.0))
    assert not any_kind.exists()
    any_kind.save(_bundle(1.0))
    with pytest.raises(DatasetError, match="text_classifier"):
        classifier.load()


def test_a_checkpoint_store_is_a_handle_to_a_folder(tmp_path: Path) -> None:
    dataset = gradual.io.CheckpointStoreDataset(filepath=tmp_path / "checkpoints")
    assert not dataset.exists()
    store = dataset.load()
    assert store.path == tmp_path / "checkpoints"
    assert store.load() is None
    (tmp_path / "checkpoints").mkdir()
    assert dataset.exists()
    with pytest.raises(DatasetError, match="an input of the node"):
        dataset.save(store)


def test_a_bundle_store_is_a_handle_to_a_folder_too(tmp_path: Path) -> None:
    dataset = gradual.io.BundleStoreDataset(filepath=tmp_path / "rivals")
    assert not dataset.exists()
    assert dataset.load().path == tmp_path / "rivals"
    with pytest.raises(DatasetError, match="an input of the node"):
        dataset.save(dataset.load())
