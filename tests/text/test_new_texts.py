"""Texts without labels in, labels and probabilities out, row by row."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from gradual.text import new_texts
from gradual.text.classifier import TextClassifier


class Words(TextClassifier):
    """Answers by the words, so that every answer is known."""

    def __init__(self, multi_label: bool = False) -> None:
        self.labels, self.text_columns = ("bad", "good"), ("title", "text")
        self.multi_label = multi_label

    def predict(self, texts, *, batch_size=64, seen=None) -> pd.DataFrame:
        joined = texts["title"] + " " + texts["text"]
        if seen is not None:
            seen.tokens += int(joined.str.split().str.len().sum())
            seen.unknown += int(joined.str.count("zzz").sum())
        good = np.where(joined.str.contains("fine"), 0.9, 0.2)
        labels = pd.Series(np.where(good > 0.5, "good", "bad")).mask(
            joined.str.contains("hm").to_numpy()
        )
        if self.multi_label:
            labels = pd.Series([["good"] if g > 0.5 else [] for g in good], dtype=object)
        return pd.DataFrame(
            {"label": labels, "probability_bad": 1 - good, "probability_good": good}
        )


CHUNKS = [
    pa.table({"id": [7, 8], "text": ["fine <b>", None], "title": ["A", " "]}),
    pa.table(
        {
            "id": [9, 10],
            "text": pa.array(["dull zzz", "hm"]).dictionary_encode(),
            "title": [None, ""],
        }
    ),
]


def test_rows_keep_their_places_over_chunks_and_blank_ones_get_no_label() -> None:
    reader, counts, page = new_texts.classify(CHUNKS, Words())
    answers = reader.read_pandas()
    assert answers["row"].tolist() == [1, 2, 3, 4]
    assert answers["label"].fillna("none").tolist() == ["good", "none", "bad", "none"]
    assert answers["probability_good"].isna().tolist() == [False, True, False, False]
    assert counts == {
        "rows": 4, "blank": 1, "cannot_tell": 1, "labels": {"bad": 1, "good": 1},
        "tokens": 6, "unknown_token_share": 1 / 6,
    }  # fmt: skip
    assert "3 of 4 rows classified; 1 blank; 1 without an answer" in page
    assert "fine &lt;b&gt;" in page


def test_several_labels_are_counted_one_by_one() -> None:
    reader, counts, _ = new_texts.classify(CHUNKS, Words(multi_label=True))
    assert reader.read_all()["label"].to_pylist() == [["good"], None, [], []]
    assert counts["labels"] == {"bad": 0, "good": 1}
    assert counts["cannot_tell"] == 0


def test_texts_of_another_kind_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    new_texts.classify([pa.table({"title": ["zzz zzz"], "text": [""]})], Words())
    assert "100 % of the tokens are unknown" in caplog.text


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ([], "holds no row"),
        ([pa.table({"text": ["a"]})], "no column 'title', only 'text': the classifier reads"),
        ([pa.table({"title": [1], "text": ["a"]})], "'title' of new_rows holds int64, no texts"),
    ],
)
def test_files_that_cannot_be_classified_are_errors(chunks, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        new_texts.classify(chunks, Words())


def test_a_column_without_any_text_is_blank() -> None:
    table = pa.table({"title": pa.nulls(2), "text": pa.nulls(2)})
    reader, counts, _ = new_texts.classify([table], Words())
    answers = reader.read_pandas()
    assert answers.isna().any(axis=1).all()
    assert counts["blank"] == 2
