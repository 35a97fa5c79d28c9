"""Models that answer for raw rows: the preprocessor's job included, no labels needed."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.tabular.examples import as_table
from gradual.tabular.model import KIND, TabularNet, net_from_bundle
from gradual.tabular.preprocessing import Preprocessor, TransformReport
from gradual.tabular.targets import Target
from gradual.tabular.task import codes_of, numbers_of, predict
from gradual.training.bundle import Bundle
from gradual.training.config import Precision
from gradual.training.device import resolve_device
from gradual.training.modules import check_kind, inference


class TableModel(ABC):
    """Anything that predicts a target from the rows of a table.

    Args:
        preprocessor: Turns raw rows into what the model reads.
        target: What the model predicts.
    """

    def __init__(self, preprocessor: Preprocessor, target: Target) -> None:
        self.preprocessor, self.target = preprocessor, target

    @abstractmethod
    def predict_encoded(self, encoded: pa.Table) -> np.ndarray:
        """Predict preprocessed rows.

        Args:
            encoded: What `preprocessor.transform` gave.

        Returns:
            `(n, outputs)`: probabilities in the order of `target.classes`, or values in the
            target's unit (`regression`).
        """

    def predict(
        self,
        frame: pd.DataFrame | pa.Table,
        *,
        report: TransformReport | None = None,
        first_row: int = 0,
    ) -> pd.DataFrame:
        """Predict raw rows.

        Args:
            frame: At least the columns that the preprocessor was fitted on.
            report: Counts unseen levels and filled gaps.
            first_row: Number of the first row, for messages.

        Returns:
            A row for each, in order. Classes: `label`, and `probability_<class>` for each class.
            `multilabel`: `<column>` (bool) and `probability_<column>` for each column.
            `regression`: `predicted_<column>` for each column.

        Raises:
            ValueError: A column is missing, or a value is of no use; names column and row.
        """
        encoded = self.preprocessor.transform(as_table(frame), report=report, first_row=first_row)
        return prediction_frame(self.target, self.predict_encoded(encoded))


def prediction_frame(target: Target, found: np.ndarray) -> pd.DataFrame:
    """Predictions `(n, outputs)` as a table; see `TableModel.predict`."""
    names = target.classes
    if target.kind == "regression":
        return pd.DataFrame({f"predicted_{n}": found[:, i] for i, n in enumerate(names)})
    columns: dict[str, object] = {}
    if target.kind == "multilabel":
        columns.update({name: found[:, i] > 0.5 for i, name in enumerate(names)})
    else:
        chosen = np.array(names, dtype=object)[found.argmax(1)]
        columns["label"] = pd.array(chosen, dtype="str")
    columns.update({f"probability_{name}": found[:, i] for i, name in enumerate(names)})
    return pd.DataFrame(columns)


class TabularModel(TableModel):
    """A trained net that reads raw rows.

    Args:
        net: In any mode, on the device to use.
        preprocessor: The one it was trained with.
        target: What it predicts.
        precision: "auto", "float32" or "bfloat16".
    """

    def __init__(
        self,
        net: TabularNet,
        preprocessor: Preprocessor,
        target: Target,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(preprocessor, target)
        self.net, self._precision = net, precision

    @classmethod
    def from_bundle(
        cls, bundle: Bundle, *, device: str = "auto", precision: Precision = "float32"
    ) -> TabularModel:
        """Rebuild a net.

        Raises:
            ValueError: The bundle is of another kind, or its parts do not fit each other.
        """
        check_kind(bundle, KIND)
        preprocessor = Preprocessor.from_dict(bundle.metadata["preprocessor"])
        target = Target.from_dict(bundle.metadata["target"])
        count = len(preprocessor.continuous)
        net = net_from_bundle(bundle, preprocessor.cardinalities, count, target)
        return cls(net.to(resolve_device(device)), preprocessor, target, precision)

    def predict_encoded(self, encoded: pa.Table) -> np.ndarray:
        """See `TableModel.predict_encoded`."""
        codes = codes_of(encoded, self.preprocessor.cardinalities)
        numbers = numbers_of(encoded, self.preprocessor.continuous)
        with inference(self.net, self._precision) as device:
            return predict(self.net, self.target, codes.to(device), numbers.to(device))

    def embeddings(self) -> dict[str, np.ndarray]:
        """The learned embedding of each categorical column, `(codes, size)`, `#na#` first."""
        levels = self.net.levels
        if levels is None:
            return {}
        return {
            name: levels.table(place).detach().cpu().numpy()
            for place, name in enumerate(self.preprocessor.categorical)
        }
