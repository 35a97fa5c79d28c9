"""Texts to language models, classifiers and ensembles of them: every pipeline of a text source."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import classifier_nodes, data_nodes, ensemble_nodes
from gradual.pipelines.texts import language_model_nodes as language_nodes
from gradual.text.figures import FIGURES
from gradual.text.predictions import choose_examples


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
        return trained + _language_model_report()
    return trained + _classifier("language_model")


def create_ensemble_pipeline() -> Pipeline:
    """Return the mean of a forward and a backward classifier, scored and reported."""
    return Pipeline(
        [
            Node(
                func=ensemble_nodes.average,
                inputs=[
                    *("forward_predictions", "backward_predictions"),
                    *("forward_valid_predictions", "backward_valid_predictions"),
                    "params:classifier",
                ],
                outputs=["predictions", "valid_predictions", "choice"],
                name="average_predictions",
            ),
            Node(
                func=ensemble_nodes.evaluate,
                inputs=["predictions", "valid_predictions", "choice"],
                outputs=["scores", "summary"],
                name="evaluate_ensemble",
            ),
            *_reading("ensemble"),
            Node(
                func=ensemble_nodes.write_report,
                inputs=_by_name("summary", "scores", "review_examples") | _figures(*FIGURES),
                outputs="report",
                name="write_ensemble_report",
            ),
            Node(
                func=ensemble_nodes.join,
                inputs=["forward_classifier", "backward_classifier", "ngrams", "choice"],
                outputs=["ensemble", "served"],
                name="join_classifiers",
            ),
            Node(
                func=classifier_nodes.log_model,
                inputs=["served", *_TO_LOG],
                outputs="logged_model",
                name="log_ensemble_model",
            ),
        ],
        tags="text_ensemble",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that classifies the texts of `new_rows` with what is served."""
    return Pipeline(
        [
            Node(
                func=classifier_nodes.predict_new_rows,
                inputs=["new_rows", "params:tokenizer", "served"],
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
                outputs=["language_model_range_test", "language_model_range_test_figure"],
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
                outputs=["classifier_range_test", "classifier_range_test_figure"],
                name="find_classifier_learning_rate",
            )
        )
    return Pipeline(nodes, tags="range_test")


_NEW = ["new_predictions", "new_rows_metrics", "new_rows_report"]
_TO_LOG = ["documents", "params:documents", "params:tokenizer", "params:registration"]


def _corpus() -> Pipeline:
    """Source → documents → tokens → word ids, with the tokenizer and vocabulary of the rest."""
    return Pipeline(
        [
            Node(
                func=data_nodes.read_documents,
                inputs=["source", "test_source", "unlabelled_source", "params:documents"],
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
                outputs="language_model_training_figure",
                name="plot_language_model_training",
            ),
            Node(
                func=language_nodes.evaluate,
                inputs=["language_model", "corpus", "document_splits"],
                outputs=["language_model_scores", "language_model_summary"],
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


def _language_model_report() -> Pipeline:
    """Language model → report and model registry, where it is all that a source is for."""
    return Pipeline(
        [
            Node(
                func=language_nodes.write_report,
                inputs=_by_name("language_model_scores", "language_model_summary", "sample_texts")
                | _figures("language_model_training")
                | {"config": "params:language_model"},
                outputs=["scores", "summary", "report"],
                name="write_report",
            ),
            Node(
                func=language_nodes.register,
                inputs=[
                    *("language_model", "params:registration", "params:generation"),
                    "params:tokenizer",
                ],
                outputs="logged_model",
                name="register_language_model",
            ),
        ],
        tags="language_model",
    )


def _classifier(language_model: str | None = None) -> Pipeline:
    """Language model → classifier beside n-grams, scored and reported.

    Args:
        language_model: Name of the artifacts of the language model, if it was trained here and the
            report says how good it is.
    """
    trained = [f"{language_model}_scores", f"{language_model}_summary"] if language_model else []
    drawn = ["classifier_training", *([f"{language_model}_training"] if language_model else [])]
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
                outputs="classifier_training_figure",
                name="plot_classifier_training",
            ),
            Node(
                func=classifier_nodes.fit_baseline,
                inputs=[
                    *("documents", "document_splits", "rivals"),
                    *("params:documents", "params:classifier"),
                ],
                outputs=["baseline_probabilities", "ngrams"],
                name="fit_baseline",
            ),
            Node(
                func=classifier_nodes.predict,
                inputs=[
                    *("classifier", "corpus", "documents", "document_splits"),
                    *("valid_probabilities", "baseline_probabilities", "params:documents"),
                    "params:classifier",
                ],
                outputs=["predictions", "valid_predictions", "choice"],
                name="predict_documents",
            ),
            Node(
                func=classifier_nodes.join,
                inputs=["classifier", "ngrams", "choice"],
                outputs="served",
                name="serve",
            ),
            Node(
                func=classifier_nodes.evaluate,
                inputs=_by_name(
                    *("predictions", "valid_predictions", "documents", "document_splits"),
                    *("classifier", "choice", *trained),
                ),
                outputs=["scores", "summary"],
                name="evaluate_classifier",
            ),
            *_reading("classifier"),
            Node(
                func=classifier_nodes.write_report,
                inputs=_by_name(
                    *("summary", "scores", "review_examples"),
                    *(["sample_texts"] if language_model else []),
                )
                | _figures(*FIGURES, *drawn)
                | {"config": "params:classifier"},
                outputs="report",
                name="write_report",
            ),
            Node(
                func=classifier_nodes.log_model,
                inputs=["served", *_TO_LOG],
                outputs="logged_model",
                name="log_classifier_model",
            ),
        ],
        tags="text_classifier",
    )


def _reading(what: str) -> list[Node]:
    """Predictions → figures and texts worth reading."""
    return [
        Node(
            func=classifier_nodes.draw,
            inputs=["predictions", "scores"],
            outputs=_figures(*FIGURES),
            name=f"draw_{what}_figures",
        ),
        Node(
            func=choose_examples,
            inputs="predictions",
            outputs="review_examples",
            name=f"choose_{what}_examples",
        ),
    ]


def _by_name(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _figures(*names: str) -> dict[str, str]:
    return {name: f"{name}_figure" for name in names}
