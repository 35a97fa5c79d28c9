"""Several runs of one source, on folds of its rows: mean and spread of their scores."""

import pandas as pd
from kedro.pipeline import Node, Pipeline

from gradual import tracking
from gradual.pipelines import imported
from gradual.reports.page import Block, Material, Note, Section, Table, write
from gradual.results.folds import by_fold, over_folds, summarise
from gradual.results.metrics import metric_named
from gradual.results.table import wide


def create_pipeline(folds: int, name: str, titles: str = "") -> Pipeline:
    """Return the pipeline that puts the scores of all folds together.

    Args:
        folds: How many there are; their scores are `fold_1`, `fold_2`, ….
        name: What the result is called.
        titles: Where it stands what people call the models, `module:name`.
    """

    def gather(*scores: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, object]]:
        together = over_folds(scores, name)
        summary = summarise(together, folds, imported(titles) if titles else {})
        tracking.log_results(together, summary)
        return together, summary

    return Pipeline(
        [
            Node(
                func=gather,
                inputs=[f"fold_{number}" for number in range(1, folds + 1)],
                outputs=["scores", "summary"],
                name="gather_folds",
            ),
            Node(
                func=write_report,
                inputs=["scores", "summary"],
                outputs="report",
                name="write_folds_report",
            ),
        ],
        tags="folds",
    )


def write_report(scores: pd.DataFrame, summary: dict[str, object]) -> str:
    """Write the page that shows all folds beside their mean."""
    return write("Folds side by side", (_scores,), Material(summary, scores))


def _scores(material: Material) -> Section:
    metric, part, names = (material.summary[name] for name in ("metric", "part", "names"))
    one = by_fold(material.scores, metric, part, names)
    every = wide(material.scores, part, names=names)
    place = {model: i for i, model in enumerate(one["Model"])}
    every = every.sort_values("Model", key=lambda models: models.map(place), kind="stable")
    blocks: list[Block] = [f"{metric_named(metric).title}, fold by fold:", _table(one)]
    blocks += [Note(text) for text in material.summary["notes"]]
    return Section("", [*blocks, "All metrics, mean of the folds:", _table(every)])


def _table(frame: pd.DataFrame) -> Table:
    return Table(frame, numbers=list(frame.columns[1:]))
