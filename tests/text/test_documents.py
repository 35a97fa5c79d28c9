import csv
import io
import logging
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceFormat, SourceRows, open_source
from gradual.sources.splits import Split
from gradual.text.document_splits import learns_from_test_texts, split_documents
from gradual.text.documents import (
    DocumentsConfig,
    read_documents,
)

LESSON = DocumentsConfig(
    labels=("negative", "positive"),
    split_column="is_valid",
    parts={False: "train", True: "test"},
)
REVIEWS = DocumentsConfig(labels={"neg": "negative", "pos": "positive"}, unlabelled=("unsup",))
CSV = (
    "label,text,is_valid\n"
    'negative,"Bad, ""very""\nbad\n\nindeed",False\n'
    "positive,Good,False\n\n"
    "positive,NA,True\n"
)
FILES = {
    "r/README": b"\xff not a review",
    "r/train/urls.txt": b"http",
    "r/train/pos/10_9.txt": "Très bon".encode(),
    "r/train/pos/9_10.txt": b"\xef\xbb\xbfGood",
    "r/train/pos/._9_10.txt": b"\xff left by macOS",
    "r/train/neg/0_1.txt": b"Bad",
    "r/train/unsup/0_0.txt": b"Who knows",
    "r/test/neg/0_2.txt": b"Dull\n",
}


def _table(tmp_path: Path, content: str | bytes, name: str = "texts.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _reviews(path: Path) -> SourceRows:
    return open_source(path, SourceFormat(pattern="*/{part}/{label}/*.txt"))


def _rows(documents: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(column.to_pylist() for column in documents.columns), strict=True))


# Tables


def test_a_csv_like_the_lessons(tmp_path: Path) -> None:
    documents = read_documents(_table(tmp_path, "\ufeff" + CSV), LESSON)
    assert documents.column_names == ["source", "text", "label", "part"]
    assert set(documents.schema.types) == {pa.string()}
    assert _rows(documents) == [
        ("texts.csv row 1", 'Bad, "very"\nbad\n\nindeed', "negative", "train"),
        ("texts.csv row 2", "Good", "positive", "train"),
        ("texts.csv row 3", "NA", "positive", "test"),
    ]


def test_unlabelled_texts_come_last(tmp_path: Path) -> None:
    extra = _table(tmp_path, "id,text\n1,Hm\n2,Well\n", "unlabelled.csv")
    documents = read_documents(_table(tmp_path, CSV), LESSON, extra)
    assert _rows(documents)[3:] == [
        ("unlabelled.csv row 1", "Hm", None, "unlabelled"),
        ("unlabelled.csv row 2", "Well", None, "unlabelled"),
    ]
    assert documents.schema.types == [pa.string()] * 4


def test_parquet_gives_the_same_as_csv(tmp_path: Path) -> None:
    frame = pd.read_csv(_table(tmp_path, CSV), keep_default_na=False)
    assert frame["is_valid"].dtype == bool
    frame["label"] = frame["label"].astype("category")
    frame.to_parquet(tmp_path / "texts.parquet")
    documents = read_documents(tmp_path / "texts.parquet", LESSON).drop_columns("source")
    expected = read_documents(tmp_path / "texts.csv", LESSON).drop_columns("source")
    assert documents.equals(expected)


@pytest.mark.parametrize("pack", [_tar, _zip])
def test_a_table_in_an_archive(pack: Any, tmp_path: Path) -> None:
    files = {"sample/._texts.csv": b"macOS", "sample/texts.csv": CSV.encode(), "sample/x": b""}
    path = pack(tmp_path / "sample.tar.gz", files)
    assert read_documents(path, LESSON)["source"][0].as_py() == "texts.csv row 1"
    path = pack(tmp_path / "sample.tar.gz", {**files, "sample/more.tsv": b"a\tb\n"})
    with pytest.raises(SourceError, match=r"are: sample/texts\.csv, sample/more\.tsv; set `mem"):
        read_documents(path, LESSON)
    named = open_source(path, SourceFormat(member="*/texts.csv"))
    assert read_documents(named, LESSON).num_rows == 3


def test_several_text_columns_other_labels_and_kept_columns(tmp_path: Path) -> None:
    content = (
        "stars\ttitle\tbody\twhen\tpart of\n1\tBad\t\t2020\ttrain\n5\t\tGood\t2021\ttrain\n"
        "5\tFine\t\t2021\ttest\n?\tx\ty\t2022\ttrain\n"
    )
    config = DocumentsConfig(
        text_columns=("title", "body"),
        label_column="stars",
        split_column="part of",
        labels={1: "bad", 5: "good"},
        unlabelled=("?",),
        keep_columns=("when",),
    )
    documents = read_documents(_table(tmp_path, content, "t.tsv"), config)
    assert documents.column_names == ["source", "title", "body", "when", "label", "part"]
    assert _rows(documents)[1:] == [
        ("t.tsv row 2", "", "Good", "2021", "good", "train"),
        ("t.tsv row 3", "Fine", "", "2021", "good", "test"),
        ("t.tsv row 4", "x", "y", "2022", None, "unlabelled"),
    ]


def test_texts_without_labels(tmp_path: Path) -> None:
    config = DocumentsConfig(label_column=None, split_column="split")
    documents = read_documents(_table(tmp_path, "text,split\na,train\nb,test\n"), config)
    assert _rows(documents)[1] == ("texts.csv row 2", "b", None, "test")
    assert split_documents(documents, Split(fraction=0.5), Split())["classifier"].null_count == 2


def test_a_classifier_alone_needs_no_split_for_a_language_model(tmp_path: Path) -> None:
    rows = "".join(f"{'np'[i % 2]},text {i}\n" for i in range(20))
    config = DocumentsConfig(test=Split(fraction=0.2, stratify="label"))
    documents = read_documents(_table(tmp_path, f"label,text\n{rows}"), config)
    both = split_documents(documents, Split(), Split(stratify="label"))
    alone = split_documents(documents, None, Split(stratify="label"))
    assert alone.column_names == ["classifier"]
    assert alone["classifier"].equals(both["classifier"])
    assert learns_from_test_texts(alone) is None


def test_the_test_texts_can_be_held_out_of_the_language_model(tmp_path: Path) -> None:
    rows = "".join(f"{'np'[i % 2]},text {i},{i < 4}\n" for i in range(20))
    config = DocumentsConfig(split_column="is_valid", parts=LESSON.parts)
    documents = read_documents(_table(tmp_path, f"label,text,is_valid\n{rows}"), config)
    assert learns_from_test_texts(split_documents(documents, Split(), Split(stratify="label")))
    test = Split(method="column", column="part", values=("test",))
    held_out = split_documents(documents, test, Split(stratify="label"))
    assert held_out["language_model"].to_pylist() == ["valid"] * 4 + ["train"] * 16
    assert learns_from_test_texts(held_out) is False


def test_a_label_that_only_validation_rows_have_is_found_before_anything_is_trained(
    tmp_path: Path,
) -> None:
    content = "label,text,part\nn,a,train\np,b,train\nrare,c,valid\np,d,test\n"
    documents = read_documents(_table(tmp_path, content), DocumentsConfig(split_column="part"))
    named = Split(method="column", column="part", values=("valid",))
    with pytest.raises(SourceError, match=r"every training row of the label 'rare' .*stratify"):
        split_documents(documents, Split(fraction=0.5), named)


def test_a_test_part_can_be_drawn(tmp_path: Path) -> None:
    rows = "".join(f"{'np'[i % 2]},text {i}\n" for i in range(20))
    config = DocumentsConfig(test=Split(fraction=0.2, stratify="label"))
    documents = read_documents(_table(tmp_path, f"label,text\n{rows}"), config)
    drawn = documents.filter(pa.compute.equal(documents["part"], "test"))
    assert sorted(drawn["label"].to_pylist()) == ["n", "n", "p", "p"]
    both = DocumentsConfig(split_column="is_valid", parts=LESSON.parts, test=Split())
    with pytest.raises(SourceError, match="test part of its own"):
        read_documents(_table(tmp_path, CSV), both)


def test_an_official_test_file(tmp_path: Path) -> None:
    source = _table(tmp_path, "label,text\nn,a\np,b\n")
    test = _table(tmp_path, "label,text\np,c\n", "official.csv")
    documents = read_documents(source, DocumentsConfig(), test_source=test)
    assert _rows(documents)[2] == ("official.csv row 1", "c", "p", "test")
    assert documents["part"].to_pylist() == ["train", "train", "test"]
    with pytest.raises(SourceError, match=r"test is set .* there is a test_source too"):
        read_documents(source, DocumentsConfig(test=Split()), test_source=test)
    with pytest.raises(SourceError, match="test rows of its own, and there is a test_source"):
        read_documents(_table(tmp_path, CSV), LESSON, test_source=test)


def test_blanks_around_labels_do_not_count(tmp_path: Path) -> None:
    content = "label,text,part\n spam,a,train\nspam ,b,test\nham,c,train\n"
    config = DocumentsConfig(split_column="part", labels={"spam": "junk", "ham": "mail"})
    documents = read_documents(_table(tmp_path, content), config)
    assert documents["label"].to_pylist() == ["junk", "junk", "mail"]
    as_written = DocumentsConfig(split_column="part", strip=False)
    with pytest.raises(SourceError, match="label 'spam ' in the test rows but in no training row"):
        read_documents(_table(tmp_path, content), as_written)


def test_a_part_of_validation_rows_can_be_named_in_the_source(tmp_path: Path) -> None:
    content = "label,text,part\nn,a,train\np,b,train\nn,c,valid\np,d,test\n"
    documents = read_documents(_table(tmp_path, content), DocumentsConfig(split_column="part"))
    named = Split(method="column", column="part", values=("valid",))
    splits = split_documents(documents, named, named)
    assert splits["classifier"].to_pylist() == ["train", "train", "valid", "test"]
    assert splits["language_model"].to_pylist() == ["train", "train", "valid", "train"]


def test_a_very_long_text(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    text = "word " * 100_000
    documents = read_documents(_table(tmp_path, CSV + f'negative,"{text}",True\n'), LESSON)
    assert documents["text"][3].as_py() == text
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("label,text,is_valid\n", "holds no rows"),
        ("label,review,is_valid\n", "no column 'text'; its columns are 'label', 'review', 'is_val"),
        ("label,text,text,is_valid\n", "2 columns 'text'"),
        (CSV + "negative,bad\n", r"row 4 \(line 9\) has 2 fields, the header has 3"),
        (CSV + "negative,bad,worse,False\n", r"row 4 \(line 9\) has 4 fields"),
        (CSV + 'negative,"bad,False\n', r"row 4 does not parse \(line 9: unexpected end of data"),
        (CSV + 'negative,"bad" or,False\n', r"row 4 does not parse \(line 9: ',' expected"),
        (
            b"\xef\xbb\xbf" + CSV.encode() + b"negative,ba\xe9d,False\n",
            rf"row 4 \(line 9\) is not UTF-8: byte {3 + len(CSV) + 11} .*0xe9",
        ),
        (CSV + "netural,so,False\n", "row 4 has the label 'netural', .* 'negative', 'positive'"),
        (CSV + ",so,False\n", "row 4 has the label '', but"),
        (CSV + "negative,so,maybe\n", "row 4 has the part 'maybe', .*'false', 'true'"),
        (CSV + "negative,so,\n", "row 4 has the part '', but"),
        (CSV + "negative,,False\n", "row 4 has no text"),
        (
            CSV + "negative, \t\u00a0\u3000,False\nnegative,,True\n",
            r"row 4 \(and 1 more\) has no te",
        ),
        ("label,text,is_valid\nnegative,bad,True\n", "no training rows, only 1 test negative"),
        (
            "label,text,is_valid\nnegative,bad,False\npositive,good,False\n",
            "no labelled test rows .* only 1 train negative, 1 train positive: .*'split_column'",
        ),
        ("label,text,is_valid\nnegative,bad,False\n", r"has 1 label among .* \['negative'\]"),
    ],
)
def test_a_table_that_cannot_be_used(content: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message) as raised:
        read_documents(_table(tmp_path, content), LESSON)
    assert str(tmp_path / "texts.csv") in str(raised.value)


def test_an_unlabelled_table_that_cannot_be_used(tmp_path: Path) -> None:
    extra = _table(tmp_path, "review\nHm\n", "unlabelled.csv")
    with pytest.raises(SourceError, match=r"unlabelled\.csv has no column 'text'"):
        read_documents(_table(tmp_path, CSV), LESSON, extra)


def test_a_label_that_only_test_rows_have(tmp_path: Path) -> None:
    config = DocumentsConfig(split_column="is_valid", parts=LESSON.parts)
    with pytest.raises(SourceError, match="'neutral' in the test rows but in no training row"):
        read_documents(_table(tmp_path, CSV + "neutral,so,True\n"), config)


def test_bad_parquet(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read as Parquet"):
        read_documents(_table(tmp_path, b"PAR1 but no more", "t.parquet"), LESSON)
    pq.write_table(pa.table({"text": [1], "label": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match=r"column 'text' of .*t\.parquet is int64"):
        read_documents(tmp_path / "t.parquet", DocumentsConfig())
    with pytest.raises(SourceError, match=r"absent\.csv does not exist"):
        read_documents(tmp_path / "absent.csv", LESSON)


# Archives


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(("pack", "name"), [(_tar, "r.tar.gz"), (_tar, "r.tar"), (_zip, "r.zip")])
def test_an_archive_of_text_files(pack: Any, name: str, backwards: bool, tmp_path: Path) -> None:
    files = dict(reversed(FILES.items())) if backwards else FILES
    assert _rows(read_documents(_reviews(pack(tmp_path / name, files)), REVIEWS)) == [
        ("r/train/neg/0_1.txt", "Bad", "negative", "train"),
        ("r/train/pos/9_10.txt", "Good", "positive", "train"),
        ("r/train/pos/10_9.txt", "Très bon", "positive", "train"),
        ("r/test/neg/0_2.txt", "Dull\n", "negative", "test"),
        ("r/train/unsup/0_0.txt", "Who knows", None, "unlabelled"),
    ]


@pytest.mark.parametrize("pack", [_tar, _zip])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r/train/pos/1_1.txt", b"caf\xe9", r"r/train/pos/1_1\.txt is not UTF-8: byte 3 .*0xe9"),
        ("r/train/pos/1_1.txt", b"", r"r/train/pos/1_1\.txt has no text"),
        ("r/train/pos/1_1.txt", b" \n\t", "has no text, or only blanks"),
        ("r/train/meh/1_1.txt", b"x", r"meh/1_1\.txt has the label 'meh', .*'unsup', 'neg', 'pos'"),
        ("r/dev/pos/1_1.txt", b"x", r"r/dev/pos/1_1\.txt has the part 'dev'"),
        ("/r/train/pos/1_1.txt", b"x", "would escape"),
        ("r/../../train/pos/1_1.txt", b"x", "would escape"),
        ("..\\x.txt", b"x", "would escape"),
        ("C:/x.txt", b"x", "would escape"),
    ],
)
def test_a_bad_member(pack: Any, name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = pack(tmp_path / "r.tar", {**FILES, name: content})
    with pytest.raises(SourceError, match=message) as raised:
        read_documents(_reviews(path), REVIEWS)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "r.tar", "w") as archive:
        member = tarfile.TarInfo("r/train/pos/1_1.txt")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(SourceError, match="a link or device"):
        read_documents(_reviews(tmp_path / "r.tar"), REVIEWS)


def test_a_link_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("r/train/pos/1_1.txt")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match="a link or device"):
        read_documents(_reviews(tmp_path / "r.zip"), REVIEWS)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_comes_twice(tmp_path: Path) -> None:
    name = "r/train/pos/9_10.txt"
    with tarfile.open(_tar(tmp_path / "r.tar", FILES), "a") as archive:
        archive.addfile(tarfile.TarInfo(f"./{name}"))
    with zipfile.ZipFile(_zip(tmp_path / "r.zip", FILES), "a") as again:
        again.writestr(name, "again")
    for path in (tmp_path / "r.tar", tmp_path / "r.zip"):
        with pytest.raises(SourceError, match=f"holds {name} twice"):
            read_documents(_reviews(path), REVIEWS)


@pytest.mark.parametrize(("pack", "name"), [(_tar, "r.tar.gz"), (_tar, "r.tar"), (_zip, "r.zip")])
def test_an_archive_cut_short_anywhere(pack: Any, name: str, tmp_path: Path) -> None:
    path = pack(tmp_path / name, FILES)
    whole = path.read_bytes().rstrip(b"\0")  # a tar's end mark alone says that it is whole
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:length])
        with pytest.raises(SourceError, match="truncated or altered"):
            read_documents(_reviews(path), REVIEWS)


@pytest.mark.parametrize(("pack", "name"), [(_tar, "r.tar.gz"), (_zip, "r.zip")])
def test_a_flipped_byte_never_passes_for_other_texts(pack: Any, name: str, tmp_path: Path) -> None:
    path = pack(tmp_path / name, FILES)
    whole = path.read_bytes()
    texts = read_documents(_reviews(path), REVIEWS)["text"].to_pylist()
    for place in range(0, len(whole), 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:  # some bytes, such as times, do not matter, and a zip's names have no checksum
            found = read_documents(_reviews(path), REVIEWS)["text"].to_pylist()
        except SourceError:
            continue
        assert set(found) <= set(texts)


def test_a_damaged_header_in_a_tar_is_not_its_end(tmp_path: Path) -> None:
    path = _tar(tmp_path / "r.tar", FILES)
    content = bytearray(path.read_bytes())
    content[content.index(b"r/train/neg")] ^= 1
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"truncated or altered .*bad checksum"):
        read_documents(_reviews(path), REVIEWS)


def test_an_archive_without_a_match(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file like \*/\{part\}/\{label\}/\*\.txt: corr"):
        read_documents(_reviews(_tar(tmp_path / "r.tar", {"r/train/1.txt": b"x"})), REVIEWS)
    with pytest.raises(SourceError, match="does not exist"):
        read_documents(_reviews(tmp_path / "absent.tar"), REVIEWS)
    with pytest.raises(SourceError, match="is no archive"):
        read_documents(_reviews(_table(tmp_path, "text", "r.tgz")), REVIEWS)


# Splits and settings


def test_splits(tmp_path: Path) -> None:
    rows = "".join(f"{'np'[i % 2]},text {i},{i >= 20}\n" for i in range(30))
    config = DocumentsConfig(split_column="v", parts=LESSON.parts)
    extra = _table(tmp_path, "text\n" + "hm\n" * 10, "more.csv")
    documents = read_documents(_table(tmp_path, f"label,text,v\n{rows}"), config, extra)
    splits = split_documents(
        documents, Split(fraction=0.25), Split(fraction=0.2, stratify="label")
    ).to_pandas()
    assert (splits["language_model"] == "valid").sum() == 10
    assert set(splits["language_model"]) == {"train", "valid"}
    assert splits["classifier"][:20].value_counts().to_dict() == {"train": 16, "valid": 4}
    assert set(splits["classifier"][20:30]) == {"test"}
    assert splits["classifier"][30:].isna().all()
    valid = documents.to_pandas()["label"][splits["classifier"] == "valid"]
    assert valid.value_counts().to_dict() == {"n": 2, "p": 2}
    with pytest.raises(SourceError, match="the classifier's split: rows is"):
        split_documents(documents, Split(), Split(method="rows", rows=(15, 25)))
    with pytest.raises(SourceError, match="leaves 1 label in the training rows"):
        split_documents(documents, Split(), Split(method="rows", rows=(1, 20)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "archive"}, "format"),
        ({"text_column": "text"}, "text_column"),
        ({"text_columns": []}, "text_columns is empty"),
        ({"text_columns": ["label"]}, "documents get anyway"),
        ({"text_columns": ["a"], "keep_columns": ["a"]}, "once"),
        ({"parts": {"x": "dev"}}, "unlabelled"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(DocumentsConfig).validate_python(settings)


def test_settings_come_from_yaml_types() -> None:
    config = TypeAdapter(DocumentsConfig).validate_python(
        {
            "labels": ["negative", "positive"],
            "split_column": "is_valid",
            "parts": {False: "train", True: "test"},
        }
    )
    assert config == LESSON
    assert TypeAdapter(DocumentsConfig).validate_python({"labels": {0: "n"}}).labels == {0: "n"}


# Real archives


def test_the_lessons_sample(mirror: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        documents = read_documents(mirror / "imdb_sample.tgz", LESSON)
    assert documents.num_rows == 1000
    assert "417 train negative, 383 train positive, 107 test negative, 93 test" in caplog.text
    with tarfile.open(mirror / "imdb_sample.tgz") as archive:
        expected = pd.read_csv(archive.extractfile("imdb_sample/texts.csv"))
    assert documents["text"].to_pylist() == expected["text"].tolist()
    assert documents["label"].to_pylist() == expected["label"].tolist()


def test_all_reviews(mirror: Path) -> None:
    documents = read_documents(_reviews(mirror / "aclImdb_v1.tar.gz"), REVIEWS)
    counts = documents.group_by(["part", "label"]).aggregate([([], "count_all")]).to_pylist()
    assert {(row["part"], row["label"]): row["count_all"] for row in counts} == {
        ("train", "negative"): 12500,
        ("train", "positive"): 12500,
        ("test", "negative"): 12500,
        ("test", "positive"): 12500,
        ("unlabelled", None): 50000,
    }
    assert documents["source"][1].as_py() == "aclImdb/train/neg/1_1.txt"


# Several labels a document


def test_labels_with_a_separator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = "text,tags\na,x; y\nb,\nc,?\nd,y\ne,x\n"
    config = DocumentsConfig(
        label_column="tags", label_separator=";", unlabelled=("?",), labels={"x": "X", "y": "Y"},
        test=Split(method="rows", rows=(3, 4)),
    )  # fmt: skip
    with caplog.at_level(logging.INFO):
        documents = read_documents(_table(tmp_path, content), config)
    assert documents["label"].to_pylist() == [["X", "Y"], [], None, ["Y"], ["X"]]
    assert documents["part"].to_pylist() == ["train", "train", "unlabelled", "train", "test"]
    assert "3 train (1 X, 2 Y, 1 without a label), 1 test (1 X, 0 without" in caplog.text
    splits = split_documents(
        documents, Split(fraction=0.5), Split(fraction=0.4, stratify="label", seed=1)
    )
    parts = splits["classifier"].to_pylist()
    assert parts[2:5:2] == [None, "test"]
    assert parts.count("valid") == 1


def test_label_columns_and_unlabelled_texts_of_another_file(tmp_path: Path) -> None:
    labelled = _table(tmp_path, "text,a,b\nx,1,0\ny,0,1\nz,0,0\n")
    more = _table(tmp_path, "text\nw\n", "more.csv")
    config = DocumentsConfig(label_columns=("a", "b"), test=Split(method="rows", rows=(2, 3)))
    documents = read_documents(labelled, config, more)
    assert documents["label"].to_pylist() == [["a"], ["b"], [], None]
    assert documents["part"].to_pylist() == ["train", "train", "test", "unlabelled"]


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("text,a,b\nx,1,0\ny,2,1\n", {}, "row 2 has '2' in the label column 'a'"),
        ("text,a,b\nx,1,0\ny,,1\n", {}, "row 2 has nothing in the label column 'a'"),
        ("text,a,b\nx,1,0\ny,0,0\nz,1,0\n", {}, "label 'b' in no training row"),
        ("text,a\nx,1\n", {}, "no column 'b'"),
        ("text,a,b\nx,1,0\ny,1,1\nz,0,1\n", {"test": None}, "no labelled test rows"),
    ],
)
def test_bad_label_columns(
    tmp_path: Path, content: str, settings: dict[str, Any], message: str
) -> None:
    config = DocumentsConfig(
        **{"label_columns": ("a", "b"), "test": Split(fraction=0.3)} | settings
    )
    with pytest.raises(SourceError, match=message):
        read_documents(_table(tmp_path, content), config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_columns": ("a",), "label_separator": ";"}, "give the one or the other"),
        ({"label_columns": ("a",), "label_column": "b"}, "give the one or the other"),
        ({"label_columns": ("a", "a")}, "each may stand there once"),
        ({"label_columns": ("text",)}, "not in text_columns too"),
        ({"label_separator": ""}, "name a character"),
        ({"label_separator": ";", "label_column": None}, "needs a label_column"),
    ],
)
def test_bad_settings_of_several_labels(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DocumentsConfig(**settings)


def test_lists_in_parquet_need_the_separator(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    pq.write_table(pa.table({"text": ["a", "b"], "label": [["x"], []]}), path)
    config = DocumentsConfig(label_separator=";", test=Split(method="rows", rows=(1, 2)))
    assert read_documents(path, config)["label"].to_pylist() == [["x"], []]
    with pytest.raises(SourceError, match="set label_separator"):
        read_documents(path, DocumentsConfig())
