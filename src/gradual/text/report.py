"""The page about a text classifier, and its result in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradual.reports.page import Block, Heading, Note, Quote, Section, Table, html_page
from gradual.results.classification import classification_report, wilson_interval
from gradual.results.comparison import compare_accuracy
from gradual.results.predictions import BASELINE, PROBABILITY, classes_of, probabilities_of
from gradual.text import multilabel_report

METRICS = {  # key: what it is called, whether it is a share, what is better
    "accuracy": ("Accuracy", True, "higher"),
    "balanced_accuracy": ("Balanced accuracy", True, "higher"),
    "f1": ("F1", False, "higher"),
    "roc_auc": ("ROC AUC", False, "higher"),
    "log_loss": ("Log loss (nats)", False, "lower"),
    "calibration_error": ("Calibration error", False, "lower"),
}

EXAMPLE_NUMBERS = ("row", "probability", "loss")


def classifier_summary(
    predictions: pd.DataFrame,
    *,
    positive: str | None = None,
    majority_class: str | None = None,
    abstain_below: float | None = None,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """Score model and baselines on the same rows.

    Args:
        predictions: From `examples.predictions_table`, of the test rows.
        positive: The positive class of two; the last by default.
        majority_class: The most frequent class of the training rows.
        abstain_below: The threshold that the column ``answered`` was made with, if there is one.
        confidence: Coverage of all intervals.

    Returns:
        What JSON can hold: ``headline``, ``rows``, ``model`` and ``baseline`` (from
        `metrics.classification_report`; baseline None if the table has none), ``majority``
        (``label``, ``accuracy``, ``accuracy_interval``, or None), ``difference`` (from
        `comparison.compare_accuracy`, model minus baseline, or None) and ``answers`` (None if
        every row is answered): ``abstain_below``, ``rows`` answered, ``coverage`` and
        ``accuracy`` among those, with intervals; None where none is answered.
    """
    classes = classes_of(predictions)
    labels = predictions["label"].to_numpy(object)
    reports: dict[str, dict[str, Any] | None] = {}
    for name, prefix in (("model", PROBABILITY), ("baseline", BASELINE)):
        probabilities = probabilities_of(predictions, prefix)
        reports[name] = (
            None
            if probabilities is None
            else classification_report(
                labels, probabilities, classes, positive=positive, confidence=confidence
            )
        )
    summary: dict[str, Any] = {"rows": len(predictions), **reports}
    summary["majority"] = None
    if majority_class is not None:
        hits = int((labels == majority_class).sum())
        summary["majority"] = {
            "label": majority_class,
            "accuracy": hits / len(labels),
            "accuracy_interval": list(wilson_interval(hits, len(labels), confidence)),
        }
    summary["difference"] = None
    if reports["baseline"] is not None:
        summary["difference"] = compare_accuracy(
            predictions["correct"].to_numpy(bool),
            predictions["baseline_correct"].to_numpy(bool),
            confidence,
        )
    summary["answers"] = None
    if "answered" in predictions:
        summary["answers"] = _answers(predictions, abstain_below, confidence)
    return {"headline": headline(summary), **summary}


def _answers(
    predictions: pd.DataFrame, abstain_below: float | None, confidence: float
) -> dict[str, Any]:
    answered = predictions["answered"].to_numpy(bool)
    rows, right = int(answered.sum()), int(predictions["correct"][answered].sum())
    return {
        "abstain_below": abstain_below,
        "rows": rows,
        "coverage": rows / len(answered),
        "coverage_interval": list(wilson_interval(rows, len(answered), confidence)),
        "accuracy": right / rows if rows else None,
        "accuracy_interval": list(wilson_interval(right, rows, confidence)) if rows else None,
    }


def headline(summary: Mapping[str, Any]) -> str:
    """Say the result in one sentence.

    Args:
        summary: From `classifier_summary`.
    """
    model = summary["model"]
    text = (
        f"Accuracy {_score(model, 'accuracy')} on {summary['rows']:,} test rows "
        f"({model['confidence']:.0%} interval)"
    )
    if summary["baseline"]:
        difference = summary["difference"]
        low, high = (100 * value for value in difference["interval"])
        text += (
            f"; n-gram baseline {summary['baseline']['accuracy']:.1%}, difference "
            f"{100 * difference['difference']:+.1f} points [{low:+.1f}, {high:+.1f}]"
        )
    text += "."
    if answers := summary.get("answers"):
        text += f" It answers {_share(answers, 'coverage')} of the rows"
        text += f", {_share(answers, 'accuracy')} of those rightly." if answers["rows"] else "."
    return text


def _share(report: Mapping[str, Any], key: str) -> str:
    low, high = report[f"{key}_interval"]
    return f"{report[key]:.1%} [{low:.1%}, {high:.1%}]"


def _score(report: Mapping[str, Any], key: str) -> str:
    """Format one score with its interval if it has one."""
    value = report.get(key)
    if value is None:
        return "–"
    share = METRICS[key][1]
    interval = report.get(f"{key}_interval")
    if share:
        text = f"{value:.1%}"
        return f"{text} [{interval[0]:.1%}, {interval[1]:.1%}]" if interval else text
    text = f"{value:.3f}"
    return f"{text} [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else text


def scores_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return the scores of model and baselines as texts, a row for each score.

    Args:
        summary: From `classifier_summary`.
    """
    columns = {"model": "Model", "baseline": "N-gram baseline", "majority": "Majority class"}
    present = {key: name for key, name in columns.items() if summary.get(key)}
    rows = [
        {"Score": name, **{present[key]: _score(summary[key], metric) for key in present}}
        | {"Better": better}
        for metric, (name, _, better) in METRICS.items()
    ]
    return pd.DataFrame(rows)


def _notes(summary: Mapping[str, Any]) -> str:
    """Say how the scores were made."""
    model = summary["model"]
    counts = ", ".join(f"{name} {count:,}" for name, count in model["class_counts"].items())
    f1 = f"F1 of {model['positive']}" if model["positive"] is not None else "F1 macro"
    text = (
        f"Test rows: {counts}. Accuracy interval: Wilson. {f1}. ROC AUC interval: "
        f"{model['roc_auc_method']}. Calibration error over {model['calibration_bins']} bins of "
        "equal width."
    )
    if summary["difference"]:
        difference = summary["difference"]
        text += (
            f" Difference: {difference['only_first_right']:,} rows only the model had right, "
            f"{difference['only_other_right']:,} only the baseline; McNemar p = "
            f"{difference['p_value']:.2g}."
        )
    return text


def html_report(
    summary: Mapping[str, Any],
    *,
    title: str = "Text classifier",
    figures: Sequence[go.Figure] = (),
    examples: pd.DataFrame | None = None,
    training_figures: Sequence[go.Figure] = (),
    language_model: Mapping[str, Any] | None = None,
    sample_texts: Mapping[str, str] | Sequence[str] | str | None = None,
    run: Mapping[str, Any] | None = None,
) -> str:
    """Write the page about a text classifier.

    Args:
        summary: From `classifier_summary` or `multilabel_report.multilabel_summary`.
        title: Heading of the page.
        figures: Figures about the predictions.
        examples: From `examples.choose_examples` or `multilabel.choose_examples`.
        training_figures: Figures about how the models were trained.
        language_model: Scores of the language model by name, nested or flat.
        sample_texts: What the language model wrote, by prompt or as they are.
        run: What was run: parameters, seeds, times; nested or flat.

    Returns:
        The HTML. Everything that came from data is escaped.
    """
    blocks: list[Block] = []
    sections = [Section("", _scores(summary))]
    if figures:
        sections.append(Section("Predictions", [figures]))
    if examples is not None:
        sections += example_sections(examples)
    if training_figures:
        sections.append(Section("Training", [training_figures]))
    if language_model or sample_texts:
        blocks = [language_model] if language_model else []
        sections.append(Section("Language model", blocks + _samples(sample_texts)))
    if run:
        sections.append(Section("The run", [run]))
    return html_page(title, summary["headline"], sections)


def example_sections(examples: pd.DataFrame) -> list[Section]:
    """Return the section that shows chosen texts, a table of each kind; none if there are none.

    Args:
        examples: From `examples.choose_examples`.
    """
    blocks: list[Block] = []
    for kind in examples["kind"].unique():
        chosen = examples[examples["kind"] == kind].drop(columns="kind")
        blocks += [Heading(str(kind).capitalize()), Table(_readable(chosen), EXAMPLE_NUMBERS)]
    return [Section("Texts worth reading", blocks)] if blocks else []


def _scores(summary: Mapping[str, Any]) -> list[Block]:
    """What stands first: the scores, and how they were made."""
    if summary.get("multi_label"):
        table = multilabel_report.scores_table(summary)
        labels = multilabel_report.labels_table(summary)
        return [
            Table(table, numbers=[str(name) for name in table][1:-1]),
            Heading("Label by label"),
            Table(labels, numbers=[str(name) for name in labels][1:]),
            Note(multilabel_report.notes(summary)),
        ]
    columns = ("Model", "N-gram baseline", "Majority class")
    blocks: list[Block] = [Table(scores_table(summary), numbers=columns), Note(_notes(summary))]
    if answers := summary.get("answers"):
        share = _share(answers, "accuracy") if answers["rows"] else "–"
        blocks += [
            Heading("When it cannot tell"),
            f"The model answers {answers['rows']:,} of {summary['rows']:,} test rows, "
            f"{_share(answers, 'coverage')}: those whose most probable class reaches "
            f"{answers['abstain_below']:.3f}. {share} of these answers are right; the scores above "
            "take its guess everywhere. The threshold was set or chosen before the test rows were "
            "looked at.",
        ]
    return blocks


def _readable(examples: pd.DataFrame) -> pd.DataFrame:
    """Round numbers and name columns for people."""
    rounded = {
        name: [f"{value:.4f}" for value in examples[name]]
        for name in ("probability", "loss")
        if name in examples
    }
    shown = examples.assign(**rounded)
    return shown.rename(columns={name: str(name).replace("_", " ") for name in shown})


def _samples(texts: Mapping[str, str] | Sequence[str] | str | None) -> list[Block]:
    """Quote what the language model wrote."""
    if not texts:
        return []
    if isinstance(texts, str):
        texts = [texts]
    items = texts.items() if isinstance(texts, Mapping) else (("", text) for text in texts)
    return [Heading("What it writes"), *(Quote(text, prompt) for prompt, text in items)]
