"""One answer for every question: users without an item get lists, pairs get scores."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.ids import as_ids
from gradual.collab.recommender import Recommender
from gradual.sources.spooled import sliced, spooled

logger = logging.getLogger(__name__)

MOST = 1 << 24
"""Answers that are given at a time."""
ROWS = 1 << 14
"""Questions of a file that are answered at a time."""
COLUMNS = ("row", "user", "rank", "item", "title", "score", "fallback")


def answer(
    recommender: Recommender,
    questions: pd.DataFrame,
    *,
    n: int | None = None,
    exclude_seen: bool | None = None,
    min_ratings: int | None = None,
) -> pd.DataFrame:
    """Score pairs, and list items for users who come without one.

    Args:
        recommender: The model.
        questions: Column `user`, and `item` where a score is wanted; ids of any type. A row
            without an item, or without the column, asks for a list.
        n: Length of a list; None takes the model's own setting, and so for the others.
        exclude_seen: Leave out of a list what the user has rated in training.
        min_ratings: List only items with at least so many training ratings.

    Returns:
        Sorted by question: `row` (its position in `questions`, from 0), `user` and `item` (as
        text), `rank` (from 1 in a list, missing for a pair), `title`, `score`, and `fallback`:
        what was unknown (`user`, `item`, `user and item`: scored by the means), or `popularity`
        where an unknown user gets the most rated items; nothing for an answer of the model's own.

    Raises:
        ValueError: There is no row, no column `user`, an id is no id, `n` is below 1 or more than
            there are items, or these lists are more than `MOST` answers.
    """
    if "user" not in questions:
        raise ValueError(
            f"there is no column 'user', only {list(questions.columns)}: send the users' ids in "
            "'user', and 'item' where a score is wanted"
        )
    if questions.empty:
        raise ValueError("there is no row: send at least one user, or user and item")
    given = questions.reset_index(drop=True)
    for name in [name for name in ("user", "item") if name in given]:
        try:
            as_ids(given[name])
        except ValueError as error:
            raise ValueError(f"the column {name!r}: {error}") from error
    pairs = given["item"].notna() if "item" in given else pd.Series(False, index=given.index)
    parts = []
    if pairs.any():
        asked = given[pairs]
        scored = recommender.predict(asked["user"], asked["item"])
        numbers = recommender.item_ids.encode(asked["item"])
        titles = pd.Series(recommender.titles[numbers]).mask(numbers == 0).to_numpy()
        parts.append(scored.assign(row=asked.index, rank=np.nan, title=titles))
    if not pairs.all():
        asked = given[~pairs]
        _check_length(recommender, n, len(asked))
        # Each row its own list: a user who stands there twice gets two.
        known = recommender.user_ids.encode(asked["user"])
        numbers, scores = recommender.top_numbers(
            known, n, exclude_seen=exclude_seen, min_ratings=min_ratings
        )
        who, place = np.nonzero(numbers >= 0)
        found = numbers[who, place]
        parts.append(
            pd.DataFrame(
                {
                    "row": asked.index.to_numpy()[who],
                    "user": asked["user"].to_numpy(object)[who],
                    "rank": place + 1,
                    "item": recommender.item_ids.decode(found).to_pandas().to_numpy(object),
                    "title": recommender.titles[found],
                    "score": scores[who, place],
                    "fallback": np.where(known[who] == 0, "popularity", ""),
                }
            )
        )
    answers = pd.concat([part.astype({"rank": "Int64"}) for part in parts])
    answers = answers.sort_values(["row", "rank"], kind="stable")[list(COLUMNS)]
    for name in ("user", "item", "title"):
        answers[name] = answers[name].astype("string")
    return answers.astype({"score": "float64", "fallback": "string"}).reset_index(drop=True)


def _check_length(recommender: Recommender, n: int | None, lists: int) -> None:
    """Refuse lists that nobody can have meant, before there is room for them in memory."""
    items, own = len(recommender.item_ids) - 1, recommender.lists.n
    length = min(own if n is None else n, items)
    if n is not None and n > max(items, own):
        raise ValueError(f"n is {n:,}, but the model knows {items:,} items: ask for fewer")
    if length * lists > MOST:
        raise ValueError(
            f"{lists:,} lists of n = {length:,} are more than {MOST:,} answers: ask in parts"
        )


def answer_source(
    recommender: Recommender, chunks: Iterable[pa.Table]
) -> tuple[pa.RecordBatchReader, dict[str, Any]]:
    """Answer questions of any number, some at a time, so that memory does not grow with them.

    Args:
        recommender: The model.
        chunks: Tables of questions, as for `answer`.

    Returns:
        Answers as of `answer`, to be read once; and counts: `rows` (questions), `answers`, and
        `fallback`: how many questions have each, `none` among them.

    Raises:
        ValueError: There is no question, or as `answer`.
    """
    rows, given, kinds = 0, 0, Counter[str]()

    def answered() -> Iterator[pa.Table]:
        nonlocal rows, given
        for chunk in sliced(chunks, ROWS):
            answers = answer(recommender, chunk.to_pandas())
            kinds.update(answers.drop_duplicates("row")["fallback"].replace("", "none"))
            answers["row"] += rows
            rows, given = rows + chunk.num_rows, given + len(answers)
            yield pa.Table.from_pandas(answers, preserve_index=False)
        if not rows:
            raise ValueError("there is no row: give at least one user, or user and item")

    found = spooled(answered())
    logger.info(
        "%s questions have %s answers; %s fell back on means or popularity.",
        f"{rows:,}",
        f"{given:,}",
        f"{kinds.total() - kinds['none']:,}",
    )
    return found, {"rows": rows, "answers": given, "fallback": dict(kinds)}
