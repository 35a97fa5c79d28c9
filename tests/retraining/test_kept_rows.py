import datetime
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradual
from gradual.retraining.config import RetrainConfig
from gradual.retraining.kept_rows import LEDGER, Beyond, KeptRows, Partition, unified
from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceRows, open_source

HALF = RetrainConfig(held_out=0.5)


def partition(name: str, table: pa.Table, version: str = "1") -> Partition:
    return Partition(name, version, partial(open_source, table))


def days(*numbers: int, version: str = "1") -> list[Partition]:
    return [
        partition(
            f"day {n}", pa.table({"id": range(10 * n, 10 * n + 10), "day": [n] * 10}), version
        )
        for n in numbers
    ]


def accept_all(kept: KeptRows, broken: Sequence[int] = (), rules: str = "rules") -> None:
    for version in kept.to_check(rules):
        kept.accept(version, broken, rules)


def ids(*tables: pa.Table) -> list[int]:
    return sorted(row["id"] for table in tables for row in table.to_pylist())


@pytest.fixture
def kept(tmp_path: Path) -> KeptRows:
    return KeptRows(tmp_path / "kept")


def test_nothing_has_arrived_yet(kept: KeptRows) -> None:
    assert kept.accepted == ()
    assert kept.watermark is None
    assert [table.num_rows for table in kept.split(HALF)] == [0, 0]
    assert kept.take_in([]).taken_in == ()
    assert kept.new_rows().num_rows == 0


def test_each_partition_is_taken_in_once_and_counts_once_it_is_accepted(kept: KeptRows) -> None:
    arrived = kept.take_in(days(1, 2))
    assert (arrived.taken_in, arrived.rows) == (("day 1", "day 2"), 20)
    assert ids(*kept.split(HALF)) == []
    accept_all(kept)
    training, held_out = kept.split(HALF)
    assert ids(training, held_out) == list(range(10, 30))
    assert held_out.num_rows > 0 < training.num_rows
    before = kept.hash

    def unread() -> None:
        raise AssertionError("read again")

    again = kept.take_in([Partition(p.name, p.hash, unread) for p in days(1, 2)])  # type: ignore[arg-type]
    assert (again.taken_in, again.unchanged, again.rows) == ((), 2, 0)
    assert kept.to_check("rules") == ()
    assert kept.hash == before


def test_a_late_partition_is_taken_in_and_put_where_it_belongs(kept: KeptRows) -> None:
    kept.take_in(days(1, 3))
    accept_all(kept)
    known = [version.hash for version in kept.accepted]
    training = kept.training_rows(HALF)
    arrived = kept.take_in([partition("day 2", days(2)[0].open().read(), "2")])
    assert (arrived.taken_in, arrived.late) == (("day 2",), ("day 2",))
    accept_all(kept)
    assert [version.name for version in kept.accepted] == ["day 1", "day 2", "day 3"]
    assert ids(kept.new_rows(known)) == list(range(20, 30))
    assert set(ids(training)) < set(ids(kept.training_rows(HALF)))  # what was held out still is


def test_a_corrected_partition_replaces_the_old_one_when_it_is_accepted(kept: KeptRows) -> None:
    kept.take_in(days(1, 2))
    accept_all(kept)
    before = kept.hash
    corrected = partition("day 1", pa.table({"id": [99], "day": [1]}), "2")
    arrived = kept.take_in([corrected, *days(2)])
    assert (arrived.corrected, arrived.late, arrived.unchanged) == (("day 1",), (), 1)
    assert ids(*kept.split(HALF)) == list(range(10, 30))  # until then the old one counts
    accept_all(kept)
    assert ids(*kept.split(HALF)) == [*range(20, 30), 99]
    assert kept.hash != before
    assert len(list(kept.folder.glob("*.parquet"))) == 2  # the old one is gone
    kept.take_in(days(1, 2))
    accept_all(kept)
    assert kept.hash == before


def test_a_refused_correction_leaves_the_old_one(kept: KeptRows) -> None:
    kept.take_in(days(1))
    accept_all(kept)
    bad = partition("day 1", pa.table({"id": [-1], "day": [1]}), "2")
    kept.take_in([bad])
    (version,) = kept.to_check("rules")
    kept.refuse(version, "ids are negative", "rules")
    assert ids(*kept.split(HALF)) == list(range(10, 20))
    again = kept.take_in([bad])
    assert (again.taken_in, again.refused) == ((), {"day 1": "ids are negative"})
    assert kept.to_check("rules") == ()
    # Withdrawn, it is forgotten.
    assert kept.take_in(days(1)).refused == {}
    assert [v.hash for v in kept.versions] == ["1"]
    # Other rules look at everything anew, without reading it again.
    kept.take_in([bad])
    for version in kept.to_check("rules"):
        kept.refuse(version, "ids are negative", "rules")
    assert [v.hash for v in kept.to_check("looser")] == ["1", "2"]
    accept_all(kept, rules="looser")
    assert ids(*kept.split(HALF)) == [-1]


def test_broken_rows_are_left_out_until_the_rules_change(kept: KeptRows) -> None:
    kept.take_in(days(1))
    accept_all(kept, broken=[0, 9])
    assert ids(*kept.split(HALF)) == ids(kept.new_rows()) == list(range(11, 19))
    strict = kept.hash
    accept_all(kept, rules="looser")
    assert ids(*kept.split(HALF)) == list(range(10, 20))
    assert kept.hash != strict
    assert list(kept.folder.glob("*.npy")) == []


def test_what_cannot_be_read_is_refused_and_the_rest_taken_in(
    kept: KeptRows, tmp_path: Path
) -> None:
    (tmp_path / "day 0.csv").write_text("id,day\n1,0,0\n")
    ragged = Partition("day 0", "1", partial(open_source, tmp_path / "day 0.csv"))
    arrived = kept.take_in([ragged, *days(1)])
    assert "row 1" in arrived.unreadable["day 0"]
    assert arrived.taken_in == ("day 1",)
    again = kept.take_in([ragged, *days(1)])
    assert (again.unreadable, list(again.refused)) == ({}, ["day 0"])
    (tmp_path / "day 0.csv").write_text("id,day\n1,0\n")
    mended = Partition("day 0", "2", partial(open_source, tmp_path / "day 0.csv"))
    assert kept.take_in([mended]).corrected == ("day 0",)


def test_a_partition_without_rows_is_one(kept: KeptRows, tmp_path: Path) -> None:
    (tmp_path / "quiet.csv").write_text("id,day\n")
    quiet = Partition("quiet", "1", partial(open_source, tmp_path / "quiet.csv"))
    assert kept.take_in([quiet, *days(1)]).taken_in == ("day 1", "quiet")
    accept_all(kept)
    assert kept.training_rows(HALF).schema.field("day").type == pa.int64()


def test_columns_of_several_types_become_one_that_holds_all() -> None:
    tables = [
        pa.table({"n": [1, 2], "d": pa.array(["2026-11-20"] * 2).cast(pa.date32()), "s": [7, 8]}),
        pa.table({"n": [0.5], "s": ["a1"], "late": ["x"], "d": [pd.Timestamp("2026-11-21 10:00")]}),
        pa.table({"n": pa.nulls(1), "s": pa.nulls(1), "b": ["3"]}),
        pa.table({"b": [1.5]}),
    ]
    found = unified(tables)
    assert found["n"].to_pylist() == [1.0, 2.0, 0.5, None, None]
    assert found["s"].to_pylist() == ["7", "8", "a1", None, None]
    assert found["late"].to_pylist() == [None, None, "x", None, None]
    assert found["d"][2].as_py() == pd.Timestamp("2026-11-21 10:00")
    assert found["b"].to_pylist() == [None, None, None, 3.0, 1.5]  # its only text is a number
    large = unified([pa.table({"n": [2**60 + 1]}), pa.table({"n": [0.5]})])["n"].to_pylist()
    assert large == [str(2**60 + 1), "0.5"]  # no floating number holds it
    with pytest.raises(SourceError, match=r"the column 'n' is .*list.* do not go together"):
        unified([pa.table({"n": [[1]]}), pa.table({"n": [1]})])


@pytest.mark.parametrize(
    "marks",
    [
        [datetime.datetime(2026, 11, 20, 10, 0, 0, 5), datetime.datetime(2026, 11, 21)],
        [datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC)] * 2,
        [datetime.date(2026, 11, 20), datetime.date(2026, 11, 21)],
        [Decimal("9.50"), Decimal("10.00")],
        [0.1, 0.2],
        [9, 10],
        ["a", "b"],
    ],
)
def test_a_watermark_keeps_its_type(kept: KeptRows, marks: list[Any]) -> None:
    rows = pa.table({"id": [1, 2], "at": marks})
    asked = []

    def read(least: Any) -> SourceRows:
        asked.append(least)
        return open_source(rows if least is None else rows.filter(pc.field("at") >= least))

    for _ in range(2):
        kept.take_in(Beyond("orders", "at", read))
        accept_all(kept)
    assert asked == [None, max(marks)]
    assert type(asked[1]) is type(marks[0])
    assert kept.new_rows().num_rows == 2


@settings(max_examples=6, deadline=None)
@given(order=st.permutations(range(5)), cuts=st.sets(st.integers(1, 4)), again=st.integers(0, 4))
def test_partitions_are_kept_alike_in_whatever_order_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], cuts: set[int], again: int
) -> None:
    def keep(nights: Sequence[Sequence[int]]) -> KeptRows:
        kept = KeptRows(tmp_path_factory.mktemp("kept"))
        for night in nights:
            kept.take_in(days(*night))
            accept_all(kept)
        return kept

    places = [0, *sorted(cuts), 5]
    nights = [order[i:j] for i, j in pairwise(places)]
    one, other = keep([range(5)]), keep([*nights, order[:again]])
    assert one.hash == other.hash
    for table, same in zip(one.split(HALF), other.split(HALF), strict=True):
        assert table.equals(same)


def test_a_damaged_ledger_or_file_is_named(kept: KeptRows) -> None:
    kept.take_in(days(1))
    (version,) = kept.versions
    path = kept.folder / str(version.file)
    whole = path.read_bytes()
    data = bytearray(whole)
    data[len(data) // 4] ^= 255
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"(?s)day_1.*parquet cannot be read .* restore it"):
        kept.rows(version)
    kept.accept(version, [0], "rules")
    (version,) = kept.versions
    (kept.folder / str(version.broken)).write_bytes(b"")
    path.write_bytes(whole)
    with pytest.raises(SourceError, match=r"npy cannot be read .* restore it"):
        kept.split(HALF)
    (kept.folder / LEDGER).write_text('{"format": 99, "versions": []}')
    with pytest.raises(SourceError, match=r"ledger.json cannot be read .*format is 99"):
        kept.take_in(days(1))


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Files can be written up to a size in bytes; then the system refuses."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [0, 100, 700])
def test_a_disk_that_is_full_changes_nothing(kept: KeptRows, size: int) -> None:
    kept.take_in(days(1))
    accept_all(kept)
    before, ledger = kept.hash, (kept.folder / LEDGER).read_bytes()
    with full_disk(size), pytest.raises(OSError, match="File too large"):
        kept.take_in([partition("day 2", pa.table({"id": range(2000), "day": [2] * 2000}))])
    with full_disk(size), pytest.raises(OSError, match="File too large"):
        kept.refuse(kept.accepted[0], "x" * 1000, "others")
    assert (kept.folder / LEDGER).read_bytes() == ledger
    assert kept.hash == before
    assert kept.take_in(days(1, 2)).taken_in == ("day 2",)
    accept_all(kept)
    assert ids(*kept.split(HALF)) == list(range(10, 30))


def test_a_killed_process_leaves_what_the_next_one_completes(tmp_path: Path) -> None:
    script = Path(__file__).with_name("kill_script.py")
    told = subprocess.run(
        [sys.executable, script, tmp_path], check=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(gradual.__file__).parents[1])},
    )  # fmt: skip
    killed = json.loads(told.stdout)
    assert len(killed) > 20  # events at which one was killed, before one came through
    for folder in killed:
        kept = KeptRows(tmp_path / folder)
        counted = ids(*kept.split(HALF))
        one = [list(range(10, 20)), list(range(31, 40))]  # the old version, or the corrected one
        assert counted in one or counted in [sorted([*each, *range(21, 30)]) for each in one]
        corrected = partition("day 1", pa.table({"id": range(30, 40)}), "2")
        kept.take_in([corrected, partition("day 2", pa.table({"id": range(20, 30)}))])
        accept_all(kept, rules="after")
        assert ids(*kept.split(HALF)) == list(range(20, 40))
        assert len(list(kept.folder.iterdir())) == 3  # two partitions and the ledger
