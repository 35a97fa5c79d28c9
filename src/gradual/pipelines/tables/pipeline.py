"""A raw table to an evaluated model, beside its rivals, with what it has learned."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.tables import nodes
from gradual.tabular.figures import FIGURES

_FIGURES = {name: f"{name}_figure" for name in FIGURES}


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a net, compares it, and serves and explains the best."""
    return Pipeline(
        [
            Node(
                nodes.read_table,
                inputs=["source", "test_source"],
                outputs=["table", "given_parts"],
                name="read_table",
            ),
            Node(
                nodes.split_rows,
                inputs=["table", "given_parts", "params:rows", "params:target"],
                outputs="row_splits",
                name="split_rows",
            ),
            Node(
                nodes.fit_preprocessor,
                inputs=["table", "row_splits", "params:preprocessing", "params:engine"],
                outputs="preprocessor",
                name="fit_preprocessor",
            ),
            Node(
                nodes.encode,
                inputs=["table", "row_splits", "preprocessor", "params:target"],
                outputs=["encoded", "column_summary"],
                name="encode_table",
            ),
            Node(
                nodes.train_net,
                inputs=[
                    "encoded", "preprocessor", "net_checkpoints", "params:target", "params:net",
                ],
                outputs=["net", "net_history"],
                name="train_net",
            ),
            Node(
                nodes.fit_and_compare,
                inputs=[
                    "encoded", "preprocessor", "table", "net", "net_history", "rivals",
                    "params:target", "params:net", "params:comparison", "params:serving",
                ],
                outputs=["scores", "summary", "predictions", "model"],
                name="compare_models",
            ),
            Node(
                nodes.find_worst_rows,
                inputs=["predictions", "table", "model", "params:interpretation"],
                outputs="worst_rows",
                name="find_worst_rows",
            ),
            Node(
                nodes.interpret_model,
                inputs=["model", "table", "predictions", "params:interpretation"],
                outputs=["importance", "dependence"],
                name="interpret_model",
            ),
            Node(
                nodes.export_embeddings,
                inputs=["net", "encoded", "preprocessor", "params:target"],
                outputs="embeddings",
                name="export_embeddings",
            ),
            Node(
                nodes.draw,
                inputs=[
                    "scores", "summary", "predictions", "model", "importance", "dependence",
                    "embeddings", "net_history",
                ],
                outputs=_FIGURES,
                name="draw",
            ),
            Node(
                nodes.write_report,
                inputs={
                    "summary": "summary",
                    "scores": "scores",
                    "worst_rows": "worst_rows",
                    "columns": "column_summary",
                    "target": "params:target",
                    "rows": "params:rows",
                    "net": "params:net",
                    **_FIGURES,
                },
                outputs="report",
                name="write_report",
            ),
            Node(
                nodes.log_model,
                inputs=["model", "table", "params:registration"],
                outputs="logged_model",
                name="log_model",
            ),
        ],
        tags="tabular",
    )  # fmt: skip


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that predicts rows without a target with the stored model."""
    return Pipeline(
        [
            Node(
                nodes.predict_new_rows,
                inputs=["model", "new_rows"],
                outputs=["new_predictions", "new_rows_metrics", "new_rows_report"],
                name="predict_new_rows",
            ),
        ],
        tags="prediction",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the net."""
    return Pipeline(
        [
            Node(
                nodes.find_learning_rate,
                inputs=["encoded", "preprocessor", "params:target", "params:net"],
                outputs=["net_range_test", "net_range_test_plot"],
                name="find_net_learning_rate",
            ),
        ],
        tags="range_test",
    )
