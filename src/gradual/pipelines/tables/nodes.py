"""Nodes of the pipeline on tables: each calls one named thing of `gradual.tabular`."""

import dataclasses
import logging
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
from pydantic import RootModel

from gradual import tracking
from gradual.reports import figures
from gradual.results import contest
from gradual.sources.splits import part_rows, scored_part
from gradual.sources.tables import Source
from gradual.tabular import figures as table_figures
from gradual.tabular import interpretation, regression_figures
from gradual.tabular import report as table_report
from gradual.tabular import rows as parts
from gradual.tabular import scores as table_scores
from gradual.tabular.baselines import Baseline
from gradual.tabular.categorify import MISSING
from gradual.tabular.column_summary import column_summary, unusual
from gradual.tabular.contest import ContestConfig, run_contest
from gradual.tabular.engine import EngineConfig
from gradual.tabular.interpretation import InterpretationConfig
from gradual.tabular.model import TabularModelConfig
from gradual.tabular.predict import TabularModel
from gradual.tabular.predictions import table_predictions
from gradual.tabular.preprocessing import PreprocessingConfig, Preprocessor
from gradual.tabular.rows import RowsConfig
from gradual.tabular.serving import (
    ServingConfig,
    baseline_bundle,
    json_like,
    loss_name,
    model_from_bundle,
    predict_source,
    row_losses,
)
from gradual.tabular.targets import TargetConfig, fit_target
from gradual.tabular.train import tabular_task, train_tabular
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.range_test import range_test

logger = logging.getLogger(__name__)


def read_table(source: Source) -> pa.Table:
    """Read all rows of the source."""
    table = source.read()
    logger.info("The table has %s rows of %s columns.", f"{table.num_rows:,}", table.num_columns)
    return table


def split_rows(
    table: pa.Table, rows: RootModel[RowsConfig], target: RootModel[TargetConfig]
) -> pa.Table:
    """Choose test and validation rows."""
    row_splits = parts.split_rows(table, target.root.columns, rows.root)
    # A target that cannot be used is refused now, in test rows too, not after the training.
    fitted = fit_target(table, part_rows(row_splits, "train"), target.root)
    fitted.encode(table, np.flatnonzero(row_splits["part"].is_valid().to_numpy()))
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
    """Learn levels, fills and scales from the training rows.

    Returns:
        The preprocessor in the readable form that is stored.
    """
    train = part_rows(row_splits, "train")
    return parts.fit_rows(table, train, config.root, engine.root).to_dict()


def encode(
    table: pa.Table, row_splits: pa.Table, preprocessor: dict[str, Any]
) -> tuple[pa.Table, pd.DataFrame]:
    """Turn every row into codes and numbers.

    Returns:
        The encoded table, and what became of each column: levels, fills, gaps, unseen levels.
    """
    fitted = Preprocessor.from_dict(preprocessor)
    held_out = table.take(part_rows(row_splits, scored_part(row_splits)))
    return fitted.transform(table), column_summary(fitted, held_out)


def train_net(
    encoded: pa.Table,
    table: pa.Table,
    row_splits: pa.Table,
    preprocessor: dict[str, Any],
    checkpoints: CheckpointStore,
    target: RootModel[TargetConfig],
    config: RootModel[TabularModelConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the net.

    Returns:
        The trained net and its history, one row an epoch.
    """
    bundle, history = train_tabular(
        encoded,
        table.select(target.root.columns),
        part_rows(row_splits, "train"),
        part_rows(row_splits, "valid"),
        Preprocessor.from_dict(preprocessor),
        target.root,
        config.root,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="net"),
    )
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and scores by epoch."""
    return figures.training_figure(history, "Training of the net")


def compare_models(
    encoded: pa.Table,
    table: pa.Table,
    row_splits: pa.Table,
    net: Bundle,
    net_history: pd.DataFrame,
    target: RootModel[TargetConfig],
    net_config: RootModel[TabularModelConfig],
    config: RootModel[ContestConfig],
    serving: RootModel[ServingConfig],
) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame, Bundle]:
    """Train the net's rivals on the same rows, and choose by the validation rows, not the others.

    Returns:
        Scores of all models on the held-out rows; who was chosen and who won; the chosen model's
        predictions for the held-out rows, beside those of its best rival; and the chosen model.
    """
    train, valid = part_rows(row_splits, "train"), part_rows(row_splits, "valid")
    held_out = part_rows(row_splits, scored_part(row_splits))
    runs = list(
        run_contest(
            encoded,
            table.select(target.root.columns),
            train,
            valid,
            np.concatenate([valid, held_out]),
            Preprocessor.from_dict(net.metadata["preprocessor"]),
            target.root,
            {"net": net_config.root},
            config.root,
            trained={"net": net},
            trained_seconds={"net": float(net_history["seconds"].sum())},
        )
    )
    fitted = runs[0].fitted.target
    on_valid = contest.compare(
        [dataclasses.replace(run, prediction=run.prediction[: len(valid)]) for run in runs],
        fitted.encode(table, valid),
        fitted.kind,
    )
    runs = [dataclasses.replace(run, prediction=run.prediction[len(valid) :]) for run in runs]
    truth = fitted.encode(table, held_out)
    on_held_out = contest.compare(runs, truth, fitted.kind)
    choice = table_scores.choose(on_valid, on_held_out, serving.root.model)
    logger.info(choice["sentence"])
    first = {run.model: run for run in reversed(runs)}
    chosen, rival = first[choice["model"]], first.get(choice["rival"])
    predictions = table_predictions(
        fitted.kind,
        held_out,
        truth,
        chosen.prediction,
        fitted.classes,
        baseline=None if rival is None else rival.prediction,
    )
    bundle = baseline_bundle(chosen.fitted) if isinstance(chosen.fitted, Baseline) else net
    return on_held_out.table, choice, predictions, bundle


def evaluate(
    scores: pd.DataFrame, choice: dict[str, Any], row_splits: pa.Table, model: Bundle
) -> dict[str, Any]:
    """Say the result in sentences, and log the scores of all models."""
    target = model_from_bundle(model).target
    part = scored_part(row_splits)
    summary = table_scores.summarise(scores, choice, target.kind, part)
    tracking.log_metrics(
        {
            f"{name}.{metric}": score["value"]
            for name, own in summary["scores"].items()
            for metric, score in own.items()
        },
        prefix="comparison",
    )
    logger.info(summary["headline"])
    return summary


def draw(
    scores: pd.DataFrame, choice: dict[str, Any], predictions: pd.DataFrame, model: Bundle
) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw the models' scores, and truth, separation, calibration and spread of predictions."""
    target = model_from_bundle(model).target
    comparison = table_scores.comparison_figure(scores, choice["model"])
    if target.kind == "regression":
        name = " and ".join(target.classes)
        return (
            comparison,
            regression_figures.truth_figure(predictions, name, log=target.config.log),
            regression_figures.tolerance_figure(predictions, name),
            regression_figures.calibration_figure(predictions, name),
            regression_figures.residual_figure(predictions, name),
        )
    return (
        comparison,
        figures.confusion_matrix_figure(predictions),
        figures.roc_figure(predictions),
        figures.reliability_figure(predictions),
        figures.probability_figure(predictions),
    )


def find_worst_rows(
    predictions: pd.DataFrame,
    table: pa.Table,
    model: Bundle,
    config: RootModel[InterpretationConfig],
) -> pd.DataFrame:
    """Find the held-out rows that the chosen model was most wrong about."""
    chosen = model_from_bundle(model)
    rows = predictions["row"].unique()
    raw = table.take(rows)
    found = chosen.predict_encoded(chosen.preprocessor.transform(raw))
    losses = row_losses(chosen.target, found, chosen.target.encode(table, rows))
    shown = predictions.drop_duplicates("row")[
        [n for n in ("row", "label", "predicted", "target") if n in predictions]
    ]
    columns = raw.select(chosen.preprocessor.config.columns.names)
    return interpretation.most_wrong(losses, shown, columns, config.root.worst_rows)


def interpret(
    model: Bundle,
    table: pa.Table,
    row_splits: pa.Table,
    config: RootModel[InterpretationConfig],
) -> tuple[pd.DataFrame, pd.DataFrame, go.Figure, go.Figure]:
    """Ask the model, on rows it was not trained on, which columns it needs and what they do.

    Returns:
        Permutation importance and partial dependence, as tables and as figures.
    """
    settings = config.root
    chosen = model_from_bundle(model)
    target, own = chosen.target, chosen.preprocessor.config.columns
    held_out = part_rows(row_splits, scored_part(row_splits))

    def predict(rows: pa.Table) -> np.ndarray:
        return chosen.predict_encoded(chosen.preprocessor.transform(rows))

    raw = table.take(held_out)
    sample = interpretation.sample_rows(raw, settings.importance_rows, settings.seed)
    asked = raw.take(sample)
    truth = target.encode(table, held_out[sample])
    importance = interpretation.permutation_importance(
        asked,
        own.names,
        predict,
        lambda found: float(row_losses(target, found, truth).mean()),
        repeats=settings.repeats,
        seed=settings.seed,
    )
    sample = interpretation.sample_rows(raw, settings.dependence_rows, settings.seed)
    outputs = {name: number for number, name in enumerate(target.classes)}
    if target.kind == "binary":
        outputs.pop(target.classes[0])
    dependence = interpretation.partial_dependence(
        raw.take(sample),
        importance["column"].tolist()[: settings.dependence_columns],
        predict,
        outputs,
        levels=[*own.categorical, *own.ordinal],
        points=settings.points,
    )
    what = " and ".join(outputs) if len(outputs) == 1 else "each of " + ", ".join(outputs)
    unit = what if target.kind == "regression" else f"probability of {what}"
    return (
        importance,
        dependence,
        table_figures.importance_figure(importance, loss_name(target)),
        table_figures.dependence_figure(dependence, unit),
    )


def export_embeddings(
    net: Bundle, encoded: pa.Table, table: pa.Table, row_splits: pa.Table
) -> tuple[pd.DataFrame, go.Figure]:
    """Take the learned vectors out of the net, for other models and for the eye.

    Returns:
        One row a level of each categorical column, and the same drawn in two dimensions.
    """
    model = TabularModel.from_bundle(net, device="cpu")
    train = part_rows(row_splits, "train")
    target, preprocessor = model.target, model.preprocessor
    values, what = None, None
    if target.kind == "binary":
        values, what = target.encode(table, train), f"share of {target.classes[1]}"
    elif target.kind == "regression" and target.outputs == 1:
        values, what = target.encode(table, train)[:, 0], f"mean {target.classes[0]}"
    vectors = model.embeddings()
    embeddings = interpretation.embedding_table(
        vectors,
        {name: [MISSING, *map(str, preprocessor.levels(name))] for name in vectors},
        {name: encoded[name].to_numpy()[train] for name in vectors},
        values,
    )
    return embeddings, table_figures.embedding_figure(embeddings, what)


def write_report(
    metrics: dict[str, Any],
    scores: pd.DataFrame,
    comparison_plot: go.Figure,
    truth_plot: go.Figure,
    separation_plot: go.Figure,
    calibration_plot: go.Figure,
    spread_plot: go.Figure,
    worst_rows: pd.DataFrame,
    importance_plot: go.Figure,
    dependence_plot: go.Figure,
    embeddings_plot: go.Figure,
    net_training_plot: go.Figure,
    column_summary: pd.DataFrame,
    target: RootModel[TargetConfig],
    rows: RootModel[RowsConfig],
    net: RootModel[TabularModelConfig],
) -> str:
    """Write one HTML page that says how good the models are and what the chosen one has learned."""
    return table_report.model_page(
        metrics,
        scores,
        comparison_figure=comparison_plot,
        prediction_figures=[truth_plot, separation_plot, calibration_plot, spread_plot],
        insight_figures=[importance_plot, dependence_plot, embeddings_plot],
        training_figure=net_training_plot,
        worst_rows=worst_rows,
        columns=column_summary,
        run={
            "target": dataclasses.asdict(target.root),
            "rows": dataclasses.asdict(rows.root),
            "net": dataclasses.asdict(net.root),
        },
    )


def log_model(
    model: Bundle, table: pa.Table, row_splits: pa.Table, serving: RootModel[ServingConfig]
) -> dict[str, str | None]:
    """Log the chosen model as an MLflow model that takes raw rows."""
    columns = model_from_bundle(model).preprocessor.config.columns.names
    example = table.select(columns).take(part_rows(row_splits, "train")[:3])
    uri = tracking.log_tabular_model(
        model,
        input_example=json_like(example),
        registered_name=serving.root.registered_name,
        alias=serving.root.alias,
    )
    return {"model_uri": uri}


def predict_new_rows(model: Bundle, new_rows: Source) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Predict rows that have no target, chunk by chunk, and count what is unusual about them.

    Returns:
        One row a row; the counts; and a page with both.
    """
    predictions, report = predict_source(model_from_bundle(model), new_rows)
    counts = unusual(report)
    for row in counts.itertuples():
        logger.warning(
            "Column %r: %s gaps filled, %s levels unseen in training, in %s rows.",
            row.column, f"{row.gaps:,}", f"{row.unseen:,}", f"{report.rows:,}",
        )  # fmt: skip
    logger.info("Predicted %s rows.", f"{report.rows:,}")
    metrics = {
        "rows": report.rows,
        "gaps": dict(report.gaps),
        "unseen": dict(report.unseen),
    }
    return (
        predictions,
        metrics,
        table_report.new_rows_page(report.rows, counts, predictions.head(20)),
    )


def find_learning_rate(
    encoded: pa.Table,
    table: pa.Table,
    row_splits: pa.Table,
    preprocessor: dict[str, Any],
    target: RootModel[TargetConfig],
    config: RootModel[TabularModelConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task, _ = tabular_task(
        encoded,
        table.select(target.root.columns),
        part_rows(row_splits, "train"),
        part_rows(row_splits, "valid"),
        Preprocessor.from_dict(preprocessor),
        target.root,
        config.root,
    )
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the net: %s", result.suggestions)
    return result.suggestions, figures.range_test_figure(result.frame, result.suggestions)
