"""What became of each column: its levels or scale, and what is unusual in the held-out rows."""

import logging

import pandas as pd
import pyarrow as pa

from gradual.tabular.preprocessing import Preprocessor, TransformReport

logger = logging.getLogger(__name__)

MANY_UNSEEN = 0.05
"""Share of the rows above which levels that training has not seen are a warning."""


def column_summary(preprocessor: Preprocessor, held_out: pa.Table) -> pd.DataFrame:
    """Describe each encoded column.

    Args:
        preprocessor: Fitted on the training rows.
        held_out: Raw rows that are scored.

    Returns:
        For each column: ``column``, ``kind`` (`levels` or `number`), ``codes`` (of levels, 0 for
        `#na#` included), ``fill`` (of gaps in a number, in its unit), ``training_gaps``, and of
        the rows held out ``gaps`` and ``unseen`` values, whose level training has not.
    """
    report = TransformReport()
    preprocessor.transform(held_out, report=report)
    gaps_noted = {numbers.indicator for numbers in preprocessor.continuous_columns}
    rows = [
        {
            "column": levels.name,
            "kind": "levels",
            "codes": levels.cardinality,
            "training_gaps": levels.gaps,
            "gaps": report.gaps[levels.name],
            "unseen": report.unseen[levels.name],
        }
        for levels in preprocessor.categorical_columns
        if levels.name not in gaps_noted
    ] + [
        {
            "column": numbers.name,
            "kind": "number",
            "fill": numbers.fill,
            "training_gaps": numbers.gaps,
            "gaps": report.gaps[numbers.name],
        }
        for numbers in preprocessor.continuous_columns
    ]
    frame = pd.DataFrame(rows).reindex(
        columns=["column", "kind", "codes", "fill", "training_gaps", "gaps", "unseen"]
    )
    return frame.astype(dict.fromkeys(["codes", "training_gaps", "gaps", "unseen"], "Int64"))


def unusual(report: TransformReport) -> pd.DataFrame:
    """Put a report of transformed rows into a table.

    Returns:
        A row for each column with anything unusual, the most first: ``column``, ``gaps``,
        ``unseen`` (values whose level training has not), ``share`` of the rows.
    """
    frame = pd.DataFrame({"gaps": report.gaps, "unseen": report.unseen}, dtype="Int64").fillna(0)
    total = frame["gaps"] + frame["unseen"]
    frame["share"] = total / max(report.rows, 1)
    frame = frame[total > 0].sort_values("share", ascending=False, kind="stable")
    return frame.rename_axis("column").reset_index()


def log_unusual(report: TransformReport) -> None:
    """Log gaps and unseen levels by column; many unseen levels are a warning."""
    for column in unusual(report)["column"]:
        gaps, unseen = report.gaps[column], report.unseen[column]
        many = unseen > MANY_UNSEEN * report.rows
        logger.log(
            logging.WARNING if many else logging.INFO,
            "Column %r: %s gaps filled, %s levels unseen in training, in %s rows%s.",
            column, f"{gaps:,}", f"{unseen:,}", f"{report.rows:,}",
            "; these rows are unlike those of the training, which should be done anew" * many,
        )  # fmt: skip
