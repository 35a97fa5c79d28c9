"""Several runs of one source, on folds of its rows: mean and spread of their scores."""

import pandas as pd
from kedro.pipeline import Node, Pipeline

from gradual import tracking
from gradual.reports.page import Material, Note, Section, Table, write
from gradual.results.folds import by_fold, over_folds, summarise
from gradual.results.table import wide


def create_pipeline(folds: int, name: str) -> Pipeline:
    """Return the pipeline that puts the scores of all folds together.

    Args:
        folds: How many there are; their scores are `fold_1`, `fold_2`, ….
        name: What the result is called.
    """

    def gather(*scores: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, object]]:
        together = over_folds(scores, name)
        tracking.log_results(together)
        return together, summarise(together, folds)

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
    return write("Folds", (_folds, _metrics), Material(summary, scores))


def _folds(material: Material) -> Section:
    summary = material.summary
    table = by_fold(material.scores, summary["metric"], summary["part"])
    notes = [Note(text) for text in summary["notes"]]
    return Section("Fold by fold", [Table(table, numbers=list(table.columns[1:])), *notes])


def _metrics(material: Material) -> Section:
    table = wide(material.scores, material.summary["part"])
    return Section(
        "All metrics, mean of the folds", [Table(table, numbers=list(table.columns[1:]))]
    )
