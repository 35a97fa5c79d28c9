"""The models on tables that can be stored and served, by their bundle: nets and baselines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from scipy.special import expit, logit, softmax

from gradual.sources.errors import SourceError
from gradual.sources.reader import SourceRows
from gradual.sources.spooled import sliced, spooled
from gradual.tabular.baselines import BASELINES, Baseline, Features
from gradual.tabular.model import KIND
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.preprocessing import Preprocessor, TransformReport
from gradual.tabular.targets import Target
from gradual.tabular.trees import Trees, pack_boosting, pack_forest
from gradual.training.bundle import Bundle
from gradual.training.settings import Settings

BASELINE = "tabular_baseline"
BEST = "best"
_VECTORS = "vectors"
# New rows are predicted so many at a time, and the first ones are shown.
_ROWS, _SHOWN = 1 << 16, 20


@dataclass(frozen=True)
class ServingConfig(Settings):
    """Which of the compared models is kept, explained and logged.

    Attributes:
        model: `best` (the best on the validation rows), `net`, or a baseline's name.
    """

    model: str = BEST

    def __post_init__(self) -> None:
        names = (BEST, "net", *BASELINES)
        if self.model not in names:
            raise ValueError(f"model is {self.model!r}: use one of {', '.join(names)}")


def baseline_bundle(baseline: Baseline) -> Bundle:
    """Store a fitted baseline as arrays.

    Returns:
        A bundle that `StoredBaseline.from_bundle` reads. Trees are packed (see
        `gradual.tabular.trees`); a constant is a line without a slope.
    """
    state: dict[str, torch.Tensor] = {}
    form = BASELINES[baseline.name].form
    if form == "lines":
        coefficients, intercept = _lines(baseline)
        state = {
            "coefficients": torch.from_numpy(coefficients),
            "intercept": torch.from_numpy(intercept),
        }
    for number, estimator in enumerate([] if form == "lines" else baseline.estimators):
        pack = pack_forest if form == "forest" else pack_boosting
        state |= {f"{number}.{key}": value for key, value in pack(estimator).state().items()}
    for place, vectors in enumerate(baseline.features.vectors):
        state[f"{_VECTORS}.{place}"] = torch.from_numpy(np.array(vectors))
    preprocessor = baseline.preprocessor
    return Bundle(
        kind=BASELINE,
        config={"name": baseline.name},
        state=state,
        metadata={
            "preprocessor": preprocessor.to_dict(),
            "target": baseline.target.to_dict(),
            **({} if baseline.rounds is None else {"rounds": baseline.rounds}),
        },
        dependencies={"preprocessor": preprocessor.hash},
    )


def _lines(baseline: Baseline) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients `(outputs, columns)` on one-hot codes and numbers, intercepts `(outputs,)`."""
    if baseline.name == "linear":
        each = [(np.atleast_2d(m.coef_), np.atleast_1d(m.intercept_)) for m in baseline.estimators]
        return np.concatenate([c for c, _ in each]), np.concatenate([i for _, i in each])
    target, constant = baseline.target, np.asarray(baseline.constant, np.float64)
    if target.kind == "regression":
        intercept = target.to_model(constant[None])[0].astype(np.float64)
    elif target.kind == "multilabel":
        intercept = logit(constant)
    else:
        intercept = np.log(constant)
        if len(intercept) == 2:
            intercept = intercept[1:] - intercept[:1]
    preprocessor = baseline.preprocessor
    width = sum(preprocessor.cardinalities.values()) + len(preprocessor.continuous)
    return np.zeros((len(intercept), width)), intercept


class StoredBaseline(TableModel):
    """A baseline out of a bundle; it answers as the one that was stored."""

    def __init__(
        self,
        name: str,
        state: dict[str, torch.Tensor],
        preprocessor: Preprocessor,
        target: Target,
    ) -> None:
        super().__init__(preprocessor, target)
        self.name = name
        arrays = {key: tensor.numpy() for key, tensor in state.items()}
        groups: dict[str, dict[str, np.ndarray]] = {}
        for key, array in arrays.items():
            group, _, rest = key.rpartition(".")
            groups.setdefault(group, {})[rest] = array
        self._lines = groups.pop("", {})
        vectors = groups.pop(_VECTORS, {})
        self._features = Features(
            name, preprocessor, [vectors[key] for key in sorted(vectors, key=int)]
        )
        self._trees = [Trees(**groups[key]) for key in sorted(groups, key=int)]

    @classmethod
    def from_bundle(cls, bundle: Bundle) -> StoredBaseline:
        """Rebuild the baseline that `baseline_bundle` stored."""
        return cls(
            bundle.config["name"],
            bundle.state,
            Preprocessor.from_dict(bundle.metadata["preprocessor"]),
            Target.from_dict(bundle.metadata["target"]),
        )

    def predict_encoded(self, encoded: pa.Table) -> np.ndarray:
        """See `TableModel.predict_encoded`."""
        kind = self.target.kind
        outputs = self._outputs(encoded)
        if kind == "regression":
            return self.target.from_model(outputs)
        if BASELINES[self.name].form == "forest":  # shares of no and yes, a pair for each label
            return outputs[:, 1::2] if kind == "multilabel" else outputs
        if kind == "multilabel":
            return expit(outputs)
        if outputs.shape[1] == 1:
            yes = expit(outputs[:, 0])
            return np.stack([1 - yes, yes], axis=1)
        return softmax(outputs, axis=1)

    def _outputs(self, encoded: pa.Table) -> np.ndarray:
        matrix = self._features(encoded)
        if self._lines:
            found: np.ndarray = matrix @ self._lines["coefficients"].T + self._lines["intercept"]
            return found
        return np.concatenate([trees.outputs(matrix) for trees in self._trees], axis=1)


def model_from_bundle(bundle: Bundle) -> TableModel:
    """Rebuild whatever model on a table a bundle holds, on the CPU.

    Raises:
        ValueError: The bundle is of another kind.
    """
    if bundle.kind == BASELINE:
        return StoredBaseline.from_bundle(bundle)
    if bundle.kind == KIND:
        return TabularModel.from_bundle(bundle, device="cpu")
    raise ValueError(
        f"this is a {bundle.kind!r} bundle, not a model on a table ({KIND!r} or {BASELINE!r}): "
        "correct its path in the catalog"
    )


def predict_source(
    model: TableModel, source: SourceRows
) -> tuple[pa.RecordBatchReader, pd.DataFrame, TransformReport]:
    """Predict all rows of a source, some at a time, so that memory does not grow with them.

    Args:
        model: The model.
        source: Raw rows with at least the columns that the model takes.

    Returns:
        For each row ``row`` (its number) and what `TableModel.predict` says, to be read once; the
        first of them; and the counts of gaps and unseen levels.

    Raises:
        SourceError: There are no rows, a column is missing, or a value cannot be used; the message
            names column and row.
    """
    report, shown = TransformReport(), list[pd.DataFrame]()

    def predicted() -> Iterator[pa.Table]:
        for rows in sliced(source.chunks(), _ROWS):
            first = report.rows
            found = model.predict(rows, report=report, first_row=first)
            found.insert(0, "row", np.arange(first, report.rows))
            if not shown:
                shown.append(found.head(_SHOWN))
            yield pa.Table.from_pandas(found, preserve_index=False)
        if report.rows == 0:
            raise SourceError(f"{source.parts[0].name} has no rows to predict: give some")

    predictions = spooled(predicted())
    return predictions, shown[0], report


def json_like(table: pa.Table) -> pd.DataFrame:
    """Raw rows with the types that JSON knows, as whoever asks a served model sends them.

    Numbers become floating ones (a later row may have a gap), dates become ISO texts.
    """
    columns: dict[str, pa.ChunkedArray] = {}
    for name in table.column_names:
        values = table[name]
        kind = values.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            values = values.cast(pa.float64())
        elif not pa.types.is_boolean(kind):
            values = values.cast(pa.string())
        columns[name] = values
    return pa.table(columns).to_pandas()
