"""Nodes of the pipeline on ratings: each calls one named thing of `gradual.collab`."""

import dataclasses
import logging
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
from pydantic import BaseModel, RootModel

from gradual import tracking
from gradual.collab import cold_start as cold
from gradual.collab import evaluate, fold_in, metadata, serving
from gradual.collab import figures as item_figures
from gradual.collab import ratings as tables
from gradual.collab.cold_start import ColdStartConfig
from gradual.collab.ratings import RatingsConfig, RatingsSplit, SideConfig
from gradual.collab.recommender import Recommender
from gradual.collab.train import CollabConfig, collab_task, train_collab
from gradual.collab.train import number_ids as fit_ids
from gradual.reports import figures
from gradual.reports import page as report
from gradual.sources.ratings_file import TableFile, read_table
from gradual.sources.splits import part_rows, scored_part
from gradual.tabular import figures as table_figures
from gradual.training.bundle import Bundle
from gradual.training.checkpoint import CheckpointStore
from gradual.training.range_test import range_test

logger = logging.getLogger(__name__)

_EXAMPLES = 3
"""Users whose lists the report shows."""


class Recommendations(BaseModel, extra="forbid", frozen=True):
    """What lists hold.

    Attributes:
        n: Items in a list.
        min_ratings: Items with fewer training ratings are neither recommended nor drawn.
        exclude_seen: Leave out what a user has rated already.
        relevant_from: A held-out rating counts as a hit from here on; null counts all.
        similar_to: So many of the most rated items get a list of similar ones.
    """

    n: int = 10
    min_ratings: int = 0
    exclude_seen: bool = True
    relevant_from: float | None = None
    similar_to: int = 1000


class Registration(BaseModel, extra="forbid", frozen=True):
    """Under which name and alias the model is registered in MLflow; null for not at all."""

    registered_name: str | None = None
    alias: str | None = None


class Questions(BaseModel, extra="forbid", frozen=True):
    """Where users, and items if scores are asked for, stand in the file to be answered.

    Attributes:
        user: Column with the user's id.
        item: Column with the item's id; null where lists are asked for.
        n: Items in a list.
        file: How the table is written.
    """

    user: str = "user"
    item: str | None = None
    n: int = 10
    file: RootModel[TableFile] = RootModel[TableFile](TableFile())


def read_ratings(source: Path, config: RootModel[RatingsConfig]) -> pa.Table:
    """Read ratings into one clean table, each pair of user and item once."""
    ratings = tables.read_ratings(source, config.root)
    tracking.log_metrics({"ratings": ratings.num_rows})
    return ratings


def read_items(source: Path | None, config: RootModel[SideConfig]) -> pa.Table:
    """Read titles and properties of items; no rows where the source names none."""
    if source is None:
        return pa.table({"id": pa.array([], pa.int64()), "title": pa.array([], pa.string())})
    return tables.read_side(source, config.root)


def split_ratings(ratings: pa.Table, config: RootModel[RatingsSplit]) -> pa.Table:
    """Choose the ratings to learn from, to validate and to test on."""
    return tables.split_ratings(ratings, config.root)


def number_ids(ratings: pa.Table, rating_splits: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Number the users and the items of the training ratings; 0 is for all others."""
    return fit_ids(ratings, rating_splits)


def train(
    ratings: pa.Table,
    rating_splits: pa.Table,
    user_ids: pa.Table,
    item_ids: pa.Table,
    items: pa.Table,
    checkpoints: CheckpointStore,
    config: RootModel[CollabConfig],
) -> tuple[Bundle, pd.DataFrame]:
    """Train the recommender.

    Returns:
        The trained model and its history, one row an epoch.
    """
    bundle, history = train_collab(
        ratings,
        rating_splits,
        user_ids,
        item_ids,
        config.root,
        items=some(items),
        store=checkpoints,
        on_epoch=partial(tracking.log_metrics, prefix="recommender"),
    )
    return bundle, history.to_frame()


def plot_training(history: pd.DataFrame) -> go.Figure:
    """Draw loss and validation figures by epoch."""
    return figures.training_figure(history, "Training of the recommender")


def evaluate_ratings(
    recommender: Bundle, ratings: pa.Table, rating_splits: pa.Table
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predict the held-out ratings, once, beside the baselines.

    Returns:
        One row a held-out rating, and one row a model and score.
    """
    return evaluate.score_ratings(Recommender.from_bundle(recommender), ratings, rating_splits)


def evaluate_lists(
    recommender: Bundle, ratings: pa.Table, rating_splits: pa.Table, config: Recommendations
) -> pd.DataFrame:
    """Judge lists by what their users took that was held out, beside the baselines."""
    return evaluate.score_lists(
        Recommender.from_bundle(recommender),
        ratings,
        rating_splits,
        n=config.n,
        min_ratings=config.min_ratings,
        relevant_from=config.relevant_from,
    )


def evaluate_cold_start(
    ratings: pa.Table,
    rating_splits: pa.Table,
    items: pa.Table,
    config: RootModel[CollabConfig],
    cold_start: RootModel[ColdStartConfig] | None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train without some users and items, and score what they get; test ratings are not looked at.

    Returns:
        One row a case of new users, and of new items; none where the model cannot take them in.
    """
    if cold_start is None or not takes_newcomers(config.root):
        return pd.DataFrame({"case": []}), pd.DataFrame({"method": []})
    scores = cold.score_cold_start(
        ratings, rating_splits, config.root, cold_start.root, items=some(items)
    )
    return scores.users, scores.items if len(scores.items) else pd.DataFrame({"method": []})


def choose_onboarding(
    recommender: Bundle,
    ratings: pa.Table,
    rating_splits: pa.Table,
    cold_start: RootModel[ColdStartConfig] | None,
) -> pd.DataFrame:
    """Choose the items to ask a new user about, by each strategy."""
    model = Recommender.from_bundle(recommender)
    if cold_start is None or not model.takes_newcomers:
        return pd.DataFrame({"strategy": []})
    train_rows = ratings.take(part_rows(rating_splits, "train"))
    lists = [
        fold_in.onboarding(
            model, max(cold_start.root.asked), strategy=strategy, ratings=train_rows
        ).assign(strategy=strategy)
        for strategy in fold_in.STRATEGIES
    ]
    return pd.concat(lists, ignore_index=True)


def place_new_items(
    recommender: Bundle, items: pa.Table, cold_start: RootModel[ColdStartConfig] | None
) -> pd.DataFrame:
    """Say from properties alone how items without training ratings will be liked, and by whom.

    Returns:
        One row a new item and user, the ten users who should like it best: `item`, `title`,
        `expected` (mean over all users), `rank`, `user`, `score`; the most liked item first.
    """
    columns = ["item", "title", "expected", "rank", "user", "score"]
    model = Recommender.from_bundle(recommender)
    new = items.filter(model.item_ids.encode(items["id"]) == 0)
    if (
        cold_start is None
        or not model.takes_newcomers
        or not new.num_rows
        or len(items.column_names) <= 2
    ):
        return pd.DataFrame(columns=columns)
    net = metadata.train_metadata(model, items, cold_start.root.metadata)
    return metadata.best_users(model, net, new)[columns]


def summarise(
    predictions: pd.DataFrame,
    rating_scores: pd.DataFrame,
    list_scores: pd.DataFrame,
    rating_splits: pa.Table,
) -> dict[str, Any]:
    """Put the scores into one summary, and the model's into the run.

    Returns:
        `headline`, `part` and number of rows of the held-out ratings, `ratings` and `lists`
        (model → score → value and interval), and `difference` to the biases.
    """
    summary: dict[str, Any] = {
        "part": scored_part(rating_splits),
        "rows": len(predictions),
        "users": int(predictions["user"].nunique()),
        "unknown": predictions["fallback"].replace("", "none").value_counts().to_dict(),
        "ratings": nested(rating_scores),
        "lists": nested(list_scores),
        "difference": evaluate.compare_ratings(predictions) if len(rating_scores) else None,
    }
    summary["headline"] = headline(summary)
    logger.info(summary["headline"])
    for kind in ("ratings", "lists"):
        for model, scores in summary[kind].items():
            values = {name.replace("@", "_at_"): entry["value"] for name, entry in scores.items()}
            tracking.log_metrics(values, prefix=model.replace(" ", "_"))
    return summary


def recommend(recommender: Bundle, config: Recommendations) -> pd.DataFrame:
    """List for every user the items that he or she should like best."""
    return Recommender.from_bundle(recommender).recommend(
        n=config.n, exclude_seen=config.exclude_seen, min_ratings=config.min_ratings
    )


def explore(
    recommender: Bundle, config: Recommendations
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Tell what the model knows of items.

    Returns:
        Similar items of the most rated ones, items by bias, and items on the first two principal
        components of their vectors.
    """
    model = Recommender.from_bundle(recommender)
    least = config.min_ratings
    known = model.popular(model.counts >= max(least, 1))
    asked = model.item_ids.decode(known[: config.similar_to])
    similar = model.similar(asked, config.n, min_ratings=least)
    components = model.components(min_ratings=least)
    if model.config.interaction == "dot_bias":
        biases = model.biases(min_ratings=least)
    else:  # an EmbeddingNN has none
        biases = pd.DataFrame({"item": [], "title": [], "bias": [], "ratings": []})
    return similar, biases, components


def export_embeddings(recommender: Bundle) -> tuple[pa.Table, pa.Table]:
    """Write the users' and the items' vectors as tables, for use elsewhere."""
    return Recommender.from_bundle(recommender).embeddings()


def draw(
    rating_scores: pd.DataFrame,
    list_scores: pd.DataFrame,
    item_components: pd.DataFrame,
    item_biases: pd.DataFrame,
) -> tuple[go.Figure, go.Figure, go.Figure, go.Figure]:
    """Draw how the models compare, and what this one knows of items."""
    interval = "95 % intervals by resampling users"
    return (
        compared(rating_scores, "Ratings: all models on the same rows", interval),
        compared(
            list_scores[list_scores["low"].notna()], "Lists: all models, the same users", interval
        ),
        item_figures.components_figure(item_components),
        item_figures.biases_figure(item_biases),
    )


def write_report(
    metrics: dict[str, Any],
    rating_scores: pd.DataFrame,
    list_scores: pd.DataFrame,
    ratings: pa.Table,
    rating_splits: pa.Table,
    recommendations: pd.DataFrame,
    similar_items: pd.DataFrame,
    new_user_scores: pd.DataFrame,
    new_item_scores: pd.DataFrame,
    onboarding: pd.DataFrame,
    new_items: pd.DataFrame,
    recommender: Bundle,
    scores_plot: go.Figure,
    lists_plot: go.Figure,
    components_plot: go.Figure,
    biases_plot: go.Figure,
    recommender_training_plot: go.Figure,
    config: RootModel[CollabConfig],
) -> str:
    """Write one HTML page that says how good the recommender is and what it recommends."""
    model = Recommender.from_bundle(recommender)
    train_rows = ratings.take(part_rows(rating_splits, "train"))
    sections = [
        report.Section(
            "How well it predicts ratings",
            [score_table(rating_scores), scores_plot]
            if len(rating_scores)
            else ["This model orders items and predicts no ratings."],
        ),
        report.Section(
            "How good its lists are",
            [
                "A list is judged by what its user took that was held out. Popularity lift: how "
                "much more popular the listed items are than those the users took themselves.",
                score_table(list_scores),
                lists_plot,
            ],
        ),
        report.Section("What it recommends", example_lists(model, train_rows, recommendations)),
        report.Section(
            "What it has learned about items",
            [components_plot, biases_plot, *example_neighbours(similar_items)],
        ),
        report.Section(
            "Newcomers",
            newcomers(new_user_scores, new_item_scores, onboarding, new_items),
        ),
        report.Section("How it was trained", [recommender_training_plot]),
        report.Section("Settings", [dataclasses.asdict(config.root)]),
    ]
    return report.html_page("Ratings: a recommender", metrics["headline"], sections)


def log_model(
    recommender: Bundle, config: Recommendations, registration: Registration
) -> dict[str, str | None]:
    """Log the recommender as an MLflow model: users to lists, pairs to scores."""
    uri = tracking.log_recommender(
        recommender,
        n=config.n,
        registered_name=registration.registered_name,
        alias=registration.alias,
    )
    return {"model_uri": uri}


def answer(
    recommender: Bundle, source: Path, config: Questions
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Answer a file of users with lists, or of users and items with scores.

    Returns:
        The answers, and how many of each kind there are: `rows`, `answers`, and the number of
        questions by fallback.
    """
    columns = [config.user, *([config.item] if config.item else [])]
    table, _ = read_table(source, config.file.root, columns)
    renamed = {config.user: "user"} | ({config.item: "item"} if config.item else {})
    questions = table.to_pandas().rename(columns=renamed)
    answers = serving.answer(Recommender.from_bundle(recommender), questions, n=config.n)
    kinds = answers.drop_duplicates("row")["fallback"].replace("", "none").value_counts()
    counts = {"rows": len(questions), "answers": len(answers), "fallback": kinds.to_dict()}
    logger.info(
        "%s questions have %s answers; %s fell back on means or popularity.",
        f"{len(questions):,}",
        f"{len(answers):,}",
        f"{int(kinds.drop('none', errors='ignore').sum()):,}",
    )
    tracking.log_metrics({str(kind): count for kind, count in kinds.items()}, prefix="fallback")
    return answers, counts


def welcome(
    recommender: Bundle,
    source: Path | None,
    ratings: RootModel[RatingsConfig],
    config: Recommendations,
) -> pd.DataFrame:
    """Fold new users in by the few ratings they bring, without training, and list items for them.

    Returns:
        As `gradual.collab.fold_in.recommend_new`; no rows where there is no file.
    """
    columns = ["user", "rank", "item", "title", "score", "ratings"]
    if source is None:
        return pd.DataFrame(columns=columns)
    model = Recommender.from_bundle(recommender)
    # Newcomers' ratings need not be as richly told, nor packed, as those that were trained on.
    columns_only = dataclasses.replace(ratings.root, time=None, keep_columns=(), file=TableFile())
    users = fold_in.fold_in(model, tables.read_ratings(source, columns_only))
    logger.info(
        "%s new users were folded in by %s ratings; %s ratings of unknown items were left out.",
        f"{len(users.ids):,}",
        f"{len(users.rated.items):,}",
        f"{users.unknown:,}",
    )
    return fold_in.recommend_new(model, users, config.n, min_ratings=config.min_ratings)


def find_learning_rate(
    ratings: pa.Table,
    rating_splits: pa.Table,
    user_ids: pa.Table,
    item_ids: pa.Table,
    items: pa.Table,
    config: RootModel[CollabConfig],
) -> tuple[dict[str, float], go.Figure]:
    """Raise the learning rate until the loss explodes, and suggest one from the curve."""
    task = collab_task(ratings, rating_splits, user_ids, item_ids, config.root, items=some(items))
    result = range_test(task, config.root.training)
    logger.info("Suggested learning rates for the recommender: %s", result.suggestions)
    return result.suggestions, figures.range_test_figure(result.frame, result.suggestions)


def some(table: pa.Table) -> pa.Table | None:
    """Return a table that has rows."""
    return table if table.num_rows else None


def takes_newcomers(config: CollabConfig) -> bool:
    """Say whether new users can be folded into such a model without training."""
    return config.loss == "mse" and config.model.interaction == "dot_bias"


def nested(scores: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Return model → score → value, low and high; a figure without an interval has its value."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for row in scores.to_dict("records"):
        entry = {k: row[k] for k in ("value", "low", "high") if pd.notna(row[k])}
        result.setdefault(row["model"], {})[row["score"]] = entry
    return result


def headline(summary: dict[str, Any]) -> str:
    """Say in a sentence or two how good the recommender is."""
    where = (
        f"{summary['rows']:,} held-out ratings ({summary['part']}) of {summary['users']:,} users"
    )
    lists = summary["lists"]
    name = next(score for score in lists[evaluate.MODEL] if score.startswith("NDCG"))
    own = lists[evaluate.MODEL][name]
    popular = lists[evaluate.POPULARITY][name]["value"]
    of_lists = (
        f"{name} {own['value']:.3f} [{own['low']:.3f}, {own['high']:.3f}], popularity {popular:.3f}"
    )
    if not summary["ratings"]:
        return f"Lists, judged by {where}: {of_lists}."
    scores = {model: s["RMSE"] for model, s in summary["ratings"].items()}
    own = scores.pop(evaluate.MODEL)
    best = min(scores, key=lambda model: scores[model]["value"])
    return (
        f"RMSE {own['value']:.3f} [{own['low']:.3f}, {own['high']:.3f}] on {where}; the best of "
        f"the simple models ({best}) has {scores[best]['value']:.3f}. Lists: {of_lists}."
    )


def compared(scores: pd.DataFrame, title: str, subtitle: str) -> go.Figure:
    """Draw models side by side; an empty figure where nothing was scored."""
    if scores.empty:
        return figures.finish(go.Figure(), title, "nothing to compare")
    figure = table_figures.comparison_figure(scores, evaluate.MODEL, subtitle)
    return figure.update_layout(title_text=title)


def score_table(scores: pd.DataFrame) -> report.Table:
    """One row a model, one column a score, with intervals."""
    rows = [
        {"model": model} | {score: interval_text(entry) for score, entry in by_score.items()}
        for model, by_score in nested(scores).items()
    ]
    frame = pd.DataFrame(rows)
    return report.Table(frame, numbers=list(frame.columns[1:]))


def interval_text(entry: dict[str, float]) -> str:
    """Write a value with its interval, if it has one."""
    interval = f" [{entry['low']:.3f}, {entry['high']:.3f}]" if "low" in entry else ""
    return f"{entry['value']:.3f}{interval}"


def example_lists(
    model: Recommender, train_rows: pa.Table, recommendations: pd.DataFrame
) -> list[report.Block]:
    """Show for a few users, from the busiest down, what they liked best and what they get."""
    frame = train_rows.to_pandas()
    counts = frame["user"].value_counts()
    places = np.linspace(0.05, 0.75, _EXAMPLES) * (len(counts) - 1)
    blocks: list[report.Block] = []
    for user in counts.index[places.astype(int)]:
        own = frame[frame["user"] == user].sort_values("rating", ascending=False, kind="stable")
        titles = model.titles[model.item_ids.encode(own["item"].head(8))]
        liked = [f"{t} ({r:g})" for t, r in zip(titles, own["rating"].head(8), strict=True)]
        blocks.append(report.Heading(f"User {user}, {len(own):,} ratings to learn from"))
        blocks.append("Liked best: " + " · ".join(liked))
        shown = recommendations[recommendations["user"] == user]
        shown = shown[["rank", "title", "score", "ratings"]]
        shown = shown.assign(score=shown["score"].map("{:.2f}".format))
        blocks.append(report.Table(shown, numbers=["rank", "score", "ratings"]))
    return blocks


def example_neighbours(similar_items: pd.DataFrame) -> list[report.Block]:
    """Show the nearest neighbours of the most rated items."""
    items = similar_items["title"].drop_duplicates().head(8)
    rows = [
        {
            "item": title,
            "most similar": " · ".join(
                similar_items[similar_items["title"] == title]["similar_title"].head(5)
            ),
        }
        for title in items
    ]
    return [report.Heading("Items that are liked alike"), report.Table(pd.DataFrame(rows))]


def newcomers(
    users: pd.DataFrame, items: pd.DataFrame, onboarding: pd.DataFrame, new_items: pd.DataFrame
) -> list[report.Block]:
    """Show how users and items are served that were not trained on, and what to ask them."""
    if users.empty:
        return ["This model cannot take in users or items without training on them."]
    shown = pd.DataFrame(
        {
            "the user comes with": users["case"].replace("random", "random ratings"),
            "ratings": [
                f"{known}" if case == "random" else f"{answered:.1f} of {known} asked"
                for case, known, answered in zip(
                    users["case"], users["known"], users["answered"], strict=True
                )
            ],
            "RMSE": with_interval(users, "rmse"),
            "by biases": users["rmse_biases"].round(3),
            "NDCG": with_interval(users, "ndcg"),
            "by popularity": users["ndcg_popularity"].round(3),
        }
    )
    blocks: list[report.Block] = [
        report.Heading("New users, folded in without training"),
        f"{users['users'][0]:,} users were held out of a second model; "
        f"{users['rows'][0]:,} of their ratings are scored.",
        report.Table(shown, numbers=list(shown.columns[1:])),
    ]
    if len(items):
        methods = pd.DataFrame(
            {
                "new items by": items["method"],
                "RMSE": with_interval(items, "rmse"),
                "NDCG among new items": with_interval(items, "ndcg"),
            }
        )
        blocks += [
            report.Heading("New items, known by their properties"),
            f"{items['items'][0]:,} items were held out; {items['rows'][0]:,} ratings of "
            f"{items['users'][0]:,} users are scored.",
            report.Table(methods, numbers=list(methods.columns[1:])),
        ]
    if len(onboarding):
        asked = onboarding.groupby("strategy", sort=False)["title"].agg(
            lambda titles: " · ".join(titles.head(10))
        )
        blocks += [
            report.Heading("What to ask a new user about"),
            report.Table(asked.rename("items").reset_index()),
        ]
    if len(new_items):
        best = new_items[new_items["rank"] == 1].head(10).round(2)
        blocks += [
            report.Heading("Items that nobody in the training ratings has rated"),
            report.Table(best[["item", "title", "expected"]], numbers=["expected"]),
        ]
    return blocks


def with_interval(scores: pd.DataFrame, name: str) -> list[str]:
    """Write a column of values with their intervals."""
    columns = (scores[name], scores[f"{name}_low"], scores[f"{name}_high"])
    return [f"{v:.3f} [{low:.3f}, {high:.3f}]" for v, low, high in zip(*columns, strict=True)]
