"""Drift that is there is found and named; none is seen where there is none."""

import json

import numpy as np
import pyarrow as pa
import pytest

from gradual.retraining.columns import ColumnKind
from gradual.retraining.config import RetrainConfig
from gradual.retraining.drift import Drift, drift
from gradual.sources.errors import SourceError
from gradual.training.files import to_json_types

ORDERS: dict[str, ColumnKind] = {
    "price": "number",
    "country": "level",
    "paid": "target",
    "day": "date",
    "number": "number",
    "batch": "level",
}
WORDS = [
    "good",
    "bad",
    "film",
    "plot",
    "actor",
    "scene",
    "long",
    "short",
    "story",
    "music",
    "end",
    "start",
    "fine",
    "dull",
]


def orders(rows: int, seed: int = 0, first: int = 0) -> pa.Table:
    """A shop's orders: dates, running numbers and batches grow, the rest does not."""
    draw = np.random.default_rng(seed)
    place = np.arange(first, first + rows)
    return pa.table(
        {
            "price": draw.normal(20, 5, rows),
            "country": draw.choice(["AT", "CH", "DE"], rows, p=[0.2, 0.2, 0.6]),
            "paid": draw.choice(["yes", "no"], rows),
            "day": (np.datetime64("2026-01-01") + place // 20).astype("datetime64[s]"),
            "number": place + 1000,
            "batch": [f"batch-{number // 20:05d}" for number in place],
        }
    )


def replaced(table: pa.Table, name: str, values: list | np.ndarray) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def look(new: pa.Table, old: pa.Table, columns: dict[str, ColumnKind], **config: float) -> Drift:
    found = drift(new, old, columns, RetrainConfig(**config), seed=1)
    json.dumps(to_json_types(found))
    assert len(found.columns) == len(columns)
    return found


def test_later_rows_that_only_have_later_dates_and_numbers_have_not_drifted() -> None:
    found = look(orders(400, 1, first=2000), orders(2000), ORDERS)
    assert not found.drifted
    assert found.low < 0.5 < found.high
    assert "look like" in found.said[0]
    left_out = {shift.column for shift in found.shifts if shift.left_out}
    assert left_out == {"day", "number", "batch"}
    assert any("2026-01-01 to 2026-04-10 → 2026-04-11" in line for line in found.said)


def test_a_running_number_is_left_out_where_the_old_rows_are_in_no_order() -> None:
    old = orders(2000).take(np.random.default_rng(0).permutation(2000))
    found = look(orders(400, 1, first=2000), old, {"price": "number", "number": "number"})
    assert not found.drifted
    assert {shift.column for shift in found.shifts if shift.left_out} == {"number"}


def test_rows_sorted_by_a_level_keep_it() -> None:
    old = orders(2000).sort_by("country")
    new = replaced(orders(400, 1, first=2000), "country", ["AT"] * 399 + ["DE"])
    found = look(new, old, {"price": "number", "country": "level"}, max_drift_auc=0.7)
    assert not found.drifted or found.columns["column"][0] == "country"
    mixed = look(orders(400, 1), old, {"price": "number", "country": "level"})
    assert not any(shift.left_out for shift in mixed.shifts)


def test_a_shifted_number_is_found_and_named() -> None:
    new = orders(400, 1, first=2000)
    found = look(replaced(new, "price", new["price"].to_numpy() + 12), orders(2000), ORDERS)
    assert found.drifted
    assert found.low > 0.75
    assert found.columns["column"][0] == "price"
    assert found.columns["shift"][0] == pytest.approx(12 / 5, rel=0.1)
    assert "price: mean 19." in " ".join(found.said)


def test_a_new_level_and_new_gaps_are_found_and_named() -> None:
    new = orders(400, 1, first=2000)
    there = np.arange(400) % 10 < 8
    countries = np.where(there, "FR", new["country"].to_numpy(zero_copy_only=False))
    found = look(replaced(new, "country", countries), orders(2000), ORDERS)
    assert found.drifted
    shift = next(shift for shift in found.shifts if shift.column == "country")
    assert (shift.new_levels, shift.notable) == (("FR",), True)
    assert shift.unseen == pytest.approx(0.8)
    prices = [None if gap else price for gap, price in zip(there, range(400), strict=True)]
    found = look(replaced(new, "price", prices), orders(2000), ORDERS)
    assert "gaps 0.0% →" in " ".join(found.said)
    assert "gaps 80.0%" in " ".join(found.said)


def test_a_small_shift_is_told_but_is_no_drift_until_the_margin_says_so() -> None:
    new = orders(1000, 1, first=2000)
    new = replaced(new, "price", new["price"].to_numpy() + 2.5)
    found = look(new, orders(2000), ORDERS)
    assert not found.drifted
    assert found.low > 0.5
    assert "differ" in found.said[0]
    assert look(new, orders(2000), ORDERS, max_drift_auc=0.5).drifted


def test_types_that_differ_between_files_are_no_drift() -> None:
    old = pa.table({"size": [1, 2, 3, 4] * 100, "day": ["2026-01-01"] * 400})
    new = pa.table({"size": [1.0, 2.0, 3.0, 4.0] * 50, "day": ["2026-01-02"] * 200})
    found = look(new, old, {"size": "level", "day": "date"})
    assert not found.drifted
    assert found.shifts[0].new_levels == ()
    days = pa.array(np.arange("2026-01-01", "2026-04-11", dtype="datetime64[D]"))
    table = pa.table({"due": days})
    assert not look(table, table, {"due": "number"}).drifted


def test_what_one_side_lacks_is_said() -> None:
    found = look(orders(100).drop_columns("price"), orders(400), ORDERS)
    assert "the new rows do not have it" in " ".join(found.said)
    with pytest.raises(SourceError, match="no column 'size'"):
        look(orders(100), orders(400), {"size": "number"})


def test_too_few_rows_decide_nothing() -> None:
    found = look(orders(20, first=2000), orders(2000), ORDERS)
    assert (found.auc, found.drifted) == (None, False)
    assert found.said[0].startswith("Too little")


def texts(rows: int, seed: int, more: str = "", share: float = 0.0) -> pa.Table:
    draw = np.random.default_rng(seed)
    made = [" ".join(draw.choice(WORDS, draw.integers(5, 30))) for _ in range(rows)]
    return pa.table({"text": [t + more if draw.random() < share else t for t in made]})


def test_new_words_are_found_and_named() -> None:
    old = texts(800, 0)
    assert not look(texts(200, 1), old, {"text": "text"}).drifted
    found = look(texts(200, 1, " streamed on flimbox", 0.8), old, {"text": "text"})
    assert found.drifted
    assert {"streamed", "flimbox"} <= set(found.words["word"][:3])
    assert "'flimbox'" in " ".join(found.said)
    assert found.shifts[0].notable
    assert found.shifts[0].shift > 0.05


def test_texts_that_are_shorter_are_mentioned() -> None:
    short = pa.table({"text": [t[:20] for t in texts(200, 1)["text"].to_pylist()]})
    assert look(short, texts(800, 0), {"text": "text"}).shifts[0].notable


RATINGS: dict[str, ColumnKind] = {"who": "user", "what": "item", "stars": "target"}


def ratings(rows: int, seed: int, users: int = 0, items: int = 0) -> pa.Table:
    """Ratings by some of 200 users of some of 300 items, the popular ones more often."""
    draw = np.random.default_rng(seed)
    return pa.table(
        {
            "who": users + draw.integers(200, size=rows),
            "what": items + (300 * draw.random(rows) ** 2).astype(int),
            "stars": draw.integers(1, 6, rows),
        }
    )


def test_new_users_and_new_items_are_found_and_named() -> None:
    old = ratings(3000, 0)
    same = look(ratings(500, 1), old, RATINGS)
    assert not same.drifted
    assert same.low < 0.5
    users = look(ratings(500, 1, users=1000), old, RATINGS)
    assert users.drifted
    assert users.columns["column"][0] == "who"
    assert users.shifts[0].unseen == 1.0
    items = look(ratings(500, 1, items=1000), old, RATINGS)
    assert items.drifted
    assert "never seen" in " ".join(items.said)


def test_many_rows_of_few_users_decide_nothing() -> None:
    few = replaced(ratings(500, 1), "who", np.arange(500) % 5)
    assert look(few, ratings(3000, 0), RATINGS).auc is None


def test_the_level_of_the_rule_holds_where_nothing_has_drifted() -> None:
    """Of 12 draws the interval's lower end is above chance in few, and no drift is seen."""
    columns: dict[str, ColumnKind] = {"price": "number", "country": "level"}
    found = [
        drift(orders(150, seed), orders(500, 100 + seed), columns, RetrainConfig(), seed)
        for seed in range(12)
    ]
    assert sum(one.low > 0.5 for one in found) <= 2
    assert not any(one.drifted for one in found)
