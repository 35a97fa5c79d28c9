"""A raw table to an evaluated model, beside its rivals, with what it has learned."""

from kedro.pipeline import Pipeline

from gradual.pipelines import step
from gradual.pipelines.tables import nodes
from gradual.tabular.figures import FIGURES

_FIGURES = {name: f"{name}_figure" for name in FIGURES}
_ENCODED = "encoded preprocessor"


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a net, compares it, and serves and explains the best."""
    return Pipeline(
        [
            step(nodes.read_table, "source test_source", "table given_parts"),
            step(nodes.split_rows, "table given_parts params:rows params:target", "row_splits"),
            step(
                nodes.fit_preprocessor,
                "table row_splits params:preprocessing params:engine",
                "preprocessor",
            ),
            step(
                nodes.encode,
                "table row_splits preprocessor params:target",
                "encoded column_summary",
            ),
            step(
                nodes.train_net,
                f"{_ENCODED} net_checkpoints champion params:target params:net",
                "net net_history",
            ),
            step(
                nodes.fit_and_compare,
                f"{_ENCODED} table net net_history rivals champion "
                "params:target params:net params:comparison params:serving",
                "scores summary predictions model",
            ),
            step(
                nodes.find_worst_rows,
                "predictions table model params:interpretation",
                "worst_rows",
            ),
            step(
                nodes.interpret_model,
                "model table predictions params:interpretation",
                "importance dependence",
            ),
            step(nodes.export_embeddings, f"net {_ENCODED} params:target", "embeddings"),
            step(
                nodes.draw_figures,
                "scores summary predictions model importance dependence embeddings net_history",
                _FIGURES,
            ),
            step(
                nodes.write_report,
                "summary scores worst_rows column_summary params:target params:rows params:net",
                "report",
                more=_FIGURES,
            ),
            step(nodes.log_model, "model table params:registration", "logged_model"),
        ],
        tags="tabular",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that predicts rows without a target with the champion."""
    return Pipeline(
        [
            step(
                nodes.predict_new_rows,
                "model_champion new_rows logged_model",
                "new_predictions new_rows_metrics new_rows_report",
            ),
        ],
        tags="prediction",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the net."""
    return Pipeline(
        [
            step(
                nodes.find_learning_rate,
                f"{_ENCODED} params:target params:net",
                "net_range_test net_range_test_plot",
            ),
        ],
        tags="range_test",
    )
