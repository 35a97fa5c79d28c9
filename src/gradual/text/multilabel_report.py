"""What a report says about predictions of any number of labels a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gradual.results.predictions import BASELINE, PROBABILITY
from gradual.text.multilabel import (
    BASELINE_PREDICTED,
    PREDICTED,
    RESAMPLES,
    TRUE,
    compare_f1,
    labels_of,
    multilabel_report,
    values_of,
)

_SCORES = {  # key: what it is called, what is better
    "micro_f1": ("Micro F1", "higher"),
    "macro_f1": ("Macro F1", "higher"),
    "micro_precision": ("Micro precision", "higher"),
    "micro_recall": ("Micro recall", "higher"),
    "macro_auc": ("Macro ROC AUC", "higher"),
    "exact_match": ("All labels right", "higher"),
    "log_loss": ("Log loss (nats a label)", "lower"),
}


def multilabel_summary(
    predictions: pd.DataFrame, thresholds: Mapping[str, float], *, confidence: float = 0.95
) -> dict[str, Any]:
    """Score model and baselines on the same rows.

    Args:
        predictions: From `multilabel.predictions_table`, of the test rows.
        thresholds: Of the model, by label.
        confidence: Coverage of all intervals.

    Returns:
        What JSON can hold: ``headline``, ``rows``, ``multi_label`` (True), ``thresholds``,
        ``model`` and ``baseline`` (from `multilabel.multilabel_report`; baseline None if the table
        has none), ``always`` (scores of giving every row every label) and ``difference`` (from
        `multilabel.compare_f1`, model minus baseline, or None).
    """
    labels, truth = labels_of(predictions), _flags(predictions, TRUE)
    assert truth is not None
    reports: dict[str, dict[str, Any] | None] = {}
    for name, given, prefix in (
        ("model", PREDICTED, PROBABILITY),
        ("baseline", BASELINE_PREDICTED, BASELINE),
    ):
        predicted, values = _flags(predictions, given), values_of(predictions, prefix)
        reports[name] = None
        if predicted is not None and values is not None:
            reports[name] = multilabel_report(
                truth, predicted, values, labels, confidence=confidence
            )
    every = np.ones_like(truth)
    always = multilabel_report(truth, every, every.astype(float), labels, confidence=confidence)
    # What always says the same orders nothing, and its certainty has no sensible loss.
    kept = [name for name in _SCORES if name not in ("macro_auc", "log_loss")]
    kept += [f"{name}_interval" for name in kept if f"{name}_interval" in always]
    model, baseline = _flags(predictions, PREDICTED), _flags(predictions, BASELINE_PREDICTED)
    assert model is not None
    summary: dict[str, Any] = {
        "rows": len(predictions),
        "multi_label": True,
        "thresholds": dict(thresholds),
        **reports,
        "always": {name: always[name] for name in kept},
        "difference": (
            None if baseline is None else compare_f1(truth, model, baseline, confidence=confidence)
        ),
    }
    return {"headline": _headline(summary, len(labels)), **summary}


def scores_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return the scores of model and baselines as texts, a row for each score.

    Args:
        summary: From `multilabel_summary`.
    """
    columns = {"model": "Model", "baseline": "N-gram baseline", "always": "Every label, always"}
    present = {key: name for key, name in columns.items() if summary.get(key)}
    return pd.DataFrame(
        [
            {"Score": name, **{present[key]: _score(summary[key], score) for key in present}}
            | {"Better": better}
            for score, (name, better) in _SCORES.items()
        ]
    )


def labels_table(summary: Mapping[str, Any]) -> pd.DataFrame:
    """Return each label's scores as texts, the most frequent label first.

    Args:
        summary: From `multilabel_summary`.
    """
    model, baseline = summary["model"]["labels"], (summary["baseline"] or {}).get("labels")
    rows = []
    for label in sorted(model, key=lambda name: -model[name]["rows"]):
        scores = model[label]
        row = {"Label": label, "Rows": f"{scores['rows']:,}"}
        row |= {"Threshold": f"{summary['thresholds'][label]:.3f}"}
        row |= {"Predicted": f"{scores['predicted']:,}"}
        for name, key in {"Precision": "precision", "Recall": "recall", "F1": "f1"}.items():
            row[name] = _score(scores, key, digits=2)
        if baseline:
            row["Baseline F1"] = _score(baseline[label], "f1", digits=2)
        row["ROC AUC"] = _score(scores, "roc_auc", digits=2)
        rows.append(row)
    return pd.DataFrame(rows)


def notes(summary: Mapping[str, Any]) -> str:
    """Say how the scores were made.

    Args:
        summary: From `multilabel_summary`.
    """
    text = (
        "A label is given where its probability reaches its threshold, chosen on the validation "
        "rows for the highest F1 of that label, in the same way for the baseline. Micro scores "
        "count every pair of row and label, macro scores are means over labels. Intervals: F1 and "
        f"micro scores bootstrap of {RESAMPLES:,} over rows; a label's precision and recall, and "
        "all labels right, Wilson; ROC AUC DeLong."
    )
    if summary["difference"]:
        macro = _score(summary["difference"], "macro_f1", sign=True)
        text += f" Difference in macro F1, model minus baseline: {macro}."
    return text


def _headline(summary: Mapping[str, Any], labels: int) -> str:
    model = summary["model"]
    text = (
        f"Micro F1 {_score(model, 'micro_f1')} over {labels} labels on {summary['rows']:,} test "
        f"rows ({model['confidence']:.0%} interval)"
    )
    if summary["baseline"]:
        difference = _score(summary["difference"], "micro_f1", sign=True)
        baseline = _score({"micro_f1": summary["baseline"]["micro_f1"]}, "micro_f1")
        text += f"; n-gram baseline {baseline}, difference {difference}"
    return text + "."


def _score(report: Mapping[str, Any], key: str, *, sign: bool = False, digits: int = 3) -> str:
    """Format one score with its interval if it has one."""
    value, interval = report.get(key), report.get(f"{key}_interval")
    if value is None:
        return "–"
    form = f"{'+' if sign else ''}.{digits}f"
    text = f"{value:{form}}"
    return f"{text} [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else text


def _flags(predictions: pd.DataFrame, prefix: str) -> np.ndarray | None:
    values = values_of(predictions, prefix)
    return None if values is None else values.astype(bool)
