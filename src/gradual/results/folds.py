"""Result rows of several folds, put together: mean and spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gradual.results.metrics import metric_named
from gradual.results.scores import Score, on_scale
from gradual.results.table import TEST, means, result_rows, score_text

_KEYS = ["model", "part", "slice", "metric"]


def over_folds(scores: Sequence[pd.DataFrame], source: str) -> pd.DataFrame:
    """Return the result rows of all folds, and their means.

    The interval of a mean has Student's t over the folds, on the scale of the metric's range, so it
    never leaves that. Folds share most of their training rows, so they vary less than as many
    samples of their own would: the interval is rather too narrow (Bengio and Grandvalet 2004).

    Args:
        scores: Result rows of each fold; only the means over seeds are taken.
        source: What the rows are called.

    Returns:
        Result rows: those of a fold have its number, from 1, for a seed; means have none. A row
        that some folds lack (a slice that they do not have) has the mean of the others.
    """
    numbered = [means(each, slice=None).assign(seed=i) for i, each in enumerate(scores, start=1)]
    folds = pd.concat(numbered, ignore_index=True).assign(source=source)
    rows: list[dict[str, Any]] = []
    for keys, group in folds.groupby(_KEYS, sort=False):
        values = group["value"].to_numpy(float)
        value, metric = float(values.mean()), metric_named(str(group["metric"].iloc[0]))
        bounds = None
        if len(values) > 1 and values.std() > 0 and metric.unit != "seconds":
            variance = float(values.var(ddof=1)) / len(values)
            mean = Score(value, np.zeros(1), seed_variance=variance, seeds=len(values))
            bounds = on_scale(mean, metric.scale)
        row = dict(zip(_KEYS, keys, strict=True)) | {"source": source, "seed": None}
        row |= {"rows": int(group["rows"].sum()), "value": value}
        row["low"], row["high"] = bounds or (None, None)
        rows.append(row)
    return pd.concat([result_rows(rows), folds[list(result_rows([]).columns)]], ignore_index=True)


def by_fold(
    scores: pd.DataFrame, metric: str, part: str = TEST, names: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Lay one metric out for reading: a row a model, the best first, a column a fold.

    Args:
        scores: Of `over_folds`.
        metric: Its name.
        part: `test` or `valid`.
        names: What people call the models.

    Returns:
        ``Model``, ``Mean`` with its interval, ``Deviation`` over the folds, and each fold's value.
    """
    asked = metric_named(metric)
    own = scores[(scores["metric"] == metric) & (scores["part"] == part) & (scores["slice"] == "")]
    mean = own[own["seed"].isna()].set_index("model")
    table = own[own["seed"].notna()].pivot_table(index="model", columns="seed", values="value")
    best_first = mean["value"].mul(-asked.sign).sort_values(kind="stable").index
    return pd.DataFrame(
        [
            {
                "Model": (names or {}).get(model, model),
                "Mean": score_text(asked, *mean.loc[model, ["value", "low", "high"]]),
                "Deviation": asked.show(float(table.loc[model].std())),
                **{f"Fold {fold}": asked.show(value) for fold, value in table.loc[model].items()},
            }
            for model in best_first
        ]
    )


def summarise(
    scores: pd.DataFrame, folds: int, names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Put into words what the folds say.

    Args:
        scores: Of `over_folds`.
        folds: How many there are.
        names: What people call the models.

    Returns:
        ``headline``, ``metric``, ``part``, ``folds``, ``names`` and ``notes``.
    """
    own = means(scores)
    part = TEST if (own["part"] == TEST).any() else str(own["part"].iloc[0])
    metric = str(own.loc[own["part"] == part, "metric"].iloc[0])
    table = by_fold(scores, metric, part, names)
    said = [f"{row['Model']} {row['Mean']}" for row in table.to_dict("records")]
    then = f", then {', '.join(said[1:4])}" if len(said) > 1 else ""
    return {
        "headline": f"{metric_named(metric).title}, mean of {folds} folds: {said[0]}{then}.",
        "metric": metric,
        "part": part,
        "folds": folds,
        "names": dict(names or {}),
        "notes": [
            "Intervals are Student's t over the folds. Folds share most of their training rows, so "
            "the intervals are rather too narrow."
        ],
    }
