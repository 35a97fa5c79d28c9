"""Nodes of the pipeline on tables: each calls one named thing of `gradual.tabular`."""

import logging
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
from pydantic import RootModel

from gradual import tracking
from gradual.reports import figures as kit
from gradual.reports.page import Material
from gradual.sources.reader import SourceRows, read_with_test
from gradual.sources.splits import part_rows, scored_part
from gradual.tabular import report
from gradual.tabular.column_summary import column_summary, log_unusual, unusual
from gradual.tabular.contest import ContestConfig, run_contest
from gradual.tabular.engine import EngineConfig
from gradual.tabular.examples import Examples, encode_table
from gradual.tabular.figures import FIGURES, Findings
from gradual.tabular.interpretation import InterpretationConfig, embedding_table, interpret
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.predictions import most_wrong
from gradual.tabular.preprocessing import PreprocessingConfig, Preprocessor
from gradual.tabular.rows import RowsConfig, fit_rows, rows_hash, split_table
from gradual.tabular.scores import compare_models, summarise
from gradual.tabular.serving import ServingConfig, json_like, model_from_bundle, predict_source
from gradual.tabular.targets import TargetConfig
from gradual.tabular.train import tabular_task, train_tabular
from gradual.tracking.run import current_namespace
from gradual.training.bundle import Bundle, BundleStore
from gradual.training.checkpoint import CheckpointStore
from gradual.training.files import to_json_types
from gradual.training.range_test import range_test

logger = logging.getLogger(__name__)


def read_table(source: SourceRows, test_source: SourceRows | None) -> tuple[pa.Table, pa.Table]:
    """Read all rows of the source, and behind them those of the test source, if there is one.

    Returns:
        The rows, and their parts: `test`, or null where the split chooses.
    """
    table, given_parts = read_with_test(source, test_source)
    logger.info("The table has %s rows of %s columns.", f"{table.num_rows:,}", table.num_columns)
    return table, given_parts


def split_rows(
    table: pa.Table,
    given_parts: pa.Table,
    rows: RootModel[RowsConfig],
    target: RootModel[TargetConfig],
) -> pa.Table:
    """Choose test and validation rows; those of a test source are for the test."""
    row_splits = split_table(table, target.root, rows.root, given_parts)
    counts = {part: len(part_rows(row_splits, part)) for part in ("train", "valid", "test")}
    logger.info("Rows: %s.", ", ".join(f"{count:,} {part}" for part, count in counts.items()))
    tracking.log_metrics({f"rows.{part}": count for part, count in counts.items()})
    return row_splits


def fit_preprocessor(
    table: pa.Table,
    row_splits: pa.Table,
    config: RootModel[PreprocessingConfig],
    engine: RootModel[EngineConfig],
) -> dict[str, Any]:
    """Learn levels, fills and scales from the training rows, in the readable form to store."""
    train = part_rows(row_splits, "train")
    return fit_rows(table, train, config.root, engine.root).to_dict()


def encode(
    table: pa.Table,
    row_splits: pa.Table,
    preprocessor: dict[str, Any],
    target: RootModel[TargetConfig],
) -> tuple[pa.Table, pd.DataFrame]:
    """Turn every row into codes and numbers, with its truth and its part.

    Returns:
        The encoded table, and what became of each column: levels, fills, gaps, unseen levels.
    """
    fitted = Preprocessor.from_dict(preprocessor)
    held_out = table.take(part_rows(row_splits, scored_part(row_splits)))
    encoded = encode_table(table, row_splits, fitted, target.root)
    return encoded, column_summary(fitted, held_out)


def train_net(
    encoded: pa.Table,
    preprocessor: dict[str, Any],
    checkpoints: CheckpointStore,
    champion: Bundle | None,
    target: RootModel[TargetConfig],
    config: RootModel[TabularModelConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the net, from the champion's weights where there is one to start from.

    Returns:
        The trained net, and its history by epoch.
    """
    bundle, history = train_tabular(
        Examples.stored(encoded, preprocessor, target.root),
        config.root,
        start=champion,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="net"),
    )
    return bundle, history.to_frame()


def fit_and_compare(
    encoded: pa.Table,
    preprocessor: dict[str, Any],
    table: pa.Table,
    net: Bundle,
    history: pd.DataFrame,
    rivals: BundleStore,
    champion: Bundle | None,
    target: RootModel[TargetConfig],
    net_config: RootModel[TabularModelConfig],
    config: RootModel[ContestConfig],
    serving: RootModel[ServingConfig],
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame, Bundle]:
    """Fit the net's rivals on the same rows, and choose by the validation rows, not the others.

    Returns:
        Result rows of all models; the result in words and facts; the kept model's predictions for
        the held-out rows, beside those of its best rival; and the kept model.
    """
    examples = Examples.stored(encoded, preprocessor, target.root)
    nets, trained = {"net": net_config.root}, {"net": (net, float(history["seconds"].sum()))}
    runs = run_contest(examples, nets, config.root, trained=trained, start=champion, store=rivals)
    found = compare_models(
        examples,
        table,
        list(runs),
        net_config.root,
        config.root,
        serving.root.model,
        source=current_namespace(),
        store=rivals,
        start=champion,
    )
    looks = tracking.count_looks(rows_hash(table.take(examples.held_out)))
    summary = summarise(found.scores, found.facts, looks)
    tracking.log_results(found.scores, summary)
    return found.scores, summary, found.predictions, found.model


def find_worst_rows(
    predictions: pd.DataFrame,
    table: pa.Table,
    model: Bundle,
    config: RootModel[InterpretationConfig],
) -> pd.DataFrame:
    """Find the held-out rows that the chosen model was most wrong about."""
    columns = model_from_bundle(model).preprocessor.config.columns.names
    return most_wrong(predictions, table.select(columns), config.root.worst_rows)


def interpret_model(
    model: Bundle,
    table: pa.Table,
    predictions: pd.DataFrame,
    config: RootModel[InterpretationConfig],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask the model, on the held-out rows, which columns it needs and what their values do.

    Returns:
        Permutation importance and partial dependence.
    """
    return interpret(model_from_bundle(model), table, predictions["row"].unique(), config.root)


def export_embeddings(
    net: Bundle, encoded: pa.Table, preprocessor: dict[str, Any], target: RootModel[TargetConfig]
) -> pd.DataFrame:
    """Take the learned vectors out of the net, for other models and for the eye."""
    examples = Examples.stored(encoded, preprocessor, target.root)
    return embedding_table(TabularModel.from_bundle(net, device="cpu"), examples)


def draw_figures(
    scores: pd.DataFrame,
    summary: dict[str, Any],
    predictions: pd.DataFrame,
    model: Bundle,
    importance: pd.DataFrame,
    dependence: pd.DataFrame,
    embeddings: pd.DataFrame,
    history: pd.DataFrame,
) -> dict[str, go.Figure]:
    """Draw all figures, by name."""
    facts, target = summary["facts"], model_from_bundle(model).target
    findings = Findings(
        scores, facts, predictions, target, importance, dependence, embeddings, history
    )
    return kit.draw_all(FIGURES, findings)


def write_report(
    summary: dict[str, Any],
    scores: pd.DataFrame,
    worst_rows: pd.DataFrame,
    columns: pd.DataFrame,
    target: RootModel[TargetConfig],
    rows: RootModel[RowsConfig],
    net: RootModel[TabularModelConfig],
    **drawn: go.Figure,
) -> str:
    """Write one HTML page that says how good the models are and what the chosen one has learned."""
    tables = {"worst_rows": worst_rows, "columns": columns}
    settings = {
        "target": to_json_types(target.root),
        "rows": to_json_types(rows.root),
        "net": to_json_types(net.root),
    }
    return report.model_page(Material(summary, scores, drawn, tables, settings))


def log_model(
    model: Bundle, table: pa.Table, registration: RootModel[tracking.Registration]
) -> dict[str, str | None]:
    """Log the chosen model as an MLflow model that takes raw rows."""
    columns = model_from_bundle(model).preprocessor.config.columns.names
    uri = tracking.log_model(
        model,
        input_example=json_like(table.select(columns).slice(0, 3)),
        registration=registration.root,
        name="model",
    )
    return {"model_uri": uri}


def predict_new_rows(
    model: Bundle,
    new_rows: SourceRows,
    logged_model: dict[str, Any] | None,  # noqa: ARG001 - puts the training first
) -> tuple[pa.RecordBatchReader, dict[str, Any], str]:
    """Predict rows that have no target, chunk by chunk, and count what is unusual about them.

    Returns:
        The predictions by row; the counts; and a page with both.
    """
    predictions, first, counted = predict_source(model_from_bundle(model), new_rows)
    log_unusual(counted)
    logger.info("Predicted %s rows.", f"{counted.rows:,}")
    metrics = {"model": model.origin, "rows": counted.rows}
    metrics |= {"gaps": dict(counted.gaps), "unseen": dict(counted.unseen)}
    page = report.new_rows_page(counted.rows, unusual(counted), first)
    return predictions, metrics, page


def find_learning_rate(
    encoded: pa.Table,
    preprocessor: dict[str, Any],
    target: RootModel[TargetConfig],
    config: RootModel[TabularModelConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task = tabular_task(Examples.stored(encoded, preprocessor, target.root), config.root)
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the net: %s", result.suggestions)
    return result.suggestions, kit.range_test_figure(result.frame, result.suggestions)
