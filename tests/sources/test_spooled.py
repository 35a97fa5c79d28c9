from pathlib import Path

import pyarrow as pa
import pytest

from gradual.io import ParquetDataset
from gradual.sources.spooled import sliced, spooled


def test_rows_come_back_in_order_and_one_by_one_go_to_parquet(tmp_path: Path) -> None:
    made: list[int] = []
    whole = pa.table({"number": range(10), "text": [f"t{i}" for i in range(10)]})

    def tables():
        for part in sliced([whole.slice(0, 0), whole.slice(0, 7), whole.slice(7)], 3):
            made.append(part.num_rows)
            yield part

    reader = spooled(tables())
    assert made == [3, 3, 1, 3], "all have been made before the first is read"
    dataset = ParquetDataset(filepath=tmp_path / "answers.parquet")
    dataset.save(reader)
    assert dataset.load() == whole


def test_an_error_is_raised_before_anything_is_handed_out() -> None:
    def tables():
        yield pa.table({"number": [1]})
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        spooled(tables())
    with pytest.raises(ValueError, match="no tables"):
        spooled([])
