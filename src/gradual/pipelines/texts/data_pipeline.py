"""Texts to word ids: source → documents → tokens → vocabulary → corpus."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import data_nodes as nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that both the language model and the classifier start from."""
    return _create_shared_pipeline() + Pipeline(
        [
            Node(
                func=nodes.split_documents,
                inputs={
                    "documents": "documents",
                    "language_model": "params:language_model_split",
                    "classifier": "params:classifier_split",
                },
                outputs="document_splits",
                name="split_documents",
            ),
            Node(
                func=nodes.fit_tokenizer,
                inputs={
                    "documents": "documents",
                    "document_splits": "document_splits",
                    "pretrained": "pretrained_language_model",
                    "documents_config": "params:documents",
                    "config": "params:tokenizer",
                },
                outputs="tokenizer",
                name="fit_tokenizer",
            ),
            Node(
                func=nodes.build_vocabulary,
                inputs={
                    "tokens": "tokens",
                    "document_splits": "document_splits",
                    "config": "params:vocabulary",
                },
                outputs="vocabulary",
                name="build_vocabulary",
            ),
            Node(
                func=nodes.show_batch,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "documents": "documents",
                    "tokenizer": "tokenizer",
                    "language_model": "params:language_model",
                },
                outputs=["batch_table", "batch_view"],
                name="show_batch",
            ),
        ],
        tags="text_data",
    )


def create_classifier_pipeline() -> Pipeline:
    """Return the pipeline for a classifier on a language model that is there already.

    Texts are cut into tokens as that model's were, and numbered with its vocabulary.
    """
    return _create_shared_pipeline() + Pipeline(
        [
            Node(
                func=nodes.split_labelled_documents,
                inputs={"documents": "documents", "classifier": "params:classifier_split"},
                outputs="document_splits",
                name="split_documents",
            ),
            Node(
                func=nodes.take_language,
                inputs="language_model",
                outputs=["vocabulary", "tokenizer"],
                name="take_language",
            ),
            Node(
                func=nodes.show_documents,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "documents": "documents",
                    "tokenizer": "tokenizer",
                    "classifier": "params:classifier",
                },
                outputs=["batch_table", "batch_view"],
                name="show_documents",
            ),
        ],
        tags="text_data",
    )


def _create_shared_pipeline() -> Pipeline:
    return Pipeline(
        [
            Node(
                func=nodes.read_documents,
                inputs={
                    "source": "source",
                    "unlabelled_source": "unlabelled_source",
                    "config": "params:documents",
                },
                outputs="documents",
                name="read_documents",
            ),
            Node(
                func=nodes.tokenize_documents,
                inputs={
                    "documents": "documents",
                    "config": "params:documents",
                    "tokenizer": "tokenizer",
                },
                outputs="tokens",
                name="tokenize_documents",
            ),
            Node(
                func=nodes.numericalize,
                inputs={"tokens": "tokens", "vocabulary": "vocabulary"},
                outputs="corpus",
                name="numericalize",
            ),
        ],
        tags="text_data",
    )
