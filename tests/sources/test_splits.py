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


def test_last_takes_the_later_rows_of_equal_times() -> None:
    split = Split(method="last", column="when", fraction=0.25)
    mask = validation_mask(pd.DataFrame({"when": [1, 2, 2, 2]}), split)
    assert mask.tolist() == [False, False, False, True]


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
