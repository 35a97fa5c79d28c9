import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gradual.collab.ratings import (
    RatingsConfig,
    RatingsSplit,
    SideConfig,
    read_ratings,
    read_side,
    read_with_test,
    split_ratings,
)
from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceFormat, open_source
from gradual.sources.splits import Split, part_rows

TEXT = "userId,movieId,rating,timestamp\n1,a,4.0,30\n2,b,3.5,20\n1,b,5,10\n"


def test_every_source_gives_the_same_ratings(tmp_path: Path):
    csv = tmp_path / "r.csv"
    csv.write_text(TEXT)
    parquet = tmp_path / "r.parquet"
    pq.write_table(pa.Table.from_pandas(pd.read_csv(csv)), parquet)
    tabs = tmp_path / "u.data"
    tabs.write_text("1\ta\t4\t30\n2\tb\t3.5\t20\n1\tb\t5\t10\n")
    archive = tmp_path / "ml.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("ml/ratings.csv", TEXT)
        file.writestr("ml/movies.csv", "movieId\n1\n")
    tgz = tmp_path / "sample.tgz"
    with tarfile.open(tgz, "w:gz") as file:
        info = tarfile.TarInfo("s/ratings.csv")
        info.size = len(TEXT)
        file.addfile(info, io.BytesIO(TEXT.encode()))
    names = SourceFormat(columns=("userId", "movieId", "rating", "timestamp"))
    found = [
        read_ratings(csv, RatingsConfig()),
        read_ratings(parquet, RatingsConfig()),
        read_ratings(open_source(tabs, names), RatingsConfig()),
        read_ratings(open_source(archive, SourceFormat(member="*/ratings.csv")), RatingsConfig()),
        read_ratings(tgz, RatingsConfig()),
        read_ratings(pd.read_csv(csv), RatingsConfig()),
    ]
    assert found[0].to_pydict() == {
        "user": [1, 2, 1],
        "item": ["a", "b", "b"],
        "rating": [4.0, 3.5, 5.0],
        "time": [30, 20, 10],
    }
    assert all(table.equals(found[0]) for table in found[1:])
    with pytest.raises(SourceError, match=r"must hold one table.*`member`"):
        read_ratings(archive, RatingsConfig())


def test_repeated_ratings_are_resolved_by_the_rule():
    frame = pd.DataFrame(
        {"u": [1, 1, 2, 1], "i": [5, 5, 5, 5], "r": [1.0, 2.0, 3.0, 4.5], "t": [3, 9, 1, 2]}
    )

    def read(rule, time="t"):
        config = RatingsConfig(user="u", item="i", rating="r", time=time, duplicates=rule)
        return read_ratings(frame, config)["rating"].to_pylist()

    assert read("last") == [2.0, 3.0]
    assert read("last", None) == [3.0, 4.5]
    assert read("mean") == [2.5, 3.0]
    with pytest.raises(SourceError, match="both rate item 5 by user 1: remove one"):
        read("error")


def test_dates_are_seconds_and_implicit_data_count_as_1():
    frame = pd.DataFrame({"u": ["a", "b"], "i": [1, 2], "t": ["2020-01-01", "2020-01-01 00:01:00"]})
    table = read_ratings(frame, RatingsConfig(user="u", item="i", rating=None, time="t"))
    assert table["time"].to_pylist() == [1577836800, 1577836860]
    assert table["rating"].to_pylist() == [1.0, 1.0]
    stamped = frame.assign(t=pd.to_datetime(frame["t"], format="ISO8601"))
    again = read_ratings(stamped, RatingsConfig(user="u", item="i", rating=None, time="t"))
    assert again.equals(table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("userId,movieId,rating,timestamp\n", "holds no rows"),
        ("userId,movieId,stars,timestamp\n1,2,3,4\n", "no column 'rating'.*'stars'"),
        ("userId,movieId,rating,timestamp\n1,2,3,4\n1,,3,4\n", "row 2 has nothing.*'movieId'"),
        ("userId,movieId,rating,timestamp\n1,2,good,4\n", "row 1 has 'good'.*'rating'"),
        ("userId,movieId,rating,timestamp\n1,2,inf,4\n", "row 1 has 'inf'.*no finite number"),
        ("userId,movieId,rating,timestamp\n1,2,3,monday\n", "row 1 has 'monday'.*no time"),
        ("userId,movieId,rating,timestamp\n1,2\n", "row 1 .* has 2 fields, the header has 4"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, message: str):
    path = tmp_path / "r.csv"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read_ratings(path, RatingsConfig())


def test_an_official_test_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    source, test = tmp_path / "u1.base", tmp_path / "u1.test"
    source.write_text("1\t5\t4\n1\t6\t3\n2\t5\t2\n2\t6\t1\n")
    test.write_text("1\t6\t5\n")
    form = SourceFormat(format="csv", columns=("user", "item", "rating"))
    config = RatingsConfig(user="user", item="item", time=None)
    ratings, given = read_with_test(open_source(source, form), open_source(test, form), config)
    assert ratings["rating"].to_pylist() == [4, 2, 1, 5]
    assert given["part"].to_pylist() == [None, None, None, "test"]
    assert "1 ratings of the source are in the test_source too" in caplog.text
    parts = split_ratings(ratings, RatingsSplit(valid=Split(fraction=0.4)), given)
    assert parts["part"].to_pylist()[-1] == "test"
    assert sorted(parts["part"].to_pylist()) == ["test", "train", "train", "valid"]
    with pytest.raises(SourceError, match=r"split\.test draws .* test_source too"):
        split_ratings(ratings, RatingsSplit(test=Split()), given)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(SourceError, match=r"none\.csv does not exist: correct the path"):
        read_ratings(tmp_path / "none.csv", RatingsConfig())


def test_test_rows_come_first_and_validation_rows_out_of_the_rest(ratings: pa.Table):
    leave_out = Split(method="last_of_group", group="user", column="time")
    parts = split_ratings(ratings, RatingsSplit(valid=Split(fraction=0.25), test=leave_out))
    frame = ratings.to_pandas()
    last = set(frame.groupby("user")["time"].idxmax())
    assert set(part_rows(parts, "test")) == last
    share = len(part_rows(parts, "valid")) / (len(frame) - len(last))
    assert share == pytest.approx(0.25, abs=0.01)
    with pytest.raises(SourceError, match="valid ratings: there is no column 'day'"):
        split_ratings(ratings, RatingsSplit(valid=Split(method="last", column="day")))


def test_items_have_titles_years_and_genres():
    frame = pd.DataFrame(
        {
            "movieId": [3, 1],
            "title": ["Up (2009) ", "No Year"],
            "genres": ["Comedy|Drama", "(no genres listed)"],
            "length": ["90", None],
        }
    )
    table = read_side(frame, SideConfig(numbers=("length",)))
    assert table.to_pydict() == {
        "id": [1, 3],
        "title": ["No Year", "Up"],
        "year": [None, 2009.0],
        "genres": [[], ["Comedy", "Drama"]],
        "length": [None, 90.0],
    }
    with pytest.raises(SourceError, match="rows 1 and 2 both have the id 3"):
        read_side(frame.assign(movieId=[3, 3]), SideConfig())
    with pytest.raises(SourceError, match="row 1 has 'x' in the column 'length'"):
        read_side(frame.assign(length=["x", None]), SideConfig(numbers=("length",)))


def test_the_real_archives_are_read(mirror: Path):
    small = read_ratings(
        open_source(mirror / "ml-latest-small.zip", SourceFormat(member="*/ratings.csv")),
        RatingsConfig(),
    )
    assert small.num_rows == 100_836
    assert len(np.unique(small["user"].to_numpy())) == 610
    sample = read_ratings(mirror / "movie_lens_sample.tgz", RatingsConfig())
    assert sample.num_rows == 6_031
    side = open_source(mirror / "ml-latest-small.zip", SourceFormat(member="*/movies.csv"))
    movies = read_side(side, SideConfig())
    assert movies.num_rows == 9_742
    assert movies["title"].null_count == 0
