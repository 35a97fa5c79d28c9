"""Several classifiers that answer as one: the mean of their probabilities.

Source: Howard and Ruder 2018, arXiv 1801.06146, section 5 (bidirectional language model): a forward
and a backward classifier, averaged, err less than either.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd

from gradual.text.bundles import joined
from gradual.text.classifier import Seen, TextClassifier, label_answers
from gradual.training.bundle import Bundle
from gradual.training.config import Precision

KIND = "text_ensemble"


def check_members(bundles: Sequence[Bundle]) -> None:
    """Raise ValueError unless the classifiers have the same labels and text columns, in order."""
    if not bundles:
        raise ValueError("an ensemble of no classifiers has no answer: give at least one bundle")
    if any(bundle.metadata.get("multi_label") for bundle in bundles):
        raise ValueError(
            "an ensemble's classifiers give one label a document, and one of these gives several: "
            "use each by itself"
        )
    labels = [bundle.metadata.get("labels") for bundle in bundles]
    for number, other in enumerate(labels[1:], start=2):
        if other != labels[0]:
            raise ValueError(
                f"classifier 1 of the ensemble has the labels {labels[0]}, classifier {number} has "
                f"{other}: train both on the same labels"
            )
    columns = [bundle.metadata.get("text_columns") for bundle in bundles]
    for number, other in enumerate(columns[1:], start=2):
        if other != columns[0]:
            raise ValueError(
                f"classifier 1 of the ensemble reads the columns {columns[0]}, classifier {number} "
                f"{other}: train both on the same text columns"
            )


def ensemble_bundle(members: Sequence[Bundle]) -> Bundle:
    """Store classifiers as one bundle of kind ``text_ensemble``.

    Raises:
        ValueError: Their labels or text columns differ.
    """
    check_members(members)
    return joined(KIND, members)


class TextEnsemble:
    """Trained classifiers that read raw text, each in its own direction, and answer as one.

    Args:
        members: The classifiers; same labels, same order.
    """

    def __init__(self, members: Sequence[TextClassifier]) -> None:
        self.members = tuple(members)
        self.labels, self.text_columns = members[0].labels, members[0].text_columns

    @classmethod
    def from_bundles(
        cls,
        bundles: Sequence[Bundle],
        *,
        device: str = "auto",
        precision: Precision = "auto",
        allowed_rules: Collection[str] = (),
    ) -> TextEnsemble:
        """Rebuild the classifiers; arguments as for `TextClassifier.from_bundle`.

        Raises:
            ValueError: Their labels differ, or one is no classifier that can read raw text.
        """
        check_members(bundles)
        return cls(
            [
                TextClassifier.from_bundle(
                    bundle, device=device, precision=precision, allowed_rules=allowed_rules
                )
                for bundle in bundles
            ]
        )

    def predict(
        self,
        texts: Sequence[str] | pd.DataFrame,
        *,
        batch_size: int = 64,
        seen: Seen | None = None,
    ) -> pd.DataFrame:
        """Classify texts.

        Args:
            texts: Raw texts, none of them blank, or a frame with the text columns.
            batch_size: Documents read side by side.
            seen: Counts the tokens, as the first member reads them.

        Returns:
            One row a text, in order: `label`, and `probability_<label>` for every label.

        Raises:
            ValueError: A text is no string or blank; the message names its row.
        """
        labels = self.labels
        columns = [f"probability_{label}" for label in labels]
        answers = [
            member.predict(texts, batch_size=batch_size, seen=None if number else seen)
            for number, member in enumerate(self.members)
        ]
        mean = np.mean([answer[columns].to_numpy(np.float64) for answer in answers], axis=0)
        return label_answers(mean, labels, {})
