"""Kinds of targets that no embedded table has, through the nodes of the pipeline."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import RootModel

from gradual.pipelines.tables import nodes
from gradual.sources.reader import given_parts
from gradual.sources.splits import Split
from gradual.tabular.baselines import BaselinesConfig
from gradual.tabular.contest import ContestConfig
from gradual.tabular.engine import EngineConfig
from gradual.tabular.interpretation import InterpretationConfig
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.preprocessing import ColumnsConfig, PreprocessingConfig
from gradual.tabular.rows import RowsConfig
from gradual.tabular.serving import ServingConfig
from gradual.tabular.targets import TargetConfig
from gradual.training.config import Phase, TrainingConfig

TARGETS = {
    "multiclass": TargetConfig("multiclass", ("kind",)),
    "multilabel": TargetConfig("multilabel", ("a", "b")),
    "regression": TargetConfig("regression", ("sales", "guests")),
}
NET = TabularModelConfig(
    layers=(8,), batch_size=32, training=TrainingConfig(phases=(Phase(epochs=1, lr=1e-2),))
)
LOOK = InterpretationConfig(importance_rows=30, repeats=2, dependence_rows=10, points=3)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    generator = np.random.default_rng(0)
    n = 300
    job, age = generator.choice(["smith", "baker", "cook"], n), generator.normal(40, 10, n)
    score = (job == "cook") * 2 + (age - 40) / 10 + generator.normal(size=n)
    return pa.table(
        {
            "job": job,
            "age": age,
            "kind": np.array(["low", "middle", "high"])[np.digitize(score, [0, 1])],
            "a": np.where(score > 0, "yes", "no"),
            "b": score > 1,
            "sales": np.exp(score),
            "guests": 10 + score,
        }
    )


@pytest.mark.parametrize("kind", TARGETS)
def test_from_table_to_report(table: pa.Table, kind: str) -> None:
    target: RootModel[TargetConfig] = RootModel[TargetConfig](TARGETS[kind])
    rows = RootModel[RowsConfig](RowsConfig(test=Split(fraction=0.2), valid=Split(fraction=0.2)))
    columns = ColumnsConfig(categorical=("job",), continuous=("age",))
    settings = RootModel[PreprocessingConfig](PreprocessingConfig(columns))
    net_config = RootModel[TabularModelConfig](NET)
    look = RootModel[InterpretationConfig](LOOK)
    baselines = BaselinesConfig(models=("constant", "linear", "boosting"), rounds=5)
    contest = RootModel[ContestConfig](ContestConfig(baselines))
    serving = RootModel[ServingConfig](ServingConfig(model="linear"))

    row_splits = nodes.split_rows(table, given_parts(table.num_rows), rows, target)
    engine = RootModel[EngineConfig](EngineConfig())
    preprocessor = nodes.fit_preprocessor(table, row_splits, settings, engine)
    encoded, summary = nodes.encode(table, row_splits, preprocessor, target)
    store: Any = None
    net, history = nodes.train_net(encoded, preprocessor, store, None, target, net_config)
    scores, result, predictions, model = nodes.fit_and_compare(
        encoded,
        preprocessor,
        table,
        net,
        history,
        store,
        None,
        target,
        net_config,
        contest,
        serving,
    )
    worst = nodes.find_worst_rows(predictions, table, model, look)
    importance, dependence = nodes.interpret_model(model, table, predictions, look)
    embeddings = nodes.export_embeddings(net, encoded, preprocessor, target)
    drawn = nodes.draw_figures(
        scores, result, predictions, model, importance, dependence, embeddings, history
    )
    page = nodes.write_report(result, scores, worst, summary, target, rows, net_config, **drawn)

    n_test, outputs = 60, len(TARGETS[kind].columns)
    assert result["facts"]["by"] == "configuration"
    assert result["headline"].startswith("Linear model: ")
    assert len(predictions) == n_test * outputs
    assert len(worst) == LOOK.worst_rows
    assert worst["loss"].is_monotonic_decreasing
    names = {"multiclass": {"low", "middle", "high"}}.get(kind, set(TARGETS[kind].columns))
    assert set(dependence["output"]) == names
    assert "on 60 test rows" in page
