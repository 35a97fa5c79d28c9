"""One HTML page that says how good a model is, and the page of a text classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias

import pandas as pd
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from gradual.evaluation import multilabel_report
from gradual.evaluation.comparison import compare_accuracy
from gradual.evaluation.examples import BASELINE, PROBABILITY, classes_of, probabilities_of
from gradual.evaluation.metrics import classification_report, wilson_interval

METRICS = {  # key: what it is called, whether it is a share, what is better
    "accuracy": ("Accuracy", True, "higher"),
    "balanced_accuracy": ("Balanced accuracy", True, "higher"),
    "f1": ("F1", False, "higher"),
    "roc_auc": ("ROC AUC", False, "higher"),
    "log_loss": ("Log loss (nats)", False, "lower"),
    "calibration_error": ("Calibration error", False, "lower"),
}

EXAMPLE_NUMBERS = ("row", "probability", "loss")
FIGURE = 'class="plotly-graph-div"'  # what plotly calls the element that it draws in

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 0 auto;
  max-width: 1120px; padding: 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid #0072B2; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
.headline { font-size: 1.2rem; background: #F0F6FA; border-left: 5px solid #0072B2;
  padding: .8rem 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .93rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .35rem .7rem;
  border-bottom: 1px solid #DDD; }
td.number, th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
td.text { min-width: 24rem; overflow-wrap: anywhere; }
th { background: #F6F6F6; }
table.values { width: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(500px, 100%), 1fr));
  gap: 1rem; }
.figures > div { min-width: 0; }
.note { color: #555; font-size: .9rem; }
td, blockquote { unicode-bidi: plaintext }  /* right to left where the text is */
blockquote { margin: .6rem 0; padding: .4rem 1rem; border-left: 4px solid #E69F00;
  background: #FDF8EE; white-space: pre-wrap; overflow-wrap: anywhere; }
"""


@dataclass(frozen=True)
class Note:
    """A paragraph in small print: how something was made."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Quote:
    """What a model wrote, and what it was asked."""

    text: str
    prompt: str = ""


@dataclass(frozen=True)
class Table:
    """A table as it stands; the columns named in `numbers` are set to the right.

    A column called `text` gets room for long texts.
    """

    frame: pd.DataFrame
    numbers: Sequence[str] = ()


Block: TypeAlias = (
    str | Note | Heading | Quote | Table | Mapping[str, Any] | go.Figure | Sequence[go.Figure]
)
"""Part of a section: a paragraph, one of the above, names and values (nested or flat), a figure of
the page's whole width, or several that stand side by side where there is room."""


@dataclass(frozen=True)
class Section:
    """Part of a page: blocks in order under a title, which may be empty."""

    title: str
    blocks: Sequence[Block]


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


def html_page(title: str, headline: str, sections: Sequence[Section]) -> str:
    """Write a page that needs no other file and no network.

    Args:
        title: Heading of the page.
        headline: The result in a sentence or two, set off at the top.
        sections: What follows, in order.

    Returns:
        The HTML. Everything that came from data is escaped; plotly.js is in it once, if there is a
        figure.
    """
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="headline">{escape(headline)}</p>']
    for section in sections:
        if section.title:
            parts.append(f"<h2>{escape(section.title)}</h2>")
        parts += [_block(block) for block in section.blocks]
    body = "\n".join(parts)
    script = f"<script>{get_plotlyjs()}</script>" if FIGURE in body else ""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{script}\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _block(block: Block) -> str:
    """Write one part of a section."""
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Note):
        return f'<p class="note">{escape(block.text)}</p>'
    if isinstance(block, Heading):
        return f"<h3>{escape(block.text)}</h3>"
    if isinstance(block, Quote):
        asked = f"<strong>{escape(block.prompt)}</strong> → " if block.prompt else ""
        return f"<blockquote>{asked}{escape(block.text)}</blockquote>"
    if isinstance(block, Table):
        return _table(block.frame, block.numbers)
    if isinstance(block, Mapping):
        return _key_values(block)
    if isinstance(block, go.Figure):
        return _figure(block)
    return _figures(block)


def _figures(figures: Sequence[go.Figure]) -> str:
    """Draw figures side by side where there is room."""
    return '<div class="figures">' + "\n".join(map(_figure, figures)) + "</div>"


def _figure(figure: go.Figure) -> str:
    """Draw a figure; plotly.js is in the page's head."""
    return str(
        to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            default_height=f"{figure.layout.height or 440}px",
            config={"responsive": True, "displayModeBar": False},
        )
    )


def _readable(examples: pd.DataFrame) -> pd.DataFrame:
    """Round numbers and name columns for people."""
    rounded = {
        name: [f"{value:.4f}" for value in examples[name]]
        for name in ("probability", "loss")
        if name in examples
    }
    shown = examples.assign(**rounded)
    return shown.rename(columns={name: str(name).replace("_", " ") for name in shown})


def _table(frame: pd.DataFrame, numbers: Sequence[str] = (), *, values: bool = False) -> str:
    """Write a table, every cell escaped; a table of values has no heading."""

    def style(name: str) -> str:
        if name in numbers:
            return ' class="number"'
        return ' class="text"' if name == "text" else ""

    names = [str(name) for name in frame.columns]
    header = "".join(f"<th{style(name)}>{escape(name)}</th>" for name in names)
    rows = (
        "".join(
            f"<td{style(name)}>{escape(str(value))}</td>"
            for name, value in zip(names, row, strict=True)
        )
        for row in frame.itertuples(index=False, name=None)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    if values:
        return f'<div class="scroll"><table class="values"><tbody>{body}</tbody></table></div>'
    top = f"<thead><tr>{header}</tr></thead>"
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def _key_values(values: Mapping[str, Any]) -> str:
    """Write a nested mapping as a table of dotted names and values."""
    rows = [(name.replace("_", " "), _value(name, value)) for name, value in flatten(values)]
    return _table(pd.DataFrame(rows, columns=["name", "value"]), values=True)


def flatten(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Return the leaves of a nested mapping with dotted names, in order."""
    leaves: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            leaves += flatten(value, f"{prefix}{name}.")
        else:
            leaves.append((f"{prefix}{name}", value))
    return leaves


def _value(name: str, value: Any) -> str:
    """Format one value for people."""
    if isinstance(value, (list, tuple)) and any(isinstance(entry, Mapping) for entry in value):
        return "; ".join(
            ", ".join(f"{key} {inner}" for key, inner in flatten(entry)) for entry in value
        )
    if isinstance(value, float):
        return f"{value:.2%}" if "accuracy" in name and 0 <= value <= 1 else f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10_000:
        return f"{value:,}"
    return str(value)


def _samples(texts: Mapping[str, str] | Sequence[str] | str | None) -> list[Block]:
    """Quote what the language model wrote."""
    if not texts:
        return []
    if isinstance(texts, str):
        texts = [texts]
    items = texts.items() if isinstance(texts, Mapping) else (("", text) for text in texts)
    return [Heading("What it writes"), *(Quote(text, prompt) for prompt, text in items)]
