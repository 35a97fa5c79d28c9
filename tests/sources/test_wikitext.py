import zipfile
from collections import Counter
from pathlib import Path

import pytest

from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceFormat, SourceRows, open_source
from gradual.sources.splits import Split
from gradual.sources.wikitext import UNKNOWN, clean, read_articles
from gradual.text.document_splits import split_documents
from gradual.text.documents import (
    DocumentsConfig,
    read_documents,
)
from gradual.text.rules import UNK

CONFIG = DocumentsConfig(label_column=None)
TRAIN = (
    " \n = Farby = \n \n Farby had 2 @,@ 000 <unk> . \n It didn 't . \n"
    " \n = = Trade = = \n \n Wool . \n"
    " = Played , W = \n Won . \n"  # torn out of a table: no blank lines around it
    " \n = E = mc2 = \n \n A well @-@ known 1 @.@ 5 . \n"
)
OTHER = " \n = Norton = \n \n Of <unk> 's . \n"


def archive(path: Path, **parts: str | bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for part, content in parts.items():
            file.writestr(f"wikitext-x/wiki.{part}.tokens", content)
        file.writestr("wikitext-x/README", b"\xff")
    return path


def wikitext(path: Path) -> SourceRows:
    return open_source(path, SourceFormat(format="wikitext"))


def test_unknown_words_are_the_tokens_of_the_texts() -> None:
    assert UNKNOWN == UNK


def test_articles_are_documents_and_headings_are_lines(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.zip", test=OTHER, valid=OTHER, train=TRAIN)
    documents = read_documents(wikitext(path), CONFIG)
    assert documents.column_names == ["source", "text", "label", "part"]
    assert documents["part"].to_pylist() == ["train", "train", "valid", "test"]
    assert documents["source"].to_pylist()[:2] == [
        "wikitext-x/wiki.train.tokens 1 Farby",
        "wikitext-x/wiki.train.tokens 2 E = mc2",
    ]
    assert documents["text"].to_pylist() == [
        "Farby\n\nFarby had 2,000 xxunk .\n\nIt didn't .\n\nTrade\n\nWool .\n\nPlayed , W\n\nWon .",
        "E = mc2\n\nA well-known 1.5 .",
        "Norton\n\nOf xxunk's .",
        "Norton\n\nOf xxunk's .",
    ]
    assert documents["label"].null_count == 4


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        (" 1 @,@ 000 @,@ 000 @-@ odd ", "1,000,000-odd"),
        (" the dog 's , they 'll and she 'd ", "the dog's , they'll and she'd"),
        (" he said ' so ' in O 'Brien ", "he said ' so ' in O 'Brien"),
        (" = = = Deep = = = ", "Deep"),
        (" born in 1932 @,@ ", "born in 1932,"),
        ("  ", ""),
    ],
)
def test_a_line_reads_as_people_write_it(line: str, meant: str) -> None:
    assert clean(line) == meant


def test_titles_at_the_edges_and_with_other_line_ends(tmp_path: Path) -> None:
    text = " = A = \r\n \r\n One . \r\n \r\n = B = \r\n \r\n = C = "
    path = archive(tmp_path / "w.zip", train=text, valid=OTHER, test=OTHER)
    texts = [article.text for article in read_articles(path) if article.part == "train"]
    assert texts == ["A\n\nOne .", "B", "C"]


def test_the_files_decide_what_is_held_out(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.zip", train=TRAIN, valid=OTHER, test=OTHER)
    documents = read_documents(wikitext(path), CONFIG)
    by_file = Split(method="column", column="part", values=("valid",))
    splits = split_documents(documents, by_file, Split())
    assert splits["language_model"].to_pylist() == ["train", "train", "valid", "test"]
    assert splits["classifier"].null_count == 4


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"train": TRAIN, "valid": OTHER}, r"no file wiki\.test\.tokens .*only wikitext-x/wiki\."),
        ({}, r"no file wiki\.train\.tokens .*only others"),
        ({"train": "Some text.\n", "valid": OTHER, "test": OTHER}, "train.tokens holds no article"),
        (
            {"train": TRAIN.encode() + b"\xff", "valid": OTHER, "test": OTHER},
            "article 2 is not UTF",
        ),
    ],
)
def test_another_archive_is_refused(
    parts: dict[str, str | bytes], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=message):
        read_documents(wikitext(archive(tmp_path / "w.zip", **parts)), CONFIG)


def test_a_part_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.zip", train=TRAIN, valid=OTHER, test=OTHER)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("wikitext-x-raw/wiki.train.raw", TRAIN)
    with pytest.raises(SourceError, match=r"two files of the part train.*keep one"):
        list(read_articles(path))


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "w.zip", train=TRAIN, valid=OTHER, test=OTHER)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match="truncated or altered"):
        read_documents(wikitext(path), CONFIG)


def test_wikitext_2_has_its_720_articles(mirror: Path) -> None:
    documents = read_documents(wikitext(mirror / "wikitext-2-v1.zip"), CONFIG)
    assert Counter(documents["part"].to_pylist()) == {"train": 600, "valid": 60, "test": 60}
    text = "\n".join(documents["text"].to_pylist())
    assert not any(mark in text for mark in ("<unk>", "@-@", "@,@", "@.@", " = = "))
