"""What is said of a recommender: the summary that is stored, and the page to read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from gradual.collab.recommender import Recommender
from gradual.collab.scores import MODEL, POPULARITY
from gradual.reports import page as kit
from gradual.reports.page import Heading, Material, Note, Section, Table
from gradual.results.metrics import metric_named
from gradual.results.table import (
    TEST,
    VALID,
    gap_text,
    means,
    parts_differ,
    said,
    score_text,
    value_of,
    wide,
)

_EXAMPLES = 3
"""Users whose lists the report shows."""


def summarise(
    model: Recommender,
    predictions: pd.DataFrame,
    scores: pd.DataFrame,
    verdicts: Mapping[str, Any],
    looks: int | None,
) -> dict[str, Any]:
    """Put into words what the scores say.

    Args:
        model: The recommender.
        predictions: Of `gradual.collab.scores.evaluate`.
        scores: Result rows, those of cold start included.
        verdicts: Of `evaluate`.
        looks: How often these test rows have been scored; None without test rows.

    Returns:
        `headline`, `notes`, `warnings`, `part`, `rows` and `users` of the scored part, `unknown`
        (rows by what the model did not know) and `verdicts`.
    """
    part = VALID if looks is None else TEST
    notes = []
    if looks is None:
        notes.append(
            "There are no test ratings: these scores are of the validation ratings, by which "
            "settings may have been chosen."
        )
    else:
        times = "once, in this run" if looks == 1 else f"in {looks} runs"
        notes.append(f"The test ratings have been scored {times}.")
    if VALID in model.learned_from:
        notes.append(
            "After validation the model was trained once more on training and validation ratings; "
            "the scores are of that model."
        )
    summary: dict[str, Any] = {
        "part": part,
        "rows": len(predictions),
        "users": int(predictions["user"].nunique()),
        "unknown": predictions["fallback"].replace("", "none").value_counts().to_dict(),
        "verdicts": dict(verdicts),
        "notes": notes,
        # Not of lists, whose scores go by how many items were held out.
        "warnings": parts_differ(scores, MODEL, ["rmse", "mae"]),
    }
    return {"headline": _headline(summary, scores)} | summary


def _headline(summary: Mapping[str, Any], scores: pd.DataFrame) -> str:
    part, verdicts = summary["part"], summary["verdicts"]
    sentences = []
    if verdicts["ratings"]:
        sentences.append(f"{_own(scores, 'rmse', part)}; {_against(verdicts['ratings'])}.")
    if verdicts["lists"]:
        name = verdicts["lists"]["metric"]
        popular = value_of(scores, POPULARITY, name, part)["value"]
        sentences.append(
            f"Lists: {_own(scores, name, part)}, popularity {metric_named(name).show(popular)}."
        )
    else:
        sentences.append("No known user has a held-out item that counts: lists are not scored.")
    where = f"{summary['rows']:,} held-out ratings ({part}) of {summary['users']:,} users"
    return f"On {where}: " + " ".join(sentences)


def _own(scores: pd.DataFrame, name: str, part: str) -> str:
    own = value_of(scores, MODEL, name, part)
    return f"{metric_named(name).title} {score_text(name, own['value'], own['low'], own['high'])}"


def _against(verdict: Mapping[str, Any]) -> str:
    """Compare the recommender with the best of the simple models."""
    metric = metric_named(verdict["metric"])
    other, gap = next(iter(verdict["against"].items()))
    theirs = verdict["value"] - metric.sign * gap["difference"]
    if gap["difference"] < 0:
        worse = "clearly " if gap["clear"] else "but not clearly "
        return f"it is behind {other} ({metric.show(theirs)}), {worse}so"
    return f"it {said(gap)} {other} ({metric.show(theirs)}): {gap_text(metric, gap)}"


def ratings(material: Material) -> Section:
    """Errors of the predicted ratings."""
    title = "Predicted ratings"
    summary = material.summary
    words = [*summary["notes"], *map(kit.Warning, summary["warnings"])]
    if not summary["verdicts"]["ratings"]:
        return Section(title, [*words, "This model orders items and predicts no ratings."])
    tables = _by_part(material, ("rmse", "mae"))
    interval = Note("Intervals are 95 %, by resampling users, whose errors are alike.")
    return Section(title, [*words, *tables, interval, *material.drawn("rating_scores")])


def lists(material: Material) -> Section | None:
    """Quality of the lists."""
    if not material.summary["verdicts"]["lists"]:
        return None
    metrics = ("ndcg", "recall", "hit_rate", "coverage", "popularity_lift")
    return Section(
        "Lists of recommendations",
        [
            "A list is judged by what its user took that was held out. Popularity lift: how much "
            "more popular the listed items are than those the users took themselves.",
            *_by_part(material, metrics),
            *material.drawn("list_scores"),
        ],
    )


def _by_part(material: Material, names: tuple[str, ...]) -> list[kit.Block]:
    """The scores on test ratings, and below them those on validation ratings."""
    blocks: list[kit.Block] = []
    for part, title in ((TEST, "On test ratings"), (VALID, "On validation ratings")):
        rows = means(material.scores, part)
        metrics = [name for name in dict.fromkeys(rows["metric"]) if name.startswith(names)]
        if metrics:
            table = wide(material.scores, part, metrics=metrics)
            blocks += [Heading(title), Table(table, numbers=list(table.columns[1:]))]
    return blocks


def user_examples(
    model: Recommender, learned: pa.Table, recommendations: pd.DataFrame
) -> pd.DataFrame:
    """Choose a few users, from the busiest down, and say what they liked best and what they get.

    Args:
        model: The recommender, for titles.
        learned: The ratings that it learned from.
        recommendations: Of `Recommender.recommend`.

    Returns:
        The rows of `recommendations` of these users, with `liked` (titles and ratings, the same in
        all rows of a user) and `known` (number of ratings).
    """
    frame = learned.to_pandas()
    counts = frame["user"].value_counts()
    users = counts.index[(np.linspace(0.05, 0.75, _EXAMPLES) * (len(counts) - 1)).astype(int)]
    own = frame[frame["user"].isin(users)].sort_values("rating", ascending=False, kind="stable")
    best = own.groupby("user").head(8)
    texts = model.titles[model.item_ids.encode(best["item"])] + best["rating"].map(" ({:g})".format)
    liked = texts.groupby(best["user"]).agg(" · ".join)
    tables = [recommendations[recommendations["user"] == user] for user in users]
    shown = pd.concat(tables, ignore_index=True)
    return shown.assign(liked=shown["user"].map(liked), known=shown["user"].map(counts))


def examples(material: Material) -> Section:
    """What it recommends to a few users."""
    blocks: list[kit.Block] = []
    for user, shown in material.tables["examples"].groupby("user", sort=False):
        first = shown.iloc[0]
        blocks.append(Heading(f"User {user}, {first['known']:,} ratings to learn from"))
        blocks.append(f"Liked best: {first['liked']}")
        blocks.append(Table(shown[["rank", "title", "score", "ratings"]]))
    return Section("Examples", blocks)


def items(material: Material) -> Section:
    """What the model has learned about items: figures, and neighbours of the most rated ones."""
    similar = material.tables["similar_items"]
    near = (
        similar[similar["rank"] <= 5].groupby("title", sort=False)["similar_title"].agg(" · ".join)
    )
    table = near.head(8).rename("most similar").rename_axis("item").reset_index()
    return Section(
        "Items",
        [
            *material.drawn("components", "biases"),
            Heading("Nearest neighbours by cosine"),
            Table(table),
        ],
    )


def new_users_and_items(material: Material) -> Section:
    """How users and items are served that were not trained on, and what to ask them."""
    title = "Cold start: new users and items"
    slices = list(dict.fromkeys(material.scores["slice"][material.scores["slice"] != ""]))
    onboarding, new_items = material.tables["onboarding"], material.tables["new_items"]
    if not slices and onboarding.empty:
        return Section(title, ["Users and items without training ratings were not looked at."])
    blocks: list[kit.Block] = []
    if slices:
        tables = [wide(material.scores, VALID, name).assign(slice=name) for name in slices]
        table = pd.concat(tables, ignore_index=True).fillna("–")
        each = table.pop("slice")
        table.insert(0, "For", each.mask(each.duplicated(), ""))
        blocks += [
            "A second model was trained without some users and items. These users are folded in by "
            "a few of their ratings, without training; these items are known by their properties.",
            Table(table, numbers=list(table.columns[2:])),
        ]
    if len(onboarding):
        asked = onboarding.groupby("strategy", sort=False)["title"].agg(
            lambda titles: " · ".join(titles.head(10))
        )
        table = asked.rename("items").reset_index()
        blocks += [Heading("Items to ask a new user about"), Table(table)]
    if len(new_items):
        best = new_items.loc[new_items["rank"] == 1, ["item", "title", "expected"]].head(10)
        blocks += [Heading("New items, by expected rating"), Table(best)]
    return Section(title, blocks)


def training(material: Material) -> Section:
    """Loss by epoch."""
    return Section("Training", material.drawn("training"))


def settings(material: Material) -> Section:
    """What was run."""
    return Section("Settings", [material.settings])


SECTIONS = (ratings, lists, examples, items, new_users_and_items, training, settings)
"""Tables of the material: `examples`, `similar_items`, `onboarding`, `new_items`."""
