"""Ratings to a recommender, judged beside simple ones, and to the lists that people use."""

from kedro.pipeline import Pipeline

from gradual.collab.figures import FIGURES
from gradual.pipelines import step
from gradual.pipelines.ratings import nodes

_FIGURES = {name: f"{name}_figure" for name in FIGURES}
_DATA = "ratings rating_splits"
_LISTS = "params:recommendations"


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a recommender, scores it once on test ratings and reports."""
    return Pipeline(
        [
            step(nodes.read_ratings, "source test_source params:ratings", "ratings given_parts"),
            step(nodes.read_side, "items_source params:items", "items", name="read_items"),
            step(nodes.read_side, "users_source params:users", "users", name="read_users"),
            step(nodes.split_ratings, "ratings given_parts params:split", "rating_splits"),
            step(
                nodes.train_recommender,
                f"{_DATA} items users recommender_checkpoints champion params:recommender {_LISTS}",
                "recommender recommender_history",
            ),
            step(
                nodes.evaluate,
                f"recommender {_DATA} {_LISTS}",
                "predictions held_out_scores verdicts",
            ),
            step(
                nodes.evaluate_cold_start,
                f"{_DATA} items users recommender params:recommender {_LISTS} params:cold_start",
                "cold_start_scores",
            ),
            step(
                nodes.summarise_scores,
                f"recommender {_DATA} predictions held_out_scores cold_start_scores verdicts",
                "scores summary",
            ),
            step(
                nodes.choose_onboarding_items,
                f"recommender {_DATA} params:cold_start",
                "onboarding",
            ),
            step(nodes.place_new_items, "recommender items params:cold_start", "new_items"),
            step(nodes.recommend_to_each_user, "recommender", "recommendations"),
            step(
                nodes.explore_items,
                f"recommender {_LISTS}",
                "similar_items item_biases item_components",
            ),
            step(nodes.export_embeddings, "recommender", "user_embeddings item_embeddings"),
            step(
                nodes.draw_figures,
                "recommender_history scores item_components item_biases",
                _FIGURES,
            ),
            step(
                nodes.write_report,
                f"recommender {_DATA} summary scores recommendations similar_items onboarding "
                "new_items params:recommender",
                "report",
                more=_FIGURES,
            ),
            step(nodes.log_model, "recommender params:registration", "logged_model"),
        ],
        tags="ratings",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that answers a file of users or pairs, and one of new users' ratings."""
    return Pipeline(
        [
            step(
                nodes.answer_questions,
                "recommender_champion questions_source params:questions logged_model",
                "answers answers_metrics",
            ),
            step(
                nodes.fold_in_new_users,
                "recommender_champion new_users_source params:ratings logged_model",
                "new_user_recommendations",
            ),
        ],
        tags="prediction",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the recommender."""
    return Pipeline(
        [
            step(
                nodes.find_learning_rate,
                f"{_DATA} items users params:recommender",
                "recommender_range_test recommender_range_test_plot",
            ),
        ],
        tags="range_test",
    )
