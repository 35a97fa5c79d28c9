"""Texts to language models, classifiers and ensembles of them."""

from typing import Any

from gradual.pipelines import Build, under

TASKS = ("classifier", "language_model")
FILES = ("source", "test_source", "unlabelled_source", "new_rows")
_PACKAGE = "gradual.pipelines.texts.pipeline"


def pipelines(
    name: str,
    *,
    task: str = "classifier",
    backwards: bool = False,
    language_model: str | None = None,
) -> dict[str, Build]:
    """Return what builds each pipeline of a source of texts, by the name that ``kedro run`` takes.

    Args:
        name: Name of the source; its catalog entries and parameters begin with it.
        task: "classifier", or "language_model": texts without labels, for other sources to start
            from.
        backwards: Whether the texts are also read from their ends; a classifier then has an
            ensemble of both directions.
        language_model: Another source, whose language model the classifier is built on; none is
            trained here.

    Raises:
        ValueError: The settings contradict each other, or there is no such task.
    """
    if task not in TASKS:
        raise ValueError(f"{name}: task is {task!r}: write one of {', '.join(TASKS)}")
    if language_model is not None and (backwards or task != "classifier"):
        raise ValueError(
            f"{name}: with `language_model: {language_model}` there is one classifier, in that "
            "model's direction: leave out `backwards` and `task`"
        )
    borrowed = {"language_model": f"{language_model}.language_model"} if language_model else {}
    options = {"task": task, "has_language_model": language_model is not None}
    found = _direction(name, borrowed, **options)
    if not backwards:
        return found
    behind = f"{name}_backwards"
    found |= _direction(behind, {file: f"{name}.{file}" for file in FILES}, **options)
    if task == "classifier":
        found |= _ensemble(name, found[name], behind, found[behind])
    return found


def _direction(name: str, inputs: dict[str, str], **options: Any) -> dict[str, Build]:
    """Return the pipelines of one direction of reading."""
    found = {
        name: under(name, f"{_PACKAGE}:create_pipeline", inputs, **options),
        f"{name}_range_test": under(
            name, f"{_PACKAGE}:create_range_test_pipeline", inputs, **options
        ),
    }
    if not options["has_language_model"]:
        found[f"{name}_generate"] = under(name, f"{_PACKAGE}:create_generation_pipeline")
    if options["task"] == "classifier":
        found[f"{name}_predict"] = under(name, f"{_PACKAGE}:create_prediction_pipeline", inputs)
    return found


def _ensemble(name: str, ahead: Build, behind_name: str, behind: Build) -> dict[str, Build]:
    """Return both directions with the mean of their classifiers, and what predicts with it.

    Trainings that are finished are not redone; ``--tags=text_ensemble`` runs the last part alone,
    on what both have stored.
    """
    inputs = {
        "forward_predictions": f"{name}.predictions",
        "backward_predictions": f"{behind_name}.predictions",
        "forward_valid_predictions": f"{name}.valid_predictions",
        "backward_valid_predictions": f"{behind_name}.valid_predictions",
        "forward_classifier": f"{name}.classifier",
        "backward_classifier": f"{behind_name}.classifier",
        "ngrams": f"{name}.ngrams",
        "documents": f"{name}.documents",
        "new_rows": f"{name}.new_rows",
    }
    both = f"{name}_ensemble"
    mean = under(both, f"{_PACKAGE}:create_ensemble_pipeline", inputs)
    return {
        both: lambda: ahead() + behind() + mean(),
        f"{both}_predict": under(both, f"{_PACKAGE}:create_prediction_pipeline", inputs),
    }
