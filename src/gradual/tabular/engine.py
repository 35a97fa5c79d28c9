"""Fit and transform tables of any size, in this process or on a Dask cluster, with one outcome.

Each part of a source (a shard, a query) is a task by itself. Partial fits merge in whatever order
they are done: the preprocessor is the same to the last bit on any engine, whatever the shards.

Dask sends tasks and partial fits between its processes in its own wire format; that is transport,
and nothing of it is stored.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from gradual.sources.errors import SourceError
from gradual.sources.reader import Part, SourceRows
from gradual.tabular.preprocessing import (
    PartialFit,
    PreprocessingConfig,
    Preprocessor,
    TransformReport,
    merge,
    partial_fit,
)
from gradual.training.files import remove_leftovers
from gradual.training.settings import Settings

Result = TypeVar("Result")


@dataclass(frozen=True)
class EngineConfig(Settings):
    """Where the work on the parts of a table is done.

    Attributes:
        engine: `local`: in this process, one part after the other. `dask`: on a Dask cluster.
        scheduler: Address of the cluster's scheduler, such as `tcp://10.0.0.5:8786`; None starts
            a cluster on this machine. The workers must see the files under the same paths.
        workers: Processes of a cluster that is started here.
    """

    engine: Literal["local", "dask"] = "local"
    scheduler: str | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        if self.engine not in ("local", "dask"):
            raise ValueError(f"engine is {self.engine!r}: set it to local or dask")
        if self.scheduler is not None and self.engine != "dask":
            raise ValueError(
                f"scheduler is {self.scheduler}, but the engine is {self.engine}: set engine to "
                "dask, or leave scheduler out"
            )
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}: set it to 1 or more")


def fit_source(
    source: SourceRows, config: PreprocessingConfig, engine: EngineConfig | None = None
) -> Preprocessor:
    """Fit on all rows of a source, in memory for one chunk (and the counts) at a time.

    Args:
        source: The training rows: `source.map` can leave others out.
        config: What to do with which columns.
        engine: Where to do it.

    Raises:
        SourceError: As `gradual.tabular.preprocessing.fit`; the message names the shard, too.
    """
    whole = partial_fit([], config)
    with _mapped(engine) as run:
        for part in run(_FitPart(source, config), source.parts):
            whole = merge(whole, part)
    return whole.finish()


def transform_source(
    source: SourceRows,
    preprocessor: Preprocessor,
    folder: Path,
    *,
    keep: Iterable[str] = (),
    engine: EngineConfig | None = None,
) -> TransformReport:
    """Encode all rows of a source into a folder of Parquet shards, one for each part.

    Args:
        source: The rows.
        preprocessor: What to encode them with.
        folder: Appears whole, or stays as it was.
        keep: Columns to hand through as they are.
        engine: Where to do it; workers of a cluster must see the folder under the same path.

    Returns:
        Rows, gaps and unseen levels of all of them.

    Raises:
        SourceError: As `Preprocessor.transform`; the message names the shard, too.
    """
    report = TransformReport()
    with _new_folder(folder) as new, _mapped(engine) as run:
        task = _TransformPart(source, preprocessor, new, tuple(keep))
        for counted in run(task, tuple(enumerate(source.parts))):
            report.add(counted)
    return report


@dataclass(frozen=True)
class _FitPart:
    source: SourceRows
    config: PreprocessingConfig

    def __call__(self, part: Part) -> PartialFit:
        with _named(part):
            return partial_fit(self.source.chunks_of(part), self.config)


@dataclass(frozen=True)
class _TransformPart:
    source: SourceRows
    preprocessor: Preprocessor
    folder: Path
    keep: tuple[str, ...]

    def __call__(self, numbered: tuple[int, Part]) -> TransformReport:
        number, part = numbered
        report = TransformReport()

        def encoded() -> Iterator[pa.Table]:
            for chunk in self.source.chunks_of(part):
                yield self.preprocessor.transform(
                    chunk, keep=self.keep, report=report, first_row=report.rows
                )

        with _named(part):
            _write_shard(encoded(), self.folder, number)
        return report


@contextmanager
def _named(part: Part) -> Iterator[None]:
    try:
        yield
    except SourceError as error:
        message = str(error)
        raise SourceError(message if part.name in message else f"{part.name}: {message}") from error


def _write_shard(chunks: Iterable[pa.Table], folder: Path, number: int) -> None:
    path = folder / f"part-{number:05}.parquet"
    writer: pq.ParquetWriter | None = None
    try:
        for chunk in chunks:
            writer = writer or pq.ParquetWriter(path, chunk.schema, compression="zstd")
            writer.write_table(chunk.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its place when the body ends well.

    A folder cannot be renamed over another one, so the old one steps aside for a moment. It comes
    back if the new one cannot be renamed, or, if the process is killed in that moment, at the next
    call.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    old = folder.with_name(f".{folder.name}.old")
    if old.exists() and not folder.exists():
        old.rename(folder)
    if folder.exists() and any(
        not (f.name.startswith("part-") and f.suffix == ".parquet") for f in folder.iterdir()
    ):
        raise SourceError(
            f"{folder} holds other files than shards, and they would be lost: name another folder"
        )
    remove_leftovers(folder)
    new = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    new.mkdir()
    try:
        yield new
        for file in [*new.iterdir(), new]:
            descriptor = os.open(file, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        shutil.rmtree(old, ignore_errors=True)  # of a process that was killed while it removed it
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextmanager
def _mapped(
    engine: EngineConfig | None,
) -> Iterator[Callable[[Callable[[Any], Result], tuple[Any, ...]], Iterator[Result]]]:
    """A `map` that works on the engine; results come in any order."""
    if engine is None or engine.engine == "local":
        yield map
        return
    try:
        from dask.distributed import Client, as_completed
    except ImportError as error:
        raise SourceError(
            "the engine dask needs Dask, which is not installed: pip install 'gradual[dask]', or "
            "set engine to local"
        ) from error
    if engine.scheduler is not None:
        try:
            client = Client(engine.scheduler)
        except OSError as error:
            raise SourceError(
                f"the Dask scheduler {engine.scheduler} cannot be reached ({error}): start it "
                "(`dask scheduler`, `dask worker`), or correct scheduler in the parameters"
            ) from error
    else:
        client = Client(n_workers=engine.workers, threads_per_worker=1, dashboard_address=None)
    with client:

        def run(task: Callable[[Any], Result], parts: tuple[Any, ...]) -> Iterator[Result]:
            # The task, which may hold a preprocessor, is sent once a worker.
            sent = client.scatter(task, broadcast=True)
            futures = client.map(lambda part, task: task(part), parts, task=sent, pure=False)
            for future in as_completed(futures):
                yield future.result()
                future.release()

        yield run
