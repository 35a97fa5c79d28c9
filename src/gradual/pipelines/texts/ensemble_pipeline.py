"""What a forward and a backward classifier predicted to one evaluated ensemble."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import ensemble_nodes as nodes
from gradual.pipelines.texts.classifier_nodes import choose_examples, draw


def create_pipeline() -> Pipeline:
    """Return the pipeline that averages two classifiers' answers, scores and reports them."""
    return Pipeline(
        [
            Node(
                func=nodes.average,
                inputs=["forward_predictions", "backward_predictions"],
                outputs="predictions",
                name="average_predictions",
            ),
            Node(
                func=nodes.evaluate,
                inputs="predictions",
                outputs=["ensemble_metrics", "accuracy_plot"],
                name="evaluate_ensemble",
            ),
            Node(
                func=draw,
                inputs="predictions",
                outputs=[
                    "confusion_matrix",
                    "roc_curve",
                    "reliability_diagram",
                    "probability_histogram",
                ],
                name="draw_ensemble_figures",
            ),
            Node(
                func=choose_examples,
                inputs="predictions",
                outputs="review_examples",
                name="choose_ensemble_examples",
            ),
            Node(
                func=nodes.write_report,
                inputs={
                    "ensemble_metrics": "ensemble_metrics",
                    "accuracy_plot": "accuracy_plot",
                    "confusion_matrix": "confusion_matrix",
                    "roc_curve": "roc_curve",
                    "reliability_diagram": "reliability_diagram",
                    "probability_histogram": "probability_histogram",
                    "review_examples": "review_examples",
                },
                outputs="report",
                name="write_ensemble_report",
            ),
            Node(
                func=nodes.log_model,
                inputs={
                    "forward_classifier": "forward_classifier",
                    "backward_classifier": "backward_classifier",
                    "documents": "documents",
                },
                outputs="logged_model",
                name="log_ensemble_model",
            ),
        ],
        tags="text_ensemble",
    )
