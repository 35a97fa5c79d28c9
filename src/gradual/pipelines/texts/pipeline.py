"""Texts to language models, classifiers and ensembles of them: every pipeline of a text source."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines import step
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
    return trained + _register_for_others() + _classifier("language_model")


def create_ensemble_pipeline() -> Pipeline:
    """Return the mean of a forward and a backward classifier, scored and reported."""
    return Pipeline(
        [
            step(
                ensemble_nodes.average,
                "forward_predictions backward_predictions "
                "forward_valid_predictions backward_valid_predictions params:classifier",
                _PREDICTED,
                name="average_predictions",
            ),
            step(ensemble_nodes.evaluate, _PREDICTED, "scores summary", name="evaluate_ensemble"),
            *_reading("ensemble"),
            step(
                ensemble_nodes.write_report,
                "summary scores review_examples",
                "report",
                more=_figures(*FIGURES),
                name="write_ensemble_report",
            ),
            step(
                ensemble_nodes.join,
                "forward_classifier backward_classifier ngrams choice",
                "ensemble served",
                name="join_classifiers",
            ),
            step(classifier_nodes.log_model, _TO_LOG, "logged_model", name="log_ensemble_model"),
        ],
        tags="text_ensemble",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that classifies the texts of `new_rows` with the champion."""
    return Pipeline(
        [
            step(
                classifier_nodes.predict_new_rows,
                "new_rows params:tokenizer served_champion logged_model",
                "new_predictions new_rows_metrics new_rows_report",
            )
        ],
        tags="predict",
    )


def create_generation_pipeline() -> Pipeline:
    """Return the pipeline that writes texts with the stored language model."""
    return Pipeline(
        [
            step(
                language_nodes.write_texts,
                "language_model params:generation params:tokenizer",
                "generated_texts",
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
            step(
                language_nodes.find_learning_rate,
                f"{_CORPUS} document_splits pretrained_language_model params:language_model",
                "language_model_range_test language_model_range_test_figure",
                name="find_language_model_learning_rate",
            )
        )
    if task == "classifier":
        nodes.append(
            step(
                classifier_nodes.find_learning_rate,
                f"{_CORPUS} documents document_splits language_model params:classifier",
                "classifier_range_test classifier_range_test_figure",
                name="find_classifier_learning_rate",
            )
        )
    return Pipeline(nodes, tags="range_test")


_CORPUS = "corpus vocabulary"
_PREDICTED = "predictions valid_predictions choice"
_TO_LOG = "served documents params:documents params:tokenizer params:registration"


def _corpus() -> Pipeline:
    """Source → documents → tokens → word ids, with the tokenizer and vocabulary of the rest."""
    return Pipeline(
        [
            step(
                data_nodes.read_documents,
                "source test_source unlabelled_source params:documents",
                "documents",
            ),
            step(data_nodes.tokenize_documents, "documents params:documents tokenizer", "tokens"),
            step(data_nodes.numericalize, "tokens vocabulary", "corpus"),
        ],
        tags="text_data",
    )


def _own_language() -> Pipeline:
    """Tokenizer and vocabulary of the source's own texts."""
    return Pipeline(
        [
            step(
                data_nodes.split_documents,
                "documents params:language_model_split params:classifier_split",
                "document_splits",
            ),
            step(
                data_nodes.fit_tokenizer,
                "documents document_splits pretrained_language_model "
                "params:documents params:tokenizer",
                "tokenizer",
            ),
            step(
                data_nodes.build_vocabulary,
                "tokens document_splits params:vocabulary",
                "vocabulary",
            ),
            step(
                data_nodes.show_batch,
                f"{_CORPUS} documents tokenizer params:language_model",
                "batch_table batch_view",
            ),
        ],
        tags="text_data",
    )


def _given_language() -> Pipeline:
    """Tokenizer and vocabulary of a language model that is there already."""
    return Pipeline(
        [
            step(
                data_nodes.split_labelled_documents,
                "documents params:classifier_split",
                "document_splits",
                name="split_documents",
            ),
            step(
                data_nodes.take_language,
                "language_model params:tokenizer",
                "vocabulary tokenizer",
            ),
            step(
                data_nodes.show_documents,
                f"{_CORPUS} documents tokenizer params:classifier",
                "batch_table batch_view",
            ),
        ],
        tags="text_data",
    )


def _language_model() -> Pipeline:
    """Word ids → language model, scored; what it writes."""
    return Pipeline(
        [
            step(
                language_nodes.train,
                f"{_CORPUS} document_splits pretrained_language_model "
                "language_model_checkpoints tokenizer params:language_model",
                "language_model language_model_history",
                name="train_language_model",
            ),
            step(
                language_nodes.plot_training,
                "language_model_history",
                "language_model_training_figure",
                name="plot_language_model_training",
            ),
            step(
                language_nodes.evaluate,
                "language_model corpus document_splits",
                "language_model_scores language_model_summary",
                name="evaluate_language_model",
            ),
            step(
                language_nodes.write_samples,
                "language_model params:generation params:tokenizer",
                "sample_texts",
                name="write_sample_texts",
            ),
        ],
        tags="language_model",
    )


def _language_model_report() -> Pipeline:
    """Language model → report and model registry, where it is all that a source is for."""
    return Pipeline(
        [
            step(
                language_nodes.write_report,
                "",
                "scores summary report",
                more=_by_name("language_model_scores", "language_model_summary", "sample_texts")
                | _figures("language_model_training")
                | {"config": "params:language_model"},
            ),
            step(
                language_nodes.register,
                "language_model params:registration params:generation params:tokenizer",
                "logged_model",
                name="register_language_model",
            ),
        ],
        tags="language_model",
    )


def _register_for_others() -> Pipeline:
    """Language model → model registry, for other sources and environments to start from."""
    return Pipeline(
        [
            step(
                language_nodes.register_for_others,
                "language_model params:language_model_registration params:generation "
                "params:tokenizer",
                "logged_language_model",
                name="register_language_model",
            )
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
            step(
                classifier_nodes.train,
                f"{_CORPUS} documents document_splits language_model classifier_checkpoints "
                "tokenizer params:documents params:classifier",
                "classifier classifier_history valid_probabilities",
                name="train_classifier",
            ),
            step(
                classifier_nodes.plot_training,
                "classifier_history",
                "classifier_training_figure",
                name="plot_classifier_training",
            ),
            step(
                classifier_nodes.fit_baseline,
                "documents document_splits rivals params:documents params:classifier",
                "baseline_probabilities ngrams",
            ),
            step(
                classifier_nodes.predict,
                "classifier corpus documents document_splits valid_probabilities "
                "baseline_probabilities params:documents params:classifier",
                _PREDICTED,
                name="predict_documents",
            ),
            step(classifier_nodes.join, "classifier ngrams choice", "served", name="serve"),
            step(
                classifier_nodes.evaluate,
                "",
                "scores summary",
                more=_by_name(
                    *("predictions", "valid_predictions", "documents", "document_splits"),
                    *("classifier", "choice", *trained),
                ),
                name="evaluate_classifier",
            ),
            *_reading("classifier"),
            step(
                classifier_nodes.write_report,
                "summary scores review_examples params:classifier",
                "report",
                more=_by_name(*(["sample_texts"] if language_model else []))
                | _figures(*FIGURES, *drawn),
            ),
            step(classifier_nodes.log_model, _TO_LOG, "logged_model", name="log_classifier_model"),
        ],
        tags="text_classifier",
    )


def _reading(what: str) -> list[Node]:
    """Predictions → figures and texts worth reading."""
    return [
        step(
            classifier_nodes.draw,
            "predictions scores",
            _figures(*FIGURES),
            name=f"draw_{what}_figures",
        ),
        step(choose_examples, "predictions", "review_examples", name=f"choose_{what}_examples"),
    ]


def _by_name(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def _figures(*names: str) -> dict[str, str]:
    return {name: f"{name}_figure" for name in names}
