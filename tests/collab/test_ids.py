import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradual.collab.ids import IdMap, as_ids


@given(
    st.lists(st.text(max_size=4), min_size=1) | st.lists(st.integers(-(10**17), 10**17), min_size=1)
)
def test_every_id_comes_back_as_it_was_given(values):
    ids = IdMap.fit(values)
    numbers = ids.encode(values)
    assert numbers.min() >= 1
    kept = ids.decode(numbers).to_pylist()
    assert kept == values or [str(value) for value in kept] == values
    assert np.array_equal(IdMap.from_list(ids.to_list()).encode(values), numbers)


def test_texts_become_numbers_only_if_nothing_is_lost():
    assert as_ids(["7", "12"]).to_pylist() == [7, 12]
    assert as_ids(["007", "7"]).to_pylist() == ["007", "7"]
    assert as_ids(["7", "x"]).to_pylist() == ["7", "x"]
    assert as_ids(pd.Series([1.0, None])).to_pylist() == [1, None]
    with pytest.raises(ValueError, match="whole numbers or texts"):
        as_ids([1.5])


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2, 9], [1, 0]),
        (["2", "x"], [1, 0]),
        ([None, 3], [0, 2]),
        (pd.Series([3.0, None]), [2, 0]),
        (pd.Categorical(["3", "2"]), [2, 1]),
        (pa.array(["02"]), [0]),
        ([2, "x"], [1, 0]),
        ([], []),
    ],
)
def test_unknown_ids_are_0_whatever_their_type(values, expected):
    assert IdMap.fit([2, 3]).encode(values).tolist() == expected


def test_numbers_find_texts():
    assert IdMap.fit(["a", "7"]).encode([7, 8]).tolist() == [1, 0]
