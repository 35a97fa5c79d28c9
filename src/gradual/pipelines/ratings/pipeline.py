"""Ratings to a recommender, judged beside simple ones, and to the lists that people use."""

from kedro.pipeline import Node, Pipeline

from gradual.pipelines.ratings import nodes


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains a recommender, scores it once on test ratings and reports."""
    return Pipeline(
        [
            Node(
                func=nodes.read_ratings,
                inputs={"source": "ratings_source", "config": "params:ratings"},
                outputs="ratings",
                name="read_ratings",
            ),
            Node(
                func=nodes.read_items,
                inputs={"source": "items_source", "config": "params:items"},
                outputs="items",
                name="read_items",
            ),
            Node(
                func=nodes.split_ratings,
                inputs={"ratings": "ratings", "config": "params:split"},
                outputs="rating_splits",
                name="split_ratings",
            ),
            Node(
                func=nodes.number_ids,
                inputs={"ratings": "ratings", "rating_splits": "rating_splits"},
                outputs=["user_ids", "item_ids"],
                name="number_ids",
            ),
            Node(
                func=nodes.train,
                inputs={
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "user_ids": "user_ids",
                    "item_ids": "item_ids",
                    "items": "items",
                    "checkpoints": "recommender_checkpoints",
                    "config": "params:recommender",
                },
                outputs=["recommender", "recommender_history"],
                name="train_recommender",
            ),
            Node(
                func=nodes.plot_training,
                inputs="recommender_history",
                outputs="recommender_training_plot",
                name="plot_recommender_training",
            ),
            Node(
                func=nodes.evaluate_ratings,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                },
                outputs=["predictions", "rating_scores"],
                name="evaluate_ratings",
            ),
            Node(
                func=nodes.evaluate_lists,
                inputs={
                    "recommender": "recommender",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "config": "params:recommendations",
                },
                outputs="list_scores",
                name="evaluate_lists",
            ),
            Node(
                func=nodes.evaluate_cold_start,
                inputs={
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "items": "items",
                    "config": "params:recommender",
                    "cold_start": "params:cold_start",
                },
                outputs=["new_user_scores", "new_item_scores"],
                name="evaluate_cold_start",
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
                func=nodes.summarise,
                inputs={
                    "predictions": "predictions",
                    "rating_scores": "rating_scores",
                    "list_scores": "list_scores",
                    "rating_splits": "rating_splits",
                },
                outputs="recommender_metrics",
                name="summarise_scores",
            ),
            Node(
                func=nodes.recommend,
                inputs={"recommender": "recommender", "config": "params:recommendations"},
                outputs="recommendations",
                name="recommend_to_each_user",
            ),
            Node(
                func=nodes.explore,
                inputs={"recommender": "recommender", "config": "params:recommendations"},
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
                    "rating_scores": "rating_scores",
                    "list_scores": "list_scores",
                    "item_components": "item_components",
                    "item_biases": "item_biases",
                },
                outputs=["scores_plot", "lists_plot", "components_plot", "biases_plot"],
                name="draw_recommender_figures",
            ),
            Node(
                func=nodes.write_report,
                inputs={
                    "metrics": "recommender_metrics",
                    "rating_scores": "rating_scores",
                    "list_scores": "list_scores",
                    "ratings": "ratings",
                    "rating_splits": "rating_splits",
                    "recommendations": "recommendations",
                    "similar_items": "similar_items",
                    "new_user_scores": "new_user_scores",
                    "new_item_scores": "new_item_scores",
                    "onboarding": "onboarding",
                    "new_items": "new_items",
                    "recommender": "recommender",
                    "scores_plot": "scores_plot",
                    "lists_plot": "lists_plot",
                    "components_plot": "components_plot",
                    "biases_plot": "biases_plot",
                    "recommender_training_plot": "recommender_training_plot",
                    "config": "params:recommender",
                },
                outputs="report",
                name="write_report",
            ),
            Node(
                func=nodes.log_model,
                inputs={
                    "recommender": "recommender",
                    "config": "params:recommendations",
                    "registration": "params:registration",
                },
                outputs="logged_model",
                name="log_recommender_model",
            ),
        ],
        tags="collab",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that answers a file of users or pairs, and one of newcomers' ratings."""
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
                func=nodes.welcome,
                inputs={
                    "recommender": "recommender",
                    "source": "newcomers_source",
                    "ratings": "params:ratings",
                    "config": "params:recommendations",
                },
                outputs="newcomer_recommendations",
                name="recommend_to_newcomers",
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
                    "user_ids": "user_ids",
                    "item_ids": "item_ids",
                    "items": "items",
                    "config": "params:recommender",
                },
                outputs=["recommender_range_test", "recommender_range_test_plot"],
                name="find_recommender_learning_rate",
            ),
        ],
        tags="range_test",
    )
