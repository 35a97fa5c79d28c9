"""Train the net and what stands beside it on the same rows, and let them answer for others."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.tabular.baselines import Baseline, BaselinesConfig, fit_baseline
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.preprocessing import Preprocessor
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import row_numbers, train_tabular
from gradual.training.bundle import Bundle


@dataclass(frozen=True)
class ContestConfig:
    """Who takes part.

    Attributes:
        baselines: What is fitted beside the net.
        seeds: Each model is trained once with each; the first is the seed of the net that is kept.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    baselines: BaselinesConfig = field(default_factory=BaselinesConfig)
    seeds: tuple[int, ...] = (42,)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds is {list(self.seeds)}: give at least one, each once")


@dataclass(frozen=True)
class ModelRun:
    """One trained model's answers for the rows that are scored.

    Attributes:
        model: Its name: the net's, or the baseline's.
        seed: What it was trained with.
        prediction: `(n, outputs)`; see `TableModel.predict_encoded`.
        fit_seconds: What training took.
        predict_seconds: What predicting all these rows took.
        fitted: The model itself.
    """

    model: str
    seed: int
    prediction: np.ndarray
    fit_seconds: float
    predict_seconds: float
    fitted: TableModel


def run_contest(
    encoded: pa.Table,
    targets: pa.Table | pd.DataFrame,
    train_rows: np.ndarray,
    valid_rows: np.ndarray,
    scored_rows: np.ndarray,
    preprocessor: Preprocessor,
    target: TargetConfig,
    nets: Mapping[str, TabularModelConfig],
    config: ContestConfig,
    *,
    trained: Mapping[str, Bundle] | None = None,
    trained_seconds: Mapping[str, float] | None = None,
) -> Iterator[ModelRun]:
    """Train every model with every seed and let it predict.

    Args:
        encoded: What `preprocessor.transform` gave, all rows.
        targets: Raw values of the target's columns, the same rows.
        train_rows: Rows to learn from, mask or numbers.
        valid_rows: Rows for early stopping, mask or numbers.
        scored_rows: Rows to predict, mask or numbers; no model learns from them.
        preprocessor: Fitted on the training rows.
        target: What to predict.
        nets: Nets by name. The last one's embeddings feed `boosting_on_embeddings`.
        config: The other models, and the seeds.
        trained: Nets that are there already, by name, for the first seed.
        trained_seconds: What training those took.

    Yields:
        A run at a time, seed by seed: the nets, then the baselines in their order.
    """
    scored = encoded.take(row_numbers(scored_rows, encoded.num_rows, "scored_rows"))
    for seed in config.seeds:
        net: TabularModel | None = None
        for name, settings in nets.items():
            bundle = (trained or {}).get(name) if seed == config.seeds[0] else None
            seconds = (trained_seconds or {}).get(name, 0.0)
            if bundle is None:
                own = dataclasses.replace(
                    settings, training=dataclasses.replace(settings.training, seed=seed)
                )
                started = time.perf_counter()
                bundle, _ = train_tabular(
                    encoded, targets, train_rows, valid_rows, preprocessor, target, own
                )
                seconds = time.perf_counter() - started
            net = TabularModel.from_bundle(bundle)
            yield _run(name, seed, net, seconds, scored)
        for baseline in config.baselines.models:
            fitted: Baseline = fit_baseline(
                baseline,
                encoded,
                targets,
                train_rows,
                valid_rows,
                preprocessor,
                target,
                config.baselines,
                seed=seed,
                net=net,
            )
            yield _run(baseline, seed, fitted, fitted.seconds, scored)


def _run(name: str, seed: int, model: TableModel, seconds: float, scored: pa.Table) -> ModelRun:
    started = time.perf_counter()
    prediction = model.predict_encoded(scored)
    return ModelRun(name, seed, prediction, seconds, time.perf_counter() - started, model)
