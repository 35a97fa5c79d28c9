import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from gradual.sources.splits import Split, validation_mask


def _rows(count: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(count)})


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_random_takes_the_rounded_share(count: int, fraction: float, seed: int) -> None:
    split = Split(fraction=fraction, seed=seed)
    expected = int(np.floor(count * fraction + 0.5))
    if expected in (0, count):
        with pytest.raises(ValueError, match="leaves no"):
            validation_mask(_rows(count), split)
        return
    mask = validation_mask(_rows(count), split)
    assert mask.dtype == bool
    assert mask.sum() == expected
    np.testing.assert_array_equal(mask, validation_mask(_rows(count), split))


def test_random_rows_are_the_same_for_ever() -> None:
    chosen = np.flatnonzero(validation_mask(_rows(50), Split(fraction=0.1, seed=42)))
    assert chosen.tolist() == [14, 21, 24, 44, 48]
    other = np.flatnonzero(validation_mask(_rows(50), Split(fraction=0.1, seed=43)))
    assert chosen.tolist() != other.tolist()


def test_random_reaches_every_row() -> None:
    masks = [validation_mask(_rows(40), Split(fraction=0.25, seed=seed)) for seed in range(400)]
    assert np.abs(np.mean(masks, axis=0) - 0.25).max() < 0.09  # 4 standard deviations


@given(st.lists(st.sampled_from(["a", "b", None]), min_size=12, max_size=80), st.integers(0, 99))
def test_stratified_keeps_the_shares(labels: list[str | None], seed: int) -> None:
    frame = pd.DataFrame({"label": pd.Series(labels, dtype=object)})
    mask = validation_mask(frame, Split(fraction=0.3, seed=seed, stratify="label"))
    assert mask.sum() == int(np.floor(len(labels) * 0.3 + 0.5))
    for label in ("a", "b", None):
        rows = np.array([value is label or value == label for value in labels])
        assert abs(mask[rows].sum() - 0.3 * rows.sum()) <= 1


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        ([True, False, True], None),
        (["True", "False", "TRUE"], None),
        ([1, 0, 1], (1,)),
        ([1.0, 0.0, 1.0], (1,)),
        (["valid", "train", "dev"], ("valid", "dev")),
    ],
)
def test_column(flags: list[object], values: tuple[str | int, ...] | None) -> None:
    split = Split(method="column", column="flag", values=values)
    assert validation_mask(pd.DataFrame({"flag": flags}), split).tolist() == [True, False, True]


def test_rows() -> None:
    mask = validation_mask(_rows(1200), Split(method="rows", rows=(800, 1000)))
    assert np.flatnonzero(mask).tolist() == list(range(800, 1000))


@pytest.mark.parametrize(
    "times",
    [
        [10, 9, 100, 1],
        ["10", "9", "100", "1"],
        ["2020-01-10", "2020-01-09", "2021-01-01", "2019-01-01"],
        pd.to_datetime(["2020-01-10", "2020-01-09", "2021-01-01", "2019-01-01"]),
    ],
)
def test_last(times: object) -> None:
    split = Split(method="last", column="when", fraction=0.5)
    mask = validation_mask(pd.DataFrame({"when": times}), split)
    assert mask.tolist() == [True, False, True, False]


def test_last_never_cuts_through_equal_times() -> None:
    split = Split(method="last", column="when", fraction=0.25)
    held_out = validation_mask(pd.DataFrame({"when": [1, 2, 2, 2]}), split)
    assert held_out.tolist() == [False, True, True, True]
    days = np.repeat(np.arange(20), 8)[::-1]  # a fraction of 0.1 would cut day 17 in two
    when = pd.DataFrame({"when": pd.to_datetime("2024-01-01") + pd.to_timedelta(days, "D")})
    held_out = validation_mask(when, Split(method="last", column="when", fraction=0.12))
    assert sorted(set(days[held_out])) == [18, 19]
    assert not set(days[held_out]) & set(days[~held_out])


@given(
    st.lists(st.integers(0, 12), min_size=20, max_size=80).filter(lambda g: len(set(g)) > 3),
    st.sampled_from(["random", "folds", "last"]),
    st.integers(0, 99),
)
def test_whole_groups_stay_on_one_side(groups: list[int], method: str, seed: int) -> None:
    frame = pd.DataFrame({"customer": groups, "when": np.arange(len(groups))})
    settings: dict[str, object] = {"fraction": 0.4, "seed": seed}
    if method == "folds":
        settings |= {"folds": 3, "fold": 2}
    if method == "last":
        settings |= {"column": "when"}
    split = Split(method=method, group="customer", **settings)  # type: ignore[arg-type]
    held_out = validation_mask(frame, split)
    inside, outside = frame[held_out], frame[~held_out]
    assert not set(inside["customer"]) & set(outside["customer"])
    count = len(set(groups))
    if method == "random":
        assert inside["customer"].nunique() == int(np.floor(count * 0.4 + 0.5))
    if method == "last":  # nothing is learnt from what comes after the end of a group held out
        assert outside["when"].max() < inside.groupby("customer")["when"].max().min()


def test_groups_are_stratified_by_their_first_row() -> None:
    frame = pd.DataFrame({"user": np.repeat(np.arange(20), 3), "kind": np.repeat([0, 1], 30)})
    held_out = validation_mask(frame, Split(fraction=0.2, group="user", stratify="kind"))
    assert frame[held_out].groupby("kind")["user"].nunique().tolist() == [2, 2]


@given(st.integers(5, 60), st.integers(2, 5), st.integers(0, 99))
def test_folds_share_the_rows_out(count: int, folds: int, seed: int) -> None:
    masks = [
        validation_mask(_rows(count), Split(method="folds", folds=folds, fold=fold, seed=seed))
        for fold in range(1, folds + 1)
    ]
    assert np.sum(masks, axis=0).tolist() == [1] * count
    sizes = [int(mask.sum()) for mask in masks]
    assert max(sizes) - min(sizes) <= 1


def test_folds_can_be_stratified() -> None:
    frame = pd.DataFrame({"label": ["a"] * 10 + ["b"] * 20})
    split = Split(method="folds", folds=5, fold=3, stratify="label")
    assert frame["label"][validation_mask(frame, split)].tolist() == ["a"] * 2 + ["b"] * 4


@pytest.mark.parametrize(
    ("frame", "split", "message"),
    [
        (_rows(3), Split(fraction=0.1), "leaves no validation rows: change fraction"),
        (_rows(3), Split(fraction=0.9), "leaves no training rows"),
        (_rows(0), Split(), "leaves no validation rows"),
        (_rows(3), Split(stratify="x"), "no column 'x' to split by, only n"),
        (_rows(3), Split(method="column", column="x"), "no column 'x'"),
        (_rows(3), Split(method="column", column="n", values=(7,)), "never holds any of \\[7\\]"),
        (_rows(3), Split(method="column", column="n", values=(0, 1, 2)), "no training rows"),
        (_rows(3), Split(method="rows", rows=(2, 4)), "only 3 rows"),
        (_rows(3), Split(method="rows", rows=(0, 3)), "no training rows"),
        (
            pd.DataFrame({"t": [1, 1, 1]}),
            Split(method="last", column="t"),
            "'t' must hold two different times",
        ),
        (
            pd.DataFrame({"g": ["x", "x"]}),
            Split(group="g", fraction=0.5),
            "leaves no training rows: .*more groups",
        ),
        (pd.DataFrame({"g": ["x", None]}), Split(group="g"), "row 1 has nothing in the column 'g'"),
        (_rows(2), Split(method="folds", folds=3, fold=3), "lower folds, which is 3"),
        (
            pd.DataFrame({"f": [True, None]}),
            Split(method="column", column="f"),
            "row 1 has nothing in the column 'f'",
        ),
        (
            pd.DataFrame({"t": ["2020-01-01", "tomorrow"]}),
            Split(method="last", column="t", fraction=0.5),
            "'t' holds no times: .*tomorrow",
        ),
    ],
)
def test_what_cannot_be_split(frame: pd.DataFrame, split: Split, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        validation_mask(frame, split)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "kfold"}, "kfold"),
        ({"fraction": 0}, "fraction"),
        ({"fraction": 1.0}, "fraction"),
        ({"fraction": float("nan")}, "fraction"),
        ({"seed": -1}, "seed"),
        ({"method": "column"}, "column is not given"),
        ({"method": "last"}, "column is not given"),
        ({"method": "rows"}, "rows is not given"),
        ({"method": "rows", "rows": [5, 5]}, "row after the last"),
        ({"method": "column", "column": "x", "stratify": "y"}, "set method to random"),
        ({"rows": [1, 2]}, "set method to rows"),
        ({"method": "folds", "folds": 1, "fold": 1}, "folds, 2 or more"),
        ({"method": "folds", "folds": 3}, "say which fold is held out, 1 to 3"),
        ({"method": "folds", "folds": 3, "fold": 4}, "fold is 4"),
        ({"folds": 3}, "set method to folds"),
        ({"method": "rows", "rows": [0, 1], "group": "x"}, "does not use"),
        ({"fractoin": 0.1}, "fractoin"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(Split).validate_python(settings)


def test_settings_come_from_yaml_types() -> None:
    split = TypeAdapter(Split).validate_python(
        {"method": "column", "column": "is_valid", "values": [True]}
    )
    assert split == Split(method="column", column="is_valid", values=(True,))
