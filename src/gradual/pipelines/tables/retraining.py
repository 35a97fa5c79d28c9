"""What a retrain has to know of tables: what columns are, and what held-out rows ask and say."""

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gradual.retraining.contract import ColumnKind
from gradual.retraining.judging import Truth, constant_answers
from gradual.tabular.columns import TextConfig, as_levels, as_numbers, column
from gradual.tabular.preprocessing import PreprocessingConfig
from gradual.tabular.rows import RowsConfig
from gradual.tabular.targets import TargetConfig

YES = ("1", "true", "yes")


@dataclass(frozen=True)
class Subject:
    """A table that is retrained; its fields are the groups of parameters that it is made of."""

    model: ClassVar[str] = "model"
    as_text: ClassVar[bool] = False
    allowed_rules: ClassVar[tuple[str, ...]] = ()

    preprocessing: PreprocessingConfig
    target: TargetConfig
    rows: RowsConfig

    @property
    def columns(self) -> dict[str, ColumnKind]:
        """What each column that is used is."""
        given = self.preprocessing.columns
        kinds: dict[str, ColumnKind] = dict.fromkeys(
            [*given.categorical, *given.ordinal], "categorical"
        )
        kinds |= dict.fromkeys(given.continuous, "continuous")
        kinds |= dict.fromkeys(given.dates, "date")
        regression = self.target.kind == "regression"
        return kinds | dict.fromkeys(self.target.columns, "target" if regression else "label")

    @property
    def key(self) -> tuple[str, ...]:
        """Columns that say which row it is, where nobody says: all."""
        return ()

    @property
    def missing(self) -> tuple[str, ...]:
        """Texts that mean that there is no value."""
        return self.preprocessing.text.missing

    def asked(self, rows: pa.Table) -> tuple[pd.DataFrame, Truth]:
        """The questions of rows that have a target, and what the rows say themselves."""
        known = self._known(rows)
        frame = known.select(self.preprocessing.columns.names).to_pandas()
        return frame, self._truth(known)

    def baselines(self, training: pa.Table, asked: pd.DataFrame) -> dict[str, pd.DataFrame]:
        """What needs no model answers, by name."""
        return {"constant": constant_answers(self._truth(self._known(training)), len(asked))}

    def _known(self, rows: pa.Table) -> pa.Table:
        there = pa.array([True] * rows.num_rows)
        for name in self.target.columns:
            there = pc.and_(there, column(rows, name).is_valid())
        return rows.filter(there)

    def _truth(self, rows: pa.Table) -> Truth:
        names, kind = self.target.columns, self.target.kind
        if kind == "regression":
            numbers = {n: as_numbers(column(rows, n), n, TextConfig()) for n in names}
            scale = "regression_log" if self.target.log else "regression"
            return Truth(scale, pd.DataFrame(numbers).to_numpy(), columns=names)
        texts = {name: _texts(rows, name) for name in names}
        if kind != "multilabel":
            return Truth(kind, texts[names[0]])
        given = pd.DataFrame(texts).map(lambda text: str(text).lower() in YES)
        lists = [[name for name in names if row[name]] for row in given.to_dict("records")]
        return Truth(kind, lists)


def _texts(rows: pa.Table, name: str) -> list[str | None]:
    """The levels of a column as models name them."""
    levels = as_levels(column(rows, name), name, TextConfig())
    texts = [*levels.texts.to_pylist(), None]
    return [texts[index] for index in levels.indices]
