"""WikiText archives to articles.

WikiText (Merity et al. 2016, "Pointer Sentinel Mixture Models", arXiv 1609.07843) is three files in
which articles follow each other, already cut into tokens, rare words replaced by `<unk>`. This
module puts back together what the tokenizer would otherwise not recognise, so that a model reads
the same words here as in anybody's texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradual.sources.archives import read_members
from gradual.sources.errors import SourceError

#: Put for `<unk>`: how the tokens of texts say that a word is unknown.
UNKNOWN = "xxunk"

#: Part of the documents by the word in the file's name.
PARTS = {"train": "train", "valid": "valid", "test": "test"}

_FILE = re.compile(r"(?:.*/)?wiki\.(train|valid|test)\.(?:tokens|raw)")
# ` = Title = ` between blank lines. ` = = Section = = ` has more of the signs, and a line torn out
# of a table or formula (` = Played , W = `) has no blank lines around it.
_TITLE = re.compile(
    rb"(?:\A[ \t\r]*\n?|\n[ \t\r]*\n) = (?!= )([^\n]*?)(?<! =) = ?\r?(?=\n[ \t\r]*(?:\n|\Z)|\Z)"
)
_HEADING = re.compile(r"^(?:= )+(.*?)(?: =)+$")
# Numbers and compounds were cut with a mark (`2 @,@ 000`, `well @-@ known`), contractions without
# one (`don 't`).
_CUT = re.compile(r"(?: |^)@([-,.])@(?: |$)| (?='(?:s|t|m|d|re|ve|ll)\b)")


@dataclass(frozen=True)
class Article:
    """One article.

    Attributes:
        source: File in the archive, number of the article in it (from 1) and title.
        text: Title, headings and paragraphs, with an empty line between any two.
        part: `train`, `valid` or `test`, as the file's name says.
    """

    source: str
    text: str
    part: str


def read_articles(path: Path) -> Iterator[Article]:
    """Read an archive with `wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens`.

    The files may lie in any folder of a zip or tar, and may also end in `.raw` (the layout of the
    archives without `<unk>`).

    Args:
        path: The archive.

    Yields:
        The articles in the order of the archive.

    Raises:
        SourceError: A file is missing, is there twice, is not UTF-8 or has no article, or the
            archive cannot be read.
    """
    found: dict[str, str] = {}
    for name, content in read_members(path, lambda name: bool(_FILE.fullmatch(name))):
        match = _FILE.fullmatch(name)
        part = match[1] if match else ""
        if part in found:
            raise SourceError(
                f"{path} holds two files of the part {part}, {found[part]} and {name}: keep one "
                "of them in the archive"
            )
        found[part] = name
        yield from _articles(f"{path}, {name}", name, content, part)
    if missing := [part for part in PARTS if part not in found]:
        raise SourceError(
            f"{path} holds no file wiki.{missing[0]}.tokens (or .raw), only "
            f"{', '.join(found.values()) or 'others'}: it is not laid out like "
            "wikitext-2-v1.zip; name another file, or set another `format`, in the catalog"
        )


def clean(text: str) -> str:
    """One line as people write it: `<unk>` is `xxunk`, cut words are whole, headings bare."""
    text = _HEADING.sub(r"\1", text.strip())
    return _CUT.sub(r"\1", text).replace("<unk>", UNKNOWN)


def _articles(place: str, name: str, content: bytes, part: str) -> Iterator[Article]:
    titles = list(_TITLE.finditer(content))
    if not titles:
        raise SourceError(
            f"{place} holds no article: a line ` = Title = ` between two blank lines begins one; "
            "correct the file, or set another `format` in the catalog"
        )
    ends = [title.start() for title in titles[1:]] + [len(content)]
    try:
        for number, (title, end) in enumerate(zip(titles, ends, strict=True), start=1):
            lines = content[title.start() : end].decode().splitlines()
            text = "\n\n".join(filter(None, map(clean, lines)))
            yield Article(f"{name} {number} {clean(title[1].decode())}", text, part)
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{place}, article {number} is not UTF-8: convert the file and pack the archive anew"
        ) from error
