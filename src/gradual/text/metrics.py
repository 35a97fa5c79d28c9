"""What is measured of texts: metrics of words and of single labels, and the scores of a source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from gradual.results.metrics import METRICS, Metric, MultiLabelAnswers, f1_of, register
from gradual.results.scores import Score, area_under_roc, of_means
from gradual.results.table import (
    Answers,
    Scored,
    gap_text,
    parts_differ,
    score_models,
    score_text,
    value_of,
)
from gradual.text.language_model import WordAnswers
from gradual.text.predictions import (
    BASELINE_PREDICTED,
    PREDICTED,
    TRUE,
    is_multi_label,
    labels_of,
    probabilities_by,
    values_of,
)

NAMES = {
    "classifier": "Classifier",
    "ensemble": "Ensemble",
    "forward": "Forward",
    "backward": "Backward",
    "ngrams": "n-grams",
    "stack": "Stack",
    "majority": "Most frequent label",
    "every_label": "Every label, always",
    "language_model": "Language model",
    "unigrams": "Word frequencies",
}
"""What people call the models of result rows."""

WORDS_NOTE = (
    "Perplexity and next words: of every word of these documents from those before it; intervals "
    "by resampling documents. Word frequencies are those of the training documents."
)

ANSWERED = "answered"
"""The slice of rows that a classifier answers, where it may say that it cannot tell."""
LABEL = "label "
"""The slice `label <name>` holds the scores of one label of several."""


# ------------------------------------------------------- words: WordAnswers, a row is a document


def _words(_: Any, found: WordAnswers) -> np.ndarray:
    return np.stack([found.loss, found.hits, found.words], axis=1).astype(np.float64)


def _perplexity(truth: Any, found: WordAnswers) -> Score:
    def combine(means: np.ndarray) -> np.ndarray:
        mean = means[:, 0] / np.maximum(means[:, 2], 1e-9)  # a draw may hold no word at all
        return np.exp(np.minimum(mean, 700.0))  # beyond that it overflows

    return of_means(_words(truth, found), combine)


def _word_accuracy(truth: Any, found: WordAnswers) -> Score:
    return of_means(_words(truth, found), lambda means: means[:, 1] / np.maximum(means[:, 2], 1e-9))


# ---------------------------------------- one label of several: (n, 1) bool, MultiLabelAnswers


def _hits(truth: np.ndarray, found: MultiLabelAnswers) -> np.ndarray:
    """Of each row whether the label was hit, given, there: ``(n, 3)``."""
    yes, given = truth.astype(bool), found.predicted.astype(bool)
    return np.concatenate([yes & given, given, yes], axis=1).astype(np.float64)


def _label_f1(truth: np.ndarray, found: MultiLabelAnswers) -> Score | None:
    hits = _hits(truth, found)
    return of_means(hits, lambda means: f1_of(means)[:, 0]) if hits[:, 1:].any() else None


def _label_share(column: int) -> Any:
    """Share of hits among the rows given the label (1), or that have it (2)."""

    def score(truth: np.ndarray, found: MultiLabelAnswers) -> Score | None:
        hits = _hits(truth, found)
        chosen = hits[:, column] > 0
        return of_means(hits[chosen, 0]) if chosen.any() else None

    return score


def _label_auc(truth: np.ndarray, found: MultiLabelAnswers) -> Score | None:
    return area_under_roc(truth[:, 0].astype(bool), found.probabilities[:, 0])


_WILSON: Any = {"unit": "share", "interval": "wilson"}

register(
    Metric("perplexity", "Perplexity", ("words",), _perplexity, better="lower", scale="positive"),
    Metric("word_accuracy", "Next word right", ("words",), _word_accuracy, unit="share"),
    Metric("label_f1", "F1", ("label",), _label_f1),
    Metric("label_precision", "Precision", ("label",), _label_share(1), **_WILSON),
    Metric("label_recall", "Recall", ("label",), _label_share(2), **_WILSON),
    Metric("label_auc", "ROC AUC", ("label",), _label_auc, interval="delong"),
    Metric("answer_share", "Rows answered", (), lambda _, found: of_means(found), **_WILSON),
)


# ------------------------------------------------------------------------------------- scoring


def score_words(answers: Mapping[str, WordAnswers], *, source: str, part: str) -> pd.DataFrame:
    """Return result rows of a language model and of word frequencies on the same documents.

    Args:
        answers: From `gradual.text.language_model.answer_words`.
        source: The source's name.
        part: Of the documents.
    """
    models = [Answers(model, found) for model, found in answers.items()]
    rows = len(next(iter(answers.values())).words)
    return score_models(models, None, "words", source=source, part=part, rows=rows).frame


def words_headline(scores: pd.DataFrame) -> str:
    """Say in a sentence how well words are predicted, on test documents if there are any.

    Args:
        scores: From `score_words`.
    """
    part = "test" if (scores["part"] == "test").any() else "valid"
    texts = []
    for model in ("language_model", "unigrams"):
        values = (value_of(scores, model, name, part) for name in ("perplexity", "word_accuracy"))
        texts.append([one["value"] for one in values])
    (perplexity, right), (plain, plain_right) = texts
    rows = value_of(scores, "language_model", "perplexity", part)["rows"]
    return (
        f"Perplexity {perplexity:.1f} on {rows:,} {'test' if part == 'test' else 'held-out'} "
        f"documents (word frequencies {plain:.1f}); next word right {100 * right:.1f} % "
        f"({100 * plain_right:.1f} %)."
    )


def score_predictions(
    predictions: pd.DataFrame,
    *,
    source: str,
    part: str,
    model: str = "classifier",
    shares: Mapping[str, float] | None = None,
) -> tuple[Scored, pd.DataFrame]:
    """Score all models of a predictions table on its rows.

    Args:
        predictions: From `gradual.text.predictions`.
        source: The source's name.
        part: Of the rows.
        model: What the model of the table's own columns is called.
        shares: Of each class among the training rows: a model that gives every row those (where a
            document may have several labels: every label) is scored, too.

    Returns:
        The models' scores on all rows, and the result rows of these and of slices: of the rows
        `ANSWERED`, or of each `LABEL`.
    """
    score = partial(score_models, source=source, part=part)
    if is_multi_label(predictions):
        return _score_labels(predictions, model, shares is not None, score)
    found = probabilities_by(predictions, model)
    classes = list(labels_of(predictions))
    if shares is not None:
        constant = np.array([shares.get(name, 0.0) for name in classes])
        found["majority"] = np.tile(constant, (len(predictions), 1))
    truth = pd.Index(classes).get_indexer(pd.Index(predictions["label"]))
    kind = "binary" if len(classes) == 2 else "multiclass"
    scored = score([Answers(*one) for one in found.items()], truth, kind)
    frames = [scored.frame]
    if "answered" in predictions:
        score = partial(score, slice=ANSWERED)
        rows = predictions["answered"].to_numpy(bool)
        coverage = score([Answers(model, rows)], rows, "", metrics=[METRICS["answer_share"]])
        frames.append(coverage.frame)
        if rows.any():
            own = [Answers(name, of_model[rows]) for name, of_model in found.items()]
            frames.append(score(own, truth[rows], kind, metrics=[METRICS["accuracy"]]).frame)
    return scored, pd.concat(frames, ignore_index=True)


def _score_labels(
    predictions: pd.DataFrame, model: str, constant: bool, score: Callable[..., Scored]
) -> tuple[Scored, pd.DataFrame]:
    truth = values_of(predictions, TRUE).astype(bool)
    found = {
        name: MultiLabelAnswers(
            probabilities,
            values_of(predictions, BASELINE_PREDICTED if name == "ngrams" else PREDICTED) > 0,
        )
        for name, probabilities in probabilities_by(predictions, model).items()
    }
    answers = [Answers(*one) for one in found.items()]
    if constant:
        every = np.ones(truth.shape)
        answers.append(Answers("every_label", MultiLabelAnswers(every, every > 0)))
    scored = score(answers, truth, "multilabel")
    frames = [scored.frame]
    metrics = [METRICS["exact_match"], *(m for m in METRICS.values() if "label" in m.kinds)]
    for k, label in enumerate(labels_of(predictions)):
        own = [
            Answers(name, MultiLabelAnswers(one.probabilities[:, [k]], one.predicted[:, [k]]))
            for name, one in found.items()
        ]
        frame = score(own, truth[:, [k]], "label", metrics=metrics, slice=LABEL + label).frame
        frames.append(frame[frame["metric"] != "exact_match"])
    return scored, pd.concat(frames, ignore_index=True)


def summarise(
    scored: Scored,
    scores: pd.DataFrame,
    *,
    model: str = "classifier",
    on_valid: Scored | None = None,
    choice: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    reads_test_texts: bool | None = None,
    looks: int = 1,
) -> dict[str, Any]:
    """Say the result in words.

    Args:
        scored: Of the test rows, from `score_predictions`.
        scores: Result rows of all parts.
        model: The model that is served.
        on_valid: Of the validation rows.
        choice: How the served model was chosen there, of `gradual.text.stacking.Choice`.
        metadata: Of the classifier's bundle: its ``decision`` and what ``refit`` says.
        reads_test_texts: Whether the language model has learnt from the test rows' texts; None: it
            was trained elsewhere, and nobody here knows.
        looks: How often the test rows have been scored.

    Returns:
        What JSON can hold: ``headline``, ``warnings``, ``notes``, ``looks``, ``rows``,
        ``decision``, ``verdict`` (the model against each other one) and, if another one is served,
        ``net`` (the net against each other one).
    """
    verdict, metric = scored.verdict(ahead=model), METRICS[scored.by]
    best = value_of(scores, model, scored.by)
    headline = (
        f"{metric.title} {_text(scores, model, scored.by)} on {best['rows']:,} test rows "
        f"({100 * scored.confidence:.0f} % interval)"
    )
    net = "ensemble" if "ensemble" in scored.scores else "classifier"
    if model != net:
        headline = f"{NAMES[model]}: {headline}"
    others = [name for name in _MEMBERS if name in verdict.against]
    for other in others:
        gap = gap_text(metric, verdict.against[other])
        value = metric.show(value_of(scores, other, scored.by)["value"])
        headline += f"; {NAMES[other]} {value}, difference {gap}"
    answered = scores[(scores["slice"] == ANSWERED) & (scores["part"] == "test")]
    for name, words in (
        ("answer_share", ". It answers {} of the rows"),
        ("accuracy", ", {} rightly"),
    ):
        own = answered[(answered["model"] == model) & (answered["metric"] == name)]
        for one in own[["metric", "value", "low", "high"]].itertuples(index=False, name=None):
            headline += words.format(score_text(*one))
    headline += "."
    of_net = None
    if model != net:
        of_net = scored.verdict(ahead=net)
        gap = gap_text(metric, of_net.against["ngrams"])
        headline += f" {NAMES[net]} against n-grams: {gap}."
    if choice and choice.get("log_loss") and on_valid is not None:
        headline += f" {_chosen(on_valid, model, net, choice)}"
    shown = [scored.by, "log_loss", "roc_auc", "macro_f1", "macro_auc"]
    return {
        "headline": headline,
        "warnings": parts_differ(scores, model, shown, NAMES),
        "notes": _notes(metadata or {}, choice or {}, reads_test_texts, looks),
        "decision": dict((choice or metadata or {}).get("decision") or {}),
        "looks": looks,
        "rows": best["rows"],
        "verdict": asdict(verdict),
        "net": None if of_net is None else asdict(of_net),
    }


_MEMBERS = ("classifier", "ensemble", "forward", "backward", "ngrams", "stack")


def _chosen(on_valid: Scored, model: str, net: str, choice: Mapping[str, Any]) -> str:
    """Say which model is served, and by how much it won on the validation rows."""
    metric = METRICS["log_loss"]
    verdict = replace(on_valid, by="log_loss").verdict(ahead=model)
    gaps = [
        f"{NAMES[name]} {metric.show(on_valid.scores[name]['log_loss'].value)} "
        f"({gap_text(metric, verdict.against[name])})"
        for name in (net, "ngrams", "stack")
        if name != model
    ]
    how = "has the lowest log loss" if choice["asked"] == "auto" else "is served as asked: log loss"
    return (
        f"{NAMES[model]} {how} on the {choice['rows']:,} validation rows, "
        f"{metric.show(verdict.value)}; {', '.join(gaps)}."
    )


def _text(scores: pd.DataFrame, model: str, metric: str) -> str:
    found = value_of(scores, model, metric)
    return score_text(metric, found["value"], found["low"], found["high"])


_TEST_TEXTS = {
    True: "Their texts, without labels, the language model and its vocabulary have learnt from, as "
    "in ULMFiT.",
    False: "Their texts were held out of the language model and its vocabulary, too.",
    None: "The language model was trained elsewhere, perhaps on their texts, too.",
}


def _notes(
    metadata: Mapping[str, Any],
    choice: Mapping[str, Any],
    reads_test_texts: bool | None,
    looks: int,
) -> list[str]:
    """How the scores were made."""
    notes = [
        "Labels of the test rows were used for nothing but these scores. "
        + _TEST_TEXTS[reads_test_texts],
        "This is the first run that scored them, as far as the tracking store knows."
        if looks == 1
        else f"{looks:,} runs have scored these test rows, this one included: what was changed "
        "after a look at the scores was chosen on them.",
    ]
    if "thresholds" in metadata.get("decision", {}):
        notes.append(
            "A label is given where its probability reaches its threshold, chosen on the "
            "validation rows for the highest F1 of that label, for the n-grams as for the "
            "classifier. Micro scores count every pair of row and label, macro scores are means "
            "over labels."
        )
    if weights := choice.get("weights"):
        notes.append(
            f"The stack multiplies the probabilities of net and n-grams, to the powers "
            f"{weights['net']:.2f} and {weights['ngrams']:.2f}, fitted on the validation rows; its "
            "validation scores are of rows that the weights used for them have not seen. The net's "
            "epoch was chosen on these rows, too, where it stopped early."
        )
    if refit := metadata.get("refit"):
        notes.append(
            f"The classifier that is kept, and scored on the test rows, was trained once more on "
            f"{refit['rows']:,} training and validation rows for {refit['epochs']} epochs; so were "
            "the n-grams. Validation scores are those of the models before that."
        )
    return notes
