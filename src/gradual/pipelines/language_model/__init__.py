from gradual.pipelines.language_model.pipeline import (
    create_generation_pipeline,
    create_pipeline,
    create_range_test_pipeline,
    create_registration_pipeline,
)

__all__ = [
    "create_generation_pipeline",
    "create_pipeline",
    "create_range_test_pipeline",
    "create_registration_pipeline",
]
