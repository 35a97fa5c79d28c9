"""Training a net on an encoded table, from rows to a bundle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.tabular.embeddings import bin_edges
from gradual.tabular.model import TabularModelConfig, new_net
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.targets import Target, TargetConfig, fit_target
from gradual.tabular.task import TabularTask, codes_of, numbers_of
from gradual.training.bundle import Bundle
from gradual.training.engine import CheckpointStore, History, fit
from gradual.training.files import plain
from gradual.training.modules import array_hash, cpu_state, parameters_hash

KIND = "tabular"


def row_numbers(rows: np.ndarray, count: int, name: str) -> np.ndarray:
    """Return chosen rows as int64 numbers.

    Args:
        rows: Boolean mask `(count,)`, or row numbers.
        count: Rows of the table.
        name: What to call the argument in messages.

    Raises:
        ValueError: The mask's length or a number does not fit the table.
    """
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (count,):
            raise ValueError(
                f"{name} has shape {rows.shape} but the table has {count} rows: give one bool per "
                "row"
            )
        return np.flatnonzero(rows)
    numbers = rows.astype(np.int64)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= count))
    if len(wrong):
        raise ValueError(
            f"{name}[{wrong[0]}] is {numbers[wrong[0]]}, but the table has rows 0 to {count - 1}: "
            "choose among those"
        )
    return numbers


def tabular_task(
    encoded: pa.Table,
    targets: pa.Table | pd.DataFrame,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    preprocessor: Preprocessor,
    target: TargetConfig,
    config: TabularModelConfig,
) -> tuple[TabularTask, Target]:
    """Build what the engine trains (or range-tests); arguments as for `train_tabular`.

    Returns:
        The task, and the target fitted on the training rows.
    """
    count = encoded.num_rows
    targets = as_table(targets)
    if targets.num_rows != count:
        raise ValueError(
            f"there are {targets.num_rows} rows of targets for {count} encoded rows: give both of "
            "the same table"
        )
    train = row_numbers(train_rows, count, "train_rows")
    valid = row_numbers(valid_rows, count, "valid_rows")
    if len(train) < 2:
        raise ValueError(f"there are {len(train)} training rows: give at least 2, check the split")
    if min(config.batch_size, len(train)) < 2 and config.net == "mlp":
        raise ValueError("batch_size is 1, over which no batch norm can be taken: use 2 or more")
    fitted = fit_target(targets, train, target)
    truth = fitted.encode(targets, np.concatenate([train, valid]))
    codes = codes_of(encoded, preprocessor.cardinalities)
    numbers = numbers_of(encoded, preprocessor.continuous)
    edges = None
    if config.number_embedding == "piecewise_linear":
        learned = fitted.to_model(truth[: len(train)])
        classes = fitted.kind != "regression"
        own = numbers[train].numpy()
        edges = bin_edges(own, config.bins, config.bins_by, learned, classes=classes)
    net = new_net(
        preprocessor.cardinalities,
        len(preprocessor.continuous),
        fitted,
        config,
        edges=edges,
        seed=config.training.seed,
    )
    task = TabularTask(net, fitted, codes, numbers, truth, train, valid, config.batch_size)
    return task, fitted


def train_tabular(
    encoded: pa.Table,
    targets: pa.Table | pd.DataFrame,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    preprocessor: Preprocessor,
    target: TargetConfig,
    config: TabularModelConfig,
    *,
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a net on a table.

    Args:
        encoded: What `preprocessor.transform` gave, all rows; further columns are not looked at.
        targets: Raw values of the target's columns, the same rows.
        train_rows: Rows to learn from, mask or numbers.
        valid_rows: Rows to judge every epoch on, mask or numbers; may be none without early
            stopping.
        preprocessor: Fitted on the training rows; kept in the bundle.
        target: What to predict.
        config: Net, batches, phases.
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle (kind `tabular`) and the figures by epoch. `bundle.metadata` holds `target`
        and `preprocessor`, as their `to_dict` wrote them.

    Raises:
        ValueError: Rows, columns or targets do not fit; names column, row and remedy.
    """
    task, fitted = tabular_task(
        encoded, targets, train_rows, valid_rows, preprocessor, target, config
    )
    train = row_numbers(train_rows, encoded.num_rows, "train_rows")
    valid = row_numbers(valid_rows, encoded.num_rows, "valid_rows")
    dependencies = {
        "preprocessor": preprocessor.hash,
        "rows": task.hash,
        "train_rows": array_hash(train),
        "valid_rows": array_hash(valid),
    }
    settings = {**plain(config), "training": None}
    history = fit(
        task,
        config.training,
        name=f"tabular net ({config.net})",
        store=store,
        key={"model": settings, "target": fitted.to_dict(), **dependencies},
        on_epoch=on_epoch,
    )
    bundle = Bundle(
        kind=KIND,
        config=settings,
        state=cpu_state(task.model),
        metadata={"target": fitted.to_dict(), "preprocessor": preprocessor.to_dict()},
        dependencies={**dependencies, "parameters": parameters_hash(config)},
    )
    return bundle, history


def as_table(frame: pa.Table | pd.DataFrame) -> pa.Table:
    """A pandas or Arrow table as an Arrow table, without an index.

    A pandas column that mixes types is read as texts, so that the preprocessor can name the row
    that does not fit.
    """
    if isinstance(frame, pa.Table):
        return frame
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        texts = frame.copy()
        for name in [name for name, kind in frame.dtypes.items() if kind.kind == "O"]:
            texts[name] = frame[name].map(str, na_action="ignore")
        return pa.Table.from_pandas(texts, preserve_index=False)
