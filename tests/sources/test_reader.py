import bz2
import csv
import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradual.sources import separated
from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceFormat, SourceRows, open_source, read_with_test

TABLE = pa.table({"n": [1, 2, None], "c": ["a", " b", None]})


def test_a_folder_of_shards_is_one_table(tmp_path: Path) -> None:
    for i in range(3):
        pq.write_table(TABLE.slice(i, 1), tmp_path / f"part-{i}.parquet")
    (tmp_path / "_SUCCESS").touch()
    source = open_source(tmp_path)
    assert source.read().equals(TABLE)
    assert [chunk.num_rows for chunk in source.chunks()] == [1, 1, 1]
    assert source.map(lambda chunk: chunk.select(["c"])).read().equals(TABLE.select(["c"]))


def test_csv_shards_may_have_columns_of_different_types(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,c\n1,x\n")
    (tmp_path / "b.csv").write_text("n,c\n0.5,y\n")
    assert open_source(tmp_path).read().to_pydict() == {"n": [1.0, 0.5], "c": ["x", "y"]}
    (tmp_path / "c.csv").write_text("n,d\n2,y\n")
    with pytest.raises(SourceError, match="same columns"):
        open_source(tmp_path).read()


def test_a_large_csv_file_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(separated, "_WHOLE_BYTES", 0)
    monkeypatch.setattr(separated, "_BLOCK_BYTES", 100)
    path = tmp_path / "t.csv"
    rows = [f'{i},"{i}\n x",' for i in range(100)]
    path.write_text("\n".join(["n,c,late", *rows, '0.5,y,"z"']) + "\n")
    source = open_source(path)
    assert len(list(source.chunks())) > 5
    assert source.read()["n"].to_pylist() == [*map(float, range(100)), 0.5]
    assert source.read()["late"].to_pylist()[-1] == "z"
    path.write_text("\n".join(["n", *["1"] * 100, "x"]) + "\n")
    with pytest.raises(SourceError, match=r"t\.csv .*'n'.*types"):
        source.read()
    as_text = open_source(path, SourceFormat(types={"n": "string"})).read()
    assert as_text["n"].to_pylist()[-1] == "x"


def test_tsv_without_a_header(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("1\ta,b\n")
    source = open_source(
        tmp_path / "t.tsv", SourceFormat(columns=("n", "c"), types={"n": "string"})
    )
    assert source.read().to_pylist() == [{"n": "1", "c": "a,b"}]


def test_the_lessons_table_comes_out_of_its_archive(mirror: Path) -> None:
    table = open_source(mirror / "adult_sample.tgz").read()
    assert table.num_rows == 32_561
    assert table["workclass"][0].as_py() == " Private"


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.csv does not exist"):
        open_source(tmp_path / "nowhere.csv")
    with pytest.raises(SourceError, match="no files"):
        open_source(tmp_path)
    (tmp_path / "t.parquet").write_text("no")
    with pytest.raises(SourceError, match=r"t\.parquet cannot be read"):
        open_source(tmp_path).read()
    (tmp_path / "t.csv").write_text("a,b\n1\n")
    with pytest.raises(SourceError, match=r"one kind"):
        open_source(tmp_path)
    with pytest.raises(SourceError, match=r"t\.csv row 1 \(line 2\) has 1 fields, the head"):
        open_source(tmp_path / "t.csv").read()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(tmp_path / "t.csv", "x/t.csv")
        tar.add(tmp_path / "t.csv", "x/u.csv")
    with pytest.raises(SourceError, match=r"x/t\.csv, x/u\.csv"):
        open_source(tmp_path / "a.tar").read()


def test_a_table_in_memory_is_a_source() -> None:
    source = open_source(TABLE)
    assert source.read().equals(TABLE)
    assert open_source(TABLE.to_pandas()).read()["c"].to_pylist() == ["a", " b", None]


def opened(path: Path, content: str | bytes, **form: Any) -> SourceRows:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(path, SourceFormat(**form))


ROWS = [{"n": 1, "c": "a, b"}, {"n": None, "c": "é"}, {"n": 3, "c": None}]


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("t.csv", 'n,c\n1,"a, b"\n,é\n3,\n', {}),
        ("t.csv", 'n;c\n1;"a, b"\n;é\n3;\n', {}),
        ("t.txt", "n|c\n1|a, b\n|é\n3|\n", {}),
        ("t.tab", "n\tc\n1\ta, b\n\té\n3\t\n", {}),
        ("t.data", "1\ta, b\n\té\n3\t\n", {"columns": ("n", "c")}),
        ("t.dat", "1::a, b\n::é\n3::\n", {"columns": ("n", "c")}),
        ("t.dat", b"\xef\xbb\xbfn::c\r\n1::a, b\r\n::\xc3\xa9\r\n3::\r\n", {}),
        ("t.csv", 'n,c\n1,"a, b"\n,é\n3,\n'.encode("latin-1"), {"encoding": "latin-1"}),
        ("t.csv", 'n,c\n1,"a, b"\n,é\n3,\n'.encode("utf-16"), {}),
        ("t.csv.gz", gzip.compress('n,c\n1,"a, b"\n,é\n3,\n'.encode(), mtime=0), {}),
        ("t", 'n,c\n1,"a, b"\n,é\n3,\n', {"format": "csv"}),
        ("t.jsonl", '{"n": 1, "c": "a, b"}\n{"c": "é"}\n{"n": 3, "c": ""}\n', {}),
        ("t.json", '[{"n": 1, "c": "a, b"}, {"c": "é"}, {"n": 3}]', {}),
        ("t.json.bz2", bz2.compress('{"n": 1, "c": "a, b"}\n{"c": "é"}\n{"n": 3}'.encode()), {}),
    ],
)
def test_the_same_rows_however_they_are_written(
    name: str, content: str | bytes, form: dict[str, Any], tmp_path: Path
) -> None:
    rows = opened(tmp_path / name, content, **form)
    assert rows.read().to_pylist() == ROWS
    assert rows.read(["c"]).to_pylist() == [{"c": row["c"]} for row in ROWS]
    typed = opened(tmp_path / name, content, **form, types={"n": "double"}).read()
    assert typed.schema.field("n").type == pa.float64()
    assert pickle.loads(pickle.dumps(rows)).read().to_pylist() == ROWS  # noqa: S301


def test_excel_gives_the_same_rows(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, None, 3], "c": ["a, b", "é", None], "m": ["NA", "NA", 4]})
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        frame.to_excel(book, sheet_name="first", index=False)
        frame.to_excel(book, sheet_name="second", index=False, header=False)
    with pytest.raises(SourceError, match=r"sheets 'first', 'second': set `sheet`"):
        open_source(tmp_path / "t.xlsx").read()
    first = open_source(tmp_path / "t.xlsx", SourceFormat(sheet="first")).read()
    assert first.select(["n", "c"]).to_pylist() == ROWS
    assert first["m"].to_pylist() == [None, None, 4]
    form = SourceFormat(sheet="second", columns=("n", "c", "m"), types={"m": "string"})
    assert open_source(tmp_path / "t.xlsx", form).read(["n", "c"]).to_pylist() == ROWS
    (tmp_path / "u.xlsx").write_bytes(b"PK nothing")
    with pytest.raises(SourceError, match=r"u\.xlsx cannot be read as Excel"):
        open_source(tmp_path / "u.xlsx").read()


def test_values_as_they_are_written(tmp_path: Path) -> None:
    rows = opened(tmp_path / "t.csv", "a,b,c\n01,NA,2020-01-01\n2,,true\n")
    expected = [{"a": "01", "b": "NA", "c": "2020-01-01"}, {"a": "2", "b": None, "c": "true"}]
    assert rows.read(as_text=True).to_pylist() == expected


def test_whitespace_and_decimal_commas(tmp_path: Path) -> None:
    content = '  18.0   8  "ford torino"\n15.5 4 "a  b"  \n'
    rows = opened(
        tmp_path / "auto.data",
        content,
        columns=("mpg", "cylinders", "name"),
        types={"mpg": "float"},
    )
    assert rows.read().to_pylist() == [
        {"mpg": 18.0, "cylinders": 8, "name": "ford torino"},
        {"mpg": 15.5, "cylinders": 4, "name": "a  b"},
    ]
    rows = opened(tmp_path / "t.csv", "a;b\n1,5;x\n2,25;y\n", decimal=",")
    assert rows.read()["a"].to_pylist() == [1.5, 2.25]


def test_the_separator_that_was_guessed_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        opened(tmp_path / "t.csv", "a;b\n1;x\n").read()
    assert "t.csv: taking the semicolon for the separator" in caplog.text


@pytest.mark.parametrize(
    ("content", "form", "message"),
    [
        ("a,b\n1,2\n3\n", {}, r"row 2 \(line 3\) has 1 fields, the header has 2"),
        ("1,2\n3\n", {"columns": ("a", "b")}, r"row 2 \(line 2\) has 1 fields, `columns` names 2"),
        ('a,b\n1,"2" x\n', {}, r"row 1 does not parse \(line 2: ',' expected"),
        ('a,b\n1,"2\n', {}, r"row 1 does not parse \(line 2: unexpected end"),
        (b"a,b\n1,caf\xe9\n", {}, r"row 1 \(line 2\) is not UTF-8: byte 9 .*0xe9; set `encoding`"),
        ("a,a\n1,2\n", {}, r"2 columns 'a'.*rename one"),
        ("", {}, "is empty"),
        ("a,b\n", {}, "holds no rows"),
        ("a,b\n1,x\n", {"types": {"b": "double"}}, r"\(the column 'b'\).*`types`"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    content: str | bytes, form: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        opened(tmp_path / "t.csv", content, **form).read()
    assert str(tmp_path / "t.csv") in str(raised.value)


def test_a_quote_within_a_text_that_is_not_quoted_is_a_character(tmp_path: Path) -> None:
    content = 'a\tb\n1\t5" pipe\n2\t"x ""y"""\n'
    rows = opened(tmp_path / "t.tsv", content)
    assert rows.read()["b"].to_pylist() == ['5" pipe', 'x "y"']


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=st.text(alphabet='a",\n', min_size=1, max_size=24), block=st.integers(1, 7))
def test_quotes_are_looked_at_as_strictly_as_by_python(content: str, block: int) -> None:
    quotes = separated._Quotes(",")
    data = content.encode()
    pieces = [data[i : i + block] for i in range(0, len(data), block)]
    for piece in pieces:
        quotes.look(piece, last=False)
    quotes.look(b"", last=True)
    if quotes.clean:  # nothing that Python's strict reader refuses goes unseen
        list(csv.reader(io.StringIO(content, newline=""), strict=True))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    content = gzip.compress(b"a,b\n" + b"1,2\n" * 5000, mtime=0)
    with pytest.raises(SourceError, match=r"t\.csv\.gz .*truncated or altered"):
        opened(tmp_path / "t.csv.gz", content[:-20]).read()
    with pytest.raises(SourceError, match=r"t\.foo has no suffix that says.*set `format`"):
        opened(tmp_path / "t.foo", "a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"cannot be read as JSON.*in row 2"):
        opened(tmp_path / "t.jsonl", '{"a": 1}\n{"a" 2}\n').read()
    with pytest.raises(SourceError, match=r"row 2 is int, no object"):
        opened(tmp_path / "t.json", '[{"a": 1}, 2]').read()


def test_a_folder_of_texts_reads_as_its_archive(tmp_path: Path) -> None:
    for name in ("train/pos/10.txt", "train/pos/9.txt", "test/neg/1.txt", "train/._1.txt"):
        path = tmp_path / "imdb" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"é {name}".encode("latin-1"))
    with tarfile.open(tmp_path / "imdb.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "imdb", "imdb")
    form = SourceFormat(pattern="*/{part}/{label}/*.txt", encoding="latin-1")
    folder, archive = (open_source(tmp_path / name, form) for name in ("imdb", "imdb.tar.gz"))
    assert folder.read().equals(archive.read())
    assert folder.read().to_pylist()[1] == {
        "source": "imdb/train/pos/9.txt",
        "text": "é train/pos/9.txt",
        "part": "train",
        "label": "pos",
    }
    with pytest.raises(SourceError, match=r"9\.txt is not UTF-8|1\.txt is not UTF-8"):
        open_source(tmp_path / "imdb", SourceFormat(pattern="*/{part}/{label}/*.txt")).read()


def test_a_readme_beside_a_table_is_no_table(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("x/README.txt", "Read, me")
        file.writestr("x/t.csv", "a,b\n1,2\n")
    assert open_source(tmp_path / "a.zip").read().to_pylist() == [{"a": 1, "b": 2}]


def test_the_rows_of_a_test_file_are_marked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened(tmp_path / "train.csv", "a,b\n1,x\n2,y\n")
    test = opened(tmp_path / "test.csv", "b,a,c\nz,1.5,9\n")
    table, parts = read_with_test(source, test)
    assert table["a"].to_pylist() == [1.0, 2.0, 1.5]
    assert parts["part"].to_pylist() == [None, None, "test"]
    assert "train.csv has no column 'c'" in caplog.text
    assert read_with_test(source, None)[1]["part"].to_pylist() == [None, None]
    text = opened(tmp_path / "text.csv", "a,b\nnone,x\n")
    with pytest.raises(SourceError, match="do not go together"):
        read_with_test(source, text)
