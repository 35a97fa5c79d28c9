"""Ratings, purchases and the things they are about: from files to clean tables."""

import logging
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.collab.ids import IdMap, as_ids
from gradual.sources.errors import SourceError
from gradual.sources.reader import Openable, given_parts, open_source
from gradual.sources.splits import Split, test_mask, validation_mask
from gradual.training.settings import Settings

logger = logging.getLogger(__name__)

Duplicates = Literal["last", "mean", "error"]
_OWN = ("user", "item", "rating", "time")


@dataclass(frozen=True)
class RatingsConfig(Settings):
    """Where user, item, rating and time stand.

    Attributes:
        user: Column with the user's id.
        item: Column with the item's id.
        rating: Column with the rating; None for implicit data, where a row says that the user
            took the item (every rating is then 1).
        time: Column with the time, in seconds since 1970 or as dates; None if there is none.
        keep_columns: Further columns to keep, e.g. a flag to split by.
        duplicates: What becomes of several ratings of one item by one user: `last` by time (by
            row where there is no time, or it is equal) stays, their `mean` (with the last time),
            or it is an `error`.
    """

    user: str = "userId"
    item: str = "movieId"
    rating: str | None = "rating"
    time: str | None = "timestamp"
    keep_columns: tuple[str, ...] = ()
    duplicates: Duplicates = "last"

    def __post_init__(self) -> None:
        if self.duplicates not in ("last", "mean", "error"):
            raise ValueError(f"duplicates is {self.duplicates!r}: set it to last, mean or error")
        named = [c for c in (self.user, self.item, self.rating, self.time) if c is not None]
        if len(set(named)) < len(named):
            raise ValueError(f"user, item, rating and time name {named}: each needs its own column")
        taken = sorted({*_OWN, "part", *named} & set(self.keep_columns))
        if taken or len(set(self.keep_columns)) < len(self.keep_columns):
            raise ValueError(
                f"keep_columns is {list(self.keep_columns)}: name each further column once, and "
                f"none of {', '.join([*_OWN, 'part'])} or of the columns read anyway"
            )


def read_ratings(source: Openable, config: RatingsConfig) -> pa.Table:
    """Read ratings into one clean table.

    Args:
        source: Rows, a file, a frame or an Arrow table.
        config: Where things stand in it.

    Returns:
        `user` and `item` (int64 if all are whole numbers, otherwise strings, as given), `rating`
        (float32), `time` (int64 seconds, if there is one), and the columns kept; in the source's
        order, each pair of user and item once.

    Raises:
        SourceError: Something in it cannot be used; names table, row (counted from 1, without
            the header) and column.
    """
    named = [config.user, config.item, config.rating, config.time, *config.keep_columns]
    rows = open_source(source)
    raw, name = rows.read([c for c in named if c is not None], as_text=True), rows.name
    columns: dict[str, pa.Array] = {
        "user": _ids(raw, config.user, name),
        "item": _ids(raw, config.item, name),
        "rating": pa.array(np.ones(raw.num_rows, np.float32)),
    }
    if config.rating is not None:
        columns["rating"] = _numbers(raw, config.rating, name)
    if config.time is not None:
        columns["time"] = _times(raw, config.time, name)
    table = pa.table(columns | {c: raw[c] for c in config.keep_columns})
    clean = _without_duplicates(table, config.duplicates, name)
    logger.info("%s: %s", name, describe(clean, removed=table.num_rows - clean.num_rows))
    return clean


def read_with_test(
    source: Openable, test_source: Openable | None, config: RatingsConfig
) -> tuple[pa.Table, pa.Table]:
    """Read ratings and, behind them, those of an official test file.

    A pair of user and item that is in both is for the test alone.

    Returns:
        As `read_ratings`, and their `given_parts`: `part` is `test`, or null where a split chooses.

    Raises:
        SourceError: As `read_ratings`, or the two do not have the same kinds of ids.
    """
    ratings = read_ratings(source, config)
    if test_source is None:
        return ratings, given_parts(ratings.num_rows)
    test = read_ratings(test_source, config)
    for column in ("user", "item"):
        if ratings.schema.field(column).type != test.schema.field(column).type:
            raise SourceError(
                f"the column {column!r} holds whole numbers in only one of source and test_source: "
                "write the ids in both in the same way"
            )
    both = pa.concat_tables([ratings, test], promote_options="permissive")
    pairs = pair_numbers(*(IdMap.fit(both[c]).encode(both[c]) for c in ("user", "item")))
    kept = ~np.isin(pairs[: ratings.num_rows], pairs[ratings.num_rows :])
    if not kept.all():
        logger.warning(
            "%s ratings of the source are in the test_source too: they are for the test alone.",
            f"{int((~kept).sum()):,}",
        )
    both = both.filter(pa.array(np.r_[kept, np.ones(test.num_rows, bool)]))
    return both, given_parts(int(kept.sum()), test.num_rows)


def describe(ratings: pa.Table, removed: int = 0) -> str:
    """Say in words how many ratings, users and items there are."""
    users, items = (pc.count_distinct(ratings[c]).as_py() for c in ("user", "item"))
    filled = ratings.num_rows / (users * items)
    more = f", {removed:,} repeated ones resolved" if removed else ""
    return (
        f"{ratings.num_rows:,} ratings of {items:,} items by {users:,} users "
        f"({100 * filled:.2f} % of all pairs){more}"
    )


def _ids(raw: pa.Table, column: str, name: str) -> pa.Array:
    try:
        ids = as_ids(raw[column])
    except (ValueError, pa.ArrowInvalid) as error:
        raise SourceError(f"{name}, column {column!r}: {error}") from error
    if ids.null_count:
        row = _first(pc.is_null(ids))
        raise SourceError(
            f"{name}, row {row + 1} has nothing in the column {column!r}: fill it in, or remove "
            "the row"
        )
    return ids


def _numbers(raw: pa.Table, column: str, name: str, *, gaps: bool = False) -> pa.Array:
    """A column as float32; with `gaps`, null where it is empty."""
    values = raw[column].combine_chunks()
    try:
        found = values.cast(pa.float32(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        found = pa.array(pd.to_numeric(values.to_pandas(), errors="coerce"), pa.float32())
    numbers = found.to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(numbers)
    if gaps:
        bad &= pc.is_valid(values).to_numpy(zero_copy_only=False)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        remedy = "leave it empty, or name the column under categories" if gaps else "remove the row"
        raise SourceError(
            f"{name}, row {row + 1} has {values[row].as_py()!r} in the column {column!r}, which is "
            f"no finite number: correct it, or {remedy}"
        )
    return pa.array(numbers, pa.float32(), from_pandas=gaps)


def _times(raw: pa.Table, column: str, name: str) -> pa.Array:
    values = raw[column].combine_chunks()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        try:
            values = values.cast(pa.float64())
        except pa.ArrowInvalid:
            times = pd.to_datetime(values.to_pandas(), format="ISO8601", utc=True, errors="coerce")
            values = pa.array(times, from_pandas=True)
    if pa.types.is_temporal(values.type):
        values = pc.cast(values, pa.timestamp("s", getattr(values.type, "tz", None)), safe=False)
        values = values.cast(pa.int64())
    seconds = values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    bad = ~np.isfinite(seconds)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise SourceError(
            f"{name}, row {row + 1} has {raw[column][row].as_py()!r} in the column {column!r}, "
            "which is no time: give seconds since 1970 or dates such as 2020-12-31 23:59:00, or "
            "set time to null"
        )
    return pa.array(np.floor(seconds).astype(np.int64))


def _first(mask: pa.Array) -> int:
    return int(np.flatnonzero(mask.to_numpy(zero_copy_only=False))[0])


def _without_duplicates(table: pa.Table, rule: Duplicates, name: str) -> pa.Table:
    pair = pair_numbers(*(IdMap.fit(table[c]).encode(table[c]) for c in ("user", "item")))
    order = np.argsort(pair, kind="stable")
    if "time" in table.column_names:
        order = np.lexsort((table["time"].to_numpy(), pair))
    ordered = pair[order]
    last = np.r_[ordered[1:] != ordered[:-1], True]
    if last.all():
        return table
    if rule == "error":
        first = int(np.flatnonzero(~last)[0])
        rows = sorted(int(r) for r in order[first : first + 2])
        user, item = (table[c][rows[0]].as_py() for c in ("user", "item"))
        raise SourceError(
            f"{name}, rows {rows[0] + 1} and {rows[1] + 1} both rate item {item!r} by user "
            f"{user!r}: remove one, or set duplicates to last or mean"
        )
    if rule == "mean":
        ratings = table["rating"].to_numpy().astype(np.float64)[order]
        starts = np.flatnonzero(np.r_[True, last[:-1]])
        means = np.add.reduceat(ratings, starts) / np.diff(np.r_[starts, len(ratings)])
        column = table["rating"].to_numpy().copy()
        column[order[last]] = means
        place = table.schema.get_field_index("rating")
        table = table.set_column(place, "rating", pa.array(column, pa.float32()))
    return table.take(np.sort(order[last]))


def pair_numbers(users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Return one int64 for each pair of numbers, equal for equal pairs."""
    return users.astype(np.int64) * (int(items.max(initial=0)) + 1) + items


@dataclass(frozen=True)
class RatingsSplit(Settings):
    """Which ratings are held out.

    Attributes:
        valid: Ratings to choose settings by, out of those that are not for the test. The columns
            are `user`, `item`, `rating`, `time` and those kept.
        test: Ratings to score the model on once, at the end; None for none.
    """

    valid: Split = field(default_factory=lambda: Split(fraction=0.2))
    test: Split | None = None


def split_ratings(
    ratings: pa.Table, split: RatingsSplit, given_parts: pa.Table | None = None
) -> pa.Table:
    """Choose the ratings to learn from, to validate and to test on.

    Args:
        ratings: The table of `read_ratings`.
        split: How to choose.
        given_parts: ``part`` of the ratings that an official test file gives, `test`; null
            elsewhere.

    Returns:
        One row for each rating: `part`, `train`, `valid` or `test`.

    Raises:
        SourceError: A split names a column that is not there, or leaves one side empty.
    """
    frame = ratings.to_pandas()
    part = np.full(len(frame), "train", object)
    if given_parts is not None:
        given = pc.is_in(given_parts["part"], pa.array(["test"])).to_numpy()
        try:
            if test_mask(given, split.test, "split.test") is not None:
                part[given] = "test"
        except ValueError as error:
            raise SourceError(str(error)) from error
    for name, how in (("test", split.test), ("valid", split.valid)):
        if how is None:
            continue
        left = np.flatnonzero(part == "train")
        try:
            mask = validation_mask(frame.iloc[left].reset_index(drop=True), how)
        except ValueError as error:
            raise SourceError(f"{name} ratings: {error}") from error
        part[left[mask]] = name
    counts = {name: int((part == name).sum()) for name in ("train", "valid", "test")}
    logger.info("Ratings: %s", ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))
    return pa.table({"part": pa.array(part, pa.string())})


@dataclass(frozen=True)
class SideConfig(Settings):
    """Where an item's or a user's title and properties stand.

    Attributes:
        id: Column with the id.
        title: Column to show people; None where there is none.
        lists: Columns that hold several words, with `separator` between them, e.g. genres.
        categories: Columns that hold one word each, e.g. an occupation.
        numbers: Columns that hold a number each, e.g. an age.
        year_from_title: Take the year in brackets at a title's end as the number `year`, and off
            the title.
        separator: Between the words of a list.
        nothing: How an empty list is written.
    """

    id: str = "movieId"
    title: str | None = "title"
    lists: tuple[str, ...] = ("genres",)
    categories: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    year_from_title: bool = True
    separator: str = "|"
    nothing: str = "(no genres listed)"

    def __post_init__(self) -> None:
        if self.year_from_title and self.title is None:
            raise ValueError("year_from_title is true, but title is null: name the title's column")
        if not self.separator:
            raise ValueError("separator is empty: give the sign between two words of a list")
        columns = [*self.lists, *self.categories, *self.numbers]
        taken = {"id", "title"} | ({"year"} if self.year_from_title else set())
        if len(set(columns)) < len(columns) or taken & set(columns):
            raise ValueError(
                f"lists, categories and numbers name {columns}: each column once, and none of "
                f"{', '.join(sorted(taken))}"
            )


def read_side(source: Openable, config: SideConfig) -> pa.Table:
    """Read what is known of items or users beside the ratings.

    Returns:
        `id`, `title` (string, if there is one), the lists (lists of strings), the categories
        (strings, null where there is none), the numbers (float32, null where there is none),
        among them `year` where it comes from the title; one row for each id, ascending.

    Raises:
        SourceError: Something cannot be used, or an id occurs twice.
    """
    names = [config.id, config.title, *config.lists, *config.categories, *config.numbers]
    rows = open_source(source)
    raw, name = rows.read([c for c in names if c is not None], as_text=True), rows.name
    ids = _ids(raw, config.id, name)
    order = pc.array_sort_indices(ids)
    sorted_ids = ids.take(order)
    same = pc.equal(sorted_ids.slice(1), sorted_ids.slice(0, len(ids) - 1))
    if pc.any(same).as_py():
        row = _first(same)
        first, second = sorted((order[row].as_py() + 1, order[row + 1].as_py() + 1))
        raise SourceError(
            f"{name}, rows {first} and {second} both have the id {sorted_ids[row].as_py()!r}: "
            "remove one"
        )
    columns: dict[str, pa.Array | pa.ChunkedArray] = {"id": ids}
    if config.title is not None:
        columns["title"] = pc.utf8_trim_whitespace(_text(raw[config.title]))
    if config.year_from_title:
        title = columns["title"]
        found = pc.struct_field(pc.extract_regex(title, r"\((?P<year>[0-9]{4})\)$"), "year")
        columns["title"] = pc.replace_substring_regex(title, r"\s*\([0-9]{4}\)$", "")
        columns["year"] = found.cast(pa.float32())
    for column in config.lists:
        text = pc.fill_null(_text(raw[column]), "")
        text = pc.if_else(pc.equal(text, config.nothing), "", text)
        words = pc.split_pattern(text, config.separator)
        empty = pa.array([[]], pa.list_(pa.string()))[0]
        columns[column] = pc.if_else(pc.equal(text, ""), empty, words)
    for column in config.categories:
        columns[column] = _text(raw[column])
    for column in config.numbers:
        columns[column] = _numbers(raw, column, name, gaps=True)
    return pa.table(columns).take(order)


def _text(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks().cast(pa.string())
