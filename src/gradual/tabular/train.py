"""Training a net on an encoded table, from rows to a bundle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradual.tabular.embeddings import bin_edges
from gradual.tabular.examples import Examples
from gradual.tabular.model import KIND, TabularModelConfig, new_net
from gradual.tabular.task import TabularTask, codes_of, numbers_of
from gradual.tabular.warm_start import EarlierNet
from gradual.training.bundle import Bundle
from gradual.training.engine import CheckpointStore, History, fit
from gradual.training.files import to_json_types
from gradual.training.modules import array_hash, cpu_state, parameters_hash


def tabular_task(
    examples: Examples, config: TabularModelConfig, start: Bundle | None = None
) -> TabularTask:
    """Build what the engine trains (or range-tests); see `train_tabular`."""
    train, valid, preprocessor = examples.train, examples.valid, examples.preprocessor
    if len(train) < 2:
        raise ValueError(f"there are {len(train)} training rows: give at least 2, check the split")
    if min(config.batch_size, len(train)) < 2 and config.net == "mlp":
        raise ValueError("batch_size is 1, over which no batch norm can be taken: use 2 or more")
    target = examples.fitted
    truth = examples.truth(np.concatenate([train, valid]))
    codes = codes_of(examples.encoded, preprocessor.cardinalities)
    numbers = numbers_of(examples.encoded, preprocessor.continuous)
    edges = None
    if config.number_embedding == "piecewise_linear":
        learned = target.to_model(truth[: len(train)])
        classes = target.kind != "regression"
        own = numbers[train].numpy()
        edges = bin_edges(own, config.bins, config.bins_by, learned, classes=classes)
    earlier = None if start is None else EarlierNet.of(start, config, target)
    if earlier is not None and edges is not None:
        edges = earlier.edges(preprocessor, edges)
    net = new_net(
        preprocessor.cardinalities,
        len(preprocessor.continuous),
        target,
        config,
        edges=edges,
        seed=config.training.seed,
    )
    if earlier is not None:
        earlier.fill(net, preprocessor, config, target)
    return TabularTask(net, target, codes, numbers, truth, train, valid, config.batch_size)


def train_tabular(
    examples: Examples,
    config: TabularModelConfig,
    *,
    start: Bundle | None = None,
    store: CheckpointStore | None = None,
    on_epoch: Callable[[dict[str, float], int], None] | None = None,
) -> tuple[Bundle, History]:
    """Train a net on a table.

    Args:
        examples: The rows, their truth and their parts.
        config: Net, batches, phases.
        start: An earlier net to start from, as far as columns and levels are the same; None starts
            from random weights.
        store: Where to keep checkpoints.
        on_epoch: Gets every epoch's figures and number.

    Returns:
        The bundle (kind `tabular`) and the figures by epoch. `bundle.metadata` holds `target`
        and `preprocessor`, as their `to_dict` wrote them, and `epochs`, after how many epochs of
        training its weights were kept.

    Raises:
        ValueError: Rows, columns or targets do not fit; names column, row and remedy.
    """
    task = tabular_task(examples, config, start)
    target = examples.fitted.to_dict()
    dependencies = {
        "preprocessor": examples.preprocessor.hash,
        "rows": task.hash,
        "train_rows": array_hash(examples.train),
        "valid_rows": array_hash(examples.valid),
    }
    if start is not None:
        dependencies["start"] = start.hash
    settings = {**to_json_types(config, identity=True), "training": None}
    history = fit(
        task,
        config.training,
        name=f"tabular net ({config.net})",
        store=store,
        key={"model": settings, "target": target, **dependencies},
        on_epoch=on_epoch,
    )
    bundle = Bundle(
        kind=KIND,
        config=settings,
        state=cpu_state(task.model),
        metadata={
            "target": target,
            "preprocessor": examples.preprocessor.to_dict(),
            "epochs": history.best_epoch or len(history.epochs),
        },
        dependencies={**dependencies, "parameters": parameters_hash(config)},
    )
    return bundle, history
