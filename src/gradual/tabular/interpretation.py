"""What a model on a table has learned: which columns it needs, and what their values do.

Everything here sees the model as a function from raw rows to predictions, so that nets, trees and
lines are asked the same questions in the same units.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.decomposition import PCA

from gradual.tabular.categorify import MISSING
from gradual.tabular.examples import Examples
from gradual.tabular.metrics import row_losses
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.targets import Target
from gradual.training.settings import Settings

Predict = Callable[[pa.Table], np.ndarray]
"""Raw rows to predictions ``(n, outputs)``: probabilities, or values of the target."""


@dataclass(frozen=True)
class InterpretationConfig(Settings):
    """How closely a model is looked at; more rows and repeats take longer and vary less.

    Attributes:
        importance_rows: Held-out rows whose columns are shuffled, at most.
        repeats: Shuffles of each column.
        dependence_rows: Held-out rows that partial dependence averages over, at most.
        dependence_columns: Columns whose partial dependence is drawn, the most important ones.
        points: Values of each column, at most.
        worst_rows: Most wrong rows to show.
        seed: Chooses rows and shuffles.
    """

    importance_rows: int = 2000
    repeats: int = 5
    dependence_rows: int = 400
    dependence_columns: int = 9
    points: int = 12
    worst_rows: int = 15
    seed: int = 42

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "seed" and value < 1:
                raise ValueError(f"{name} is {value}: use 1 or more")


def interpret(
    model: TableModel, table: pa.Table, rows: np.ndarray, settings: InterpretationConfig
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find out which columns a model needs, and what the values of those do.

    Args:
        model: Any model on a table.
        table: All raw rows.
        rows: Numbers of rows that it was not trained on.
        settings: How many rows, columns and shuffles.

    Returns:
        See `permutation_importance`, and `partial_dependence` of the most important columns.
    """
    target, own = model.target, model.preprocessor.config.columns

    def predict(rows: pa.Table) -> np.ndarray:
        return model.predict_encoded(model.preprocessor.transform(rows))

    asked = _sample(rows, settings.importance_rows, settings.seed)
    truth = target.encode(table, asked)
    importance = permutation_importance(
        table.take(asked),
        own.names,
        predict,
        lambda found: float(row_losses(target, found, truth).mean()),
        repeats=settings.repeats,
        seed=settings.seed,
    )
    outputs = {name: number for number, name in enumerate(target.classes)}
    if target.kind == "binary":
        outputs.pop(target.classes[0])
    dependence = partial_dependence(
        table.take(_sample(rows, settings.dependence_rows, settings.seed)),
        importance["column"].tolist()[: settings.dependence_columns],
        predict,
        outputs,
        levels=[*own.categorical, *own.ordinal],
        points=settings.points,
    )
    return importance, dependence


def _sample(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def permutation_importance(
    table: pa.Table,
    columns: Sequence[str],
    predict: Predict,
    loss: Callable[[np.ndarray], float],
    *,
    repeats: int = 5,
    seed: int = 42,
) -> pd.DataFrame:
    """Measure how much worse the predictions get when a column's values change places.

    The column keeps its values but loses its connection with the rows (Breiman 2001, "Random
    forests", section 10). Of two columns that say the same, each covers for the other: both may
    look unimportant.

    Args:
        table: Raw rows that the model was not trained on.
        columns: Which of its columns to ask about; a column whose gaps matter is one question,
            gaps included.
        predict: The model.
        loss: Mean loss of predictions ``(n, outputs)`` for the table's rows, in their order; lower
            is better.
        repeats: Permutations of each column.
        seed: Chooses the permutations.

    Returns:
        A row for each column, the most important first: ``column``, ``importance`` (mean rise of
        the loss), ``deviation`` (standard deviation of the rise over the repeats), ``low`` and
        ``high`` (lowest and highest rise), ``loss`` (without any permutation), ``rows``,
        ``repeats``.

    Raises:
        ValueError: There are no rows, or fewer than one repeat.
    """
    if table.num_rows == 0:
        raise ValueError("table: no rows to permute; check the split that chose them.")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}: use 1 or more.")
    base = loss(predict(table))
    generator = np.random.default_rng(seed)
    orders = [generator.permutation(table.num_rows) for _ in range(repeats)]
    rows = []
    for name in columns:
        place = table.schema.get_field_index(name)
        shuffled = (
            table.set_column(place, table.schema.field(place), table[name].take(order))
            for order in orders
        )
        rises = np.array([loss(predict(one)) for one in shuffled]) - base
        rows.append(
            {
                "column": name,
                "importance": rises.mean(),
                "deviation": rises.std(ddof=1) if repeats > 1 else np.nan,
                "low": rises.min(),
                "high": rises.max(),
                "loss": base,
                "rows": table.num_rows,
                "repeats": repeats,
            }
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


def partial_dependence(
    table: pa.Table,
    columns: Sequence[str],
    predict: Predict,
    outputs: Mapping[str, int],
    *,
    levels: Collection[str] = (),
    points: int = 15,
) -> pd.DataFrame:
    """Predict all rows with one column set to a value, for each of its values in turn.

    The mean over the rows is Friedman's partial dependence (2001, "Greedy function approximation",
    section 8.2), the quartiles show how much the single rows differ (Goldstein et al. 2015,
    "Peeking inside the black box"). Where columns go together, a set value may make rows that
    cannot exist.

    Args:
        table: Raw rows, some hundreds of them.
        columns: Numeric columns are set to their quantiles, texts and truth values to their most
            frequent values; other columns (times) are left out.
        predict: The model.
        outputs: Name and column of those predictions that are wanted.
        levels: Columns whose numbers are levels, too: set to their most frequent ones.
        points: Values of each column, at most.

    Returns:
        A row for each value and output: ``column``, ``numeric``, ``value`` (text), ``number`` (NaN
        unless numeric), ``rows`` (how many of the table's rows hold the value; for a number, how
        many lie nearest to it), ``output``, ``mean``, ``low`` and ``high`` (quartiles over rows).
    """
    parts = []
    for name in columns:
        kind = table.schema.field(name).type
        numeric = name not in levels and (pa.types.is_integer(kind) or pa.types.is_floating(kind))
        if pa.types.is_temporal(kind):
            continue
        present = table[name].drop_null()
        if len(present) == 0:
            continue
        values, counts = _quantiles(present, points) if numeric else _frequent(present, points)
        n = table.num_rows
        repeated = pa.concat_tables([table] * len(values))
        column = values.take(np.repeat(np.arange(len(values)), n))
        place = table.schema.get_field_index(name)
        field = pa.field(name, column.type)
        predictions = predict(repeated.set_column(place, field, column))
        predictions = predictions.reshape(len(values), n, -1)
        for output, number in outputs.items():
            asked = predictions[:, :, number]
            low, high = np.quantile(asked, [0.25, 0.75], axis=1)
            parts.append(
                pd.DataFrame(
                    {
                        "column": name,
                        "numeric": numeric,
                        "value": [str(value) for value in values.to_pylist()],
                        "number": values.to_numpy(zero_copy_only=False).astype(float)
                        if numeric
                        else np.nan,
                        "rows": counts,
                        "output": output,
                        "mean": asked.mean(axis=1),
                        "low": low,
                        "high": high,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _quantiles(column: pa.ChunkedArray, points: int) -> tuple[pa.Array, np.ndarray]:
    """Values of a numeric column at equal steps of rank, and how many values are nearest."""
    numbers = column.to_numpy()
    grid = np.unique(np.quantile(numbers, np.linspace(0.01, 0.99, points), method="nearest"))
    nearest = np.searchsorted((grid[1:] + grid[:-1]) / 2, numbers)
    counts = np.bincount(nearest, minlength=len(grid))
    return pa.array(grid, column.type), counts


def _frequent(column: pa.ChunkedArray, points: int) -> tuple[pa.Array, np.ndarray]:
    """Most frequent values of a column of texts, and their counts."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    counted = pc.value_counts(column.combine_chunks())
    values, counts = counted.field("values"), counted.field("counts").to_numpy()
    order = np.argsort(-counts, kind="stable")[:points]
    return values.take(order), counts[order]


def principal_plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay vectors into the plane in which they differ most (principal components).

    Args:
        vectors: ``(n, d)``.

    Returns:
        ``(n, 2)`` coordinates (the second is zero where d is 1), and ``(2,)`` the share of the
        variance along each axis.
    """
    coordinates, shares = np.zeros((len(vectors), 2)), np.zeros(2)
    if len(vectors) > 1 and np.ptp(vectors, axis=0).any():
        kept = min(2, *vectors.shape)
        pca = PCA(kept, svd_solver="full").fit(np.asarray(vectors, np.float64))
        coordinates[:, :kept] = pca.transform(vectors)
        shares[:kept] = pca.explained_variance_ratio_
    return coordinates, shares


def embedding_table(model: TabularModel, examples: Examples) -> pd.DataFrame:
    """Put a net's learned vectors into a table for other models and for a figure.

    Args:
        model: The net.
        examples: What it was trained with.

    Returns:
        A row for each level: ``column``, ``code``, ``level``, ``rows`` (training rows), ``vector``,
        ``x`` and ``y`` (see `principal_plane`), ``x_share`` and ``y_share`` of the variance, and
        ``target``, the mean of `embedding_target` over the level's training rows, NaN where there
        is none.
    """
    target, train = model.target, examples.train
    values = None
    if embedding_target(target) is not None:
        values = np.asarray(examples.truth(train), np.float64).reshape(len(train))
    parts = []
    for name, matrix in model.embeddings().items():
        codes = examples.encoded[name].to_numpy()[train]
        plane, shares = principal_plane(matrix)
        n = len(matrix)
        rows = np.bincount(codes, minlength=n)
        total = np.full(n, np.nan) if values is None else np.bincount(codes, values, minlength=n)
        parts.append(
            pd.DataFrame(
                {
                    "column": name,
                    "code": np.arange(n),
                    "level": [MISSING, *map(str, model.preprocessor.levels(name))],
                    "rows": rows,
                    "vector": list(np.asarray(matrix, np.float32)),
                    "x": plane[:, 0],
                    "y": plane[:, 1],
                    "x_share": shares[0],
                    "y_share": shares[1],
                    "target": np.divide(total, rows, out=np.full(n, np.nan), where=rows > 0),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def embedding_target(target: Target) -> str | None:
    """What of a target one number for each level says, None if there is no such."""
    if target.kind == "binary":
        return f"share of {target.classes[1]}"
    if target.kind == "regression" and target.outputs == 1:
        return f"mean {target.classes[0]}"
    return None
