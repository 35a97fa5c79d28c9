"""The project's pipelines by name: what ``kedro run --pipeline=NAME`` can run."""

import warnings

from kedro.pipeline import Pipeline

from gradual.pipelines import ratings, tables
from gradual.pipelines.texts import pipeline as texts

# Where a pipeline reads another namespace's data Kedro suspects a slip.
warnings.filterwarnings("ignore", "One or more dataset names contain '.'", UserWarning)


def text_pipeline(namespace: str, source: str | None = None) -> Pipeline:
    """Return texts → language model → classifier for the data source called `namespace`.

    Args:
        namespace: Name of the data source; its catalog entries and parameters begin with it.
        source: Another data source whose files are read, with the settings of this one.

    Returns:
        The whole text pipeline under that namespace.
    """
    return Pipeline(texts.create_pipeline(), namespace=namespace, inputs=_files_of(source))


def pretraining_pipeline(namespace: str, source: str | None = None) -> Pipeline:
    """Return texts → language model → model registry for the data source called `namespace`.

    Args:
        namespace: Name of the data source; its catalog entries and parameters begin with it.
        source: Another data source whose files are read, with the settings of this one.

    Returns:
        What pretrains a language model for other sources to start from.
    """
    pretraining = texts.create_pipeline("language_model")
    return Pipeline(pretraining, namespace=namespace, inputs=_files_of(source))


def range_test_pipeline(namespace: str) -> Pipeline:
    """Return the learning-rate range tests of the text pipeline called `namespace`.

    They read what ``kedro run --pipeline=<namespace>`` has stored.
    """
    return Pipeline(texts.create_range_test_pipeline(), namespace=namespace)


def generation_pipeline(namespace: str) -> Pipeline:
    """Return the pipeline that writes texts with the language model of `namespace`.

    It reads what ``kedro run --pipeline=<namespace>`` has stored, and ``generation`` of that
    namespace's parameters.
    """
    return Pipeline(texts.create_generation_pipeline(), namespace=namespace)


def classifier_pipeline(namespace: str) -> Pipeline:
    """Return texts → classifier on a language model that another pipeline has trained.

    The catalog entry ``<namespace>.language_model`` names it; it is read, never trained.
    """
    return Pipeline(texts.create_pipeline(has_language_model=True), namespace=namespace)


def text_prediction_pipeline(namespace: str) -> Pipeline:
    """Return the pipeline that classifies `<namespace>.new_rows` with the stored classifier."""
    return Pipeline(texts.create_prediction_pipeline(), namespace=namespace)


def ensemble_pipeline(namespace: str, forward: str, backward: str) -> Pipeline:
    """Return two text pipelines on the same files, and the mean of their classifiers.

    Trainings that are finished are not redone; ``--tags=text_ensemble`` runs the last part alone,
    on what both have stored.

    Args:
        namespace: Name of the ensemble.
        forward: Name of the data source.
        backward: Name under which the same files are read backwards.

    Returns:
        Everything from the files to the ensemble's report.
    """
    ensemble = Pipeline(
        texts.create_ensemble_pipeline(),
        namespace=namespace,
        inputs={
            "forward_predictions": f"{forward}.predictions",
            "backward_predictions": f"{backward}.predictions",
            "forward_classifier": f"{forward}.classifier",
            "backward_classifier": f"{backward}.classifier",
            "documents": f"{forward}.documents",
        },
    )
    return text_pipeline(forward) + text_pipeline(backward, source=forward) + ensemble


def ensemble_prediction_pipeline(namespace: str, forward: str, backward: str) -> Pipeline:
    """Return the pipeline that classifies `<forward>.new_rows` with both stored classifiers.

    Args:
        namespace: Name of the ensemble.
        forward: Name of the data source.
        backward: Name under which the same files are read backwards.
    """
    return Pipeline(
        texts.create_ensemble_prediction_pipeline(),
        namespace=namespace,
        inputs={
            "new_rows": f"{forward}.new_rows",
            "forward_classifier": f"{forward}.classifier",
            "backward_classifier": f"{backward}.classifier",
        },
        parameters={"params:tokenizer": f"params:{forward}.tokenizer"},
    )


def tabular_pipeline(namespace: str) -> Pipeline:
    """Return table → net beside its rivals → report for the data source called `namespace`.

    Args:
        namespace: Name of the data source; its catalog entries and parameters begin with it.

    Returns:
        The whole pipeline on that table.
    """
    return Pipeline(tables.create_pipeline(), namespace=namespace)


def tabular_prediction_pipeline(namespace: str) -> Pipeline:
    """Return the pipeline that predicts `<namespace>.new_rows` with the stored model."""
    return Pipeline(tables.create_prediction_pipeline(), namespace=namespace)


def tabular_range_test_pipeline(namespace: str) -> Pipeline:
    """Return the learning-rate range test of the net of `namespace`, on what is stored."""
    return Pipeline(tables.create_range_test_pipeline(), namespace=namespace)


def _files_of(source: str | None) -> dict[str, str]:
    """Return where a text pipeline finds its files, if they are another data source's."""
    if source is None:
        return {}
    return {name: f"{source}.{name}" for name in ("source", "unlabelled_source")}


def ratings_pipeline(namespace: str) -> Pipeline:
    """Return ratings → recommender → lists for the data source called `namespace`."""
    return Pipeline(ratings.create_pipeline(), namespace=namespace)


def ratings_prediction_pipeline(namespace: str) -> Pipeline:
    """Return the pipeline that answers a file with what ``--pipeline=<namespace>`` has stored."""
    return Pipeline(ratings.create_prediction_pipeline(), namespace=namespace)


def ratings_range_test_pipeline(namespace: str) -> Pipeline:
    """Return the learning-rate range test of the recommender called `namespace`."""
    return Pipeline(ratings.create_range_test_pipeline(), namespace=namespace)


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by the name that ``kedro run --pipeline=`` takes."""
    wikitext = pretraining_pipeline("wikitext")
    imdb = text_pipeline("imdb")
    adult = tabular_pipeline("adult")
    movielens = ratings_pipeline("movielens")
    return {
        "wikitext": wikitext,
        "wikitext_backwards": pretraining_pipeline("wikitext_backwards", source="wikitext"),
        "wikitext_generate": generation_pipeline("wikitext"),
        "imdb": imdb,
        "imdb_backwards": text_pipeline("imdb_backwards", source="imdb"),
        "imdb_ensemble": ensemble_pipeline("imdb_ensemble", "imdb", "imdb_backwards"),
        "imdb_magazine": classifier_pipeline("imdb_magazine"),
        "imdb_predict": text_prediction_pipeline("imdb"),
        "imdb_ensemble_predict": ensemble_prediction_pipeline(
            "imdb_ensemble", "imdb", "imdb_backwards"
        ),
        "imdb_generate": generation_pipeline("imdb"),
        "imdb_backwards_generate": generation_pipeline("imdb_backwards"),
        "imdb_range_test": range_test_pipeline("imdb"),
        "adult": adult,
        "adult_predict": tabular_prediction_pipeline("adult"),
        "adult_range_test": tabular_range_test_pipeline("adult"),
        "shop_sales": tabular_pipeline("shop_sales"),
        "movielens": movielens,
        "movielens_predict": ratings_prediction_pipeline("movielens"),
        "movielens_range_test": ratings_range_test_pipeline("movielens"),
        "__default__": wikitext + imdb + adult + movielens,
    }
