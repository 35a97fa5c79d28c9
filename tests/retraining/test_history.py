import math
from pathlib import Path

import pytest

from gradual.retraining.history import History


def record(day: int, **more: object) -> dict[str, object]:
    return {"started": f"2026-11-{day:02}T02:00:00+00:00", **more}


def test_records_come_back_by_the_time_they_began(tmp_path: Path) -> None:
    history = History(tmp_path / "history")
    assert (history.records(), history.last()) == ([], None)
    for day in (20, 18, 19):
        history.append(record(day, decision="kept", finished=f"2026-11-{day}T03:00:00+00:00"))
    assert [one["started"][8:10] for one in history.records()] == ["18", "19", "20"]
    # Another zone: 01:00 at +02:00 is 23:00 the evening before.
    history.append({"started": "2026-11-19T01:00:00+02:00"})
    assert [one["started"][8:13] for one in history.records()] == [
        "18T02",
        "19T01",
        "19T02",
        "20T02",
    ]


def test_the_last_is_one_that_came_to_its_end(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.append(record(1, finished="2026-11-01T03:00:00+00:00", decision="promoted"))
    history.append(record(2, finished="2026-11-02T03:00:00+00:00", decision="kept"))
    history.append(record(3, decision="promoted"))  # killed
    last, promoted = history.last(), history.last(decision="promoted")
    assert last is not None
    assert last["decision"] == "kept"
    assert promoted is not None
    assert promoted["started"] == record(1)["started"]


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    history = History(tmp_path)
    path = history.append(record(1, score=0.5))
    with pytest.raises(ValueError, match="not JSON compliant"):
        history.append(record(1, score=math.nan))
    with pytest.raises(TypeError):
        history.append(record(1, score={1, 2}))
    assert [one["score"] for one in history.records()] == [0.5]
    assert history.append(record(1, score=0.6)) == path  # taken up again: one record
    assert [one["score"] for one in history.records()] == [0.6]
    assert len(list(tmp_path.iterdir())) == 1


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    history = History(tmp_path)
    with pytest.raises(ValueError, match="started is None: give a time with its zone"):
        history.append({})
    with pytest.raises(ValueError, match="with its zone"):
        history.append({"started": "2026-11-01T02:00:00"})
    path = history.append(record(1))
    path.write_text('{"started": ')
    with pytest.raises(ValueError, match="is no record of a retrain"):
        history.records()


def test_the_table_has_nested_values_under_dotted_names(tmp_path: Path) -> None:
    history = History(tmp_path)
    assert list(history.frame()) == ["started", "finished"]
    history.append(record(2, judgement={"metric": "rmse"}, finished="2026-11-02T03:00:00.5+00:00"))
    history.append(record(1))
    frame = history.frame()
    assert frame["started"].dt.day.tolist() == [1, 2]
    assert frame["finished"].isna().tolist() == [True, False]
    assert frame["judgement.metric"].tolist()[1] == "rmse"
