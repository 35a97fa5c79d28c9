"""Texts to language models, classifiers and ensembles of them: every pipeline of a text source."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import classifier_nodes, data_nodes, ensemble_nodes
from gradual.pipelines.texts import language_model_nodes as language_nodes


def create_pipeline(task: str = "classifier", has_language_model: bool = False) -> Pipeline:
    """Return what trains, scores and reports.

    Args:
        task: "classifier": texts → language model → classifier; "language_model": texts → language
            model → model registry, for other sources to start from.
        has_language_model: Whether the `language_model` is there already: it is read, never
            trained; texts are cut into tokens as its own were, and numbered with its vocabulary.
    """
    if has_language_model:
        return _corpus() + _given_language() + _classifier()
    trained = _corpus() + _own_language() + _language_model()
    if task == "language_model":
        return trained + _registration()
    return trained + _classifier(
        "language_model_metrics", "sample_texts", "language_model_training_plot"
    )


def create_ensemble_pipeline() -> Pipeline:
    """Return the mean of a forward and a backward classifier, scored and reported."""
    return Pipeline(
        [
            Node(
                func=ensemble_nodes.average,
                inputs=["forward_predictions", "backward_predictions"],
                outputs="predictions",
                name="average_predictions",
            ),
            Node(
                func=ensemble_nodes.evaluate,
                inputs="predictions",
                outputs=["ensemble_metrics", "accuracy_plot"],
                name="evaluate_ensemble",
            ),
            Node(
                func=classifier_nodes.draw,
                inputs="predictions",
                outputs=_FIGURES,
                name="draw_ensemble_figures",
            ),
            Node(
                func=classifier_nodes.choose_examples,
                inputs="predictions",
                outputs="review_examples",
                name="choose_ensemble_examples",
            ),
            Node(
                func=ensemble_nodes.write_report,
                inputs=_by_name("ensemble_metrics", "accuracy_plot", *_FIGURES, "review_examples"),
                outputs="report",
                name="write_ensemble_report",
            ),
            Node(
                func=ensemble_nodes.log_model,
                inputs=["forward_classifier", "backward_classifier", "documents"],
                outputs="logged_model",
                name="log_ensemble_model",
            ),
        ],
        tags="text_ensemble",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that classifies the texts of `new_rows` with the stored classifier."""
    return Pipeline(
        [
            Node(
                func=classifier_nodes.predict_new_rows,
                inputs=["new_rows", "params:tokenizer", "classifier"],
                outputs=_NEW,
                name="predict_new_rows",
            )
        ],
        tags="predict",
    )


def create_ensemble_prediction_pipeline() -> Pipeline:
    """Return the same for the mean of a forward and a backward classifier."""
    return Pipeline(
        [
            Node(
                func=classifier_nodes.predict_new_rows,
                inputs=[
                    *("new_rows", "params:tokenizer"),
                    *("forward_classifier", "backward_classifier"),
                ],
                outputs=_NEW,
                name="predict_new_rows",
            )
        ],
        tags="predict",
    )


def create_generation_pipeline() -> Pipeline:
    """Return the pipeline that writes texts with the stored language model."""
    return Pipeline(
        [
            Node(
                func=language_nodes.write_texts,
                inputs=["language_model", "params:generation", "params:tokenizer"],
                outputs="generated_texts",
                name="write_texts",
            )
        ],
        tags="generation",
    )


def create_range_test_pipeline(
    task: str = "classifier", has_language_model: bool = False
) -> Pipeline:
    """Return the pipeline that suggests learning rates; arguments as for `create_pipeline`.

    It reads what that pipeline has stored.
    """
    nodes = []
    if not has_language_model:
        nodes.append(
            Node(
                func=language_nodes.find_learning_rate,
                inputs=[
                    *("corpus", "vocabulary", "document_splits"),
                    *("pretrained_language_model", "params:language_model"),
                ],
                outputs=["language_model_range_test", "language_model_range_test_plot"],
                name="find_language_model_learning_rate",
            )
        )
    if task == "classifier":
        nodes.append(
            Node(
                func=classifier_nodes.find_learning_rate,
                inputs=[
                    *("corpus", "vocabulary", "documents", "document_splits"),
                    *("language_model", "params:classifier"),
                ],
                outputs=["classifier_range_test", "classifier_range_test_plot"],
                name="find_classifier_learning_rate",
            )
        )
    return Pipeline(nodes, tags="range_test")


_FIGURES = ["confusion_matrix", "roc_curve", "reliability_diagram", "probability_histogram"]
_NEW = ["new_predictions", "new_rows_metrics", "new_rows_report"]


def _corpus() -> Pipeline:
    """Source → documents → tokens → word ids, with the tokenizer and vocabulary of the rest."""
    return Pipeline(
        [
            Node(
                func=data_nodes.read_documents,
                inputs=["source", "unlabelled_source", "params:documents"],
                outputs="documents",
                name="read_documents",
            ),
            Node(
                func=data_nodes.tokenize_documents,
                inputs=["documents", "params:documents", "tokenizer"],
                outputs="tokens",
                name="tokenize_documents",
            ),
            Node(
                func=data_nodes.numericalize,
                inputs=["tokens", "vocabulary"],
                outputs="corpus",
                name="numericalize",
            ),
        ],
        tags="text_data",
    )


def _own_language() -> Pipeline:
    """Tokenizer and vocabulary of the source's own texts."""
    return Pipeline(
        [
            Node(
                func=data_nodes.split_documents,
                inputs=["documents", "params:language_model_split", "params:classifier_split"],
                outputs="document_splits",
                name="split_documents",
            ),
            Node(
                func=data_nodes.fit_tokenizer,
                inputs=[
                    *("documents", "document_splits", "pretrained_language_model"),
                    *("params:documents", "params:tokenizer"),
                ],
                outputs="tokenizer",
                name="fit_tokenizer",
            ),
            Node(
                func=data_nodes.build_vocabulary,
                inputs=["tokens", "document_splits", "params:vocabulary"],
                outputs="vocabulary",
                name="build_vocabulary",
            ),
            Node(
                func=data_nodes.show_batch,
                inputs=[
                    *("corpus", "vocabulary", "documents", "tokenizer"),
                    "params:language_model",
                ],
                outputs=["batch_table", "batch_view"],
                name="show_batch",
            ),
        ],
        tags="text_data",
    )


def _given_language() -> Pipeline:
    """Tokenizer and vocabulary of a language model that is there already."""
    return Pipeline(
        [
            Node(
                func=data_nodes.split_labelled_documents,
                inputs=["documents", "params:classifier_split"],
                outputs="document_splits",
                name="split_documents",
            ),
            Node(
                func=data_nodes.take_language,
                inputs=["language_model", "params:tokenizer"],
                outputs=["vocabulary", "tokenizer"],
                name="take_language",
            ),
            Node(
                func=data_nodes.show_documents,
                inputs=["corpus", "vocabulary", "documents", "tokenizer", "params:classifier"],
                outputs=["batch_table", "batch_view"],
                name="show_documents",
            ),
        ],
        tags="text_data",
    )


def _language_model() -> Pipeline:
    """Word ids → language model, scored; what it writes."""
    return Pipeline(
        [
            Node(
                func=language_nodes.train,
                inputs=[
                    *("corpus", "vocabulary", "document_splits", "pretrained_language_model"),
                    *("language_model_checkpoints", "tokenizer", "params:language_model"),
                ],
                outputs=["language_model", "language_model_history"],
                name="train_language_model",
            ),
            Node(
                func=language_nodes.plot_training,
                inputs="language_model_history",
                outputs="language_model_training_plot",
                name="plot_language_model_training",
            ),
            Node(
                func=language_nodes.evaluate,
                inputs=["language_model", "corpus", "document_splits"],
                outputs="language_model_metrics",
                name="evaluate_language_model",
            ),
            Node(
                func=language_nodes.write_samples,
                inputs=["language_model", "params:generation", "params:tokenizer"],
                outputs="sample_texts",
                name="write_sample_texts",
            ),
        ],
        tags="language_model",
    )


def _registration() -> Pipeline:
    """Language model → model registry."""
    return Pipeline(
        [
            Node(
                func=language_nodes.register,
                inputs=["language_model", "params:registration", "params:generation"],
                outputs="logged_model",
                name="register_language_model",
            )
        ],
        tags="language_model",
    )


def _classifier(*of_language_model: str) -> Pipeline:
    """Language model → classifier beside n-grams, scored and reported.

    Args:
        of_language_model: What the report says of the language model, if it was trained here.
    """
    return Pipeline(
        [
            Node(
                func=classifier_nodes.train,
                inputs=[
                    *("corpus", "vocabulary", "documents", "document_splits", "language_model"),
                    *("classifier_checkpoints", "tokenizer", "params:documents"),
                    "params:classifier",
                ],
                outputs=["classifier", "classifier_history", "valid_probabilities"],
                name="train_classifier",
            ),
            Node(
                func=classifier_nodes.plot_training,
                inputs="classifier_history",
                outputs="classifier_training_plot",
                name="plot_classifier_training",
            ),
            Node(
                func=classifier_nodes.fit_baseline,
                inputs=[
                    *("documents", "document_splits", "rivals"),
                    *("params:documents", "params:classifier"),
                ],
                outputs="baseline_probabilities",
                name="fit_baseline",
            ),
            Node(
                func=classifier_nodes.predict,
                inputs=[
                    *("classifier", "corpus", "documents", "document_splits"),
                    *("valid_probabilities", "baseline_probabilities", "params:documents"),
                ],
                outputs=["predictions", "valid_predictions"],
                name="predict_documents",
            ),
            Node(
                func=classifier_nodes.evaluate,
                inputs=["predictions", "documents", "document_splits", "classifier"],
                outputs="classifier_metrics",
                name="evaluate_classifier",
            ),
            Node(
                func=classifier_nodes.draw,
                inputs="predictions",
                outputs=_FIGURES,
                name="draw_classifier_figures",
            ),
            Node(
                func=classifier_nodes.draw_decisions,
                inputs=["predictions", "classifier_metrics"],
                outputs="decisions_plot",
                name="draw_decisions",
            ),
            Node(
                func=classifier_nodes.choose_examples,
                inputs="predictions",
                outputs="review_examples",
                name="choose_review_examples",
            ),
            Node(
                func=classifier_nodes.write_report,
                inputs=_by_name(
                    *("classifier_metrics", "classifier_training_plot", "decisions_plot"),
                    *(*_FIGURES, "review_examples", *of_language_model),
                )
                | {"config": "params:classifier"},
                outputs="report",
                name="write_report",
            ),
            Node(
                func=classifier_nodes.log_model,
                inputs=["classifier", "documents", "params:documents"],
                outputs="logged_model",
                name="log_classifier_model",
            ),
        ],
        tags="text_classifier",
    )


def _by_name(*names: str) -> dict[str, str]:
    return {name: name for name in names}
