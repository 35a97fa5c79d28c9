"""Generate the embedded articles: a small archive in WikiText's layout.

`wiki.train.tokens`, `wiki.valid.tokens` and `wiki.test.tokens` look like those of WikiText-2: a
line ` = Title = ` begins an article, ` = = Section = = ` a section, each line is cut into tokens,
numbers and compounds are cut with `@,@`, `@.@` and `@-@`, contractions without a mark (`didn 't`),
and rare words are `<unk>`. Each article is about a town that never was and keeps to that town's
name, river, county and trade, so that there is more to learn than how frequent each word is.

The same seed gives the same bytes: only ``random.Random.random`` is used, whose sequence Python
guarantees, and the archive is stored without compression and with a fixed date.
"""

from __future__ import annotations

import argparse
import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

ARTICLES = {"train": 160, "valid": 20, "test": 20}
FILE = "wikitext-sample-v1.zip"
RARE = 0.012
"""Share of the words that are too rare for WikiText's vocabulary."""


def words(text: str) -> tuple[str, ...]:
    """Split a list of words that runs over several lines."""
    return tuple(text.split())


STARTS = words("""
    Al Ash Bar Bel Bram Brook Cal Cas Clay Cold Dun East Ed Elm Fair Far Fen Glen Hal Hart Haw Hol
    Kel Kirk Lang Lin Lox Mar Mel Mill Nor Oak Pen Red Ros Sal Shel Stan Thorn Tor Wal West Whit
    Win Wood
""")
ENDS = words("""
    bridge bury by dale den field ford gate ham hill ley low mere mouth port ton wick worth
""")
RIVERS = words("""
    Arle Brue Cole Derne Esk Fal Gade Isle Kenn Leam Mole Nadder Otter Pang Rea Sow Tarn
""")
COUNTIES = words("""
    Ardenshire Borland Calderdown Fenmark Greywold Marchshire Northmoor Westmarch
""")
TRADES = {
    "beer": ("brewers", "kilns", "pale ale", "a brewery"),
    "coal": ("miners", "shafts", "coal", "a colliery"),
    "fish": ("fishermen", "boats", "herring", "a covered fish market"),
    "glass": ("glassmakers", "furnaces", "window glass", "a glassworks"),
    "paper": ("papermakers", "water wheels", "writing paper", "a paper mill"),
    "salt": ("salters", "pans", "salt", "a salt works"),
    "slate": ("quarrymen", "quarries", "roofing slate", "a slate quarry"),
    "wool": ("weavers", "looms", "cloth", "a weaving mill"),
}
PEOPLE = words("""
    Anna Clara Edith Frances George Henry James Margaret Robert Thomas Walter William
""")
FAMILIES = words("""
    Ashdown Barlow Carver Drake Ellis Fenner Hobbs Lister Marsh Penrose Rudd Thorne
""")
SAINTS = words("Andrew Anne Giles James John Luke Mary Michael Peter Stephen")
WORKS = words("novel play symphony poem painting ballad history masque")
CENTURIES = words("twelfth thirteenth fourteenth fifteenth sixteenth")
SEASONS = words("Spring Summer Autumn Winter")
ENDINGS = (
    "closed in {closed} , and most of the {hands} left the town",
    "was bought by a company from {county} , which makes {goods} there to this day",
    "burnt down twice , and wasn 't rebuilt after the second fire",
)


class Town:
    """One town, and the article about it."""

    def __init__(self, rng: random.Random, name: str) -> None:
        self.rng = rng
        self.name = name
        self.river = self.pick(RIVERS)
        self.county = self.pick(COUNTIES)
        self.trade = self.pick(sorted(TRADES))
        self.hands, self.tools, self.goods, self.plant = TRADES[self.trade]
        self.saint = self.pick(SAINTS)
        self.founder = f"{self.pick(PEOPLE)} {self.pick(FAMILIES)}"
        self.artist = f"{self.pick(PEOPLE)} {self.pick(FAMILIES)}"
        self.year = 1780 + self.below(80)

    def below(self, stop: int) -> int:
        """Draw a whole number from 0 up to below ``stop``."""
        return int(self.rng.random() * stop)

    def pick(self, options: Sequence[str]) -> str:
        """Draw one of the options."""
        return options[self.below(len(options))]

    def number(self) -> str:
        """A population, as WikiText cuts it."""
        return f"{2 + self.below(40)} @,@ {100 + self.below(900)}"

    def lead(self) -> str:
        """What and where the town is."""
        size = self.pick(["market town", "small town", "town", "village", "port"])
        return (
            f"{self.name} is a {size} in {self.county} , on the river {self.river} . It lies "
            f"{2 + self.below(30)} @.@ {self.below(10)} miles from {self.pick(COUNTIES)} and is "
            f"known for its {self.goods} . At the last census {self.name} had a population of "
            f"{self.number()} ."
        )

    def history(self) -> list[str]:
        """How it came to its trade."""
        return [
            f"The church of St. {self.saint} was built in the {self.pick(CENTURIES)} century , "
            f"when {self.name} was little more than a ford across the {self.river} . The first "
            f"{self.hands} came to the town in {self.year - 30 - self.below(60)} , and within ten "
            f"years their {self.tools} stood along both banks of the river .",
            f"In {self.year} {self.founder} opened {self.plant} below the church . It was the "
            f"largest in {self.county} and sent {self.goods} as far as London . By "
            f"{self.year + 20 + self.below(20)} there were {20 + self.below(300)} {self.hands} in "
            f"{self.name} . {self.founder} didn 't live to see it , but the family 's name is "
            f"still on the gate .",
        ]

    def economy(self) -> list[str]:
        """What became of the trade."""
        end = self.pick(ENDINGS).format(
            closed=1920 + self.below(60),
            hands=self.hands,
            county=self.pick(COUNTIES),
            goods=self.goods,
        )
        return [
            f"For more than a century the town lived on {self.trade} . The works of {self.founder} "
            f"{end} . Today the old {self.tools} can be seen in a well @-@ kept museum beside the "
            f"{self.river} ."
        ]

    def culture(self) -> list[str]:
        """Who made something of it."""
        work = self.pick(WORKS)
        return [
            f"{self.artist} , who was born in {self.name} in {self.year + self.below(90)} , wrote "
            f'a {work} about the {self.hands} . The {work} was called " The {self.river} in '
            f"{self.pick(SEASONS)} \" and it 's read in the schools of {self.county} . A two @-@ "
            f"day fair is held on the feast of St. {self.saint} each year ."
        ]

    def article(self) -> str:
        """The article as WikiText writes it: a blank line before and after each heading."""
        sections = [("History", self.history()), ("Economy", self.economy())]
        if self.below(3):
            sections.append(("Culture", self.culture()))
        lines = ["", f" = {self.name} = ", "", f" {self.rare(self.lead())} "]
        for title, paragraphs in sections:
            lines += ["", f" = = {title} = = ", ""]
            lines += [f" {self.rare(paragraph)} " for paragraph in paragraphs]
        return "".join(f"{line or ' '}\n" for line in lines)

    def rare(self, paragraph: str) -> str:
        """Replace some words of a paragraph by WikiText's mark for rare ones."""
        return " ".join(
            "<unk>" if word.isalpha() and self.rng.random() < RARE else word
            for word in paragraph.split()
        )


def make_sample(seed: int) -> bytes:
    """Generate the archive.

    Args:
        seed: Seed of every draw.

    Returns:
        The content of the zip file.
    """
    rng = random.Random(seed)
    names = [start + end for start in STARTS for end in ENDS]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part, count in ARTICLES.items():
            drawn = [names.pop(int(rng.random() * len(names))) for _ in range(count)]
            text = "".join(Town(rng, name).article() for name in drawn)
            member = zipfile.ZipInfo(f"wikitext-sample/wiki.{part}.tokens")
            member.create_system = 3  # the same on every platform
            archive.writestr(member, text.encode())
    return buffer.getvalue()


def main() -> None:
    """Write the archive."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=42, help="seed of every draw (default 42)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parents[1] / "data" / "01_raw" / "wikitext_sample",
        help=f"folder to write {FILE} to (default: the embedded sample)",
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    path = arguments.output / FILE
    path.write_bytes(make_sample(arguments.seed))
    print(f"{path}: {sum(ARTICLES.values())} articles, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
