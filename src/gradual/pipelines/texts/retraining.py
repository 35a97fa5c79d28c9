"""What a retrain has to know of texts: what columns are, and what held-out rows ask and say."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pyarrow as pa

from gradual.retraining.contract import MISSING, ColumnKind
from gradual.retraining.judging import Truth, constant_answers
from gradual.text.documents import DocumentsConfig, read_test_documents
from gradual.text.tokenizer import TokenizerConfig


@dataclass(frozen=True)
class Subject:
    """Texts that are retrained; its fields are the groups of parameters that it is made of."""

    model: ClassVar[str] = "served"
    missing: ClassVar[tuple[str, ...]] = MISSING
    as_text: ClassVar[bool] = True

    documents: DocumentsConfig
    tokenizer: TokenizerConfig

    @property
    def allowed_rules(self) -> tuple[str, ...]:
        """Rules of its own that the tokenizer of a model may name."""
        return self.tokenizer.all_rules

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """What each column that is used is."""
        kinds: dict[str, ColumnKind] = dict.fromkeys(self.documents.text_columns, "text")
        if self.documents.label_columns:
            return kinds | dict.fromkeys(self.documents.label_columns, "label")
        several = self.documents.label_separator is not None
        name = self.documents.label_column
        return kinds | ({} if name is None else {name: "categorical" if several else "label"})

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that say which row it is, where nobody says: the texts, whatever their labels."""
        return self.documents.text_columns

    def asked(self, rows: pa.Table) -> tuple[pd.DataFrame, Truth]:
        """The questions of rows that have a label, and what the rows say themselves."""
        documents = self._documents(rows)
        return documents[list(self.documents.text_columns)], self._truth(documents)

    def baselines(self, training: pa.Table, asked: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What needs no model answers, by name."""
        truth = self._truth(self._documents(training))
        return {"constant": constant_answers(truth, len(asked))}

    def _documents(self, rows: pa.Table) -> pd.DataFrame:
        frame = read_test_documents(rows, self.documents).to_pandas()
        return frame[frame["part"] != "unlabelled"].reset_index(drop=True)

    def _truth(self, documents: pd.DataFrame) -> Truth:
        labels = documents["label"]
        if self.documents.multi_label:
            return Truth("multilabel", [list(each) for each in labels])
        kind = "binary" if labels.nunique() == 2 else "multiclass"
        return Truth(kind, labels.tolist())
