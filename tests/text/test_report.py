"""The pages and figures about text models."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from text_tables import LABELS, labels_predictions, predictions

from gradual.reports.figures import draw_all, is_drawn
from gradual.reports.page import Material, write
from gradual.text import report
from gradual.text.figures import FIGURES
from gradual.text.language_model import WordAnswers
from gradual.text.metrics import score_predictions, score_words, summarise, words_headline
from gradual.text.predictions import average_predictions, choose_examples

WORDS = WordAnswers(np.array([20.0, 50.0]), np.array([3, 5]), np.array([10, 20]))


def material(table: pd.DataFrame, model: str = "classifier", **more: object) -> Material:
    scored, test = score_predictions(table, source="s", part="test", model=model)
    _, valid = score_predictions(table, source="s", part="valid", model=model)
    words = score_words({"language_model": WORDS, "unigrams": WORDS}, source="s", part="valid")
    scores = pd.concat([test, valid, *([words] if more else [])], ignore_index=True)
    metadata = {"decision": {"thresholds": dict.fromkeys(LABELS, 0.5)}}
    summary = summarise(scored, scores, model=model, metadata=metadata) | more
    tables = {"review_examples": choose_examples(table)}
    return Material(summary, scores, draw_all(FIGURES, table, scores), tables, {"seed": 1})


def test_a_classifiers_page_has_scores_of_both_parts_words_and_samples() -> None:
    about = {"language_model": {"start": {"from": "random"}}, "sample_texts": {"It": "It <i> was"}}
    m = material(predictions(0, abstain_below=0.7), **about)
    page = write("Texts", report.CLASSIFIER, m).replace("\u00a0", " ")
    for text in (
        m.summary["headline"], "On the validation rows", "When it cannot tell", "Perplexity",
        "Most wrong", "It &lt;i&gt; was", "Classifier against n-grams:",
    ):  # fmt: skip
        assert text in page, text
    assert "Label by label" not in page
    assert all(is_drawn(figure) for figure in m.figures.values())


def test_the_page_of_several_labels_shows_each_and_escapes_what_came_from_data() -> None:
    m = material(labels_predictions())
    page = write("Texts", report.CLASSIFIER, m)
    for text in ("Label by label", "bad &lt;b&gt;", "Micro F1", "F1, n-grams", "0.500"):
        assert text in page, text
    assert "<script>alert" not in page
    assert "When it cannot tell" not in page
    assert "<h2>Language model" not in page
    found = {bar.name: int(np.sum(bar.x)) for bar in m.figures["confusion_matrix"].data}
    truth = labels_predictions()[[f"true_{label}" for label in LABELS]].to_numpy()
    assert sum(n for name, n in found.items() if not name.startswith("wrongly")) == truth.sum()
    model = m.figures["decisions"].data[1]
    assert (np.asarray(model.error_x["array"], float) >= 0).all()


def test_the_ensembles_page_says_what_the_mean_is_worth() -> None:
    m = material(average_predictions(predictions(0), predictions(1)), "ensemble")
    page = write("Both", report.ENSEMBLE, m)
    for text in ("Ensemble against Forward:", "Ensemble against n-grams:", "Backward"):
        assert text in page
    assert m.figures["comparison"].data[0].y[0] in ("n-grams", "Ensemble", "Forward", "Backward")


def test_a_language_model_has_a_page_of_its_own() -> None:
    scores = pd.concat(
        [
            score_words({"language_model": WORDS, "unigrams": WORDS}, source="s", part=part)
            for part in ("valid", "test")
        ]
    )
    summary = {
        "headline": words_headline(scores), "warnings": [], "notes": ["By resampling."],
        "language_model": {"start": {"from": "random"}}, "sample_texts": {"": "A text."},
    }  # fmt: skip
    figures = {"language_model_training": go.Figure(go.Scatter(x=[1], y=[2]))}
    page = write("Words", report.LANGUAGE_MODEL, Material(summary, scores, figures))
    for text in ("on 2 test documents", "Word frequencies", "A text.", "By resampling.", "random"):
        assert text in page, text
