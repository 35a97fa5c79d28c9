import logging

import pyarrow as pa
import pytest

from gradual.tabular.column_summary import column_summary, log_unusual, unusual
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig, TransformReport, fit


def test_gaps_and_unseen_levels_are_counted_where_they_are() -> None:
    columns = ColumnsConfig(categorical=("job",), continuous=("age",))
    train = pa.table({"job": ["a", "b", None, "a"], "age": [1.0, None, 3.0, 2.0]})
    held_out = pa.table({"job": ["c", "c", "a"], "age": [None, 1.0, 2.0]})
    summary = column_summary(fit(train, PreprocessingConfig(columns)), held_out)
    assert summary["column"].tolist() == ["job", "age"], "no column for the noted gaps"
    job, age = summary.to_dict("records")
    assert (job["codes"], job["training_gaps"], job["gaps"], job["unseen"]) == (3, 1, 0, 2)
    assert (age["fill"], age["training_gaps"], age["gaps"]) == (2.0, 1, 1)


def test_unusual_columns_come_first_and_others_not_at_all() -> None:
    report = TransformReport(rows=10)
    report.gaps.update({"x": 1, "y": 0, "z": 0})
    report.unseen.update({"z": 4})
    frame = unusual(report)
    assert frame["column"].tolist() == ["z", "x"]
    assert frame["share"].tolist() == [0.4, 0.1]
    assert frame["unseen"].tolist() == [4, 0]
    assert unusual(TransformReport(rows=10)).empty


def test_ordinary_gaps_are_no_warning_but_many_unseen_levels_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = TransformReport(rows=100)
    report.gaps.update({"age": 90, "job": 3})
    report.unseen.update({"job": 5, "town": 6})
    caplog.set_level(logging.INFO)
    log_unusual(report)
    by_level = {record.args[0]: record.levelname for record in caplog.records}
    assert by_level == {"age": "INFO", "job": "INFO", "town": "WARNING"}
    assert "6 levels unseen in training, in 100 rows; these rows are unlike" in caplog.text
