"""Ratings to a recommender, judged beside simple ones, and to the lists that people use."""

from kedro.pipeline import Node, Pipeline

from gradual.collab.figures import FIGURES
from gradual.pipelines.ratings import nodes

_FIGURES = {name: f"{name}_figure" for name in FIGURES}


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a recommender, scores it once on test ratings and reports."""
    return Pipeline(
        [
            Node(
                func=nodes.read_ratings,
                inputs={
                    "source": "source",
                    "test_source": "test_source",
                    "config": "params:ratings",
                },
                outputs=["ratings", "given_parts"],
                name="read_ratings",
            ),
            Node(
                func=nodes.read_side,
                inputs={"source": "items_source", "config": "params:items"},
                outputs="items",
                name="read_items",
            ),
            Node(
                func=nodes.read_side,
                inputs={"source": "users_source", "config": "params:users"},
                outputs="users",
                name="read_users",
            ),
            Node(
                func=nodes.split_ratings,
                inputs={
                    "ratings": "ratings",
                    "given_parts": "given_parts",
                    "config": "params:split",
                },
                outputs="rating_splits",
                name="split_ratings",
            ),
            Node(
                func=nodes.train,
                inputs={
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "items": "items",
                    "users": "users",
                    "checkpoints": "recommender_checkpoints",
                    "config": "params:recommender",
                    "lists": "params:recommendations",
                },
                outputs=["recommender", "recommender_history"],
                name="train_recommender",
            ),
            Node(
                func=nodes.evaluate,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "lists": "params:recommendations",
                },
                outputs=["predictions", "held_out_scores", "verdicts"],
                name="evaluate",
            ),
            Node(
                func=nodes.evaluate_cold_start,
                inputs={
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "items": "items",
                    "users": "users",
                    "recommender": "recommender",
                    "config": "params:recommender",
                    "lists": "params:recommendations",
                    "cold_start": "params:cold_start",
                },
                outputs="cold_start_scores",
                name="evaluate_cold_start",
            ),
            Node(
                func=nodes.summarise,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "predictions": "predictions",
                    "held_out_scores": "held_out_scores",
                    "cold_start_scores": "cold_start_scores",
                    "verdicts": "verdicts",
                },
                outputs=["scores", "summary"],
                name="summarise_scores",
            ),
            Node(
                func=nodes.choose_onboarding,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "cold_start": "params:cold_start",
                },
                outputs="onboarding",
                name="choose_onboarding_items",
            ),
            Node(
                func=nodes.place_new_items,
                inputs={
                    "recommender": "recommender",
                    "items": "items",
                    "cold_start": "params:cold_start",
                },
                outputs="new_items",
                name="place_new_items",
            ),
            Node(
                func=nodes.recommend,
                inputs="recommender",
                outputs="recommendations",
                name="recommend_to_each_user",
            ),
            Node(
                func=nodes.explore,
                inputs={"recommender": "recommender", "lists": "params:recommendations"},
                outputs=["similar_items", "item_biases", "item_components"],
                name="explore_items",
            ),
            Node(
                func=nodes.export_embeddings,
                inputs="recommender",
                outputs=["user_embeddings", "item_embeddings"],
                name="export_embeddings",
            ),
            Node(
                func=nodes.draw,
                inputs={
                    "history": "recommender_history",
                    "scores": "scores",
                    "item_components": "item_components",
                    "item_biases": "item_biases",
                },
                outputs=_FIGURES,
                name="draw_figures",
            ),
            Node(
                func=nodes.write_report,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "summary": "summary",
                    "scores": "scores",
                    "recommendations": "recommendations",
                    "similar_items": "similar_items",
                    "onboarding": "onboarding",
                    "new_items": "new_items",
                    "config": "params:recommender",
                    **_FIGURES,
                },
                outputs="report",
                name="write_report",
            ),
            Node(
                func=nodes.log_model,
                inputs={"recommender": "recommender", "registration": "params:registration"},
                outputs="logged_model",
                name="log_recommender_model",
            ),
        ],
        tags="ratings",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that answers a file of users or pairs, and one of new users' ratings."""
    return Pipeline(
        [
            Node(
                func=nodes.answer,
                inputs={
                    "recommender": "recommender",
                    "source": "questions_source",
                    "config": "params:questions",
                },
                outputs=["answers", "answers_metrics"],
                name="answer_questions",
            ),
            Node(
                func=nodes.fold_in_new_users,
                inputs={
                    "recommender": "recommender",
                    "source": "newcomers_source",
                    "ratings": "params:ratings",
                },
                outputs="newcomer_recommendations",
                name="fold_in_new_users",
            ),
        ],
        tags="prediction",
    )


def create_range_test_pipeline() -> Pipeline:
    """Return the pipeline that suggests a learning rate for the recommender."""
    return Pipeline(
        [
            Node(
                func=nodes.find_learning_rate,
                inputs={
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "items": "items",
                    "users": "users",
                    "config": "params:recommender",
                },
                outputs=["recommender_range_test", "recommender_range_test_plot"],
                name="find_recommender_learning_rate",
            ),
        ],
        tags="range_test",
    )
