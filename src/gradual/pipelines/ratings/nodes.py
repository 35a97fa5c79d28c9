"""Nodes of the pipelines on ratings: each calls one named thing of `gradual.collab`."""

import dataclasses
import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
from pydantic import RootModel

from gradual import tracking
from gradual.collab import cold_start as cold
from gradual.collab import fold_in, metadata, report, scores, serving
from gradual.collab import ratings as tables
from gradual.collab.figures import FIGURES
from gradual.collab.ratings import RatingsConfig, RatingsSplit, SideConfig
from gradual.collab.recommender import ListsConfig, Recommender
from gradual.collab.train import CollabConfig, collab_task, train_collab
from gradual.pipelines.ratings.properties import ColdStart, tabular_learner
from gradual.reports import figures as kit
from gradual.reports.page import Material, write
from gradual.results.table import TEST, result_rows
from gradual.sources.reader import SourceRows
from gradual.sources.splits import part_rows, scored_part
from gradual.tracking.run import current_namespace
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.files import to_json_types
from gradual.training.modules import array_hash
from gradual.training.range_test import range_test
from gradual.training.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Questions(Settings):
    """Where users, and items if scores are asked for, stand in the file to be answered.

    Attributes:
        user: Column with the user's id.
        item: Column with the item's id; None where lists are asked for.
    """

    user: str = "user"
    item: str | None = None


def read_ratings(
    source: SourceRows, test_source: SourceRows | None, config: RootModel[RatingsConfig]
) -> tuple[pa.Table, pa.Table]:
    """Read ratings into one clean table, each pair of user and item once.

    Returns:
        The ratings, and their parts: `test` for those of the test source, null elsewhere.
    """
    ratings, given_parts = tables.read_with_test(source, test_source, config.root)
    tracking.log_metrics({"ratings": ratings.num_rows})
    return ratings, given_parts


def read_side(source: SourceRows | None, config: RootModel[SideConfig]) -> pa.Table:
    """Read titles and properties of items or users; no rows where the source names none."""
    if source is None:
        return pa.table({"id": pa.array([], pa.int64()), "title": pa.array([], pa.string())})
    return tables.read_side(source, config.root)


def split_ratings(
    ratings: pa.Table, given_parts: pa.Table, config: RootModel[RatingsSplit]
) -> pa.Table:
    """Choose the ratings to learn from, to validate and to test on."""
    return tables.split_ratings(ratings, config.root, given_parts)


def train_recommender(
    ratings: pa.Table,
    rating_splits: pa.Table,
    items: pa.Table,
    users: pa.Table,
    checkpoints: CheckpointStore,
    champion: Bundle | None,
    config: RootModel[CollabConfig],
    lists: RootModel[ListsConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the recommender, from the champion's vectors where there is one to start from.

    Returns:
        The trained model and its history, a row for each epoch.
    """
    bundle, history = train_collab(
        ratings,
        rating_splits,
        config.root,
        items=some(items),
        users=some(users),
        lists=lists.root,
        start=champion,
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="recommender"),
    )
    return bundle, history.to_frame()


def evaluate(
    recommender: Bundle,
    ratings: pa.Table,
    rating_splits: pa.Table,
    lists: RootModel[ListsConfig],
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Score the recommender and simple models on test and validation ratings.

    Returns:
        A row for each held-out rating; result rows; and the recommender against each simple model.
    """
    found = scores.evaluate(
        Recommender.from_bundle(recommender),
        ratings,
        rating_splits,
        lists.root,
        source=current_namespace(),
    )
    return found.predictions, found.scores, found.verdicts


def evaluate_cold_start(
    ratings: pa.Table,
    rating_splits: pa.Table,
    items: pa.Table,
    users: pa.Table,
    recommender: Bundle,
    config: RootModel[CollabConfig],
    lists: RootModel[ListsConfig],
    cold_start: RootModel[ColdStart] | None,
) -> pd.DataFrame:
    """Train without some users and items, and score what they get; test ratings are not looked at.

    Returns:
        Result rows; none where the model cannot take new users in.
    """
    if cold_start is None or not Recommender.from_bundle(recommender).folds_in:
        return result_rows([])
    return cold.score_cold_start(
        ratings,
        rating_splits,
        config.root,
        cold_start.root,
        lists.root,
        items=some(items),
        users=some(users),
        learner=tabular_learner(cold_start.root.net),
        source=current_namespace(),
    )


def choose_onboarding_items(
    recommender: Bundle,
    ratings: pa.Table,
    rating_splits: pa.Table,
    cold_start: RootModel[ColdStart] | None,
) -> pd.DataFrame:
    """Choose the items to ask a new user about, by each strategy."""
    model = Recommender.from_bundle(recommender)
    if cold_start is None or not model.folds_in:
        return pd.DataFrame({"strategy": [], "title": []})
    learned = ratings.take(part_rows(rating_splits, *model.learned_from))
    return fold_in.onboarding_by_each(model, max(cold_start.root.asked), learned)


def place_new_items(
    recommender: Bundle, items: pa.Table, cold_start: RootModel[ColdStart] | None
) -> pd.DataFrame:
    """Say from properties alone how items without training ratings will be liked, and by whom.

    Returns:
        As `gradual.collab.metadata.place_new_items`.
    """
    model = Recommender.from_bundle(recommender)
    if cold_start is None or not model.folds_in:
        return pd.DataFrame(columns=list(metadata.NEW_ITEM_COLUMNS))
    learner, least = tabular_learner(cold_start.root.net), cold_start.root.min_ratings
    return metadata.place_new_items(model, items, learner, min_ratings=least)


def summarise_scores(
    recommender: Bundle,
    ratings: pa.Table,
    rating_splits: pa.Table,
    predictions: pd.DataFrame,
    held_out_scores: pd.DataFrame,
    cold_start_scores: pd.DataFrame,
    verdicts: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Put all scores into one table and into words, log them, and count the look at the test rows.

    Returns:
        Result rows, and the summary of `gradual.collab.report.summarise`.
    """
    looks = None
    if scored_part(rating_splits) == TEST:
        test = ratings.take(part_rows(rating_splits, TEST)).select(["user", "item", "rating"])
        hashes = pd.util.hash_pandas_object(test.to_pandas(), index=False).to_numpy()
        looks = tracking.count_looks(array_hash(np.sort(hashes)))
    found = pd.concat([held_out_scores, cold_start_scores], ignore_index=True)
    model = Recommender.from_bundle(recommender)
    summary = report.summarise(model, predictions, found, verdicts, looks)
    tracking.log_results(found, summary)
    return found, summary


def recommend_to_each_user(recommender: Bundle) -> pd.DataFrame:
    """List for every user the items that he or she should like best."""
    return Recommender.from_bundle(recommender).recommend()


def explore_items(
    recommender: Bundle, lists: RootModel[ListsConfig]
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Show what the model knows of items.

    Returns:
        Similar items of the most rated ones, items by bias, and items on the first two principal
        components of their vectors.
    """
    return Recommender.from_bundle(recommender).explore(lists.root.similar_to)


def export_embeddings(recommender: Bundle) -> tuple[pa.Table, pa.Table]:
    """Write the users' and the items' vectors as tables, for use elsewhere."""
    return Recommender.from_bundle(recommender).embeddings()


def draw_figures(
    history: pd.DataFrame,
    scores: pd.DataFrame,
    item_components: pd.DataFrame,
    item_biases: pd.DataFrame,
) -> dict[str, go.Figure]:
    """Draw all figures of `gradual.collab.figures.FIGURES`, by name."""
    given = {"history": history, "scores": scores}
    given |= {"item_components": item_components, "item_biases": item_biases}
    return kit.draw_all(FIGURES, given)


def write_report(
    recommender: Bundle,
    ratings: pa.Table,
    rating_splits: pa.Table,
    summary: dict[str, Any],
    scores: pd.DataFrame,
    recommendations: pd.DataFrame,
    similar_items: pd.DataFrame,
    onboarding: pd.DataFrame,
    new_items: pd.DataFrame,
    config: RootModel[CollabConfig],
    **figures: go.Figure,
) -> str:
    """Write one HTML page that says how good the recommender is and what it recommends."""
    model = Recommender.from_bundle(recommender)
    learned = ratings.take(part_rows(rating_splits, *model.learned_from))
    shown = {"examples": report.user_examples(model, learned, recommendations)}
    shown |= {"similar_items": similar_items, "onboarding": onboarding, "new_items": new_items}
    material = Material(summary, scores, figures, shown, to_json_types(config.root))
    return write("Ratings: a recommender", report.SECTIONS, material)


def log_model(
    recommender: Bundle, registration: RootModel[tracking.Registration]
) -> dict[str, str | None]:
    """Log the recommender as an MLflow model: users to lists, pairs to scores."""
    uri = tracking.log_model(
        recommender,
        registration=registration.root,
        name="recommender",
    )
    return {"model_uri": uri}


def answer_questions(
    recommender: Bundle,
    source: SourceRows,
    config: RootModel[Questions],
    logged_model: dict[str, Any] | None,  # noqa: ARG001 - puts the training first
) -> tuple[pa.RecordBatchReader, dict[str, Any]]:
    """Answer a file of users with lists, or of users and items with scores.

    Returns:
        The answers, and how many of each kind there are: `rows`, `answers`, and the number of
        questions by fallback.
    """
    names = {config.root.user: "user"} | ({config.root.item: "item"} if config.root.item else {})
    chunks = (
        chunk.select(list(names)).rename_columns(list(names.values()))
        for chunk in source.chunks(list(names), as_text=True)
    )
    answers, counts = serving.answer_source(Recommender.from_bundle(recommender), chunks)
    tracking.log_metrics(counts["fallback"], prefix="fallback")
    return answers, {"model": recommender.origin, **counts}


def fold_in_new_users(
    recommender: Bundle,
    source: SourceRows | None,
    ratings: RootModel[RatingsConfig],
    logged_model: dict[str, Any] | None,  # noqa: ARG001 - puts the training first
) -> pd.DataFrame:
    """Fold new users in by the few ratings they bring, without training, and list items for them.

    Returns:
        As `gradual.collab.fold_in.recommend_new`; no rows where there is no file.
    """
    model = Recommender.from_bundle(recommender)
    if source is None:
        return pd.DataFrame(columns=list(fold_in.LIST_COLUMNS))
    # These ratings need no times where those that were trained on had them.
    columns = dataclasses.replace(ratings.root, time=None, keep_columns=())
    return fold_in.recommend_new(
        model, fold_in.fold_in(model, tables.read_ratings(source, columns))
    )


def find_learning_rate(
    ratings: pa.Table,
    rating_splits: pa.Table,
    items: pa.Table,
    users: pa.Table,
    config: RootModel[CollabConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task = collab_task(ratings, rating_splits, config.root, items=some(items), users=some(users))
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the recommender: %s", result.suggestions)
    return result.suggestions, kit.range_test_figure(result.frame, result.suggestions)


def some(table: pa.Table) -> pa.Table | None:
    """Return a table that has rows."""
    return table if table.num_rows else None
