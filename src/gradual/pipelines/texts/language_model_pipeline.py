"""Word ids to a language model: train, evaluate, let it write."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.texts import language_model_nodes as nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a language model and reads what it has learnt."""
    return Pipeline(
        [
            Node(
                func=nodes.train,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "document_splits": "document_splits",
                    "pretrained": "pretrained_language_model",
                    "checkpoints": "language_model_checkpoints",
                    "tokenizer": "tokenizer",
                    "config": "params:language_model",
                },
                outputs=["language_model", "language_model_history"],
                name="train_language_model",
            ),
            Node(
                func=nodes.plot_training,
                inputs="language_model_history",
                outputs="language_model_training_plot",
                name="plot_language_model_training",
            ),
            Node(
                func=nodes.evaluate,
                inputs={
                    "language_model": "language_model",
                    "corpus": "corpus",
                    "document_splits": "document_splits",
                },
                outputs="language_model_metrics",
                name="evaluate_language_model",
            ),
            Node(
                func=nodes.write_samples,
                inputs={"language_model": "language_model", "config": "params:generation"},
                outputs="sample_texts",
                name="write_sample_texts",
            ),
        ],
        tags="language_model",
    )


def create_generation_pipeline() -> Pipeline:
    """Return the pipeline that writes texts with a stored language model."""
    return Pipeline(
        [
            Node(
                func=nodes.write_texts,
                inputs={"language_model": "language_model", "config": "params:generation"},
                outputs="generated_texts",
                name="write_texts",
            ),
        ],
        tags="generation",
    )


def create_registration_pipeline() -> Pipeline:
    """Return the pipeline that registers the language model, for others to start from."""
    return Pipeline(
        [
            Node(
                func=nodes.register,
                inputs={
                    "language_model": "language_model",
                    "config": "params:registration",
                    "writing": "params:generation",
                },
                outputs="logged_model",
                name="register_language_model",
            ),
        ],
        tags="language_model",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the language model."""
    return Pipeline(
        [
            Node(
                func=nodes.find_learning_rate,
                inputs={
                    "corpus": "corpus",
                    "vocabulary": "vocabulary",
                    "document_splits": "document_splits",
                    "pretrained": "pretrained_language_model",
                    "config": "params:language_model",
                },
                outputs=["language_model_range_test", "language_model_range_test_plot"],
                name="find_language_model_learning_rate",
            ),
        ],
        tags="range_test",
    )
