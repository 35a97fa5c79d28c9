"""Train the net and its baselines on the same rows, and have all of them predict others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import sklearn
import torch

from gradual.tabular.baselines import BASELINES, BaselinesConfig, fit_baseline
from gradual.tabular.examples import Examples
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TableModel, TabularModel
from gradual.tabular.serving import baseline_bundle
from gradual.tabular.task import codes_of, numbers_of
from gradual.tabular.train import train_tabular
from gradual.training.bundle import Bundle, BundleStore
from gradual.training.files import to_json_types
from gradual.training.modules import array_hash
from gradual.training.settings import Settings

_RUN = "table_run"


@dataclass(frozen=True)
class ContestConfig(Settings):
    """Which models take part, and with which seeds.

    Attributes:
        baselines: What is fitted beside the net.
        seeds: Each model is trained once with each; the first is the seed of the net that is kept.
    """

    baselines: BaselinesConfig = field(default_factory=BaselinesConfig)
    seeds: tuple[int, ...] = (42,)

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds is {list(self.seeds)}: give at least one, each once")


@dataclass(frozen=True)
class ModelRun:
    """One trained model and its answers for the rows that are scored.

    Attributes:
        model: Its name: the net's, or the baseline's.
        seed: What it was trained with.
        bundle: The model itself.
        prediction: `(n, outputs)`; see `TableModel.predict_encoded`.
        fit_seconds: What training took.
        predict_seconds: What predicting all these rows took.
    """

    model: str
    seed: int
    bundle: Bundle
    prediction: np.ndarray
    fit_seconds: float
    predict_seconds: float


def run_contest(
    examples: Examples,
    nets: Mapping[str, TabularModelConfig],
    config: ContestConfig,
    *,
    trained: Mapping[str, tuple[Bundle, float]] | None = None,
    start: Bundle | None = None,
    store: BundleStore | None = None,
    predicted: np.ndarray | None = None,
) -> Iterator[ModelRun]:
    """Train every model with every seed and let it predict.

    Args:
        examples: The rows to learn from.
        nets: Nets by name. The last one's embeddings feed `boosting_on_embeddings`.
        config: The other models, and the seeds.
        trained: Nets that are there already, by name, for the first seed, and the seconds that
            training them took.
        start: What nets start from; see `train_tabular`.
        store: Keeps the runs: one of which nothing has changed is not made again.
        predicted: Numbers of the rows to predict; by default those that `examples` say.

    Yields:
        A run at a time, seed by seed: the nets, then the baselines in their order.
    """
    rows = examples.predicted if predicted is None else predicted
    scored = examples.encoded.take(rows)
    made_from = {"examples": examples.hash, "scored": _rows_hash(examples, scored), **_versions()}
    begun = {} if start is None else {"start": start.hash}
    for seed in config.seeds:
        for name, settings in nets.items():
            if seed == config.seeds[0] and name in (trained or {}):
                bundle, seconds = (trained or {})[name]
                net = _run(name, seed, bundle, TabularModel.from_bundle(bundle), seconds, scored)
            else:
                own = replace(settings, training=replace(settings.training, seed=seed))
                key = {"settings": to_json_types(own, identity=True), **made_from, **begun}
                make = partial(_net, name, own, examples, scored, start)
                net = _kept(store, name, seed, key, make)
            yield net
        for baseline in config.baselines.models:
            key = {
                "settings": {
                    name: getattr(config.baselines, name) for name in BASELINES[baseline].settings
                },
                "net": net.bundle.hash if baseline == "boosting_on_embeddings" else None,
                **made_from,
            }
            make = partial(
                _baseline, baseline, config.baselines, seed, net.bundle, examples, scored
            )
            yield _kept(store, baseline, seed, key, make)


def refit(
    examples: Examples,
    table: pa.Table,
    chosen: ModelRun,
    net: Bundle,
    net_config: TabularModelConfig,
    config: ContestConfig,
    store: BundleStore | None = None,
    start: Bundle | None = None,
) -> Bundle:
    """Train a chosen model once more, on training and validation rows.

    Levels, fills and scales are learned anew from both; a net trains for as many epochs, boosting
    for as many rounds, as the validation rows have found.

    Args:
        examples: What it was chosen with.
        table: All raw rows.
        chosen: The run of the model.
        net: The net that was trained with `examples`, whose embeddings boosting may read.
        net_config: The net's settings.
        config: The other models' settings.
        store: Keeps the model.
        start: What the net starts from, as it did when it was chosen.

    Returns:
        The bundle; ``refit`` in its metadata holds the numbers of ``training_rows`` and
        ``validation_rows`` that it has learned from, and ``epochs`` or ``rounds``.
    """
    both, name, seed = examples.with_validation(table), chosen.model, chosen.seed
    training = replace(net_config.training, seed=seed).shortened(net.metadata["epochs"])
    own_net = replace(net_config, training=training)
    rounds = chosen.bundle.metadata.get("rounds", config.baselines.rounds)
    own = replace(config.baselines, rounds=rounds)

    def make() -> Bundle:
        made, trained = chosen.bundle, None
        if name in ("net", "boosting_on_embeddings"):
            made, _ = train_tabular(both, own_net, start=start)
            trained = TabularModel.from_bundle(made)
        if name != "net":
            made = baseline_bundle(fit_baseline(name, both, own, seed=seed, net=trained))
        rows = {"training_rows": len(examples.train), "validation_rows": len(examples.valid)}
        count = "epochs" if name == "net" else "rounds"
        found = {count: made.metadata[count]} if count in made.metadata else {}
        return replace(made, metadata={**made.metadata, "refit": rows | found})

    if store is None:
        return make()
    key = {
        "examples": both.hash,
        "net": to_json_types(own_net, identity=True),
        "baseline": to_json_types(own),
        **({} if start is None else {"start": start.hash}),
    }
    return store.kept("refit", {"model": name, "seed": seed, **key, **_versions()}, make)


def _net(
    name: str,
    settings: TabularModelConfig,
    examples: Examples,
    scored: pa.Table,
    start: Bundle | None,
) -> ModelRun:
    started = time.perf_counter()
    bundle, _ = train_tabular(examples, settings, start=start)
    seconds = time.perf_counter() - started
    model = TabularModel.from_bundle(bundle)
    return _run(name, settings.training.seed, bundle, model, seconds, scored)


def _baseline(
    name: str,
    settings: BaselinesConfig,
    seed: int,
    net: Bundle,
    examples: Examples,
    scored: pa.Table,
) -> ModelRun:
    trained = TabularModel.from_bundle(net) if name == "boosting_on_embeddings" else None
    fitted = fit_baseline(name, examples, settings, seed=seed, net=trained)
    return _run(name, seed, baseline_bundle(fitted), fitted, fitted.seconds, scored)


def _run(
    name: str, seed: int, bundle: Bundle, model: TableModel, seconds: float, scored: pa.Table
) -> ModelRun:
    started = time.perf_counter()
    prediction = model.predict_encoded(scored)
    return ModelRun(name, seed, bundle, prediction, seconds, time.perf_counter() - started)


def _versions() -> dict[str, str]:
    return {"torch": torch.__version__, "scikit-learn": sklearn.__version__}


def _rows_hash(examples: Examples, rows: pa.Table) -> list[str]:
    codes = codes_of(rows, examples.preprocessor.cardinalities).numpy()
    return [
        array_hash(codes),
        array_hash(numbers_of(rows, examples.preprocessor.continuous).numpy()),
    ]


def _kept(
    store: BundleStore | None,
    name: str,
    seed: int,
    made_from: Mapping[str, Any],
    make: Callable[[], ModelRun],
) -> ModelRun:
    """A run out of the store, or made now and kept there."""
    if store is None:
        return make()

    def packed() -> Bundle:
        run = make()
        facts = ("model", "seed", "fit_seconds", "predict_seconds")
        own = ("kind", "config", "metadata", "dependencies")
        return Bundle(
            kind=_RUN,
            config={name: getattr(run, name) for name in facts},
            state={
                "prediction": torch.from_numpy(np.array(run.prediction)),
                **{f"model.{name}": tensor for name, tensor in run.bundle.state.items()},
            },
            metadata={name: getattr(run.bundle, name) for name in own},
            dependencies={},
        )

    stored = store.kept(f"{name}_{seed}", {"seed": seed, **made_from}, packed)
    state = {
        name.removeprefix("model."): tensor
        for name, tensor in stored.state.items()
        if name != "prediction"
    }
    bundle = Bundle(state=state, **stored.metadata)
    return ModelRun(bundle=bundle, prediction=stored.state["prediction"].numpy(), **stored.config)
