"""Which of several models on a table is kept, and the result in words."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradual.results.contest import LOWER_IS_BETTER, Contest
from gradual.tabular import figures

MODELS = {
    "net": "Net",
    "constant": "Constant",
    "linear": "Linear model",
    "forest": "Random forest",
    "boosting": "Gradient boosting",
    "boosting_on_embeddings": "Gradient boosting on the net's embeddings",
}
METRICS = {
    "accuracy": "Accuracy",
    "roc_auc": "ROC AUC",
    "log_loss": "Log loss (nats)",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}
BEST = "best"


def choose(on_valid: Contest, on_held_out: Contest, wanted: str = BEST) -> dict[str, Any]:
    """Choose a model by its validation rows, and name its best rival there.

    Args:
        on_valid: Of the validation rows; decides.
        on_held_out: Of the rows held out; is told.
        wanted: `best`, or the name of the model that configuration asks for.

    Returns:
        What JSON can hold: ``model``, ``rival`` (None if alone), ``by`` (the metric that chose, or
        `configuration`), ``sentence``, and ``valid`` and ``held_out``, the two verdicts.

    Raises:
        ValueError: The wanted model does not take part.
    """
    order = list(dict.fromkeys(on_valid.table["model"]))
    if wanted not in (BEST, *order):
        raise ValueError(
            f"serving.model is {wanted!r}, which does not take part: choose among "
            f"{', '.join(order)}, or add it to comparison.baselines.models"
        )
    model = order[0] if wanted == BEST else wanted
    rival = next((name for name in order if name != model), None)
    metric = on_valid.verdict["metric"]
    how = (
        f"has the best {METRICS[metric]} on the validation rows"
        if wanted == BEST
        else "is the model that the configuration names"
    )
    return {
        "model": model,
        "rival": rival,
        "by": metric if wanted == BEST else "configuration",
        "sentence": f"{MODELS[model]} {how} and is kept.",
        "valid": on_valid.verdict,
        "held_out": on_held_out.verdict,
    }


def summarise(
    scores: pd.DataFrame,
    choice: dict[str, Any],
    kind: str,
    part: str,
) -> dict[str, Any]:
    """Say the result in words.

    Args:
        scores: `Contest.table` of the held-out rows.
        choice: From `choose`.
        kind: What is predicted.
        part: `test`, or `valid` where there are no test rows.

    Returns:
        What JSON can hold: ``headline``, ``notes``, ``rows``, ``part``, ``model``, ``rival`` and
        ``scores``: by model and metric ``value``, ``low`` and ``high``.
    """
    means = scores[scores["seed"].isna()]
    table = _by_model(means)
    own = table[choice["model"]]
    rows = int(means["rows"].iloc[0])
    seeds = int(means["seeds"].iloc[0])
    told = ", ".join(
        f"{METRICS[metric]} {show(**own[metric])}"
        for metric in (("rmse", "mae") if kind == "regression" else ("accuracy", "roc_auc"))
        if metric in own
    )
    rows_name = f"{rows:,} {part} rows"
    headline = f"{MODELS[choice['model']]}: {told} on {rows_name} (95 % intervals)."
    verdict = choice["held_out"]
    if verdict["against"]:
        headline += f" {verdict_sentence(verdict)}"
    notes = [
        f"{choice['sentence']} All models learned from the same training rows and columns; the "
        f"{part} rows were scored once"
        + ("." if part == "test" else ", but training was watched with them: there are no others.")
    ]
    if "accuracy" in own:
        half = 50 * (own["accuracy"]["high"] - own["accuracy"]["low"])
        notes.append(f"{rows:,} rows carry ± {half:.1f} points of accuracy.")
    notes.append(
        "Intervals: 95 %, over rows"
        + (f" and {seeds} seeds." if seeds > 1 else ", of one seed.")
        + " Seconds: to fit, and to predict all validation and held-out rows; of this run."
    )
    return {
        "headline": headline,
        "notes": notes,
        "rows": rows,
        "part": part,
        "model": choice["model"],
        "rival": choice["rival"],
        "scores": table,
    }


def verdict_sentence(verdict: dict[str, Any]) -> str:
    """Say who won on the held-out rows and by how much; against the net, too."""
    winner = MODELS[verdict["winner"]]
    second, *others = verdict["against"]
    sentences = []
    for other in [second, *(name for name in others if name == "net")]:
        gap = verdict["against"][other]
        how = "is better than" if gap["clear"] else "is ahead of, but not clearly better than,"
        sentences.append(
            f"{winner} {how} {MODELS[other]} by {figure(gap['difference'])} in "
            f"{METRICS[verdict['metric']]} [{figure(gap['low'])}, {figure(gap['high'])}]."
        )
    return " ".join(sentences)


def show(value: float, low: float, high: float) -> str:
    """A score with its interval."""
    return f"{figure(value)} [{figure(low)}, {figure(high)}]"


def figure(value: float) -> str:
    """Four digits that matter."""
    if pd.isna(value):
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.4f}"


def scores_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the scores of the models out for reading, one row a model, the best first.

    Args:
        scores: `Contest.table`.

    Returns:
        ``Model``, a text column for each metric with its interval, and seconds.
    """
    means = scores[scores["seed"].isna()]
    times = means.drop_duplicates("model").set_index("model")[["fit_seconds", "predict_seconds"]]
    seconds = dict(zip(times.index, times.to_numpy().tolist(), strict=True))
    rows = []
    for model, own in _by_model(means).items():
        rows.append(
            {"Model": MODELS[model]}
            | {METRICS[metric]: show(**score) for metric, score in own.items()}
            | {
                "Fit (s)": f"{seconds[model][0]:.2f}",
                "Predict (s)": f"{seconds[model][1]:.3f}",
            }
        )
    return pd.DataFrame(rows)


def _by_model(means: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Value, low and high of each score by model and metric."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    names = ["model", "metric", "value", "low", "high"]
    for model, metric, value, low, high in means[names].to_numpy(object).tolist():
        table.setdefault(model, {})[metric] = {"value": value, "low": low, "high": high}
    return table


def comparison_figure(scores: pd.DataFrame, chosen: str) -> go.Figure:
    """Draw the scores of all models; see `figures.comparison_figure`.

    Args:
        scores: `Contest.table`.
        chosen: Name of the model that is kept.
    """
    means = scores[scores["seed"].isna()]
    long = pd.DataFrame(
        {
            "model": means["model"].map(MODELS),
            "score": means["metric"].map(METRICS),
            "better": ["lower" if m in LOWER_IS_BETTER else "higher" for m in means["metric"]],
            "value": means["value"],
            "low": means["low"],
            "high": means["high"],
        }
    )
    subtitle = f"{means['rows'].iloc[0]:,} rows, 95 % intervals · blue: the model that is kept"
    return figures.comparison_figure(long, MODELS[chosen], subtitle)
