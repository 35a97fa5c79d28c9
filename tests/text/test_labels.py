import numpy as np
import pyarrow as pa
import pytest

from gradual.text.label_columns import flagged_labels, separated_labels
from gradual.text.labels import (
    Targets,
    as_array,
    class_weights,
    encode_labels,
    indicators,
    label_texts,
)

ALL = np.arange(4)


def test_several_labels_become_a_column_each() -> None:
    labels = as_array([["b", "a"], [], ["b"], None, ["c"]])
    targets = encode_labels(labels, np.array([0, 1]), np.array([2]))
    assert targets.labels == ("a", "b")
    assert targets.multi_label
    expected = [[True, True], [False, False], [False, True], [False, False], [False, False]]
    assert targets.values.tolist() == expected
    assert indicators(labels, ["c", "b"]).tolist()[:3] == [
        [False, True],
        [False] * 2,
        [False, True],
    ]
    assert label_texts(labels) == ["b; a", "no label", "b", None, "c"]


def test_equally_many_labels_in_each_row_stay_lists() -> None:
    labels = as_array([["a", "b"], ["b", "c"]])
    assert labels.shape == (2,)
    assert encode_labels(labels, np.array([0, 1]), np.array([0])).values.sum() == 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], "b", ["a"], ["b"]], "row 1 has the label 'b', others have lists"),
        ([["a"], None, ["a"], ["b"]], "row 1 is a training document without label"),
        ([[], [], [], ["b"]], "none of the 3 training documents has a label"),
        ([["a"], ["b"], [], ["a", "d"]], "row 3 .* label 'd', which no training document has"),
    ],
)
def test_labels_that_do_not_work_name_the_row(labels: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_labels(as_array(labels), ALL[:3], ALL[3:])


def test_balanced_weights_give_each_class_the_same_total() -> None:
    one = Targets(("a", "b"), False, np.array([0, 0, 0, 1, 1]))
    weights = class_weights(one, ALL, "balanced")
    assert weights is not None
    assert weights == pytest.approx([4 / 6, 4 / 2])
    several = Targets(("a", "b"), True, np.array([[1, 1], [0, 1], [0, 1], [0, 1]], bool))
    weights = class_weights(several, ALL, "balanced")
    assert weights is not None
    assert weights == pytest.approx([3, 1]), "three lack a; every row has b, so it weighs 1"
    assert class_weights(one, ALL, "none") is None
    named = class_weights(one, ALL, {"b": 2.5})
    assert named is not None
    assert named.tolist() == [1, 2.5]
    with pytest.raises(ValueError, match=r"names 'c', 'd', .* \(those have a, b\)"):
        class_weights(one, ALL, {"d": 1.0, "c": 2.0})


def test_cells_are_split_at_the_separator() -> None:
    column = pa.chunked_array([["x; y;x", " ", None], ["?", ";z "]])
    lists = separated_labels(column, ";", ("?",))
    assert lists.to_pylist() == [["x", "y"], [], [], None, ["z"]]
    given = pa.chunked_array([pa.array([["x"], [], None])])
    assert separated_labels(given, ";").to_pylist() == [["x"], [], None]


@pytest.mark.parametrize("yes", [1, True, 1.0, "1", "TRUE "])
def test_flags_of_any_type_become_labels(yes: object) -> None:
    no = type(yes)(0) if not isinstance(yes, str) else "0"
    table = pa.table({"x": pa.array([yes, no, None]), "y": pa.array([yes, yes, None])})
    assert flagged_labels(table, ["x", "y"], ()).to_pylist() == [["x", "y"], ["y"], None]


def test_flags_that_are_none_name_row_and_column() -> None:
    table = pa.table({"x": ["1", "0", "0"], "y": ["0", "", "-1"]})
    with pytest.raises(ValueError, match="row 3 has '-1' in the label column 'y': write 1"):
        flagged_labels(table, ["x", "y"], ())
    with pytest.raises(ValueError, match="row 2 has nothing in the label column 'y' but"):
        flagged_labels(table, ["x", "y"], ("-1",))
