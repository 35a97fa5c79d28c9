"""Which documents the language model and the classifier learn from, and which are held out."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gradual.sources.errors import SourceError
from gradual.sources.splits import Split, validation_mask
from gradual.text.document_checks import has_lists
from gradual.text.labels import as_array, label_texts


def split_documents(
    documents: pa.Table, language_model: Split | None, classifier: Split
) -> pa.Table:
    """Choose the rows that the language model and the classifier are validated on.

    The language model learns from all texts, test and unlabelled ones included, without their
    labels (Howard & Ruder 2018, section 3.2); the classifier from the labelled training rows,
    and its validation rows come out of those. A classifier split by `rows` counts those only.
    Documents of the part `test` that never had a label can only be there to test the language
    model: it neither learns from them nor is validated on them. Documents that the source itself
    calls `valid` are training documents that a split may name
    (`{method: column, column: part, values: [valid]}`).

    Args:
        documents: The table of `read_documents`.
        language_model: How to choose among all documents; None if no language model is trained on
            them.
        classifier: How to choose among the labelled documents of the part `train`.

    Returns:
        One row a document: `language_model` (if there is a split for it), `train`, `valid` or
        `test`; `classifier`, `train`, `valid`, `test`, or null where there is no label.

    Raises:
        SourceError: A split leaves one side empty, or the classifier without two labels.
    """
    frame = _frame(documents)
    columns = {}
    if language_model is not None:
        held_out = _mask(frame, language_model, "language model")
        for_language_model = np.where(held_out, "valid", "train").astype(object)
        for_language_model[((frame["part"] == "test") & frame["label"].isna()).to_numpy()] = "test"
        columns["language_model"] = pa.array(for_language_model, pa.string())
    labelled = (frame["label"].notna() & frame["part"].isin(["train", "valid"])).to_numpy()
    for_classifier = np.full(len(frame), None, object)
    if labelled.any():
        valid = _mask(frame[labelled].reset_index(drop=True), classifier, "classifier")
        for_classifier[labelled] = np.where(valid, "valid", "train")
        if not has_lists(documents):
            _check_split(frame["label"], for_classifier)
    for_classifier[(frame["label"].notna() & (frame["part"] == "test")).to_numpy()] = "test"
    return pa.table({**columns, "classifier": pa.array(for_classifier, pa.string())})


def learns_from_test_texts(document_splits: pa.Table) -> bool | None:
    """Whether a language model that is trained on these rows reads the classifier's test texts.

    Args:
        document_splits: The table of `split_documents`.

    Returns:
        None if no language model is trained on them.
    """
    if "language_model" not in document_splits.column_names:
        return None
    read = pc.equal(document_splits["language_model"], "train")
    return bool(pc.any(pc.and_(read, pc.equal(document_splits["classifier"], "test"))).as_py())


def _check_split(labels: Any, parts: np.ndarray) -> None:
    """Raise SourceError now where the classifier could not be trained after the language model."""
    trained = set(labels[parts == "train"])
    if len(trained) < 2:
        raise SourceError(
            f"the classifier's split leaves {len(trained)} label in the training rows: choose the "
            "split so that at least two are left, for example with `stratify: label`"
        )
    if lost := set(labels[parts == "valid"]) - trained:
        rows = int((labels == min(lost)).sum())
        raise SourceError(
            f"the classifier's split takes every training row of the label {min(lost)!r} for "
            f"validation (there are {rows} rows of it in all): set `stratify: label` in "
            "classifier_split, give more rows of it, or leave them out"
        )


def _frame(documents: pa.Table) -> Any:
    """The documents as a data frame, several labels as one text, so that splits may go by them."""
    frame = documents.to_pandas()
    if has_lists(documents):
        frame["label"] = label_texts(as_array(documents["label"].to_pylist()))
    return frame


def _mask(frame: Any, split: Split, whose: str) -> np.ndarray:
    try:
        return validation_mask(frame, split)
    except ValueError as error:
        raise SourceError(f"the {whose}'s split: {error}") from error


def draw_test(documents: pa.Table, split: Split) -> pa.Table:
    """Return the documents with test rows drawn from the training rows.

    Raises:
        SourceError: The source has test rows of its own, or the split leaves a side empty.
    """
    frame = _frame(documents)
    if (frame["part"] == "test").any():
        raise SourceError(
            "the source has a test part of its own: leave the setting 'test' out of the documents"
        )
    training = (frame["part"] == "train").to_numpy()
    parts = frame["part"].to_numpy(object).copy()
    drawn = _mask(frame[training].reset_index(drop=True), split, "documents' test")
    parts[training] = np.where(drawn, "test", "train")
    place = documents.schema.get_field_index("part")
    return documents.set_column(place, "part", pa.array(parts, pa.string()))
