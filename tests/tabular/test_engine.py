import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceRows, open_source
from gradual.tabular import histogram, preprocessing
from gradual.tabular.engine import EngineConfig, fit_source, transform_source
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, TransformReport, fit

CONFIG = PreprocessingConfig(
    ColumnsConfig(categorical=("c", "k"), continuous=("n", "m"), dates=("d",))
)


def table(rows: int, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    numbers = pa.array(draw.lognormal(size=rows), mask=draw.random(rows) < 0.1)
    letters = pa.array(draw.choice(["a", "b", " c"], rows), mask=draw.random(rows) < 0.2)
    days = pa.array(draw.integers(15_000, 20_000, rows).astype(np.int32)).cast(pa.date32())
    codes, wholes = draw.integers(0, 50, rows), draw.integers(0, 9, rows)
    return pa.table({"c": letters, "k": codes, "n": numbers, "m": wholes, "d": days})


@pytest.fixture
def shards(tmp_path: Path) -> SourceRows:
    whole = table(1000)
    (tmp_path / "in").mkdir()
    for i in range(4):
        pq.write_table(whole.slice(i * 250, 250), tmp_path / "in" / f"part-{i}.parquet")
    return open_source(tmp_path / "in")


def dumped(source: SourceRows, **engine: Any) -> str:
    return json.dumps(fit_source(source, CONFIG, EngineConfig(**engine)).to_dict())


def test_shards_fit_as_the_whole(shards: SourceRows) -> None:
    assert dumped(shards) == json.dumps(fit(shards.read(), CONFIG).to_dict())


def test_shards_transform_as_the_whole(shards: SourceRows, tmp_path: Path) -> None:
    preprocessor = fit_source(shards, CONFIG)
    report = transform_source(shards, preprocessor, tmp_path / "out", keep=["d"])
    encoded = open_source(tmp_path / "out").read()
    assert encoded.equals(preprocessor.transform(shards.read(), keep=["d"]))
    assert report.rows == 1000
    assert report.gaps["n"] == shards.read()["n"].null_count
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_many_rows_go_through_threads_and_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = table(1000)
    fitted = fit(whole, CONFIG)
    encoded = fitted.transform(whole)
    monkeypatch.setattr(preprocessing, "_FEW", 0)
    monkeypatch.setattr(preprocessing, "_SLICE", 300)
    monkeypatch.setattr(preprocessing, "_ENCODED_ROWS", 70)
    assert fit(whole, CONFIG) == fitted
    report = TransformReport()
    assert fitted.transform(whole, report=report).equals(encoded)
    assert report.rows == 1000
    assert report.gaps["n"] == whole["n"].null_count
    bad = pa.concat_tables([whole, table(3).set_column(2, "n", pa.array([1.0, np.inf, 2.0]))])
    with pytest.raises(SourceError, match="row 1001 "):
        fitted.transform(bad)
    with pytest.raises(SourceError, match="row 1001 "):
        fit(bad, CONFIG)


def test_a_failing_transform_leaves_the_old_shards(shards: SourceRows, tmp_path: Path) -> None:
    preprocessor = fit_source(shards, CONFIG)
    transform_source(shards, preprocessor, tmp_path / "out")
    before = open_source(tmp_path / "out").read()
    bad = table(3).set_column(2, "n", pa.array([1.0, 2.0, np.inf]))
    pq.write_table(bad, tmp_path / "in" / "part-9.parquet")
    with pytest.raises(SourceError, match=r"part-9\.parquet: row 2 .*'n'"):
        transform_source(open_source(tmp_path / "in"), preprocessor, tmp_path / "out")
    with pytest.raises(SourceError, match=r"part-9\.parquet: row 2 .*'n'"):
        fit_source(open_source(tmp_path / "in"), CONFIG)
    assert open_source(tmp_path / "out").read().equals(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
    transform_source(shards, preprocessor, tmp_path / "out", keep=["d"])
    assert "d" in open_source(tmp_path / "out").read().column_names


def test_a_rename_that_fails_brings_the_old_shards_back(
    shards: SourceRows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocessor = fit_source(shards, CONFIG)
    transform_source(shards, preprocessor, tmp_path / "out")
    before = open_source(tmp_path / "out").read()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"):
        transform_source(shards, preprocessor, tmp_path / "out", keep=["d"])
    assert open_source(tmp_path / "out").read().equals(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


KILLED = """
import os, sys
from pathlib import Path
from gradual.sources.reader import open_source
from gradual.tabular.engine import transform_source
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, fit
import pyarrow as pa

rename = Path.rename
Path.rename = lambda self, to: os._exit(9) if self.suffix == ".tmp" else rename(self, to)
table = pa.table({"c": ["a", "b"]})
fitted = fit(table, PreprocessingConfig(ColumnsConfig(categorical=("c",))))
transform_source(open_source(table), fitted, Path(sys.argv[1]))
"""


def test_a_kill_between_the_renames_loses_nothing(shards: SourceRows, tmp_path: Path) -> None:
    preprocessor = fit_source(shards, CONFIG)
    transform_source(shards, preprocessor, tmp_path / "out")
    before = open_source(tmp_path / "out").read()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    assert subprocess.run(command, check=False).returncode == 9
    assert not (tmp_path / "out").exists()
    pq.write_table(pa.table({"x": [1]}), tmp_path / "in" / "part-9.parquet")
    with pytest.raises(SourceError, match=r"part-9\.parquet"):  # the next save fails, too
        transform_source(open_source(tmp_path / "in"), preprocessor, tmp_path / "out")
    assert open_source(tmp_path / "out").read().equals(before)
    transform_source(shards, preprocessor, tmp_path / "out", keep=["d"])
    assert "d" in open_source(tmp_path / "out").read().column_names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_folder_with_other_files_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(SourceError, match="would be lost"):
        transform_source(open_source(table(3)), fit(table(3), CONFIG), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_training_rows_alone_can_be_fitted(shards: SourceRows) -> None:
    def training(chunk: pa.Table) -> pa.Table:
        return chunk.filter(pc.less(chunk["k"], 25))

    preprocessor = fit_source(shards.map(training), CONFIG)
    assert max(preprocessor.levels("k")) == 24
    assert preprocessor.rows < 1000


def test_dask_fits_and_transforms_as_this_process_does(shards: SourceRows, tmp_path: Path) -> None:
    from dask.distributed import LocalCluster

    local = fit_source(shards, CONFIG)
    options = {"processes": False, "dashboard_address": None}
    with LocalCluster(n_workers=1, threads_per_worker=2, **options) as cluster:
        engine = EngineConfig("dask", scheduler=cluster.scheduler_address)
        assert dumped(shards, engine="dask", scheduler=cluster.scheduler_address) == dumped(shards)
        report = transform_source(shards, local, tmp_path / "dask", engine=engine)
        with pytest.raises(SourceError, match="no column 'c'"):
            fit_source(shards.map(lambda chunk: chunk.drop_columns(["c"])), CONFIG, engine)
    assert report == transform_source(shards, local, tmp_path / "local")
    for shard in (tmp_path / "local").iterdir():
        assert shard.read_bytes() == (tmp_path / "dask" / shard.name).read_bytes()


def test_a_scheduler_that_cannot_be_reached_is_named(shards: SourceRows) -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(SourceError, match=r"127\.0\.0\.1:1 cannot be reached"),
    ):
        dumped(shards, engine="dask", scheduler="tcp://127.0.0.1:1")


def test_without_dask_the_message_says_what_to_install(
    shards: SourceRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(SourceError, match=r"gradual\[dask\]"):
        dumped(shards, engine="dask")


def test_bad_settings_of_the_engine() -> None:
    with pytest.raises(ValueError, match="spark"):
        EngineConfig("spark")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scheduler"):
        EngineConfig(scheduler="tcp://host:8786")
    with pytest.raises(ValueError, match="workers"):
        EngineConfig(workers=0)


def test_many_distinct_numbers_fit_the_same_in_any_shards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(histogram, "MOST", 100)
    whole = table(5000)
    config = PreprocessingConfig(ColumnsConfig(continuous=("n",)))
    fitted = fit(whole, config)
    parts = [whole.slice(i * 700, 700) for i in (6, 0, 5, 1, 7, 4, 2, 3)]
    assert fit(parts, config).to_dict() == fitted.to_dict()
    column = fitted.continuous_columns[0]
    numbers = np.sort(whole["n"].drop_null().to_numpy())
    filled = np.append(numbers, np.full(whole["n"].null_count, column.fill))
    assert 0 < column.relative_error < 0.1
    assert column.fill == pytest.approx(np.median(numbers), rel=column.relative_error)
    assert column.scale.center == pytest.approx(filled.mean(), rel=1e-12)
    assert column.scale.spread == pytest.approx(filled.std(), rel=1e-12)
