"""Models on tables: nets and baselines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.models.model import Model
from gradual.tabular.date_parts import ELAPSED
from gradual.tabular.examples import as_table
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.serving import StoredBaseline
from gradual.training.bundle import Bundle


class _RawRows(Model):
    """A model on raw rows; its answer is that of `gradual.tabular.predict.TableModel.predict`.

    `explain` sets each column to its typical value in the training rows (what fills its gaps; the
    most frequent level; of a date, that of each of its parts), one at a time, and says how far the
    answer moves: `row`, `column`, `value`, `typical` (missing for a date), `output` (the class that
    was chosen, or the target's column), `prediction` (probability or value) and `contribution`,
    positive where the value, instead of the typical one, raises the prediction.
    """

    typed = False
    _column = None
    model: TableModel

    @classmethod
    def requirements(cls, bundle: Bundle) -> set[str]:
        """See `Model.requirements`."""
        return {"tqdm", *({"holidays"} if _has_holidays(bundle) else ())}

    @property
    def example(self) -> pd.DataFrame:
        """One row of typical values."""
        fitted = self.model.preprocessor
        dates = {}
        for name in fitted.config.columns.dates:
            seconds = _typical(fitted, f"{name}_{ELAPSED}")
            day = pd.Timestamp(seconds or 0, unit="s")
            dates[name] = day.date().isoformat()
        names = fitted.config.columns.names
        return pd.DataFrame({n: [dates[n] if n in dates else _typical(fitted, n)] for n in names})

    def _predict(self, frame: pd.DataFrame, **settings: Any) -> pd.DataFrame:
        return self.model.predict(frame, **settings)

    def _explain(self, frame: pd.DataFrame, **_: Any) -> pd.DataFrame:
        fitted, target = self.model.preprocessor, self.model.target
        encoded = fitted.transform(as_table(frame))
        full = self.model.predict_encoded(encoded)
        outputs = np.arange(full.shape[1])[None].repeat(len(full), 0)
        if target.kind not in ("regression", "multilabel"):
            outputs = full.argmax(1)[:, None]
        each = np.arange(len(full))[:, None]
        parts = []
        for name in fitted.config.columns.names:
            moved = full - self.model.predict_encoded(_with_typical(encoded, fitted, name))
            typical = None if name in fitted.config.columns.dates else _typical(fitted, name)
            parts.append(
                pd.DataFrame(
                    {
                        "row": each.repeat(outputs.shape[1], 1).ravel(),
                        "column": name,
                        "value": frame[name].astype(object).repeat(outputs.shape[1]).to_numpy(),
                        "typical": pd.Series([typical] * outputs.size, dtype=object),
                        "output": np.array(target.classes, dtype=object)[outputs].ravel(),
                        "prediction": full[each, outputs].ravel(),
                        "contribution": moved[each, outputs].ravel(),
                    }
                )
            )
        return pd.concat(parts).sort_values("row", kind="stable", ignore_index=True)


def _has_holidays(bundle: Bundle) -> bool:
    parts = bundle.metadata["preprocessor"]["config"].get("date_parts") or {}
    return bool(parts.get("holidays"))


def _typical(fitted: Preprocessor, name: str) -> Any:
    """The typical raw value of a column; None where the training rows had none."""
    for numbers in fitted.continuous_columns:
        if numbers.name == name:
            return numbers.fill
    for levels in fitted.categorical_columns:
        if levels.name == name and levels.levels:
            return levels.levels[int(np.argmax(levels.counts))]
    return None


def _with_typical(encoded: pa.Table, fitted: Preprocessor, name: str) -> pa.Table:
    """The encoded rows with a raw column at its typical value."""
    parts, made = fitted.config.date_parts, {name}
    if name in fitted.config.columns.dates:
        made = {*parts.categorical(name), *parts.continuous(name)}
    values: dict[str, float] = {}
    for levels in fitted.categorical_columns:
        if levels.name in made:
            values[levels.name] = int(np.argmax(levels.counts)) + 1 if levels.counts else 0
    for numbers in fitted.continuous_columns:
        if numbers.name in made:
            values[numbers.name] = float(numbers.scale.apply(np.array([numbers.fill]))[0])
            if numbers.indicator is not None:
                values[numbers.indicator] = 1  # no gap
    for column, value in values.items():
        place = encoded.schema.get_field_index(column)
        same = pa.repeat(pa.scalar(value, encoded.schema.field(place).type), encoded.num_rows)
        encoded = encoded.set_column(place, column, same)
    return encoded


class NetModel(_RawRows):
    """A tabular net."""

    def _build(self) -> None:
        self.model = TabularModel.from_bundle(self.bundle, device=self._device)


class BaselineModel(_RawRows):
    """A baseline on a table: trees, lines, a constant."""

    def _build(self) -> None:
        self.model = StoredBaseline.from_bundle(self.bundle)
