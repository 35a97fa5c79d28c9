from gradual.pipelines.ratings.pipeline import (
    create_pipeline,
    create_prediction_pipeline,
    create_range_test_pipeline,
)

__all__ = ["create_pipeline", "create_prediction_pipeline", "create_range_test_pipeline"]
