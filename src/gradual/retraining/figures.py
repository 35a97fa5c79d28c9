"""Figures of a source's retrains, night by night."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from gradual.reports import figures as kit
from gradual.results.metrics import metric_named

Records = Sequence[dict[str, Any]]


def scores(records: Records) -> go.Figure | None:
    """Champion and challenger by date, on the same held-out rows, by the metric used last."""
    judged = [record for record in records if record.get("judgement", {}).get("figures")]
    if not judged:
        return None
    metric = metric_named(judged[-1]["judgement"]["metric"])
    rows = []
    for record in judged:
        for one in record["judgement"]["figures"]:
            if one["metric"] == metric.name:
                start = {"started": record["started"], "promoted": record["decision"] == "promoted"}
                rows += [start | {"model": m, **one[m]} for m in ("against", "challenger")]
    frame = _dated(rows)
    figure = go.Figure()
    for model, name, colour in (
        ("against", "champion (first: baseline)", kit.OTHER),
        ("challenger", "challenger (star: promoted)", kit.MODEL),
    ):
        own = frame[frame["model"] == model]
        stars = (own["promoted"] & (model == "challenger")).to_numpy()
        figure.add_scatter(
            x=own["started"],
            y=own["value"],
            error_y=kit.bars(own, color=colour, thickness=1),
            mode="lines+markers",
            name=name,
            line={"color": colour},
            marker={
                "symbol": ["star" if star else "circle" for star in stars],
                "size": [15 if star else 8 for star in stars],
            },
        )
    figure.update_yaxes(title=metric.title, tickformat=".1%" if metric.unit == "share" else None)
    better = "" if metric.better == "none" else f" · {metric.better} is better"
    return kit.finish(figure, "Champion and challenger", f"held-out rows, 95 % intervals{better}")


def rows(records: Records) -> go.Figure | None:
    """How many rows were trained on, held out and new."""
    names = {"training": "trained on", "held_out": "held out", "new": "new"}
    found = [{"started": r["started"], **r["rows"]} for r in records if r.get("rows")]
    if not found:
        return None
    frame, figure = _dated(found), go.Figure()
    for name, title in names.items():
        if name in frame:
            known = frame.dropna(subset=[name])
            figure.add_scatter(x=known["started"], y=known[name], mode="lines+markers", name=title)
    figure.update_yaxes(title="rows", rangemode="tozero")
    return kit.finish(figure, "Rows", "as taken in, without those that break the contract")


def drift(records: Records) -> go.Figure | None:
    """How well new rows are told from those of the champion's training."""
    found = [
        {"started": r["started"], **{name: r["drift"][name] for name in ("auc", "low", "high")}}
        for r in records
        if r.get("drift", {}).get("auc") is not None
    ]
    if not found:
        return None
    frame = _dated(found).rename(columns={"auc": "value"})
    figure = go.Figure(
        go.Scatter(
            x=frame["started"],
            y=frame["value"],
            error_y=kit.bars(frame, color=kit.GREY),
            mode="markers",
            marker={"size": 9},
        )
    )
    figure.add_hline(y=0.5, line={"color": kit.GREY, "dash": "dot"})
    figure.update_yaxes(title="area under the ROC curve", range=[0.4, 1.02])
    return kit.finish(figure, "Drift", "new rows told from old ones: 0.5 is chance, 95 % intervals")


def durations(records: Records) -> go.Figure | None:
    """How long each run took."""
    found = [{"started": r["started"], **r["seconds"]} for r in records if r.get("seconds")]
    if not found:
        return None
    frame, figure = _dated(found), go.Figure()
    for name, title in (("all", "all"), ("training", "of it training")):
        if name in frame:
            known = frame.dropna(subset=[name])
            minutes = known[name] / 60
            figure.add_scatter(x=known["started"], y=minutes, mode="lines+markers", name=title)
    figure.update_yaxes(title="minutes", rangemode="tozero")
    return kit.finish(figure, "Durations", "of each run, from its first node to its record")


FIGURES: dict[str, Callable[[Records], go.Figure | None]] = {
    "scores": scores,
    "rows": rows,
    "drift": drift,
    "durations": durations,
}


def _dated(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.assign(started=pd.to_datetime(frame["started"], utc=True, format="ISO8601"))
