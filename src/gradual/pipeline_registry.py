"""The project's pipelines by name: what ``kedro run --pipeline=NAME`` can run."""

from kedro.pipeline import Pipeline

from gradual.pipelines import language_model, text_classifier, text_data


def text_pipeline(namespace: str) -> Pipeline:
    """Return texts → language model → classifier for the data source called `namespace`.

    Args:
        namespace: Name of the data source; its catalog entries and parameters begin with it.

    Returns:
        The whole text pipeline under that namespace.
    """
    return Pipeline(
        text_data.create_pipeline()
        + language_model.create_pipeline()
        + text_classifier.create_pipeline(),
        namespace=namespace,
    )


def range_test_pipeline(namespace: str) -> Pipeline:
    """Return the learning-rate range tests of the text pipeline called `namespace`.

    They read what ``kedro run --pipeline=<namespace>`` has stored.
    """
    return Pipeline(
        language_model.create_range_test_pipeline() + text_classifier.create_range_test_pipeline(),
        namespace=namespace,
    )


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by the name that ``kedro run --pipeline=`` takes."""
    imdb = text_pipeline("imdb")
    return {
        "imdb": imdb,
        "imdb_range_test": range_test_pipeline("imdb"),
        "__default__": imdb,
    }
