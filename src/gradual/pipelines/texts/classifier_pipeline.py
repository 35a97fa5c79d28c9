"""A language model's encoder to an evaluated text classifier, beside an n-gram baseline."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import classifier_nodes as nodes


def create_pipeline(*, report_language_model: bool = True) -> Pipeline:
    """Return the pipeline that trains a classifier, scores it once on test rows and reports.

    Args:
        report_language_model: Whether the report also says how good the language model is; not
            where it was trained elsewhere.
    """
    of_language_model = ("language_model_metrics", "sample_texts", "language_model_training_plot")
    return Pipeline(
        [
            Node(
                func=nodes.train,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "language_model": "language_model",
                    "checkpoints": "classifier_checkpoints",
                    "tokenizer": "tokenizer",
                    "documents_config": "params:documents",
                    "config": "params:classifier",
                },
                outputs=["classifier", "classifier_history"],
                name="train_classifier",
            ),
            Node(
                func=nodes.plot_training,
                inputs="classifier_history",
                outputs="classifier_training_plot",
                name="plot_classifier_training",
            ),
            Node(
                func=nodes.fit_baseline,
                inputs={
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "config": "params:documents",
                },
                outputs=["baseline_probabilities", "baseline_thresholds"],
                name="fit_baseline",
            ),
            Node(
                func=nodes.predict,
                inputs={
                    "classifier": "classifier",
                    "corpus": "corpus",
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "baseline_probabilities": "baseline_probabilities",
                    "baseline_thresholds": "baseline_thresholds",
                    "config": "params:documents",
                },
                outputs="predictions",
                name="predict_test_documents",
            ),
            Node(
                func=nodes.evaluate,
                inputs={
                    "predictions": "predictions",
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "classifier": "classifier",
                },
                outputs="classifier_metrics",
                name="evaluate_classifier",
            ),
            Node(
                func=nodes.draw,
                inputs="predictions",
                outputs=[
                    "confusion_matrix",
                    "roc_curve",
                    "reliability_diagram",
                    "probability_histogram",
                ],
                name="draw_classifier_figures",
            ),
            Node(
                func=nodes.draw_decisions,
                inputs=["predictions", "classifier_metrics"],
                outputs="decisions_plot",
                name="draw_decisions",
            ),
            Node(
                func=nodes.choose_examples,
                inputs="predictions",
                outputs="review_examples",
                name="choose_review_examples",
            ),
            Node(
                func=nodes.write_report,
                inputs={
                    "classifier_metrics": "classifier_metrics",
                    "classifier_training_plot": "classifier_training_plot",
                    "confusion_matrix": "confusion_matrix",
                    "roc_curve": "roc_curve",
                    "reliability_diagram": "reliability_diagram",
                    "probability_histogram": "probability_histogram",
                    "decisions_plot": "decisions_plot",
                    "review_examples": "review_examples",
                    "config": "params:classifier",
                }
                | ({name: name for name in of_language_model} if report_language_model else {}),
                outputs="report",
                name="write_report",
            ),
            Node(
                func=nodes.log_model,
                inputs={
                    "classifier": "classifier",
                    "documents": "documents",
                    "config": "params:documents",
                },
                outputs="logged_model",
                name="log_classifier_model",
            ),
        ],
        tags="text_classifier",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the classifier."""
    return Pipeline(
        [
            Node(
                func=nodes.find_learning_rate,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "language_model": "language_model",
                    "config": "params:classifier",
                },
                outputs=["classifier_range_test", "classifier_range_test_plot"],
                name="find_classifier_learning_rate",
            ),
        ],
        tags="range_test",
    )
