"""A raw table to an evaluated model, beside its rivals, with what it has learned."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.tables import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a net, compares it, and serves and explains the best."""
    return Pipeline(
        [
            Node(
                func=nodes.read_table,
                inputs="source",
                outputs="table",
                name="read_table",
            ),
            Node(
                func=nodes.split_rows,
                inputs={"table": "table", "rows": "params:rows", "target": "params:target"},
                outputs="row_splits",
                name="split_rows",
            ),
            Node(
                func=nodes.fit_preprocessor,
                inputs={
                    "table": "table",
                    "row_splits": "row_splits",
                    "config": "params:preprocessing",
                    "engine": "params:engine",
                },
                outputs="preprocessor",
                name="fit_preprocessor",
            ),
            Node(
                func=nodes.encode,
                inputs={
                    "table": "table",
                    "row_splits": "row_splits",
                    "preprocessor": "preprocessor",
                },
                outputs=["encoded", "column_summary"],
                name="encode_table",
            ),
            Node(
                func=nodes.train_net,
                inputs={
                    "encoded": "encoded",
                    "table": "table",
                    "row_splits": "row_splits",
                    "preprocessor": "preprocessor",
                    "checkpoints": "net_checkpoints",
                    "target": "params:target",
                    "config": "params:net",
                },
                outputs=["net", "net_history"],
                name="train_net",
            ),
            Node(
                func=nodes.plot_training,
                inputs="net_history",
                outputs="net_training_plot",
                name="plot_net_training",
            ),
            Node(
                func=nodes.compare_models,
                inputs={
                    "encoded": "encoded",
                    "table": "table",
                    "row_splits": "row_splits",
                    "net": "net",
                    "net_history": "net_history",
                    "target": "params:target",
                    "net_config": "params:net",
                    "config": "params:comparison",
                    "serving": "params:serving",
                },
                outputs=["scores", "choice_metrics", "predictions", "model"],
                name="compare_models",
            ),
            Node(
                func=nodes.evaluate,
                inputs={
                    "scores": "scores",
                    "choice": "choice_metrics",
                    "row_splits": "row_splits",
                    "model": "model",
                },
                outputs="model_metrics",
                name="evaluate_models",
            ),
            Node(
                func=nodes.draw,
                inputs={
                    "scores": "scores",
                    "choice": "choice_metrics",
                    "predictions": "predictions",
                    "model": "model",
                },
                outputs=[
                    "comparison_plot",
                    "truth_plot",
                    "separation_plot",
                    "calibration_plot",
                    "spread_plot",
                ],
                name="draw_predictions",
            ),
            Node(
                func=nodes.find_worst_rows,
                inputs={
                    "predictions": "predictions",
                    "table": "table",
                    "model": "model",
                    "config": "params:interpretation",
                },
                outputs="worst_rows",
                name="find_worst_rows",
            ),
            Node(
                func=nodes.interpret,
                inputs={
                    "model": "model",
                    "table": "table",
                    "row_splits": "row_splits",
                    "config": "params:interpretation",
                },
                outputs=["importance", "dependence", "importance_plot", "dependence_plot"],
                name="interpret_model",
            ),
            Node(
                func=nodes.export_embeddings,
                inputs={
                    "net": "net",
                    "encoded": "encoded",
                    "table": "table",
                    "row_splits": "row_splits",
                },
                outputs=["embeddings", "embeddings_plot"],
                name="export_embeddings",
            ),
            Node(
                func=nodes.write_report,
                inputs={
                    "metrics": "model_metrics",
                    "scores": "scores",
                    "comparison_plot": "comparison_plot",
                    "truth_plot": "truth_plot",
                    "separation_plot": "separation_plot",
                    "calibration_plot": "calibration_plot",
                    "spread_plot": "spread_plot",
                    "worst_rows": "worst_rows",
                    "importance_plot": "importance_plot",
                    "dependence_plot": "dependence_plot",
                    "embeddings_plot": "embeddings_plot",
                    "net_training_plot": "net_training_plot",
                    "column_summary": "column_summary",
                    "target": "params:target",
                    "rows": "params:rows",
                    "net": "params:net",
                },
                outputs="report",
                name="write_report",
            ),
            Node(
                func=nodes.log_model,
                inputs={
                    "model": "model",
                    "table": "table",
                    "row_splits": "row_splits",
                    "serving": "params:serving",
                },
                outputs="logged_model",
                name="log_model",
            ),
        ],
        tags="tabular",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that predicts rows without a target with the stored model."""
    return Pipeline(
        [
            Node(
                func=nodes.predict_new_rows,
                inputs={"model": "model", "new_rows": "new_rows"},
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
                func=nodes.find_learning_rate,
                inputs={
                    "encoded": "encoded",
                    "table": "table",
                    "row_splits": "row_splits",
                    "preprocessor": "preprocessor",
                    "target": "params:target",
                    "config": "params:net",
                },
                outputs=["net_range_test", "net_range_test_plot"],
                name="find_net_learning_rate",
            ),
        ],
        tags="range_test",
    )
